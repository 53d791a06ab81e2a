//! What tests of file systems say often.

use std::io;

use super::{FileSystem, OpenMode, describe};
use crate::proto::path::VirtualPath;

pub(super) fn path(name: &str) -> VirtualPath {
    name.parse().unwrap()
}

pub(super) fn put(
    files: &dyn FileSystem,
    name: &str,
    mode: OpenMode,
    data: &str,
) -> io::Result<()> {
    let mut file = files.open(&path(name), mode)?;
    file.write_all(data.as_bytes())?;
    file.close()
}

pub(super) fn read(files: &dyn FileSystem, name: &VirtualPath) -> io::Result<Vec<u8>> {
    let mut file = files.open(name, OpenMode::Read)?;
    let (mut data, mut buf) = (Vec::new(), [0; 1000]);
    loop {
        match file.read(&mut buf)? {
            0 => return Ok(data),
            count => data.extend_from_slice(&buf[..count]),
        }
    }
}

pub(super) fn text(files: &dyn FileSystem, name: &str) -> String {
    String::from_utf8(read(files, &path(name)).unwrap()).unwrap()
}

pub(super) fn names(files: &dyn FileSystem, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut directory = files.read_dir(&path(name)).unwrap();
    while directory.read_names(2, &mut names).unwrap() {}
    names.sort();
    let names = names
        .into_iter()
        .map(|name| String::from_utf8(name).unwrap());
    names.collect()
}

#[track_caller]
pub(super) fn says<T>(result: io::Result<T>, text: &str) {
    assert_eq!(describe(&result.err().expect("an error")), text);
}
