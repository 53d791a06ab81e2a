//! A shared pointer to a file system is one, so that wrappers go around what an account has.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Directory, File, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

impl<F: FileSystem + ?Sized> FileSystem for Arc<F> {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        (**self).metadata(path)
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        (**self).symlink_metadata(path)
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        (**self).open(path, mode)
    }

    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        (**self).open_at_once(path, mode)
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        (**self).read_dir(path)
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        (**self).enter_dir(path)
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        (**self).create_dir(path)
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        (**self).remove_dir(path)
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        (**self).remove_file(path)
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        (**self).rename_new(from, to)
    }

    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        (**self).check_room(path, mode, bytes)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        (**self).set_mode(path, mode)
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        (**self).set_modified(path, seconds)
    }

    fn remove_tree(&self, path: &VirtualPath) -> io::Result<()> {
        (**self).remove_tree(path)
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        (**self).real_path(path)
    }

    fn start_directory(&self) -> VirtualPath {
        (**self).start_directory()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        (**self).user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        (**self).group_name(gid)
    }

    fn together(&self, work: &mut dyn FnMut()) {
        (**self).together(work);
    }

    fn is_slow(&self) -> bool {
        (**self).is_slow()
    }

    fn changes_are_slow(&self) -> bool {
        (**self).changes_are_slow()
    }
}
