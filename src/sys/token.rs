//! Users of Windows: who they are (security identifiers), logging on as one (`LogonUserW`), and acting
//! as one for a while (`ImpersonateLoggedOnUser`), which changes the calling thread and nothing else.

use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::marker::PhantomData;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, ImpersonateLoggedOnUser, LOGON32_LOGON_INTERACTIVE,
    LOGON32_LOGON_NETWORK, LOGON32_PROVIDER_DEFAULT, LogonUserW, LookupAccountNameW,
    LookupAccountSidW, RevertToSelf, SidTypeUser, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::UI::Shell::GetUserProfileDirectoryW;
use zeroize::Zeroizing;

use crate::target::TARGET;

/// A security identifier: what a user is, whatever he is called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sid(Box<[u8]>);

impl Sid {
    /// What its user is called: `ann`, or `OFFICE\ann` if he is none of this machine's; `None` if the
    /// system has no name for it.
    pub(crate) fn name(&self) -> Option<String> {
        let mut sid = [0_u64; 32];
        // Words, so that it is aligned.
        for (word, bytes) in sid.iter_mut().zip(self.0.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(padded);
        }
        let (mut name, mut domain) = ([0_u16; 1024], [0_u16; 1024]);
        let (mut name_size, mut domain_size) = (name.len() as u32, domain.len() as u32);
        let mut kind = 0;
        // SAFETY: the SID is one that the system has given, and there is room of the sizes that are told.
        let done = unsafe {
            LookupAccountSidW(
                ptr::null(),
                sid.as_mut_ptr().cast(),
                name.as_mut_ptr(),
                &raw mut name_size,
                domain.as_mut_ptr(),
                &raw mut domain_size,
                &raw mut kind,
            )
        };
        if done == 0 {
            return None;
        }
        let text = |units: &[u16], size: u32| String::from_utf16(units.get(..size as usize)?).ok();
        let (name, domain) = (text(&name, name_size)?, text(&domain, domain_size)?);
        let here = std::env::var("COMPUTERNAME").unwrap_or_default();
        match domain.is_empty() || domain.eq_ignore_ascii_case(&here) {
            true => Some(name),
            false => Some(format!("{domain}\\{name}")),
        }
    }

    /// The last part of it; the same for a built-in account on every machine.
    pub(crate) fn relative(&self) -> Option<u32> {
        let last = self.0.last_chunk::<4>()?;
        // Behind the head of 8 bytes.
        (self.0.len() >= 12).then(|| u32::from_le_bytes(*last))
    }
}

/// The right to act as a user who has logged on.
#[derive(Debug)]
pub(crate) struct Token {
    handle: OwnedHandle,
    sid: Sid,
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.sid == other.sid
    }
}

impl Eq for Token {}

/// More bytes than this no user name, domain or path has.
const MOST: usize = 32_768;

/// Text for the system, with its end; `None` if there is an end in it.
fn wide(text: &str) -> Option<Zeroizing<Vec<u16>>> {
    if text.contains('\0') || text.len() >= MOST {
        return None;
    }
    // In one piece: no copy without the end is left behind.
    let mut wide = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    wide.extend(text.encode_utf16());
    wide.push(0);
    Some(wide)
}

/// `DOMAIN\user` taken apart; a name without one, or `user@domain`, is asked for as it is.
fn parts(name: &str) -> (Option<&str>, &str) {
    match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    }
}

fn logon_failure() -> io::Error {
    /// `ERROR_LOGON_FAILURE`: wrong password or unknown user.
    const LOGON_FAILURE: i32 = 1326;
    io::Error::from_raw_os_error(LOGON_FAILURE)
}

impl Token {
    /// Logs the user on with his password; `network` asks for the right to do so over the network
    /// instead of that to do so at the machine.
    ///
    /// # Errors
    ///
    /// The system's: wrong name or password, an account that is disabled, expired or locked, a password
    /// that has expired, or no right of that kind.
    pub(crate) fn log_on(name: &str, password: &[u8], network: bool) -> io::Result<Token> {
        let (domain, user) = parts(name);
        let password = std::str::from_utf8(password).ok().and_then(wide);
        let domain = domain.map(|domain| wide(domain).ok_or_else(logon_failure));
        let domain = domain.transpose()?;
        let (Some(user), Some(password)) = (wide(user), password) else {
            return Err(logon_failure());
        };
        let kind = match network {
            true => LOGON32_LOGON_NETWORK,
            false => LOGON32_LOGON_INTERACTIVE,
        };
        let mut handle: HANDLE = ptr::null_mut();
        // SAFETY: the texts end with 0 and live until it returns, and the handle may be written.
        let done = unsafe {
            LogonUserW(
                user.as_ptr(),
                domain
                    .as_ref()
                    .map_or(ptr::null(), |domain| domain.as_ptr()),
                password.as_ptr(),
                kind,
                LOGON32_PROVIDER_DEFAULT,
                &raw mut handle,
            )
        };
        match done {
            0 => Err(io::Error::last_os_error()),
            // Whatever says yes and gives nothing has logged nobody on.
            _ if handle.is_null() => Err(io::ErrorKind::Unsupported.into()),
            // SAFETY: it is open, and nobody else's.
            _ => Token::new(unsafe { OwnedHandle::from_raw_handle(handle) }),
        }
    }

    fn new(handle: OwnedHandle) -> io::Result<Token> {
        let sid = sid_of(&handle)?;
        Ok(Token { handle, sid })
    }

    fn handle(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Whose it is.
    pub(crate) fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The directory of the user's profile: his home.
    ///
    /// # Errors
    ///
    /// When he has none, because he has never been at this machine.
    pub(crate) fn profile(&self) -> io::Result<PathBuf> {
        let mut room = vec![0_u16; 1024];
        loop {
            let mut size = u32::try_from(room.len()).unwrap_or(u32::MAX);
            let had = size;
            // SAFETY: there is room for so many units.
            let done = unsafe {
                GetUserProfileDirectoryW(self.handle(), room.as_mut_ptr(), &raw mut size)
            };
            if done != 0 {
                let end = room.iter().position(|&unit| unit == 0);
                room.truncate(end.unwrap_or(room.len()));
                return Ok(OsString::from_wide(&room).into());
            }
            let error = io::Error::last_os_error();
            if size <= had || size as usize > MOST {
                return Err(error);
            }
            room.resize(size as usize, 0);
        }
    }

    /// That of this process.
    #[cfg(test)]
    pub(crate) fn own() -> Token {
        use windows_sys::Win32::Security::{TOKEN_DUPLICATE, TOKEN_IMPERSONATE, TOKEN_QUERY};
        use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
        let mut handle: HANDLE = ptr::null_mut();
        let access = TOKEN_DUPLICATE | TOKEN_IMPERSONATE | TOKEN_QUERY;
        // SAFETY: the handle may be written.
        let done = unsafe { OpenProcessToken(GetCurrentProcess(), access, &raw mut handle) };
        assert_ne!(done, 0, "{}", io::Error::last_os_error());
        // SAFETY: it is open, and nobody else's.
        Token::new(unsafe { OwnedHandle::from_raw_handle(handle) }).unwrap()
    }
}

fn sid_of(handle: &OwnedHandle) -> io::Result<Sid> {
    // Words, so that the structure in front is aligned. A SID has 68 bytes at most.
    let mut room = [0_u64; 32];
    let size = size_of_val(&room) as u32;
    let mut used = 0;
    // SAFETY: there is room for `size` bytes, and the handle is open.
    let done = unsafe {
        GetTokenInformation(
            handle.as_raw_handle(),
            TokenUser,
            room.as_mut_ptr().cast(),
            size,
            &raw mut used,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has written this structure, whose pointer is into `room`, to a valid SID of the length
    // that is told.
    let sid = unsafe {
        let sid = (*room.as_ptr().cast::<TOKEN_USER>()).User.Sid;
        std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize)
    };
    Ok(Sid(sid.into()))
}

/// The user of that name; `None` if there is none, or if it is no user's.
pub(crate) fn user(name: &str) -> Option<Sid> {
    let name = wide(name)?;
    let mut sid = [0_u64; 32];
    let mut size = size_of_val(&sid) as u32;
    let mut domain = vec![0_u16; 1024];
    let mut domain_size = domain.len() as u32;
    let mut kind = 0;
    // SAFETY: the name ends with 0, and there is room of the sizes that are told.
    let done = unsafe {
        LookupAccountNameW(
            ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &raw mut size,
            domain.as_mut_ptr(),
            &raw mut domain_size,
            &raw mut kind,
        )
    };
    if done == 0 || kind != SidTypeUser {
        return None;
    }
    // SAFETY: it has written a valid SID of the length that is told, which is in `sid`.
    let sid = unsafe {
        let length = GetLengthSid(sid.as_mut_ptr().cast()) as usize;
        std::slice::from_raw_parts(sid.as_ptr().cast::<u8>(), length)
    };
    Some(Sid(sid.into()))
}

thread_local! {
    /// As whom this thread acts now, by address; null as itself.
    static NOW: Cell<*const Token> = const { Cell::new(ptr::null()) };
}

/// Acting as somebody until dropped, also by a panic.
#[must_use = "dropping it ends the identity"]
pub(crate) struct Assumed<'token> {
    outer: *const Token,
    changed: bool,
    // While it lives nobody else can have their address. And it is of this thread.
    _token: PhantomData<(&'token Token, *const ())>,
}

/// Acts as the token's user from here on. If this thread does so already, that costs nothing.
///
/// # Errors
///
/// When the system does not let this process do so; nothing is changed then.
pub(crate) fn assume(token: &Token) -> io::Result<Assumed<'_>> {
    let outer = NOW.get();
    let changed = !ptr::eq(outer, token);
    if changed {
        impersonate(token)?;
        NOW.set(token);
    }
    Ok(Assumed {
        outer,
        changed,
        _token: PhantomData,
    })
}

fn impersonate(token: &Token) -> io::Result<()> {
    // SAFETY: the handle is open.
    match unsafe { ImpersonateLoggedOnUser(token.handle()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

impl Drop for Assumed<'_> {
    fn drop(&mut self) {
        if !self.changed {
            return;
        }
        NOW.set(self.outer);
        // SAFETY: the outer one was assumed with a borrow that outlives this value.
        let restored = match unsafe { self.outer.as_ref() } {
            Some(outer) => impersonate(outer),
            // SAFETY: it takes nothing.
            None => match unsafe { RevertToSelf() } {
                0 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            },
        };
        if let Err(error) = restored {
            // As somebody else, this thread would go on to serve others.
            log::error!(
                target: TARGET,
                "cannot end a user's identity, so the process ends: {error}"
            );
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Security::TOKEN_QUERY;
    use windows_sys::Win32::System::Threading::{GetCurrentThread, OpenThreadToken};

    use super::*;

    /// Whether this thread acts as somebody.
    fn acts() -> bool {
        let mut handle: HANDLE = ptr::null_mut();
        // SAFETY: the handle may be written.
        let done = unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &raw mut handle) };
        if done != 0 {
            // SAFETY: it is open, and nobody else's.
            drop(unsafe { OwnedHandle::from_raw_handle(handle) });
        }
        done != 0
    }

    #[test]
    fn an_identity_is_the_threads_until_it_ends() {
        let token = Token::own();
        let other = Token::own();
        assert!(!acts());
        {
            let _outer = assume(&token).unwrap();
            assert!(acts());
            {
                let _same = assume(&token).unwrap();
                let _inner = assume(&other).unwrap();
                assert!(acts());
            }
            assert!(acts());
            let other = std::thread::spawn(acts);
            assert!(!other.join().unwrap());
        }
        assert!(!acts());
        let panicked = std::panic::catch_unwind(|| {
            let _assumed = assume(&token).unwrap();
            panic!("on purpose");
        });
        assert!(panicked.is_err() && !acts());
    }

    #[test]
    fn a_user_is_who_he_is() {
        let token = Token::own();
        assert_eq!(token, Token::own());
        assert!(token.sid().relative().is_some());
        let name = token.sid().name().unwrap();
        assert_eq!(user(&name).as_ref(), Some(token.sid()), "{name}");
        assert!(user("no such user at all").is_none());
        assert!(user("a\0b").is_none());
    }

    #[test]
    fn nobody_logs_on_who_is_not_there() {
        for (name, password) in [
            ("no such user at all", &b"x"[..]),
            ("a\0b", b"x"),
            ("no\\such user", b"\xff"),
            ("no such user at all", b"a\0b"),
        ] {
            assert!(Token::log_on(name, password, false).is_err(), "{name}");
        }
    }

    #[test]
    fn domains() {
        assert_eq!(parts(r"OFFICE\ann"), (Some("OFFICE"), "ann"));
        assert_eq!(parts("ann@office"), (None, "ann@office"));
    }
}
