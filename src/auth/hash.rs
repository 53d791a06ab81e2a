//! Hashes of passwords: made with argon2id, and checked also as crypt(3) and other servers' user
//! files have them.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha_crypt::ShaCrypt;
use yescrypt::Yescrypt;
use zeroize::Zeroizing;

/// The memory that checking one hash may take.
const MAX_MEMORY: u64 = 1 << 30;
/// A shorter one would have other passwords too.
const MIN_HASH: usize = 16;
/// Passes of argon2 over that memory, and lanes.
const MAX_PASSES: u32 = 16;
/// 2^18 rounds of bcrypt take about 20 seconds.
const MAX_BCRYPT_COST: u32 = 18;
/// About a second of SHA-crypt, and ten for the longest password.
const MAX_SHA_ROUNDS: u32 = 1_000_000;

/// What a password is kept as.
///
/// New ones are argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane).
/// Checked are also the hashes of `/etc/shadow` and of other servers' user files:
///
/// | begins with | kind |
/// |---|---|
/// | `$argon2id$`, `$argon2i$`, `$argon2d$` | Argon2, as a PHC string |
/// | `$y$` | yescrypt |
/// | `$2b$`, `$2y$`, `$2a$` | bcrypt, which looks at the first 72 bytes of a password only |
/// | `$6$`, `$5$` | SHA-crypt with SHA-512 and SHA-256 |
///
/// ```
/// use ftpdlib::PasswordHash;
///
/// let hash = PasswordHash::new(b"secret")?;
/// let text = hash.to_string(); // such as $argon2id$v=19$m=19456,t=2,p=1$...
/// let known: PasswordHash = text.parse()?;
/// assert!(known.verify(b"secret"));
/// assert!(!known.verify(b"Secret"));
/// # Ok::<(), ftpdlib::PasswordHashError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2,
    Yescrypt,
    Bcrypt,
    ShaCrypt,
}

impl PasswordHash {
    /// A new hash, with a salt of its own. It takes tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError::System`] when the system has no random numbers or no memory.
    pub fn new(password: &[u8]) -> Result<PasswordHash, PasswordHashError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
        let hash: phc::PasswordHash = argon2
            .hash_password(password)
            .map_err(|error| PasswordHashError::System(error.to_string()))?;
        Ok(PasswordHash {
            text: hash.to_string(),
            kind: Kind::Argon2,
        })
    }

    /// A hash that no password has. To check a password against it costs what it does against a new
    /// one: for a user who does not exist, so that the time of an answer tells nothing.
    ///
    /// ```
    /// assert!(!ftpdlib::PasswordHash::nobody().verify(b"a guess"));
    /// ```
    pub fn nobody() -> PasswordHash {
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LCBub3doZXJl\
                              $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        PasswordHash {
            text: NOBODY.to_owned(),
            kind: Kind::Argon2,
        }
    }

    /// Whether it is the password's. This is slow by design and takes memory, so it belongs on a
    /// thread that may block: see [`Authorizer::is_slow`](crate::Authorizer::is_slow).
    pub fn verify(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Argon2 => verify_argon2(password, &self.text).unwrap_or(false),
            Kind::Yescrypt => Yescrypt::default()
                .verify_password(password, self.text.as_str())
                .is_ok(),
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Kind::ShaCrypt => ShaCrypt::default()
                .verify_password(password, self.text.as_str())
                .is_ok(),
        }
    }
}

thread_local! {
    /// The memory that argon2 works in, kept for the next check on this thread: what is given back each
    /// time stays with the allocator, which in the end holds many times of it.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

fn verify_argon2(password: &[u8], text: &str) -> Result<bool, argon2::password_hash::Error> {
    let hash = phc::PasswordHash::new(text)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Ok(false);
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?;
    let params = Params::try_from(&hash)?;
    let count = params.block_count();
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    let mut output = Zeroizing::new(vec![0; expected.as_ref().len()]);
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.len() < count {
            blocks.resize(count, Block::new());
        }
        argon2.hash_password_into_with_memory(
            password,
            salt.as_ref(),
            &mut output,
            &mut blocks[..count],
        )
    })?;
    // Compares in constant time.
    Ok(phc::Output::new(&output)? == *expected)
}

/// The hash as it stands in a file.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A hash is half a password: debug output tells its kind alone.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.text.split('$').nth(1).unwrap_or_default();
        write!(f, "PasswordHash(${kind}$...)")
    }
}

/// Reads a hash, and checks all of it that can be wrong, so that no login finds it out.
impl FromStr for PasswordHash {
    type Err = PasswordHashError;

    fn from_str(text: &str) -> Result<PasswordHash, PasswordHashError> {
        let fields: Vec<&str> = text.split('$').collect();
        let kind = match fields[..] {
            ["", "argon2id" | "argon2i" | "argon2d", ..] => check_argon2(text)?,
            ["", "y", params, salt, hash] => check_yescrypt(params, salt, hash)?,
            ["", "2a" | "2b" | "2y", cost, _] => check_bcrypt(text, cost)?,
            ["", id @ ("5" | "6"), salt, hash] => check_sha(id, None, salt, hash)?,
            ["", id @ ("5" | "6"), rounds, salt, hash] => check_sha(id, Some(rounds), salt, hash)?,
            ["", "y" | "2a" | "2b" | "2y" | "5" | "6", ..] => {
                return Err(PasswordHashError::Malformed);
            }
            _ => return Err(PasswordHashError::UnknownKind),
        };
        Ok(PasswordHash {
            text: text.to_owned(),
            kind,
        })
    }
}

/// What is no more than this costs no more than a server can bear.
fn within<T: PartialOrd>(cost: T, most: T) -> Result<(), PasswordHashError> {
    match cost <= most {
        true => Ok(()),
        false => Err(PasswordHashError::TooCostly),
    }
}

fn check_argon2(text: &str) -> Result<Kind, PasswordHashError> {
    let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Malformed)?;
    let params = Params::try_from(&hash).map_err(|_| PasswordHashError::Malformed)?;
    let version = hash.version.map(Version::try_from).transpose();
    let len = hash.hash.as_ref().map_or(0, |hash| hash.as_bytes().len());
    if version.is_err() || hash.salt.is_none() || len < MIN_HASH {
        return Err(PasswordHashError::Malformed);
    }
    within(u64::from(params.m_cost()) * 1024, MAX_MEMORY)?;
    within(params.t_cost().max(params.p_cost()), MAX_PASSES)?;
    Ok(Kind::Argon2)
}

/// 128 r N bytes, for each of p lanes.
fn check_yescrypt(params: &str, salt: &str, hash: &str) -> Result<Kind, PasswordHashError> {
    use yescrypt::{Mode, Params};
    if !is_crypt64(params) || !is_crypt64(salt) || salt.len() > 86 || !is_hash(hash, 43) {
        return Err(PasswordHashError::Malformed);
    }
    let params: Params = params.parse().map_err(|_| PasswordHashError::Malformed)?;
    let lanes = u64::from(params.p().max(1));
    let memory = [params.n(), u64::from(params.r()), lanes]
        .into_iter()
        .try_fold(128, u64::checked_mul);
    within(memory.unwrap_or(u64::MAX), MAX_MEMORY)?;
    // What there may be besides takes more time for the same memory, without any limit.
    let is_plain = |mode| {
        Params::new(mode, params.n(), params.r(), params.p()).is_ok_and(|plain| plain == params)
    };
    match [Mode::Rw, Mode::Worm, Mode::Classic]
        .into_iter()
        .any(is_plain)
    {
        true => Ok(Kind::Yescrypt),
        false => Err(PasswordHashError::TooCostly),
    }
}

fn check_bcrypt(text: &str, cost: &str) -> Result<Kind, PasswordHashError> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| PasswordHashError::Malformed)?;
    if parts.get_cost() < 4 || cost.len() != 2 {
        return Err(PasswordHashError::Malformed);
    }
    within(parts.get_cost(), MAX_BCRYPT_COST)?;
    Ok(Kind::Bcrypt)
}

fn check_sha(
    id: &str,
    rounds: Option<&str>,
    salt: &str,
    hash: &str,
) -> Result<Kind, PasswordHashError> {
    let len = if id == "5" { 43 } else { 86 };
    let salt_is_fine = salt.len() <= 16 && salt.bytes().all(|byte| byte.is_ascii_graphic());
    if !salt_is_fine || salt.starts_with("rounds=") || !is_hash(hash, len) {
        return Err(PasswordHashError::Malformed);
    }
    if let Some(rounds) = rounds {
        let rounds = rounds
            .strip_prefix("rounds=")
            .and_then(|rounds| rounds.parse::<u32>().ok())
            .filter(|&rounds| rounds >= 1000)
            .ok_or(PasswordHashError::Malformed)?;
        within(rounds, MAX_SHA_ROUNDS)?;
    }
    Ok(Kind::ShaCrypt)
}

/// The alphabet of crypt(3).
fn is_crypt64(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/')
}

fn is_hash(text: &str, len: usize) -> bool {
    text.len() == len && is_crypt64(text)
}

/// Why something is no hash that a password can be checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordHashError {
    /// It does not begin as any known kind does.
    UnknownKind,
    /// It begins as a hash, but is none: cut off, or with a wrong character in it.
    Malformed,
    /// To check it would take more than 1 GiB of memory, or many seconds.
    TooCostly,
    /// The system did not give what a new hash needs.
    System(String),
}

impl fmt::Display for PasswordHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind => f.write_str(
                "no password hash of a known kind ($argon2id$, $y$, $2b$, $6$, $5$); \
                 make one with ftpdlib --hash-password",
            ),
            Self::Malformed => f.write_str("a damaged password hash: is all of it there?"),
            Self::TooCostly => {
                f.write_str("a password hash that takes too much memory or time to check")
            }
            Self::System(why) => write!(f, "no password hash can be made: {why}"),
        }
    }
}

impl Error for PasswordHashError {}

#[cfg(test)]
mod tests;
