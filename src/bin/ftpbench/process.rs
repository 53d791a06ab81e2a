//! What a server uses, by its process number and those of its children: CPU time, memory, open
//! files. All of it comes from Linux's /proc; on other systems, and of a process that is not ours to
//! look at, it is unknown.
//!
//! A control group that the server was started in is better at the CPU time, as it forgets no
//! process; without one, a process whose parent does not wait for it is lost with what it used.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Linux counts in hundredths of a second here, on all but extinct machines.
const TICK: Duration = Duration::from_millis(10);

/// A process that is watched, with all that it has started.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pid: u32,
    /// The file that tells what its control group has used.
    usage: Option<PathBuf>,
}

/// CPU time that a tree of processes has used so far.
pub(crate) enum CpuTime {
    Group(Duration),
    Tree(BTreeMap<u32, Used>),
}

/// What one process has used.
#[derive(Clone, Default)]
pub(crate) struct Used {
    /// Each thread that is alive, to the nanosecond.
    threads: BTreeMap<String, Duration>,
    /// All threads, the ended ones too, in ticks.
    coarse: Duration,
    /// Its children that have ended, in ticks.
    ended: Duration,
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
        Ok(Process { pid, usage: None })
    }

    /// The same, whose control group tells its CPU time in this file.
    pub(crate) fn in_group(self, usage: Option<PathBuf>) -> Process {
        Process { usage, ..self }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has not ended, as far as can be seen.
    pub(crate) fn is_alive(&self) -> bool {
        match read(self.pid, "stat") {
            // One that nobody has waited for yet is still listed.
            Some(stat) => fields(&stat).is_some_and(|fields| fields.first() != Some(&"Z")),
            None => !cfg!(target_os = "linux"),
        }
    }

    /// The CPU time so far.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        if let Some(file) = &self.usage {
            return Some(CpuTime::Group(group_usage(
                &fs::read_to_string(file).ok()?,
            )?));
        }
        let tree = self.tree();
        let used: BTreeMap<_, _> = tree
            .into_iter()
            .filter_map(|pid| Some((pid, Used::of(pid)?)))
            .collect();
        used.contains_key(&self.pid).then_some(CpuTime::Tree(used))
    }

    /// The CPU time so far without that of its children.
    pub(crate) fn cpu_time_alone(&self) -> Option<CpuTime> {
        Some(CpuTime::Tree([(self.pid, Used::of(self.pid)?)].into()))
    }

    /// Its memory and its children's in bytes: proportional set size, or where that may not be read
    /// resident set size.
    pub(crate) fn memory(&self) -> Option<u64> {
        let of = |pid| {
            let from = |file, field| kib(&read(pid, file)?, field);
            from("smaps_rollup", "Pss:").or_else(|| from("status", "VmRSS:"))
        };
        // A process may end between the two looks.
        let all: Vec<u64> = self.tree().into_iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum())
    }

    /// How many files it may have open at once.
    pub(crate) fn open_files_limit(&self) -> Option<u64> {
        let limits = read(self.pid, "limits")?;
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

    /// The process and its descendants.
    pub(crate) fn tree(&self) -> Vec<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = pid else { continue };
            if let Some(parent) =
                read(pid, "stat").and_then(|stat| fields(&stat)?.get(1)?.parse().ok())
            {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut tree = vec![self.pid];
        let mut at = 0;
        while let Some(pid) = tree.get(at) {
            tree.extend(children.remove(pid).unwrap_or_default());
            at += 1;
        }
        tree
    }
}

fn read(pid: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

impl Used {
    fn of(pid: u32) -> Option<Used> {
        let (coarse, ended) = ticks(&read(pid, "stat")?)?;
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
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
        Some(Used {
            threads,
            coarse,
            ended,
        })
    }

    /// What the process itself has used since an earlier reading.
    fn since(&self, earlier: &Used) -> Duration {
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

    /// All that it has used ever.
    fn total(&self) -> Duration {
        self.since(&Used::default())
    }
}

impl CpuTime {
    /// What was used since an earlier reading of the same tree.
    pub(crate) fn since(&self, earlier: &CpuTime) -> Duration {
        match (self, earlier) {
            (CpuTime::Group(now), CpuTime::Group(before)) => now.saturating_sub(*before),
            (CpuTime::Tree(now), CpuTime::Tree(before)) => tree_since(now, before),
            // Readings of one process are of one kind.
            _ => Duration::ZERO,
        }
    }
}

fn tree_since(now: &BTreeMap<u32, Used>, before: &BTreeMap<u32, Used>) -> Duration {
    let none = Used::default();
    let mut sum = Duration::ZERO;
    for (pid, used) in now {
        let earlier = before.get(pid).unwrap_or(&none);
        sum += used.since(earlier) + used.ended.saturating_sub(earlier.ended);
    }
    // Those that have ended count with all they ever used in their parents' figures.
    let gone = before.iter().filter(|(pid, _)| !now.contains_key(pid));
    let counted: Duration = gone.map(|(_, used)| used.total() + used.ended).sum();
    sum.saturating_sub(counted)
}

/// The CPU time of a control group: `cpuacct.usage` (nanoseconds), or `cpu.stat` of the newer kind.
pub(crate) fn group_usage(text: &str) -> Option<Duration> {
    match text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))
    {
        Some(micros) => micros.trim().parse().ok().map(Duration::from_micros),
        None => text.trim().parse().ok().map(Duration::from_nanos),
    }
}

/// The fields of /proc/PID/stat from the state on; the name before them may hold anything.
fn fields(stat: &str) -> Option<Vec<&str>> {
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().collect())
}

/// utime + stime, and cutime + cstime, of /proc/PID/stat.
fn ticks(stat: &str) -> Option<(Duration, Duration)> {
    let fields = fields(stat)?;
    let field = |at: usize| fields.get(at)?.parse::<u32>().ok();
    let own = field(11)?.checked_add(field(12)?)?;
    let ended = field(13)?.checked_add(field(14)?)?;
    Some((TICK * own, TICK * ended))
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
        let stat = "7 (a ) 1 2) S 1 7 7 0 -1 4194560 90 0 0 0 12 30 5 6 20 0 1 0 1 0";
        let ms = Duration::from_millis;
        assert_eq!(ticks(stat), Some((ms(420), ms(110))));
        assert_eq!(fields(stat).unwrap()[1], "1");
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn both_kinds_of_control_groups_are_read() {
        let v2 = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        assert_eq!(group_usage(v2), Some(Duration::from_micros(1500)));
        assert_eq!(group_usage("1500\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(group_usage("nothing"), None);
    }

    #[test]
    fn fields_are_in_bytes() {
        let text = "Rss:   20 kB\nPss:                 3 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(kib(text, "Pss:"), Some(3072));
        assert_eq!(kib(text, "Swap:"), None);
    }

    fn used(threads: &[(&str, u64)], coarse: u64, ended: u64) -> Used {
        let ms = Duration::from_millis;
        Used {
            threads: threads
                .iter()
                .map(|(name, used)| (name.to_string(), ms(*used)))
                .collect(),
            coarse: ms(coarse),
            ended: ms(ended),
        }
    }

    #[test]
    fn ended_threads_still_count() {
        let before = used(&[("1", 100), ("2", 50)], 150, 0);
        let since = |now: Used| now.since(&before).as_millis();
        assert_eq!(since(used(&[("1", 103), ("2", 51)], 160, 0)), 4);
        assert_eq!(since(used(&[("1", 103), ("3", 7)], 160, 0)), 10);
        assert_eq!(since(used(&[("1", 100)], 650, 0)), 490);
        assert_eq!(since(used(&[], 0, 0)), 0);
    }

    #[test]
    fn ended_children_count_once() {
        let tree = |processes: &[(u32, Used)]| CpuTime::Tree(processes.iter().cloned().collect());
        let before = tree(&[
            (1, used(&[("1", 100)], 100, 30)),
            (2, used(&[("2", 40)], 40, 10)),
        ]);
        // The second has used 5 more and ended, a third has begun and goes on.
        let after = tree(&[
            (1, used(&[("1", 101)], 100, 85)),
            (3, used(&[("3", 7)], 0, 0)),
        ]);
        assert_eq!(after.since(&before).as_millis(), 1 + 5 + 7);
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

    #[cfg(target_os = "linux")]
    #[test]
    fn what_children_use_is_seen_while_they_live_and_after() {
        use std::io::{BufRead, BufReader, Write};
        use std::process::{Command, Stdio};
        // A shell whose child burns a tenth of a second or more, says so, and waits; then another.
        let script = r#"
            burn() { i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo burnt; read -r _; }
            (burn) ; echo ended; read -r _"#;
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let process = Process::find(shell.id()).unwrap();
        let none = CpuTime::Tree(BTreeMap::new());
        assert_eq!(lines.next().unwrap().unwrap(), "burnt");
        assert_eq!(process.tree().len(), 2);
        let alive = process.cpu_time().unwrap();
        assert!(alive.since(&none) > TICK, "{:?}", alive.since(&none));
        stdin.write_all(b"\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ended");
        let ended = process.cpu_time().unwrap();
        assert_eq!(process.tree().len(), 1);
        // The same time, though counted in ticks now.
        assert!(ended.since(&none) + 3 * TICK > alive.since(&none));
        stdin.write_all(b"\n").unwrap();
        shell.wait().unwrap();
    }
}
