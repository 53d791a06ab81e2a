//! The wall between the loop and the code it calls: whatever panics behind it is logged here and
//! goes no further.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// All log lines of this crate carry this target.
pub(crate) const LOG: &str = "ftpdlib_reactor";

/// Calls `f`; `None` when it panicked, which is logged under the name of `what` it was.
pub(crate) fn guard<R>(what: &str, f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) => {
            report(what, payload);
            None
        }
    }
}

/// Logs a panic. A logger that panics, or a payload that does so when it is dropped, ends here too.
fn report(what: &str, payload: Box<dyn Any + Send>) {
    let reported = catch_unwind(AssertUnwindSafe(|| {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        log::error!(target: LOG, "{what} panicked: {text}");
        drop(payload);
    }));
    if let Err(payload) = reported {
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_passes_and_a_panic_does_not() {
        assert_eq!(guard("this", || 7), Some(7));
        assert_eq!(guard("this", || -> u8 { panic!("on purpose") }), None);
        assert_eq!(guard("this", || -> u8 { panic!("on {}", "purpose") }), None);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose, from the payload");
            }
        }
        let caught = guard("this", || -> u8 { std::panic::panic_any(Bomb) });
        assert_eq!(caught, None);
    }
}
