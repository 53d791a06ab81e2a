//! The commands that touch neither files nor data connections, the greeting and the idle limit.

use std::time::Duration;

use crate::common::{LIMIT, SHORT, TestServer};

/// Every command there is; `HELP` must know each.
pub(crate) const VERBS: &[&str] = &[
    "ABOR", "ALLO", "APPE", "CDUP", "CLNT", "CWD", "DELE", "EPRT", "EPSV", "FEAT", "HELP", "LIST",
    "MDTM", "MFMT", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PORT",
    "PWD", "QUIT", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO", "SITE", "SIZE", "STAT", "STOR",
    "STOU", "STRU", "SYST", "TYPE", "USER", "XCUP", "XCWD", "XMKD", "XPWD", "XRMD",
];

/// These need an argument.
pub(crate) const WITH_ARGUMENT: &[&str] = &[
    "ALLO",
    "APPE",
    "DELE",
    "EPRT",
    "MDTM",
    "MFMT",
    "MKD",
    "MODE",
    "OPTS",
    "PORT",
    "REST",
    "RETR",
    "RMD",
    "RNFR",
    "RNTO",
    "SITE",
    "SITE CHMOD",
    "SITE UTIME",
    "SIZE",
    "STOR",
    "STRU",
    "TYPE",
    "USER",
    "XMKD",
    "XRMD",
];

/// These take none.
pub(crate) const WITHOUT_ARGUMENT: &[&str] = &[
    "ABOR", "CDUP", "FEAT", "NOOP", "PASV", "PWD", "QUIT", "REIN", "SYST", "XCUP", "XPWD",
];

/// These may be given before login.
const BEFORE_LOGIN: &[&str] = &["FEAT", "HELP", "NOOP", "SITE HELP", "STAT", "SYST"];

#[test]
fn the_greeting_can_be_set() {
    let server = TestServer::with(|builder| builder.banner("hello there"));
    let mut client = crate::common::Client::connect(server.addr());
    assert_eq!(client.expect_reply(220).text, "220 hello there");
}

#[test]
fn a_long_greeting_and_one_of_several_lines_arrive_whole() {
    let long = "x".repeat(100);
    for banner in [
        &*long,
        "first\nsecond",
        "first\r\nsecond\r\n",
        "220 looks like an end\nlast",
    ] {
        let server = TestServer::with(|builder| builder.banner(banner));
        let mut client = crate::common::Client::connect(server.addr());
        let greeting = client.expect_reply(220);
        for line in banner.lines() {
            greeting.contains(line);
        }
        client.expect_alive();
    }
}

#[test]
fn the_simple_commands_answer() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("NOOP", 200);
    client.expect("noop", 200);
    client.expect("NoOp", 200);
    assert_eq!(client.expect("SYST", 215).text, "215 UNIX Type: L8");
    client.expect("ALLO 100", 202);
    client.expect("ALLO 100 R 80", 202);
    client.expect("CLNT a test", 200);
}

#[test]
fn type_takes_ascii_and_binary() {
    let server = TestServer::start();
    let mut client = server.login();
    for ascii in ["TYPE A", "type a", "TYPE A N", "TYPE L7", "TYPE L 7"] {
        client.expect(ascii, 200).contains("ASCII");
    }
    for binary in ["TYPE I", "type i", "TYPE L8", "TYPE L 8"] {
        client.expect(binary, 200).contains("Binary");
    }
    client.expect("TYPE E", 504).contains("Unsupported type");
    client.expect("TYPE ?!?", 504);
    client.expect("TYPE", 501);
}

#[test]
fn stru_and_mode_know_one_value_each() {
    let server = TestServer::start();
    let mut client = server.login();
    for (line, code) in [
        ("STRU F", 200),
        ("STRU f", 200),
        ("STRU R", 504),
        ("STRU P", 504),
        ("STRU ?!?", 501),
        ("MODE S", 200),
        ("MODE s", 200),
        ("MODE B", 504),
        ("MODE C", 504),
        ("MODE ?!?", 501),
    ] {
        client.expect(line, code);
    }
}

#[test]
fn feat_lists_what_there_is() {
    let server = TestServer::start();
    let mut client = server.connect();
    let feat = client.expect("FEAT", 211);
    for line in feat.body() {
        assert!(line.starts_with(' '), "{line:?}");
    }
    for feature in [
        "EPRT",
        "EPSV",
        "MDTM",
        "MFMT",
        "MLST type*;",
        "REST STREAM",
        "SIZE",
        "TVFS",
        "UTF8",
    ] {
        assert!(
            feat.body()
                .iter()
                .any(|line| line.trim().starts_with(feature)),
            "no {feature}"
        );
    }
}

#[test]
fn help_knows_every_command() {
    let server = TestServer::start();
    let mut client = server.connect();
    let all = client.expect("HELP", 214);
    for verb in VERBS {
        all.contains(verb);
        client
            .expect(format!("HELP {verb}"), 214)
            .contains("Syntax: ")
            .contains(verb);
    }
    client.expect("help stor", 214);
    client.expect("HELP ?!?", 501).contains("Unrecognized");

    let site = client.expect("SITE HELP", 214);
    for verb in ["CHMOD", "HELP", "UTIME"] {
        site.contains(verb);
    }
    client
        .expect("SITE HELP CHMOD", 214)
        .contains("Syntax: SITE CHMOD");
    client
        .expect("SITE HELP ?!?", 501)
        .contains("Unrecognized SITE");
}

#[test]
fn unknown_commands_are_500() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("FOO", 500).contains("not understood");
    client.expect("FOO bar", 500);
    client
        .expect("SITE FOO bar", 500)
        .contains("not understood");
    client.expect("SITEFOO bar", 500);
    client.expect("SITE", 501).contains("needs an argument");
    client.expect("", 500);
    client.expect_alive();
}

#[test]
fn a_missing_argument_is_501() {
    let server = TestServer::start();
    let mut client = server.login();
    for verb in WITH_ARGUMENT {
        let text = client.expect(verb, 501).text;
        assert_eq!(
            text, "501 Syntax error: command needs an argument.",
            "{verb}"
        );
    }
}

#[test]
fn a_superfluous_argument_is_501() {
    let server = TestServer::start();
    let mut client = server.login();
    for verb in WITHOUT_ARGUMENT {
        let text = client.expect(format!("{verb} x"), 501).text;
        assert_eq!(
            text, "501 Syntax error: command does not accept arguments.",
            "{verb}"
        );
    }
}

#[test]
fn before_login_little_is_allowed() {
    let server = TestServer::start();
    let mut client = server.connect();
    for verb in BEFORE_LOGIN {
        let code = client.cmd(verb).code;
        assert!((200..300).contains(&code), "{verb}: {code}");
    }
    for verb in VERBS {
        if BEFORE_LOGIN.contains(verb)
            || ["CLNT", "OPTS", "PASS", "QUIT", "SITE", "USER"].contains(verb)
        {
            continue;
        }
        let argument = if WITH_ARGUMENT.contains(verb) {
            " x"
        } else {
            ""
        };
        let text = client.expect(format!("{verb}{argument}"), 530).text;
        assert_eq!(text, "530 Log in with USER and PASS first.", "{verb}");
    }
    client.expect("STAT /", 530);
    client.expect("SITE CHMOD 644 x", 530);
    client.expect("QUIT", 221);
}

#[test]
fn opts_utf8_is_always_on() {
    let server = TestServer::start();
    let mut client = server.login();
    for line in [
        "OPTS UTF8 ON",
        "OPTS UTF-8 ON",
        "opts utf8",
        "OPTS UTF8 NLST",
    ] {
        client.expect(line, 200);
    }
    client.expect("OPTS FOO", 501);
    client
        .expect("OPTS MLST a b", 501)
        .contains("Invalid number of arguments");
}

#[test]
fn stat_tells_how_the_session_stands() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.expect("STAT", 211).contains("Waiting for username");
    client.expect("USER user", 331);
    client.expect("STAT", 211).contains("Waiting for password");
    client.expect("PASS 12345", 230);
    client
        .expect("STAT", 211)
        .contains("Logged in as: user")
        .contains("TYPE: ASCII")
        .contains("Data connection closed");
    client.expect("TYPE I", 200);
    client.expect("PASV", 227);
    client
        .expect("STAT", 211)
        .contains("TYPE: Binary")
        .contains("Passive data channel waiting");
}

#[test]
fn an_idle_client_is_told_and_closed() {
    let server = TestServer::with(|builder| builder.timeout(SHORT));
    let mut client = server.connect();
    client.expect_reply(421).contains("timed out");
    client.expect_end();
    server.record().wait_for("disconnect");
}

#[test]
fn no_idle_limit_and_no_other_limit_either() {
    let server = TestServer::with(|builder| {
        builder
            .timeout(Duration::ZERO)
            .data_timeout(Duration::ZERO)
            .passive_timeout(Duration::ZERO)
            .active_timeout(Duration::ZERO)
    });
    let mut client = server.login();
    for mode in crate::common::Mode::ALL {
        drop(client.data(mode));
    }
    client.expect_alive();
}

#[test]
fn commands_keep_an_idle_client_in() {
    let server = TestServer::with(|builder| builder.timeout(LIMIT));
    let mut client = server.connect();
    let begun = std::time::Instant::now();
    // Far more commands than the limit would let pass, if they did not reset it.
    while begun.elapsed() < LIMIT + LIMIT / 2 {
        client.expect_alive();
    }
}

#[test]
fn a_web_browser_is_shown_the_door() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /x HTTP/1.0\r\n\r\n",
        "EHLO me\r\n",
    ] {
        let server = TestServer::start();
        let mut client = server.connect();
        client.send(request);
        if let Ok(Some(reply)) = client.try_reply() {
            assert!(reply.code >= 400, "{:?}", reply.text);
            client.expect_end();
        }
        server.record().wait_for("disconnect");
    }
}

#[test]
fn a_client_that_resets_is_gone_and_nobody_else() {
    let server = TestServer::start();
    let mut stays = server.login();
    for _ in 0..10 {
        crate::common::client::reset(crate::common::client::connect(server.addr()));
    }
    let leaves = server.login();
    crate::common::client::reset(leaves.stream().try_clone().unwrap());
    drop(leaves);
    stays.expect_alive();
    server
        .record()
        .wait_until(|events| events.iter().any(|event| event == "disconnect"));
}
