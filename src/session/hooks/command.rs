//! Commands of a library user's own: a row for the table, with a closure behind it.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::session::Session;
use crate::proto::command::Arg;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::interpreter::error_reply;
use crate::session::interpreter::table::{Marks, Row, Run};
use crate::session::work::pooled::{Pooled, Work};

type Answer = Result<Reply, Reply>;
/// A closure over `A`, the bytes or the path behind the command's name.
type Closure<A> = Box<dyn Fn(&mut Session<'_>, &A) -> Answer + Send + Sync>;

enum Action {
    None,
    Bytes(Closure<[u8]>),
    Path(Closure<VirtualPath>),
    Pooled(Pooled),
}

/// A command to add to a server, or to put in the place of a built-in one.
///
/// By default it needs a login, no permission, and takes an argument or none. HELP and the checks
/// before it runs come from this description, as for every other command.
///
/// ```no_run
/// use ftpdlib::{Arg, Command, FtpServer, Perm, Reply};
///
/// let rmtree = Command::site("RMTREE")
///     .perm(Perm::DELETE)
///     .argument(Arg::Required)
///     .help("Syntax: SITE RMTREE <SP> path (remove directory tree).")
///     .pooled(|work, path| {
///         work.filesystem().remove_tree(path)?;
///         Ok(Reply::new(250, "Directory tree removed."))
///     });
/// FtpServer::builder().command(rmtree).bind("127.0.0.1:2121")?.serve_forever()
/// # ; Ok::<(), ftpdlib::Error>(())
/// ```
pub struct Command {
    name: String,
    perm: Perm,
    login: bool,
    arg: Arg,
    help: String,
    feat: Option<String>,
    logged: bool,
    secret: bool,
    action: Action,
}

impl Command {
    /// A command by its name, such as `XCRC`.
    pub fn new(name: &str) -> Command {
        let name = name.to_ascii_uppercase();
        let help = format!("Syntax: {name}");
        Command {
            name,
            perm: Perm::NONE,
            login: true,
            arg: Arg::Optional,
            help,
            feat: None,
            logged: true,
            secret: false,
            action: Action::None,
        }
    }

    /// A SITE command by its name behind SITE.
    pub fn site(name: &str) -> Command {
        Command::new(&format!("SITE {name}"))
    }

    /// The permission that the user needs: on the path, with [`path`](Self::path) and
    /// [`pooled`](Self::pooled); else on his home directory.
    pub fn perm(mut self, perm: Perm) -> Command {
        self.perm = perm;
        self
    }

    /// Whether it is for users who are logged in. Default: true.
    pub fn login(mut self, login: bool) -> Command {
        self.login = login;
        self
    }

    /// Whether it takes an argument. Default: [`Arg::Optional`].
    pub fn argument(mut self, arg: Arg) -> Command {
        self.arg = arg;
        self
    }

    /// What HELP says of it.
    pub fn help(mut self, help: &str) -> Command {
        self.help = help.to_owned();
        self
    }

    /// Its line in FEAT (RFC 2389). Default: none.
    pub fn feat(mut self, line: &str) -> Command {
        self.feat = Some(line.to_owned());
        self
    }

    /// Whether its name, argument and reply are one line of the log at [`Level::Info`](log::Level::Info). Default:
    /// true.
    pub fn logged(mut self, logged: bool) -> Command {
        self.logged = logged;
        self
    }

    /// Keeps its argument out of every log, for it holds what nobody else is to know: `SITE PSWD ******`. What the
    /// reply says is logged as that of others.
    ///
    /// ```
    /// use ftpdlib::{Arg, Command, Reply};
    ///
    /// let change = Command::site("PSWD")
    ///     .argument(Arg::Required)
    ///     .secret()
    ///     .help("Syntax: SITE PSWD <SP> old new (change the password).")
    ///     .run(|session, words| match change_password(session.username(), words) {
    ///         true => Ok(Reply::new(200, "Password changed.")),
    ///         false => Err(Reply::new(530, "Authentication failed.")),
    ///     });
    /// # fn change_password(_: &str, _: &[u8]) -> bool { false }
    /// ```
    pub fn secret(mut self) -> Command {
        self.secret = true;
        self
    }

    /// What it does, with the bytes behind its name as they came.
    ///
    /// The closure runs on the event loop, and everybody waits for it, unless it takes its client off
    /// the loop ([`Session::offload`], [`Session::del_channel`]): then the reply that it returns
    /// waits, and an [answer](Session::answer) that is given meanwhile takes its place. `?` turns an
    /// [`io::Error`] into the reply that a built-in command would give.
    ///
    /// ```
    /// use ftpdlib::{Command, Reply};
    ///
    /// let lookup = Command::new("XWHO").run(|session, name| {
    ///     let name = name.to_vec();
    ///     // `()` is the handler of servers that have none.
    ///     session.offload(move || look_up(&name), |_: &mut (), session, found| {
    ///         if let Ok(Some(text)) = found {
    ///             session.answer(Reply::new(200, text));
    ///         }
    ///     });
    ///     Err(Reply::new(550, "Nobody knows."))
    /// });
    /// # fn look_up(_: &[u8]) -> Option<String> { None }
    /// ```
    pub fn run<F>(mut self, run: F) -> Command
    where
        F: Fn(&mut Session<'_>, &[u8]) -> Result<Reply, Reply> + Send + Sync + 'static,
    {
        self.action = Action::Bytes(Box::new(run));
        self
    }

    /// What it does, with its argument resolved to a path on which the user has the permission.
    pub fn path<F>(mut self, run: F) -> Command
    where
        F: Fn(&mut Session<'_>, &VirtualPath) -> Result<Reply, Reply> + Send + Sync + 'static,
    {
        self.action = Action::Path(Box::new(run));
        self
    }

    /// What it does, with its argument resolved to a path on which the user has the permission, on a
    /// worker thread: for what may take long. The client waits for the reply that it returns, nobody
    /// else does. It needs a login.
    ///
    /// ABOR, and a client who leaves, [cancel](Work::is_cancelled) it: a closure that looks between
    /// two pieces of its work can stop. One that panics is answered with `451`.
    ///
    /// ```
    /// use ftpdlib::{Arg, Command, OpenMode, Perm, Reply};
    ///
    /// let lines = Command::site("LINES")
    ///     .perm(Perm::READ)
    ///     .argument(Arg::Required)
    ///     .help("Syntax: SITE LINES <SP> path (count lines).")
    ///     .pooled(|work, path| {
    ///         let mut file = work.filesystem().open(path, OpenMode::Read)?;
    ///         let (mut buffer, mut lines) = (vec![0; 65536], 0);
    ///         loop {
    ///             work.check()?;
    ///             match file.read(&mut buffer)? {
    ///                 0 => return Ok(Reply::new(213, lines.to_string())),
    ///                 read => lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count(),
    ///             }
    ///         }
    ///     });
    /// ```
    pub fn pooled<F>(mut self, run: F) -> Command
    where
        F: Fn(&Work, &VirtualPath) -> Result<Reply, Reply> + Send + Sync + 'static,
    {
        self.action = Action::Pooled(Arc::new(run));
        self
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let word = self.name.strip_prefix("SITE ").unwrap_or(&self.name);
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!(
                "command name {:?} is not one word of letters and digits",
                self.name
            ));
        }
        match self.action {
            Action::None => Err(format!("command {} has nothing to run", self.name)),
            _ => Ok(()),
        }
    }

    pub(crate) fn call(
        &self,
        session: &mut Session<'_>,
        arg: &[u8],
        path: Option<&VirtualPath>,
    ) -> Reply {
        let answer = match (&self.action, path) {
            (Action::Bytes(run), _) => run(session, arg),
            (Action::Path(run), Some(path)) => run(session, path),
            _ => Err(Reply::new(502, "Command not implemented.")),
        };
        answer.unwrap_or_else(|reply| reply)
    }

    /// Its row, as the command at `index` of the server's.
    pub(crate) fn row(&self, index: usize) -> Row {
        Row {
            name: Cow::Owned(self.name.clone()),
            perm: self.perm,
            login: self.login,
            arg: self.arg,
            help: Cow::Owned(self.help.clone()),
            feat: self.feat.clone().map(Cow::Owned),
            logged: self.logged,
            secret: self.secret,
            marks: Marks::Forgets,
            run: match &self.action {
                Action::Pooled(run) => Run::Pooled(Arc::clone(run)),
                action => Run::Custom {
                    index,
                    takes_path: matches!(action, Action::Path(_)),
                },
            },
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("name", &self.name)
            .field("perm", &self.perm)
            .finish()
    }
}

/// An error of the file system as a built-in command would report it: `550` with the system's
/// words, `452` for a full disk, `552` for an exceeded quota.
impl From<io::Error> for Reply {
    fn from(error: io::Error) -> Reply {
        error_reply(550, &error, "")
    }
}
