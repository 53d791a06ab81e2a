//! How a path is kept inside the home: the handle that everything starts from, and the links.
//!
//! The system refuses every absolute link below a handle, also one that points inside. Then, and
//! only then, the links are read here one by one and the path is rewritten without them. What comes
//! of it is only another path to try: the operation itself is confined again, so that a tree that
//! changes meanwhile can make it fail, but not make it leave.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use cap_std::fs::Dir;

#[cfg(unix)]
use super::facts::kind;
use super::facts::{facts, unique};
use super::name::{familiar, os};
use crate::fs::{FileKind, Metadata};
use crate::proto::path::VirtualPath;

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// The user's home directory.
#[derive(Debug)]
pub(super) struct Home {
    dir: Dir,
    /// Without links. Many a login never asks for it, so it is looked up when somebody does, where the
    /// handle tells it.
    path: OnceLock<PathBuf>,
    /// The path as it was given, made absolute. It may lead through links, and so may be what links
    /// inside the home are written with.
    given: PathBuf,
    /// Device and inode, once somebody has asked.
    unique: OnceLock<Option<(u64, u64)>>,
}

/// A directory inside the home, or the home.
pub(super) enum Handle<'a> {
    Home(&'a Dir),
    Opened(Dir),
}

impl Deref for Handle<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Handle::Home(dir) => dir,
            Handle::Opened(dir) => dir,
        }
    }
}

impl Home {
    pub(super) fn open(given: &Path) -> io::Result<Home> {
        let (path, opened) = open(given)?;
        Ok(Home {
            dir: opened,
            path: path.map_or_else(OnceLock::new, |path| OnceLock::from(familiar(path))),
            given: std::path::absolute(given)?,
            unique: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.path.get_or_init(|| {
            path_of(&self.dir)
                .or_else(|| self.given.canonicalize().ok().map(familiar))
                // It is gone.
                .unwrap_or_else(|| self.given.clone())
        })
    }

    fn unique(&self) -> Option<(u64, u64)> {
        *self.unique.get_or_init(|| {
            let found = self.dir.dir_metadata().ok()?;
            unique(&found)
        })
    }

    pub(super) fn is_current(&self) -> bool {
        std::fs::metadata(&self.given).is_ok_and(|found| {
            let found = cap_std::fs::Metadata::from_just_metadata(found);
            found.is_dir() && unique(&found) == self.unique()
        })
    }

    /// The facts of what `path` leads to.
    pub(super) fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if path.is_root() {
            let found = facts(&self.dir.dir_metadata()?);
            // The handle outlives a removed home, which then has no name left. (There are file systems
            // that do not count names.)
            if found.links == 0 && !self.is_current() {
                return Err(not_found());
            }
            return Ok(found);
        }
        self.follow(path, |dir, below| dir.metadata(below))
            .map(|found| facts(&found))
    }

    /// What `path` leads to, and how large it is, found out without opening it.
    pub(super) fn look(&self, path: &VirtualPath) -> io::Result<(FileKind, u64)> {
        #[cfg(unix)]
        if let Some(found) = self.look_at_entry(path)? {
            return Ok(found);
        }
        self.metadata(path).map(|found| (found.kind, found.size))
    }

    /// Of a name in the home itself, which the home's handle confines: one call tells, where a path
    /// takes a handle of what it leads to. `None` for a path, and for a link, which has to be followed.
    #[cfg(unix)]
    fn look_at_entry(&self, path: &VirtualPath) -> io::Result<Option<(FileKind, u64)>> {
        let name = path.relative();
        if path.is_root() || name.contains(&b'/') {
            return Ok(None);
        }
        let dir = std::os::fd::AsFd::as_fd(&self.dir);
        let (mode, size) = crate::sys::attributes::look(dir, &os(name)?)?;
        let kind = kind(mode);
        Ok((kind != FileKind::Symlink).then_some((kind, size)))
    }

    /// Whether `path` is a directory that can be entered: one may be there and not be for this user
    /// to search.
    pub(super) fn enter(&self, path: &VirtualPath) -> io::Result<()> {
        if path.is_root() {
            // Says so if the home is gone.
            self.metadata(path)?;
        }
        let dir = self.follow(path, |dir, below| dir.open_dir(below))?;
        dir.symlink_metadata(".").map(drop)
    }

    /// The directory that holds `path`, links followed, and its name there; for an operation that
    /// acts on the name itself. The root is `.` in itself.
    pub(super) fn parent<'home, 'path>(
        &'home self,
        path: &'path VirtualPath,
    ) -> io::Result<(Handle<'home>, Cow<'path, OsStr>)> {
        self.refuse_aliases(path)?;
        let below = path.relative();
        let Some(slash) = below.iter().rposition(|&byte| byte == b'/') else {
            return Ok((Handle::Home(&self.dir), os(below)?));
        };
        let parent = os(&below[..slash])?;
        let dir = self.confined(path, Path::new(&parent), |dir, below| dir.open_dir(below))?;
        Ok((Handle::Opened(dir), os(&below[slash + 1..])?))
    }

    /// Like [`parent`](Home::parent), of what `path` leads to: the name was no link a moment ago.
    #[cfg(unix)]
    pub(super) fn target(&self, path: &VirtualPath) -> io::Result<(Handle<'_>, OsString)> {
        let (dir, name) = self.parent(path)?;
        if !dir.symlink_metadata(&name)?.is_symlink() {
            return Ok((dir, name.into_owned()));
        }
        let below = os(path.relative())?;
        let found = self
            .resolve(Path::new(&below))
            .and_then(|real| self.split(&real));
        found.map_err(|error| name_escape(error, path))
    }

    /// The directory and the name of a path below the home without links.
    #[cfg(unix)]
    fn split(&self, real: &Path) -> io::Result<(Handle<'_>, OsString)> {
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
            return Ok((Handle::Home(&self.dir), ".".into()));
        };
        if parent.as_os_str().is_empty() {
            return Ok((Handle::Home(&self.dir), name.to_owned()));
        }
        Ok((Handle::Opened(self.dir.open_dir(parent)?), name.to_owned()))
    }

    /// Runs `operation`, which follows links, with `path` below the home.
    pub(super) fn follow<T>(
        &self,
        path: &VirtualPath,
        operation: impl Fn(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        self.refuse_aliases(path)?;
        self.confined(path, Path::new(&os(path.relative())?), operation)
    }

    /// Windows knows a file with a long name by a short one, too: what is allowed by the name must not
    /// be had by another. A short name that is in no listing, and yet there, is such a one.
    #[cfg(windows)]
    fn refuse_aliases(&self, path: &VirtualPath) -> io::Result<()> {
        use super::name::may_be_short;
        use crate::sys::name::{bytes, same};

        let mut above = VirtualPath::root();
        for name in path.components() {
            let child = above.child(name);
            let here = std::mem::replace(&mut above, child);
            if !may_be_short(name) {
                continue;
            }
            let dir = os(here.relative())?;
            let dir = self.confined(path, Path::new(&dir), |dir, below| dir.open_dir(below))?;
            let mut listed = false;
            for entry in dir.entries()? {
                listed |= same(&bytes(entry?.file_name()), name);
            }
            if !listed && dir.symlink_metadata(os(name)?).is_ok() {
                return Err(not_found());
            }
        }
        Ok(())
    }

    #[cfg(not(windows))]
    fn refuse_aliases(&self, _: &VirtualPath) -> io::Result<()> {
        Ok(())
    }

    /// Runs `operation` with `below`; once more with the links resolved if it met one that the
    /// system does not follow. `asked` is for the error's text.
    fn confined<T>(
        &self,
        asked: &VirtualPath,
        below: &Path,
        operation: impl Fn(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match operation(&self.dir, below) {
            Err(error) if is_escape(&error) => self
                .resolve(below)
                .and_then(|real| operation(&self.dir, &real))
                .map_err(|error| name_escape(error, asked)),
            done => done,
        }
    }

    /// Rewrites `below` to a path below the home without links.
    fn resolve(&self, below: &Path) -> io::Result<PathBuf> {
        let mut todo = parts(below);
        // Where we are: the home, something in it, or one of the directories above it.
        let home = self.path();
        let mut at = home.to_owned();
        // The handle of `at`, when there is one.
        let mut handle: Option<Dir> = None;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let name = match part {
                Part::Name(name) => name,
                Part::Up => {
                    at.pop();
                    handle = None;
                    continue;
                }
                Part::Root(root) => {
                    at = root;
                    handle = None;
                    continue;
                }
            };
            let Ok(inside) = at.strip_prefix(home) else {
                at.push(name);
                self.way_back(&mut at)?;
                continue;
            };
            let dir = match handle.take() {
                Some(dir) => dir,
                None => self.dir.open_dir(or_dot(inside))?,
            };
            let is_link = match dir.symlink_metadata(&name) {
                Ok(found) => found.is_symlink(),
                // A file that is to be created.
                Err(error) if error.kind() == io::ErrorKind::NotFound && todo.is_empty() => false,
                Err(error) => return Err(error),
            };
            if !is_link {
                if !todo.is_empty() {
                    handle = Some(dir.open_dir(&name)?);
                }
                at.push(name);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("Too many levels of symbolic links"));
            }
            todo.extend(parts(&dir.read_link_contents(&name)?));
            handle = Some(dir);
        }
        at.strip_prefix(home)
            .map(|inside| or_dot(inside).to_owned())
            .map_err(|_| escape())
    }

    /// Above the home, only the directories that lead down to it are passed through.
    fn way_back(&self, at: &mut PathBuf) -> io::Result<()> {
        if *at == self.given {
            self.path().clone_into(at);
        } else if !self.path().starts_with(&*at) && !self.given.starts_with(&*at) {
            return Err(escape());
        }
        Ok(())
    }
}

/// Opens a home with one system call.
#[cfg(target_os = "linux")]
fn open(given: &Path) -> io::Result<(Option<PathBuf>, Dir)> {
    let dir = Dir::open_ambient_dir(given, cap_std::ambient_authority())?;
    Ok((None, dir))
}

/// Opens a home, and gives its path without links, which only the file system can tell.
#[cfg(not(target_os = "linux"))]
fn open(given: &Path) -> io::Result<(Option<PathBuf>, Dir)> {
    let path = given.canonicalize()?;
    let dir = Dir::open_ambient_dir(&path, cap_std::ambient_authority())?;
    if !dir.dir_metadata()?.is_dir() {
        let text = "Not a directory";
        return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
    }
    Ok((Some(path), dir))
}

/// The path of an open directory, where the system knows it.
#[cfg(target_os = "linux")]
fn path_of(dir: &Dir) -> Option<PathBuf> {
    crate::sys::procfs::path_of(std::os::fd::AsFd::as_fd(dir))
}

#[cfg(not(target_os = "linux"))]
fn path_of(_: &Dir) -> Option<PathBuf> {
    None
}

/// Renames a name in one directory to one in another that is free.
#[cfg(target_os = "linux")]
pub(super) fn rename_new(from: &Dir, old: &OsStr, to: &Dir, new: &OsStr) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    let (old, new) = (CString::new(old.as_bytes())?, CString::new(new.as_bytes())?);
    crate::sys::rename::rename_new(from.as_fd(), &old, to.as_fd(), &new)
}

/// A path taken apart.
enum Part {
    Name(OsString),
    Up,
    Root(PathBuf),
}

/// The parts of `path`, the last first.
fn parts(path: &Path) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut root = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(Part::Name(name.to_owned())),
            Component::ParentDir => parts.push(Part::Up),
            Component::CurDir => {}
            Component::Prefix(_) => root.push(component),
            Component::RootDir => {
                root.push(component);
                parts.push(Part::Root(familiar(root.clone())));
            }
        }
    }
    parts.reverse();
    parts
}

fn or_dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// cap-std's mark of a path that leads outside: no number of the system's.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

fn escape() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a path led outside")
}

fn name_escape(error: io::Error, path: &VirtualPath) -> io::Error {
    if !is_escape(&error) {
        return error;
    }
    let text = format!("'{path}' points to a path which is outside the user's root directory");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(unix)]
fn not_found() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

#[cfg(not(unix))]
fn not_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "No such file or directory")
}
