//! The worker threads for jobs that may block.
//!
//! A thread is started when a job comes and none is free, up to a limit; one that has had nothing
//! to do for a while ends. A server that never needs a thread never has one. The threads give way to
//! the loop, which has a little to do for each of many, where they have much to do for a few.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::caught::caught;
use crate::sys::priority::{give_way, gives_way};

pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// A task that runs on no thread, given back: what it holds may tell others of its end when it is
/// dropped, or be any code of a library user's.
pub(crate) struct Refused {
    pub(crate) error: io::Error,
    pub(crate) task: Task,
}

/// Threads of a server's pool at most, where nothing else is asked for. They wait for disks more
/// than they compute.
const MAX_THREADS: usize = 8;
/// The same of the pool that checks passwords, where each thread computes and takes memory.
const MAX_LOGIN_THREADS: usize = 4;
/// How long a thread waits for its next job before it ends.
const KEEP: Duration = Duration::from_secs(10);

/// The pool; dropping it lets its threads end when their jobs have.
pub(crate) struct Pool(Arc<Shared>);

/// The way to the threads of a pool.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Shared>);

struct Shared {
    max_threads: usize,
    state: Mutex<State>,
    wake: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Default for Pool {
    fn default() -> Self {
        Pool::new(MAX_THREADS)
    }
}

impl Pool {
    /// The pool that checks passwords.
    pub(crate) fn for_logins() -> Pool {
        Pool::new(MAX_LOGIN_THREADS)
    }

    /// With so many threads at most, and one at least.
    pub(crate) fn new(max_threads: usize) -> Pool {
        Pool(Arc::new(Shared {
            max_threads: max_threads.max(1),
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: Condvar::new(),
        }))
    }

    /// Runs `task` on some thread, in the order in which tasks come.
    ///
    /// # Errors
    ///
    /// As [`Hands::run`].
    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        self.hands().run(task)
    }

    /// The way to its threads, for those who may outlive it.
    pub(crate) fn hands(&self) -> Hands {
        Hands(Arc::clone(&self.0))
    }

    /// Takes no further task, and waits until those it has are done, but not for longer than
    /// `at_most`: threads end with their process. Gives the number of threads that work on.
    pub(crate) fn finish(&self, at_most: Duration) -> usize {
        self.0.close();
        let (state, _) = self
            .0
            .ended
            .wait_timeout_while(self.0.lock(), at_most, |state| state.threads > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.threads
    }
}

impl Hands {
    /// Runs `task` on some thread, in the order in which tasks come.
    ///
    /// The queue is as long as there are sessions that wait, for each waits for its own jobs; what
    /// callbacks [offload](crate::Session::offload) from timers comes on top.
    ///
    /// # Errors
    ///
    /// When there is no thread and none can be started, or the pool has
    /// [finished](Pool::finish).
    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        let task: Task = Box::new(task);
        let mut state = self.0.lock();
        if state.closed {
            let error = io::Error::other("the server has ended");
            return Err(Refused { error, task });
        }
        state.tasks.push_back(task);
        if state.idle >= state.tasks.len() || state.threads == self.0.max_threads {
            // Who wakes up must not have to wait for the lock.
            drop(state);
            self.0.wake.notify_one();
            return Ok(());
        }
        let (shared, already) = (Arc::clone(&self.0), gives_way());
        let started = thread::Builder::new()
            .name("ftpdlib-job".into())
            .spawn(move || {
                // Whoever wants a mere reply from the loop does not wait for the turns of all these
                // threads.
                give_way(already);
                work(&shared);
            });
        match started {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                if let Some(task) = state.tasks.pop_back() {
                    return Err(Refused { error, task });
                }
            }
            // Those that run will come to it.
            Err(_) => {}
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if let Some(task) = state.tasks.pop_front() {
            drop(state);
            // Tasks catch their own panics; this keeps the count of threads true in any case.
            let _ = caught(task);
            state = shared.lock();
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let (woken, waited) = shared
            .wake
            .wait_timeout(state, KEEP)
            .unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.tasks.is_empty() {
            break;
        }
    }
    state.threads -= 1;
    drop(state);
    shared.ended.notify_all();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[track_caller]
    fn run(pool: &Pool, task: impl FnOnce() + Send + 'static) {
        if let Err(refused) = pool.run(task) {
            panic!("{}", refused.error);
        }
    }

    #[test]
    fn a_refused_task_is_given_back_and_ends_when_the_caller_likes() {
        /// Needs the pool's lock as it goes.
        struct Last(Arc<Pool>, mpsc::Sender<bool>);
        impl Drop for Last {
            fn drop(&mut self) {
                let free = self.0.0.state.try_lock().is_ok();
                self.1.send(free).unwrap();
            }
        }
        let pool = Arc::new(Pool::default());
        pool.finish(Duration::ZERO);
        let (dropped, told) = mpsc::channel();
        let last = Last(Arc::clone(&pool), dropped);
        let refused = pool.run(move || drop(last)).err().unwrap();
        assert!(told.try_recv().is_err());
        drop(refused.task);
        assert!(told.recv().unwrap());
    }

    #[test]
    fn starts_threads_as_needed_and_no_more() {
        for max in [1, 3, MAX_THREADS] {
            starts_no_more_than(max);
        }
    }

    fn starts_no_more_than(max: usize) {
        let pool = Pool::new(max);
        assert_eq!(pool.0.lock().threads, 0);
        let (done, results) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for number in 0..20 {
            let (done, gate) = (done.clone(), Arc::clone(&gate));
            run(&pool, move || {
                let _ = gate.lock().unwrap().recv();
                done.send(number).unwrap();
            });
        }
        assert_eq!(pool.0.lock().threads, max);
        drop(release);
        let mut numbers: Vec<i32> = results.iter().take(20).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_pool_that_finishes_does_what_it_has_and_takes_no_more() {
        let pool = Pool::new(1);
        let (release, gate) = mpsc::channel::<()>();
        let (done, results) = mpsc::channel();
        run(&pool, move || assert!(gate.recv().is_err()));
        run(&pool, move || done.send(()).unwrap());
        assert_eq!(pool.finish(Duration::ZERO), 1);
        assert!(pool.run(|| panic!("a task that is too late")).is_err());
        drop(release);
        assert_eq!(pool.finish(Duration::from_secs(60)), 0);
        results.try_recv().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn its_threads_give_way() {
        use crate::sys::priority::niceness;
        let (pool, (done, results)) = (Pool::new(1), mpsc::channel());
        run(&pool, move || done.send(niceness()).unwrap());
        let (its, own) = (results.recv().unwrap(), niceness());
        assert!(its > own || own == 19, "{its}, and the loop {own}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_one_of_its_own_starts_gives_way_no_further() {
        use crate::sys::priority::niceness;
        let (pool, (done, results)) = (Pool::new(2), mpsc::channel());
        let hands = pool.hands();
        run(&pool, move || {
            let (told, hear) = mpsc::channel();
            // None is free as long as this one waits.
            let started = hands.run(move || told.send(niceness()).unwrap());
            assert!(started.is_ok());
            done.send((niceness(), hear.recv().unwrap())).unwrap();
        });
        let (first, second) = results.recv().unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn a_panicking_task_costs_no_thread() {
        let pool = Pool::default();
        let (done, results) = mpsc::channel();
        for _ in 0..MAX_THREADS * 2 {
            run(&pool, || panic!("a task's panic, on purpose"));
        }
        run(&pool, move || done.send(()).unwrap());
        results.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
