//! The net under code that is not ours on worker threads: what panics there is told to its client.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`, or gives the text of its panic. What the panic carries is gone by then, even if it
/// panics itself when it is dropped.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = text(&*payload);
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // It would go on like that.
            std::mem::forget(again);
        }
        text
    })
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_text() {
        assert_eq!(caught(|| 7), Ok(7));
        let said = |text: &str| Err::<(), _>(text.to_owned());
        assert_eq!(caught(|| panic!("on purpose")), said("on purpose"));
        assert_eq!(caught(|| panic!("on {}", "purpose")), said("on purpose"));
        assert_eq!(caught(|| std::panic::panic_any(7)), said(""));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose, from the payload");
            }
        }
        let bombed = caught(|| std::panic::panic_any(Bomb));
        assert_eq!(bombed, Err::<(), _>(String::new()));
    }
}
