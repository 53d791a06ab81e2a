//! What the command line asks for: arguments become checked values here, or one line that says
//! what is wrong with them.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ftpdlib::{Encoding, SessionReuse, Workers};

use super::given::Given;
use super::output::Failure;
use super::values::{
    address, concurrency, count, encoding, masquerade, nat_address, octal, password, port_range,
    seconds, session_reuse, text, user_name, whole, worker_count,
};
use super::{flags, raw_args};

/// What the program is to do.
#[derive(Debug)]
pub(super) enum Request {
    Help,
    Version,
    HashPassword,
    Serve(Box<Options>),
}

/// The options of a server; zero means "none" as in the library.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) interface: Option<String>,
    pub(super) port: u16,
    pub(super) directory: PathBuf,
    pub(super) write: bool,
    pub(super) user: Option<(String, String)>,
    pub(super) anonymous: bool,
    /// The user file; then there are no users by other flags.
    pub(super) users: Option<PathBuf>,
    pub(super) nat_address: Option<String>,
    pub(super) masquerade_map: Vec<(IpAddr, Ipv4Addr)>,
    pub(super) range: Option<RangeInclusive<u16>>,
    pub(super) debug: bool,
    pub(super) workers: Workers,
    pub(super) tls: Option<TlsOptions>,
    pub(super) max_cons: usize,
    pub(super) max_cons_per_ip: usize,
    pub(super) max_cons_per_user: usize,
    pub(super) max_login_attempts: u32,
    pub(super) ban_after: u32,
    pub(super) ban_time: Duration,
    pub(super) timeout: Duration,
    pub(super) data_timeout: Duration,
    pub(super) passive_timeout: Duration,
    pub(super) active_timeout: Duration,
    pub(super) auth_failed_timeout: Duration,
    pub(super) read_limit: u64,
    pub(super) write_limit: u64,
    pub(super) grace: Duration,
    pub(super) banner: Option<String>,
    pub(super) permit_foreign_addresses: bool,
    pub(super) permit_privileged_ports: bool,
    pub(super) encoding: Encoding,
    pub(super) use_localtime: bool,
    pub(super) disable_sendfile: bool,
    pub(super) disable_hashes: bool,
    pub(super) atomic_uploads: bool,
    pub(super) keep_partial: bool,
    pub(super) no_overwrite: bool,
    pub(super) umask: Option<u32>,
}

/// What follows `--tls`.
#[derive(Debug)]
pub(super) struct TlsOptions {
    pub(super) certfile: PathBuf,
    pub(super) keyfile: Option<PathBuf>,
    pub(super) control_required: bool,
    pub(super) data_required: bool,
    pub(super) implicit: bool,
    pub(super) session_reuse: SessionReuse,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) allow_truncated_uploads: bool,
}

/// Reads the arguments that follow the program's name.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Request, Failure> {
    let args = args
        .map(|arg| {
            raw_args::encode(&arg)
                .ok_or_else(|| Failure::Usage(format!("argument {arg:?} is not valid Unicode")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let given = flags::parser(flags::all())
        .parse(&args)
        .map_err(|fail| Failure::Usage(wrong_flag(&fail)))?;
    if given.opt_present("help") {
        return Ok(Request::Help);
    }
    if given.opt_present("version") {
        return Ok(Request::Version);
    }
    if let Some(stray) = given.free.first() {
        return Err(Failure::Usage(format!("stray argument '{stray}'")));
    }
    if given.opt_present("hash-password") {
        return Ok(Request::HashPassword);
    }
    options(&Given(given)).map(|options| Request::Serve(Box::new(options)))
}

/// A wrong flag as it was typed, with its dashes.
fn wrong_flag(fail: &getopts::Fail) -> String {
    use getopts::Fail;
    let dashed = |name: &str| match name.chars().count() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    };
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", dashed(name)),
        Fail::UnrecognizedOption(name) => format!("unrecognized option {}", dashed(name)),
        Fail::OptionMissing(name) => format!("{} is needed", dashed(name)),
        Fail::OptionDuplicated(name) => format!("{} is given twice", dashed(name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(name)),
    }
}

fn options(given: &Given) -> Result<Options, Failure> {
    let timeout = given.need("timeout", seconds)?;
    Ok(Options {
        interface: given.value("interface", address)?,
        port: given.need("port", |text| whole(text, "a port from 0 to 65535"))?,
        directory: given.directory(),
        write: given.has("write"),
        user: user(given)?,
        anonymous: given.has("anonymous"),
        users: users(given)?,
        nat_address: given.value("nat-address", nat_address)?,
        masquerade_map: given.every("masquerade-map", masquerade)?,
        range: given.value("range", port_range)?,
        debug: given.has("debug"),
        workers: workers(given)?,
        tls: tls(given)?,
        max_cons: given.need("max-cons", count)?,
        max_cons_per_ip: given.need("max-cons-per-ip", count)?,
        max_cons_per_user: given.need("max-cons-per-user", count)?,
        max_login_attempts: given.need("max-login-attempts", count)?,
        ban_after: given.need("ban-after", count)?,
        ban_time: given.need("ban-time", seconds)?,
        timeout,
        data_timeout: given.value("data-timeout", seconds)?.unwrap_or(timeout),
        passive_timeout: given.need("passive-timeout", seconds)?,
        active_timeout: given.need("active-timeout", seconds)?,
        auth_failed_timeout: given.need("auth-failed-timeout", seconds)?,
        read_limit: given.need("read-limit", count)?,
        write_limit: given.need("write-limit", count)?,
        grace: given.need("grace", seconds)?,
        banner: given.value("banner", text)?,
        permit_foreign_addresses: given.has("permit-foreign-addresses"),
        permit_privileged_ports: given.has("permit-privileged-ports"),
        encoding: given.need("encoding", encoding)?,
        use_localtime: given.has("use-localtime"),
        disable_sendfile: given.has("disable-sendfile"),
        disable_hashes: given.has("disable-hashes"),
        atomic_uploads: given.has("atomic-uploads"),
        keep_partial: keep_partial(given)?,
        no_overwrite: given.has("no-overwrite"),
        umask: given.value("umask", octal)?,
    })
}

/// What FTPS is to be like; the flags of TLS make no sense without `--tls`.
fn tls(given: &Given) -> Result<Option<TlsOptions>, Failure> {
    const OTHERS: [&str; 8] = [
        "certfile",
        "keyfile",
        "tls-control-required",
        "tls-data-required",
        "tls-implicit",
        "tls-session-reuse",
        "tls-client-ca",
        "tls-allow-truncated-uploads",
    ];
    if !given.has("tls") {
        return match OTHERS.iter().find(|flag| given.has(flag)) {
            Some(flag) => Err(Failure::Usage(format!("--{flag} needs --tls too"))),
            None => Ok(None),
        };
    }
    let Some(certfile) = given.path("certfile") else {
        let message = "--tls needs --certfile, and --keyfile if the key is in another file";
        return Err(Failure::Usage(message.to_owned()));
    };
    Ok(Some(TlsOptions {
        certfile,
        keyfile: given.path("keyfile"),
        control_required: given.has("tls-control-required"),
        data_required: given.has("tls-data-required"),
        implicit: given.has("tls-implicit"),
        session_reuse: given.need("tls-session-reuse", session_reuse)?,
        client_ca: given.path("tls-client-ca"),
        allow_truncated_uploads: given.has("tls-allow-truncated-uploads"),
    }))
}

/// Without atomic uploads what came is in the file itself.
fn keep_partial(given: &Given) -> Result<bool, Failure> {
    let keep = given.has("keep-partial");
    match keep && !given.has("atomic-uploads") {
        true => Err(Failure::Usage(
            "--keep-partial needs --atomic-uploads too".to_owned(),
        )),
        false => Ok(keep),
    }
}

fn workers(given: &Given) -> Result<Workers, Failure> {
    let model = given.need("concurrency", concurrency)?;
    match (model, given.value("workers", worker_count)?) {
        (Workers::PreFork(_), Some(count)) => Ok(Workers::PreFork(count)),
        (_, Some(_)) => {
            let message = "--workers needs --concurrency pre-fork";
            Err(Failure::Usage(message.to_owned()))
        }
        (model, None) => Ok(model),
    }
}

fn user(given: &Given) -> Result<Option<(String, String)>, Failure> {
    match (
        given.value("username", user_name)?,
        given.value("password", password)?,
    ) {
        (Some(name), Some(password)) => Ok(Some((name, password))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::Usage("--username needs --password too".to_owned())),
        (None, Some(_)) => Err(Failure::Usage("--password needs --username too".to_owned())),
    }
}

/// The user file, in which everything is that other flags say of users.
fn users(given: &Given) -> Result<Option<PathBuf>, Failure> {
    const OTHERS: [&str; 5] = ["username", "password", "anonymous", "write", "directory"];
    let file = given.path("users");
    match OTHERS.iter().find(|flag| given.has(flag)) {
        Some(flag) if file.is_some() => Err(Failure::Usage(format!(
            "--users FILE has the users, their homes and permissions; leave --{flag} out"
        ))),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests;
