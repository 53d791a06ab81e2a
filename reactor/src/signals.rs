//! Which dispatchers of one loop watch which signals. Catching them is the business of `sys`.

use crate::ready::SIGNALS;
use crate::sys::Watch;
use crate::{Key, sys};
use mio::Registry;
use std::io;

pub(crate) struct Signals {
    watchers: Vec<(i32, Key)>,
    /// This loop's place among those of the process; taken with the first watched signal.
    watch: Option<Watch>,
}

impl Signals {
    pub(crate) fn new() -> Signals {
        Signals {
            watchers: Vec::new(),
            watch: None,
        }
    }

    /// The signals that arrived since the last call, in order, as often as they were caught.
    pub(crate) fn read(&mut self) -> Vec<i32> {
        self.watch.as_mut().map(Watch::read).unwrap_or_default()
    }

    pub(crate) fn watchers(&self, signal: i32) -> Vec<Key> {
        let watching = self.watchers.iter().filter(|(number, _)| *number == signal);
        watching.map(|&(_, key)| key).collect()
    }

    /// A dispatcher is closed: signals that nobody else of this loop watches are let go.
    pub(crate) fn forget(&mut self, key: Key) {
        let Some(watch) = &mut self.watch else {
            return;
        };
        let mut index = 0;
        while let Some(&(signal, watcher)) = self.watchers.get(index) {
            if watcher != key {
                index += 1;
                continue;
            }
            self.watchers.swap_remove(index);
            if !self.watchers.iter().any(|&(number, _)| number == signal) {
                watch.remove(signal);
            }
        }
    }

    /// A dispatcher watches these signals, all or none of them.
    pub(crate) fn watch(
        &mut self,
        registry: &Registry,
        key: Key,
        signals: &[i32],
    ) -> io::Result<()> {
        if self.watch.is_none() {
            let mut watch = Watch::new()?;
            watch.register(registry, SIGNALS)?;
            self.watch = Some(watch);
        }
        let mut added = Vec::new();
        for &signal in signals {
            if let Err(error) = self.add_watcher(signal, key, &mut added) {
                added
                    .iter()
                    .for_each(|&signal| self.drop_watcher(signal, key));
                return Err(error);
            }
        }
        Ok(())
    }

    fn add_watcher(&mut self, signal: i32, key: Key, added: &mut Vec<i32>) -> io::Result<()> {
        let Signals { watchers, watch } = self;
        if watchers.contains(&(signal, key)) {
            return Ok(());
        }
        if let Some(watch) = watch
            .as_mut()
            .filter(|_| watchers.iter().all(|w| w.0 != signal))
        {
            watch.add(signal)?;
        }
        watchers.push((signal, key));
        added.push(signal);
        Ok(())
    }

    fn drop_watcher(&mut self, signal: i32, key: Key) {
        let Signals { watchers, watch } = self;
        watchers.retain(|&watcher| watcher != (signal, key));
        if let Some(watch) = watch
            .as_mut()
            .filter(|_| watchers.iter().all(|w| w.0 != signal))
        {
            watch.remove(signal);
        }
    }
}

/// Lets the process ignore these signals: SIGPIPE and SIGXFSZ, so that a broken connection or a
/// file at its size limit is an error of the call and not the end of the process.
///
/// # Errors
///
/// When one of the numbers is no signal that can be ignored; `Unsupported` where there are none.
pub fn ignore_signals(signals: &[i32]) -> io::Result<()> {
    signals.iter().try_for_each(|&signal| sys::ignore(signal))
}
