//! What the interpreter is told, and what it asks for: the whole border between protocol and IO.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::auth::{ClientCertificate, Password};
use crate::fs::File;
use crate::proto::command::CommandLine;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::interpreter::transferred::Transferred;
use crate::session::work::job::{Job, JobId, Outcome, Source};

/// What happened.
pub(crate) enum Input {
    /// The client is connected and nobody has refused it: greet it, with the handler's greeting if
    /// it has one.
    Start(Option<Reply>),
    Command(CommandLine),
    /// A command that the handler refused before it ran.
    Refused(CommandLine, Reply),
    /// A line over the limit went by.
    TooLong,
    /// Answers [`Effect::Listen`] with the port.
    Listening(io::Result<u16>),
    /// Answers [`Effect::Connect`].
    Connected(io::Result<()>),
    /// The client connected to the passive socket.
    DataOpened,
    /// Answers [`Effect::StartTls`] when the handshake is done, with the client's certificate if it
    /// gave one. A handshake that fails ends the session.
    Secured(Option<ClientCertificate>),
    /// Answers [`Effect::ProtectData`].
    DataProtected(Result<(), Unprotected>),
    /// Somebody else did.
    DataRejected(SocketAddr),
    /// Connections cannot be taken from the passive socket any more.
    DataFailed(io::Error),
    /// Ends what [`Effect::Send`] or [`Effect::Receive`] began.
    Ended(End),
    Job(JobId, Outcome),
    /// Answers [`Effect::AskProgress`].
    Progress(Progress),
    /// Answers [`Effect::Raw`]: the client has taken it.
    Drained,
    /// Answers [`Call::Custom`].
    Custom(Reply),
    /// Answers [`Event::Login`]: with a reply of the handler's own, or with none.
    LoginAnswered(Option<Reply>),
    /// Answers the events of a file in the same way.
    TransferAnswered(Option<Reply>),
    Timer(Timer),
    /// The server stops: end when the transfer has ended.
    Shutdown,
}

impl Input {
    /// A command, and what the handler answers in its place, if it does.
    pub(crate) fn answered(command: CommandLine, answer: Option<Reply>) -> Input {
        match answer {
            Some(refusal) => Input::Refused(command, refusal),
            None => Input::Command(command),
        }
    }
}

/// What comes next. It is moved twice for each reply, so what is large in it is in a box.
pub(crate) enum Step {
    Effect(Effect),
    Call(Call),
}

/// Runs code of a library user's.
pub(crate) enum Call {
    /// Calls the handler. A login and the end of a file's transfer want to be answered, at once or
    /// later.
    Event(Event),
    /// Runs a command, by its place among the server's.
    Custom(usize, Vec<u8>, Option<VirtualPath>),
}

/// What to do.
pub(crate) enum Effect {
    /// Sends a reply, and logs it at that level.
    Reply(Reply, Level),
    /// Sends bytes on the control connection, then answers [`Input::Drained`].
    Raw(Vec<u8>),
    /// Sends what there is, then goes on in TLS; answered by [`Input::Secured`].
    StartTls,
    /// Shows the network from now on that the control connection lives, however silent it is.
    KeepAlive,
    /// Begins TLS on the data connection; answered by [`Input::DataProtected`].
    ProtectData,
    /// Opens a passive socket.
    Listen,
    /// Connects to the client's data port.
    Connect(SocketAddr),
    /// Closes whatever data connection or passive socket there is.
    CloseData,
    Job(JobId, Job),
    /// Sends a source over the data connection, a file from `offset` on; `slow` asks for worker
    /// threads.
    Send {
        source: Source,
        offset: u64,
        ascii: bool,
        slow: bool,
    },
    /// Receives a file over the data connection.
    Receive {
        file: Box<dyn File>,
        ascii: bool,
        slow: bool,
    },
    /// Ends the running transfer with [`Verdict::Aborted`], behind what is being written.
    Abort,
    AskProgress,
    /// (Re)starts a timer; a duration of zero stops it.
    SetTimer(Timer, Duration),
    Log(Level, String),
    /// What a user did who may be logged out by now, at info level.
    LogOf {
        username: Arc<str>,
        line: String,
    },
    /// A command with its outcome, for the log at info level.
    LogCommand(String),
    /// Closes the session when all replies are sent.
    Close,
    /// Closes it at once.
    Disconnect,
}

/// The timers of a session that are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Time between commands.
    Idle,
    /// Delay of a login's refusal.
    Refusal,
    /// Time for the data connection to come about.
    Data,
    /// Time for a TLS handshake.
    Handshake,
}

/// What the handler is told.
#[derive(Debug)]
pub(crate) enum Event {
    Login(Arc<str>),
    LoginFailed(Arc<str>, Password),
    Logout(Arc<str>),
    Sent(Box<Transferred>),
    Received(Box<Transferred>),
    IncompleteSent(Box<Transferred>),
    IncompleteReceived(Box<Transferred>),
}

/// Why a data connection could not be protected.
#[derive(Debug)]
pub(crate) enum Unprotected {
    /// The handshake failed, for that reason.
    Failed(String),
    /// It did not resume the session of the control connection, which it must.
    Stranger,
}

/// How a transfer ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) verdict: Verdict,
    pub(crate) progress: Progress,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// Everything was sent; or received up to the client's own end, written and closed.
    Complete,
    /// ABOR.
    Aborted,
    /// The client went away, by a reset or before it had everything.
    Disconnected,
    /// No byte moved for the data timeout.
    Stalled,
    /// The file could not be read, written or closed.
    File(io::Error),
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Bytes that went to the file, after conversion.
    pub(crate) stored: u64,
    pub(crate) elapsed: Duration,
}
