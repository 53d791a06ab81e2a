//! What a server uses, by its process number: CPU time, memory, open files. All of it comes from
//! Linux's /proc; on other systems, and of a process that is not ours to look at, it is unknown.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// Linux counts in hundredths of a second here, on all but extinct machines.
const TICK: Duration = Duration::from_millis(10);

/// A process that is watched.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
}

/// CPU time that a process has used so far.
pub(crate) struct CpuTime {
    /// Of each thread that is alive, to the nanosecond.
    threads: BTreeMap<String, Duration>,
    /// Of all threads, the ended ones too, in ticks.
    coarse: Duration,
}

impl Process {
    /// A process that exists, or where that is not known may exist.
    pub(crate) fn find(pid: u32) -> io::Result<Process> {
        if cfg!(target_os = "linux") {
            fs::metadata(format!("/proc/{pid}")).map_err(|error| {
                let message = format!("cannot look at process {pid}: {error}");
                io::Error::new(error.kind(), message)
            })?;
        }
        Ok(Process { pid })
    }

    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// The CPU time so far.
    pub(crate) fn cpu_time(self) -> Option<CpuTime> {
        let coarse = ticks(&self.read("stat")?)?;
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))
            .ok()?
            .flatten()
        {
            // A thread may end, and a kernel may lack this clock: then the coarse one counts.
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let used = text
                .split(' ')
                .next()
                .and_then(|number| number.parse().ok());
            if let (Ok(name), Some(used)) = (task.file_name().into_string(), used) {
                threads.insert(name, Duration::from_nanos(used));
            }
        }
        Some(CpuTime { threads, coarse })
    }

    /// Its memory in bytes: proportional set size, or where that may not be read resident set size.
    pub(crate) fn memory(self) -> Option<u64> {
        let from = |file, field| kib(&self.read(file)?, field);
        from("smaps_rollup", "Pss:").or_else(|| from("status", "VmRSS:"))
    }

    /// How many files it may have open at once.
    pub(crate) fn open_files_limit(self) -> Option<u64> {
        let limits = self.read("limits")?;
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?;
        let soft = line.split_whitespace().next()?;
        if soft == "unlimited" {
            Some(u64::MAX)
        } else {
            soft.parse().ok()
        }
    }

    fn read(self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).ok()
    }
}

impl CpuTime {
    /// What was used since an earlier reading of the same process.
    pub(crate) fn since(&self, earlier: &CpuTime) -> Duration {
        let fine: Duration = self
            .threads
            .iter()
            .map(|(thread, now)| {
                let before = earlier.threads.get(thread).copied().unwrap_or_default();
                now.saturating_sub(before)
            })
            .sum();
        // The fine clock forgets threads that have ended; the coarse one may be a tick ahead.
        fine.max(self.coarse.saturating_sub(earlier.coarse + TICK))
    }
}

/// utime + stime of /proc/PID/stat; the name before them may hold anything.
fn ticks(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

/// The value of a field such as `Pss:     1234 kB`, in bytes.
fn kib(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number: u64 = value.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a ) 1 2) S 1 7 7 0 -1 4194560 90 0 0 0 12 30 0 0 20 0 1 0 1 0";
        assert_eq!(ticks(stat), Some(Duration::from_millis(420)));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn fields_are_in_bytes() {
        let text = "Rss:   20 kB\nPss:                 3 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(kib(text, "Pss:"), Some(3072));
        assert_eq!(kib(text, "Swap:"), None);
    }

    #[test]
    fn ended_threads_still_count() {
        let time = |threads: &[(&str, u64)], coarse| CpuTime {
            threads: threads
                .iter()
                .map(|(name, ms)| (name.to_string(), Duration::from_millis(*ms)))
                .collect(),
            coarse: Duration::from_millis(coarse),
        };
        let before = time(&[("1", 100), ("2", 50)], 150);
        assert_eq!(
            time(&[("1", 103), ("2", 51)], 160)
                .since(&before)
                .as_millis(),
            4
        );
        assert_eq!(
            time(&[("1", 103), ("3", 7)], 160)
                .since(&before)
                .as_millis(),
            10
        );
        assert_eq!(time(&[("1", 100)], 650).since(&before).as_millis(), 490);
        assert_eq!(time(&[], 0).since(&before).as_millis(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_can_be_watched() {
        let process = Process::find(std::process::id()).unwrap();
        assert!(process.memory().unwrap() > 100_000);
        assert!(process.open_files_limit().unwrap() > 3);
        let before = process.cpu_time().unwrap();
        let mut work = 0_u64;
        while process.cpu_time().unwrap().since(&before) < Duration::from_millis(30) {
            work = std::hint::black_box(work + 1);
        }
        assert!(Process::find(u32::MAX).is_err());
    }
}
