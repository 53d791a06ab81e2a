//! Why users cannot be set up as they are told.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A user could not be set up as told.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthorizerError {
    /// There is a user of that name.
    UserExists(String),
    /// There is no user of that name.
    NoSuchUser(String),
    /// A home, or the directory of an override, is no directory that can be opened.
    NotADirectory(PathBuf, io::Error),
    /// An override of the home itself; the user's own permissions hold there.
    OverrideOfHome(PathBuf),
    /// An override of a directory that is not in the user's home.
    OverrideOutsideHome(PathBuf),
    /// A user file cannot be read.
    UserFile(PathBuf, io::Error),
    /// Lines of a user file are no users.
    BadLines {
        /// The user file.
        file: PathBuf,
        /// The number of each such line, counted from 1, and what is wrong with it.
        faults: Vec<(usize, String)>,
    },
    /// Settings that cannot be; the text says which, and what to do.
    Settings(String),
    /// The process may not do, or the system does not have, what the authorizer cannot do without;
    /// the text says what.
    Privileges(String),
}

impl AuthorizerError {
    pub(super) fn settings(text: &str) -> AuthorizerError {
        AuthorizerError::Settings(text.to_owned())
    }
}

impl fmt::Display for AuthorizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserExists(name) => write!(f, "user {name:?} already exists"),
            Self::NoSuchUser(name) => write!(f, "no such user {name:?}"),
            Self::NotADirectory(path, error) => {
                write!(f, "{path:?} is not a directory that can be used: {error}")
            }
            Self::OverrideOfHome(path) => {
                write!(
                    f,
                    "{path:?} is the user's home; set the user's own permissions instead"
                )
            }
            Self::OverrideOutsideHome(path) => write!(f, "{path:?} is not inside the user's home"),
            Self::UserFile(path, error) => {
                write!(f, "cannot read the user file {}: {error}", path.display())
            }
            Self::BadLines { file, faults } => bad_lines(f, file, faults),
            Self::Settings(text) | Self::Privileges(text) => f.write_str(text),
        }
    }
}

impl Error for AuthorizerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotADirectory(_, error) | Self::UserFile(_, error) => Some(error),
            _ => None,
        }
    }
}

/// The first few, as compilers write them, on one line.
fn bad_lines(f: &mut fmt::Formatter<'_>, file: &Path, faults: &[(usize, String)]) -> fmt::Result {
    const SHOWN: usize = 3;
    for (at, (number, what)) in faults.iter().take(SHOWN).enumerate() {
        let part = if at == 0 { "" } else { "; " };
        write!(f, "{part}{}:{number}: {what}", file.display())?;
    }
    match faults.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "; and {more} more bad lines"),
    }
}
