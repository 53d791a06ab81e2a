//! Input that no honest client sends: one line, one final reply, and the session lives.

use crate::common::{Client, TestServer, USER};
use crate::session::{VERBS, WITH_ARGUMENT, WITHOUT_ARGUMENT};

/// Reads one final reply; a transfer that was accepted is aborted.
fn final_reply(client: &mut Client) -> crate::common::client::Reply {
    let reply = client.reply();
    if reply.code >= 200 {
        return reply;
    }
    client.line("ABOR");
    let end = client.reply();
    client.expect_reply(226);
    end
}

/// Arguments that no command has a use for; `None` is none at all.
fn absurd() -> Vec<Option<Vec<u8>>> {
    vec![
        None,
        Some(b"".to_vec()),
        Some(b" ".to_vec()),
        Some(vec![b'a'; 2000]),
        Some([b"/".as_slice(), &b"../".repeat(600)].concat()),
        Some(b"\xff\xfe\xc3\x28\xf0\x90".to_vec()),
        Some(b"nul\0nul".to_vec()),
        Some(b"\0".to_vec()),
        Some(b"a\rb".to_vec()),
        Some(b"-1 99999999999999999999999 0x".to_vec()),
        Some(b"%s%n%p{}".to_vec()),
        Some(b"\x1b[2J\x07".to_vec()),
    ]
}

#[test]
fn every_verb_with_absurd_arguments_has_one_reply() {
    let server = TestServer::start();
    for verb in VERBS
        .iter()
        .chain(&["SITE CHMOD", "SITE UTIME", "SITE HELP", "SITE FOO"])
    {
        let mut client = server.login();
        for argument in absurd() {
            let line = match &argument {
                None => verb.as_bytes().to_vec(),
                Some(argument) => [verb.as_bytes(), b" ", argument].concat(),
            };
            let shown = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
            client.line(&line);
            let reply = final_reply(&mut client);
            let empty = argument.as_ref().is_none_or(|argument| argument.is_empty());
            if empty && *verb == "QUIT" {
                assert_eq!(reply.code, 221, "{shown:?}");
                client = server.login();
            }
            if empty && WITH_ARGUMENT.contains(verb) {
                assert_eq!(reply.code, 501, "{shown:?}: {:?}", reply.text);
            }
            if !empty && WITHOUT_ARGUMENT.contains(verb) {
                assert_eq!(reply.code, 501, "{shown:?}: {:?}", reply.text);
            }
            // Exactly one: the next is the answer to NOOP.
            assert_eq!(client.cmd("NOOP").code, 200, "after {shown:?}");
            if matches!(*verb, "USER" | "REIN" | "PASS") {
                client.login_as(USER, crate::common::PASSWORD);
            }
        }
    }
}

#[test]
fn absurd_paths_are_550() {
    let server = TestServer::start();
    let mut client = server.login();
    for verb in [
        "CWD", "RETR", "DELE", "RMD", "RNFR", "SIZE", "MDTM", "MLST", "STAT",
    ] {
        for argument in [&b"nul\0nul"[..], &[b'a'; 2000], b"no/where", b"\xff\xfe"] {
            let line = [verb.as_bytes(), b" ", argument].concat();
            client.expect(line, 550);
        }
    }
    for verb in ["STOR", "APPE", "MKD"] {
        for argument in [&b"nul\0nul"[..], &[b'a'; 2000], b"no/where"] {
            let line = [verb.as_bytes(), b" ", argument].concat();
            client.expect(line, 550);
        }
    }
    assert_eq!(std::fs::read_dir(server.home()).unwrap().count(), 0);
}

#[test]
fn a_line_that_is_too_long_is_500_once() {
    let server = TestServer::start();
    let mut client = server.login();
    for length in [4353, 4354, 10_000, 100_000, 1_000_000] {
        client.line(vec![b'x'; length]);
        client.expect_reply(500).contains("too long");
        client.expect_alive();
    }
    // Exactly the limit is no error of length.
    client.line([b"CWD ".as_slice(), &vec![b'x'; 4348]].concat());
    client.expect_reply(550);
    // It is told before its end comes, so that nobody waits for nothing.
    client.send(vec![b'x'; 10_000]);
    client.expect_reply(500);
    client.send("still the same line\r\nNOOP\r\n");
    client.expect_reply(200);
}

#[test]
fn too_long_lines_cost_no_memory() {
    let server = TestServer::start();
    let mut client = server.login();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        client.send(&chunk);
    }
    client.expect_reply(500);
    client.send("\r\nNOOP\r\n");
    client.expect_reply(200);
}

#[test]
fn a_bare_line_feed_ends_a_line() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("USER user\nPASS 12345\nPWD\nNOOP\r\n\nNOOP\n");
    client.expect_replies(&[331, 230, 257, 200, 500, 200]);
}

#[test]
fn a_carriage_return_within_is_data() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect(b"MKD a\rb", 257);
    assert!(server.exists("a\rb"));
    client.expect(b"RMD a\rb", 250);
}

#[test]
fn telnet_options_are_taken_out() {
    let server = TestServer::start();
    let mut client = server.login();
    // DO and WILL of some options, before, within and after a command.
    client.send(b"\xff\xfd\x03\xff\xfb\x18NOOP\r\n");
    client.expect_reply(200);
    client.send(b"NO\xff\xf1OP\r\n");
    client.expect_reply(200);
    client.send(b"NOOP\xff\xfe\x01\r\n");
    client.expect_reply(200);
    // Cut between the bytes of an option.
    client.send(b"NOOP\xff");
    client.send(b"\xfb");
    client.send(b"\x01\r\n");
    client.expect_reply(200);
}

#[test]
fn an_option_swallows_no_line_end() {
    let server = TestServer::start();
    let mut client = server.login();
    for line in [
        &b"X\xff\r\n"[..],
        b"X\xff\xfb\r\n",
        b"X\xff\xfd\n",
        b"\xff\xff\r\n",
    ] {
        client.send(line);
        client.expect_reply(500);
    }
    client.expect_alive();
}

#[test]
fn binary_garbage_and_silence_are_borne() {
    let server = TestServer::start();
    // A TLS client hello, an SSH greeting, NULs.
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0\0\0\0\0\0\r\n",
        b"\r\r\r\r\r\n",
    ] {
        let mut client = server.connect();
        client.send(garbage);
        client.expect_reply(500);
        client.expect_alive();
    }
    let _silent = server.connect();
    server.login();
}

#[test]
fn a_thousand_lines_of_nothing_are_a_thousand_replies() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send("\r\n".repeat(1000));
    client.expect_replies(&vec![500; 1000]);
    client.expect_alive();
}

#[test]
fn what_came_cannot_break_a_reply_in_two() {
    let server = TestServer::start();
    let mut client = server.login();
    for line in [
        &b"X\x1b[31m\x07\0"[..],
        b"X\r\rY",
        b"SITE \x1b[2J",
        b"TYPE \r226 x",
        b"OPTS \r\0",
    ] {
        client.line(line);
        let reply = client.reply();
        assert!(reply.code >= 500, "{:?}", reply.text);
        let text = &reply.raw[..reply.raw.len() - 2];
        assert!(
            !text.iter().any(|byte| b"\r\n\0".contains(byte)),
            "{:?}",
            reply.text
        );
        client.expect_alive();
    }
}
