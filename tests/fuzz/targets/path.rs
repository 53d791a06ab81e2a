//! Any bytes as the paths of a client who walks about: always absolute, normalised and within bounds.

#![no_main]

use ftpdlib_fuzz::proto::path::VirtualPath;
use libfuzzer_sys::fuzz_target;

fn check(path: &VirtualPath) {
    let bytes = path.as_bytes();
    assert!(bytes.starts_with(b"/") && !bytes.contains(&0));
    assert_eq!(path.is_root(), bytes == b"/");
    if path.is_root() {
        assert!(path.parent().is_none());
        return;
    }
    for name in bytes[1..].split(|&byte| byte == b'/') {
        assert!(!matches!(name, b"" | b"." | b".."), "{path:?}");
    }
    let parent = path.parent().expect("not the root");
    let name = path.file_name().expect("not the root");
    assert_eq!(&parent.child(name), path);
    assert!(path.starts_with(&parent) && path.starts_with(&VirtualPath::root()));
    assert!(!path.to_string().chars().any(char::is_control));
}

fuzz_target!(|data: &[u8]| {
    let mut here = VirtualPath::root();
    for arg in data.split(|&byte| byte == b'\n') {
        match here.join(arg) {
            Ok(path) => {
                check(&path);
                assert!(path.as_bytes().len() <= 4096);
                assert_eq!(path.join(b"").as_ref(), Ok(&path));
                assert_eq!(
                    VirtualPath::root().join(path.as_bytes()).as_ref(),
                    Ok(&path)
                );
                here = path;
            }
            Err(_) => assert!(arg.contains(&0) || here.as_bytes().len() + arg.len() >= 4096),
        }
        check(&here.child(arg));
    }
});
