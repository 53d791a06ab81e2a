//! Any bytes as a user file: no panic, every fault on a line that there is and fit for a log, and what
//! is read can be written and read again.

#![no_main]

use std::collections::HashSet;

use ftpdlib_fuzz::auth::{PasswordHash, file};
use libfuzzer_sys::fuzz_target;

fn quoted(bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{escaped}\"")
}

fuzz_target!(|data: &[u8]| {
    // The other text that an administrator may get wrong.
    if let Ok(text) = str::from_utf8(data)
        && let Ok(hash) = text.parse::<PasswordHash>()
    {
        assert_eq!(hash.to_string(), text);
    }
    match file::parse(data) {
        Ok(users) => {
            let names: HashSet<&String> = users.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), users.len());
            let again: String = users
                .iter()
                .map(|(name, home)| format!("{} ! {} elr\n", quoted(name.as_bytes()), quoted(home)))
                .collect();
            assert_eq!(file::parse(again.as_bytes()), Ok(users));
        }
        Err(faults) => {
            let last = data.split(|&byte| byte == b'\n').count();
            assert!(!faults.is_empty());
            for (number, what) in faults {
                assert!((1..=last).contains(&number));
                assert!(
                    !what.is_empty() && !what.chars().any(char::is_control),
                    "{what:?}"
                );
            }
        }
    }
});
