//! From the greeting to the farewell: USER, PASS, REIN, QUIT, and the ends that are no command's.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use zeroize::Zeroize;

use super::data;
use super::state::{Data, Interpreter, Wait};
use super::task::Transfer;
use super::vocabulary::{Effect, Event, Timer};
use crate::auth::{Account, AuthFailed, Credentials, Limits, Password};
use crate::proto::escape::Escaped;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::limits::census::usage::Usage;
use crate::session::limits::guard::BANNED;
use crate::session::limits::quota::Metered;
use crate::session::logging;
use crate::session::work::cancel::cancel;
use crate::session::work::job::{Job, Outcome};

/// The greeting (RFC 959, 5.4).
pub(super) fn greet(it: &mut Interpreter, greeting: Option<Reply>) {
    it.reset_idle();
    let greeting = greeting.unwrap_or_else(|| Reply::long(220, it.config.banner.clone()));
    it.reply(Level::Debug, greeting);
}

pub(crate) fn user(it: &mut Interpreter, arg: &[u8]) {
    // The same answer for every name (RFC 2577, 6).
    let text = if it.account.is_some() {
        flush_account(it);
        "Previous account information was flushed, send password."
    } else {
        "Username ok, send password."
    };
    it.username = String::from_utf8_lossy(&it.config.encoding.decode(arg)).into();
    it.finish(Reply::new(331, text));
}

pub(crate) fn pass(it: &mut Interpreter, arg: &[u8]) {
    if it.account.is_some() {
        return it.finish(Reply::new(503, "User already authenticated."));
    }
    if it.username.is_empty() {
        return it.finish(Reply::new(503, "Login with USER first."));
    }
    let mut decoded = it.config.encoding.decode(arg);
    let credentials = Credentials::new(&it.username, &decoded, it.peer, it.local)
        .with_secured(it.is_secured())
        .with_certificate(it.security.certificate.clone());
    if let Cow::Owned(copy) = &mut decoded {
        copy.zeroize();
    }
    let password = credentials.password.clone();
    let job = Job::Authenticate(Arc::clone(&it.config), Box::new(credentials));
    // From here on, so that a refusal tells nothing by the time the check took.
    it.refusal_due = it.config.auth_failed_timeout.is_zero();
    it.effect(Effect::SetTimer(
        Timer::Refusal,
        it.config.auth_failed_timeout,
    ));
    it.job(job, move |it, outcome| checked(it, outcome, password));
}

/// What the check of a password has given.
fn checked(it: &mut Interpreter, outcome: Outcome, password: Password) {
    match outcome {
        Outcome::Held(outcome, mut time) => {
            let delay = it.config.auth_failed_timeout;
            if let Outcome::Login(Err(_)) = *outcome {
                time = time.max(delay);
            }
            it.refusal_due = false;
            it.wait = Wait::Held(outcome, delay.saturating_sub(time), password);
            it.effect(Effect::SetTimer(Timer::Refusal, time));
        }
        Outcome::Banned => {
            it.effect(Effect::SetTimer(Timer::Refusal, Duration::ZERO));
            it.finish_at(Level::Info, Reply::new(421, BANNED));
            it.close();
        }
        // The answer would be a guess that the ban was to prevent. It comes when a refusal would.
        Outcome::Login(Ok(_)) if is_banned(it) => {
            let line = "login refused: the address was banned meanwhile";
            it.effect(Effect::Log(Level::Info, line.to_owned()));
            refuse_with(it, password, Reply::new(421, BANNED));
        }
        Outcome::Login(Ok(account)) => ask(it, account, password),
        Outcome::Login(Err(refusal)) => {
            let text = refusal.to_string();
            // Of one that is no guess the guard has said why.
            if refusal.is_guess() && refusal != AuthFailed::default() {
                let line = format!("login refused: {}", Escaped(text.as_bytes()));
                it.effect(Effect::Log(Level::Info, line));
            }
            refuse_with(it, password, Reply::new(530, text));
        }
        _ => it.lost(),
    }
}

/// Whether passwords from the client's address are not to be answered any more.
fn is_banned(it: &Interpreter) -> bool {
    it.config.guard.is_banned(it.peer.ip())
}

/// The authorizer lets him in; the handler has the last word.
fn ask(it: &mut Interpreter, account: Account, password: Password) {
    if !it.seat.log_in(account.username(), account.his_limits()) {
        it.effect(Effect::SetTimer(Timer::Refusal, Duration::ZERO));
        it.username = Arc::default();
        let text = "Too many connections of this user.";
        return it.finish_at(Level::Warn, Reply::new(530, text));
    }
    match account.his_limits() {
        limits if limits.has_quota() => with_quota(it, account, limits, password),
        _ => enter(it, account, password),
    }
}

/// What he has stored is counted, unless another session of his knows already.
fn with_quota(it: &mut Interpreter, account: Account, limits: Limits, password: Password) {
    let usage = Usage::of(&it.seat, account.username());
    let files = Arc::clone(account.filesystem());
    let metered = Metered::new(Arc::clone(&files), usage.clone(), limits);
    let account = account.with_filesystem(Arc::new(metered));
    if usage.is_known() {
        return enter(it, account, password);
    }
    let (canceller, cancel) = cancel();
    it.job(Job::Measure(files, cancel), move |it, outcome| {
        // The session has kept it until now, and cancels by it when it ends.
        drop(canceller);
        match outcome {
            Outcome::Measured(Some(amount)) => {
                usage.counted(amount);
                enter(it, account, password);
            }
            _ => {
                it.seat.log_out();
                it.lost();
            }
        }
    });
}

fn enter(it: &mut Interpreter, account: Account, password: Password) {
    it.directory = account.filesystem().start_directory();
    it.account = Some(account);
    it.wait = Wait::Login(password);
    it.event(Event::Login(Arc::clone(&it.username)));
}

/// What the handler says to a login: an error is a refusal like the authorizer's.
pub(super) fn answered(it: &mut Interpreter, answer: Option<Reply>) {
    let password = match std::mem::replace(&mut it.wait, Wait::Nothing) {
        Wait::Login(password) => password,
        other => return it.wait = other,
    };
    let answer = match is_banned(it) {
        true => Some(Reply::new(421, BANNED)),
        false => answer,
    };
    match answer {
        Some(refusal) if refusal.is_error() => {
            let line = format!("login refused: {}", Escaped(refusal.text()));
            it.effect(Effect::Log(Level::Info, line));
            it.account = None;
            it.seat.log_out();
            it.directory = VirtualPath::root();
            refuse_with(it, password, refusal);
        }
        answer => welcome(it, answer),
    }
}

fn welcome(it: &mut Interpreter, reply: Option<Reply>) {
    it.effect(Effect::SetTimer(Timer::Refusal, Duration::ZERO));
    it.attempted_logins = 0;
    let reply = reply.unwrap_or_else(|| {
        let text = it.account.as_ref().map_or("", Account::login_message);
        Reply::long(230, text.to_owned())
    });
    it.finish(reply);
    if logging::enabled(Level::Info) {
        let user = Escaped(it.username.as_bytes());
        let line = format!("USER '{user}' logged in.");
        it.effect(Effect::Log(Level::Info, line));
    }
}

/// Refuses a login, when the delay is over.
fn refuse_with(it: &mut Interpreter, password: Password, reply: Reply) {
    let username = std::mem::take(&mut it.username);
    it.wait = Wait::Refusal {
        username,
        password,
        reply: Box::new(reply),
    };
    refuse(it);
}

pub(super) fn refusal_due(it: &mut Interpreter) {
    match std::mem::replace(&mut it.wait, Wait::Nothing) {
        Wait::Held(outcome, rest, password) => {
            it.refusal_due = rest.is_zero();
            it.effect(Effect::SetTimer(Timer::Refusal, rest));
            checked(it, *outcome, password);
        }
        wait => {
            it.refusal_due = true;
            it.wait = wait;
            refuse(it);
        }
    }
}

/// Says that a login failed, when the delay is over, and ends the session that failed too often.
fn refuse(it: &mut Interpreter) {
    if !it.refusal_due {
        return;
    }
    let wait = std::mem::replace(&mut it.wait, Wait::Nothing);
    let Wait::Refusal {
        username,
        password,
        mut reply,
    } = wait
    else {
        it.wait = wait;
        return;
    };
    it.attempted_logins += 1;
    let most = it.config.max_login_attempts;
    let mut last = most != 0 && it.attempted_logins >= most;
    if is_banned(it) {
        // Right or wrong: those who guessed in parallel learn nothing.
        *reply = Reply::new(421, BANNED);
        last = true;
    } else if last {
        *reply = reply.with_words(" Disconnecting.");
    }
    it.finish(*reply);
    if last {
        close_after_transfer(it);
    }
    it.event(Event::LoginFailed(username, password));
}

pub(crate) fn rein(it: &mut Interpreter, _: &[u8]) {
    flush_account(it);
    it.finish(Reply::new(230, "Ready for new user."));
}

/// What was said in clear may have been said by anybody on the way: it prepares nothing that comes
/// under TLS, and whoever had logged in has to do it again (RFC 2228, 3).
pub(super) fn forget(it: &mut Interpreter) {
    let attempts = it.attempted_logins;
    flush_account(it);
    it.attempted_logins = attempts;
}

/// Back to the state after the greeting, but a transfer goes on (RFC 959, 4.1.1).
fn flush_account(it: &mut Interpreter) {
    if matches!(it.transfer, Transfer::Idle) && !matches!(it.data, Data::Closed) {
        it.close_data();
    }
    log_out(it);
    it.username = Arc::default();
    it.attempted_logins = 0;
    it.directory = VirtualPath::root();
    it.ascii = true;
    it.rest = 0;
    it.rename_from = None;
    it.declared = None;
    it.epsv_all = false;
    it.facts = Default::default();
    it.hash = Default::default();
    it.security.reset();
}

fn log_out(it: &mut Interpreter) {
    if it.account.take().is_some() {
        it.seat.log_out();
        it.event(Event::Logout(Arc::clone(&it.username)));
    }
}

pub(crate) fn quit(it: &mut Interpreter, _: &[u8]) {
    let message = it
        .account
        .as_ref()
        .map_or("Goodbye.", Account::quit_message)
        .to_owned();
    it.finish(Reply::long(221, message));
    log_out(it);
    close_after_transfer(it);
}

/// A client that does nothing is sent away, unless it waits for us.
pub(super) fn idle(it: &mut Interpreter) {
    let transferring = match it.transfer {
        Transfer::Idle => false,
        // These two have deadlines of their own, unless that was not wanted.
        Transfer::Waiting(..) => !it.config.passive_timeout.is_zero(),
        Transfer::Protecting(..) => !it.handshake_deadline().is_zero(),
        Transfer::Opening(_)
        | Transfer::Running(_)
        | Transfer::Reported { .. }
        | Transfer::Settling { .. } => true,
    };
    // A STAT listing waits for the client to take it.
    if transferring || !matches!(it.wait, Wait::Nothing | Wait::Drained(_)) {
        return it.reset_idle();
    }
    data::give_up(it);
    it.reply(
        Level::Info,
        Reply::new(421, "Control connection timed out."),
    );
    it.close();
}

/// The server stops.
pub(super) fn shutdown(it: &mut Interpreter) {
    if !it.is_transferring() {
        let text = "Service shutting down, closing control connection.";
        it.reply(Level::Info, Reply::new(421, text));
    }
    close_after_transfer(it);
}

/// Ends the session: at once, or when the transfer has had its final reply.
fn close_after_transfer(it: &mut Interpreter) {
    if matches!(it.data, Data::Closed | Data::Failed(_)) {
        // No command will come any more that could bring the data connection about.
        data::give_up(it);
    }
    it.quitting = true;
    if !it.is_transferring() {
        it.effect(Effect::Close);
    }
}
