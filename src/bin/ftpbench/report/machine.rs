//! Where it was measured: figures of another machine, or of a busy one, are other figures.

use std::fs;

/// What is known of this machine; on other systems than Linux that is nothing.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// Processes that wanted to run in the last minute, before the first row.
    pub(crate) load: String,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn this() -> Machine {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let kib: u64 = value(&read("/proc/meminfo"), "MemTotal")
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or_default();
        Machine {
            processor: value(&cpuinfo, "model name").to_owned(),
            processors: cpuinfo.matches("\nprocessor\t").count()
                + usize::from(cpuinfo.starts_with("processor\t")),
            memory: format!("{} GiB", (kib + (1 << 19)) >> 20),
            kernel: release(&read("/proc/sys/kernel/osrelease")).to_owned(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            date: time::OffsetDateTime::now_utc().date().to_string(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let Machine {
            processor,
            processors,
            memory,
            kernel,
            load,
            date,
        } = self;
        format!(
            "{processors} processors ({processor}), {memory}, Linux {kernel}, load {load} at the beginning; {date}"
        )
    }
}

/// The kernel's version without what a builder has added to it.
fn release(text: &str) -> &str {
    text.trim().split('-').next().unwrap_or_default()
}

/// The value of `key : value`.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.trim() == key);
    found.map_or("", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_keys() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\n";
        assert_eq!(value(text, "model name"), "A CPU: fast");
        assert_eq!(value(text, "flags"), "");
        assert_eq!(release("6.18.44-a-b\n"), "6.18.44");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_is_known() {
        let machine = Machine::this();
        assert!(
            machine.processors > 0 && !machine.kernel.is_empty(),
            "{machine:?}"
        );
        assert_ne!(machine.memory, "0 GiB");
    }
}
