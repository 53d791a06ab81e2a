//! Many commands in one segment, one command in many, and clients that do not read.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use crate::common::{Client, SHORT, TestServer, client};

#[test]
fn pipelined_commands_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send("NOOP\r\nPWD\r\nFOO\r\nSYST\r\nTYPE\r\nMKD a\r\nRMD a\r\nCWD nope\r\nNOOP\r\n");
    client.expect_replies(&[200, 257, 500, 215, 501, 257, 250, 550, 200]);
}

#[test]
fn login_and_all_may_come_in_one_segment() {
    let server = TestServer::start();
    server.write("file", "12345");
    let mut client = server.connect();
    client.send("USER user\r\nPASS 12345\r\nTYPE I\r\nSIZE file\r\nQUIT\r\n");
    client.expect_replies(&[331, 230, 200, 213, 221]);
    client.expect_end();
}

#[test]
fn a_command_may_come_byte_by_byte() {
    let server = TestServer::start();
    let mut client = server.connect();
    for line in ["USER user\r\n", "PASS 12345\r\n", "PWD\r\n"] {
        for byte in line.as_bytes() {
            // TCP_NODELAY is on: each is a segment of its own.
            client.send([*byte]);
        }
    }
    client.expect_replies(&[331, 230, 257]);
}

#[test]
fn a_line_may_end_in_the_middle_of_a_segment() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send("NOOP\r");
    client.send("\nPW");
    client.expect_reply(200);
    client.send("D\r\nNO");
    client.expect_reply(257);
    client.send("OP\r\n");
    client.expect_reply(200);
}

#[cfg(target_os = "linux")]
#[test]
fn replies_to_pipelined_commands_leave_together() {
    let server = TestServer::start();
    let mut client = server.login();
    let before = data_segments(client.stream());
    let count = 100;
    client.send("NOOP\r\n".repeat(count));
    client.expect_replies(&vec![200; count]);
    let segments = data_segments(client.stream()) - before;
    assert!(segments <= 10, "{segments} segments for {count} replies");
}

#[cfg(target_os = "linux")]
#[test]
fn a_reply_of_many_lines_leaves_together() {
    let server = TestServer::start();
    let mut client = server.login();
    let before = data_segments(client.stream());
    client.expect("HELP", 214);
    client.expect("FEAT", 211);
    let segments = data_segments(client.stream()) - before;
    assert!(segments <= 2, "{segments} segments for two replies");
}

/// How many segments with data this socket has received (`tcpi_data_segs_in`).
#[cfg(target_os = "linux")]
fn data_segments(stream: &std::net::TcpStream) -> u32 {
    use std::os::fd::AsRawFd as _;

    // The libc crate's tcp_info ends before this member; it stands here since Linux 4.6.
    const DATA_SEGS_IN: usize = 152;
    let mut info = [0_u8; 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `info`, which lives throughout the call.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut len,
        )
    };
    assert_eq!(result, 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    assert!(len as usize >= DATA_SEGS_IN + 4, "an old kernel");
    u32::from_ne_bytes(info[DATA_SEGS_IN..DATA_SEGS_IN + 4].try_into().unwrap())
}

#[test]
fn who_does_not_read_is_not_read_from() {
    let server = TestServer::start();
    let mut other = server.login();
    let mut deaf = Client::over(client::connect_narrow(server.addr()));
    deaf.login_after_greeting();

    // HELP, because its reply is many times the command.
    let batch = "HELP\r\n".repeat(100);
    let mut stream = deaf.stream().try_clone().unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut sent = 0;
    loop {
        match stream.write(&batch.as_bytes()[sent % batch.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 << 20, "the server reads on and on");
        if sent % (64 << 10) < batch.len() {
            other.expect_alive();
        }
    }
    other.expect_alive();

    // Nothing was lost: each whole command has its reply as soon as the client reads.
    for _ in 0..(sent / "HELP\r\n".len()).min(2000) {
        deaf.expect_reply(214);
    }
    other.expect_alive();
}

impl Client {
    fn login_after_greeting(&mut self) {
        self.expect_reply(220);
        self.login();
    }
}

#[test]
fn a_deaf_client_that_leaves_takes_nothing_along() {
    let server = TestServer::start();
    let mut deaf = Client::over(client::connect_narrow(server.addr()));
    deaf.login_after_greeting();
    deaf.send("HELP\r\n".repeat(1000));
    client::reset(deaf.stream().try_clone().unwrap());
    drop(deaf);
    server.record().wait_for("disconnect");
    server.login();
}

#[test]
fn a_deaf_client_is_not_waited_for_for_ever() {
    let server = TestServer::with(|builder| builder.timeout(SHORT));
    let mut deaf = Client::over(client::connect_narrow(server.addr()));
    deaf.login_after_greeting();
    deaf.send("HELP\r\n".repeat(1000));
    // He is idle, and the 421 that says so cannot leave: it has ten seconds.
    server.record().wait_for("disconnect");
}

#[test]
fn a_half_closed_client_still_gets_its_replies() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send("NOOP\r\nPWD\r\nSYST\r\n");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    client.expect_replies(&[200, 257, 215]);
    client.expect_end();
    server.record().wait_for("disconnect");
}
