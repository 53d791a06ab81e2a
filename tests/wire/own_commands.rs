//! Commands of a library user's own.

use ftpdlib::{Arg, Command, Error, FtpServer, Perm, Reply};

use crate::common::TestServer;
use crate::common::process::no_forks;

fn commands() -> TestServer {
    let remove_tree = Command::site("RMTREE")
        .perm(Perm::DELETE)
        .argument(Arg::Required)
        .help("Syntax: SITE RMTREE <SP> path (remove directory tree).")
        .pooled(|work, path| {
            work.filesystem().remove_tree(path)?;
            Ok(Reply::new(250, "Gone."))
        });
    let size = Command::new("XSIZE")
        .perm(Perm::LIST)
        .path(|session, path| {
            let size = session.filesystem()?.metadata(path)?.size;
            Ok(Reply::new(213, format!("{path} {size}")))
        });
    let echo = Command::new("XECHO")
        .login(false)
        .argument(Arg::Required)
        .run(|_, arg| Ok(Reply::new(200, arg.to_vec())));
    let fail = Command::new("XFAIL").run(|_, _| Err(Reply::new(553, "As you wished.")));
    let mine = Command::new("SYST")
        .argument(Arg::None)
        .run(|_, _| Ok(Reply::new(215, "Mine.")));
    TestServer::with(|builder| {
        builder
            .command(remove_tree)
            .command(size)
            .command(echo)
            .command(fail)
            .command(mine)
    })
}

#[test]
fn commands_of_ones_own_are_like_the_others() {
    let server = commands();
    server.mkdir("dir/sub");
    server.write("dir/sub/file", "");
    let mut client = server.connect();
    assert_eq!(client.expect("XECHO  a b ", 200).text, "200  a b ");
    client.expect("XECHO", 501);
    client.expect("XFAIL", 530);
    client.expect("SITE RMTREE dir", 530);
    client.login();
    client.expect("XFAIL", 553);
    client.expect("XFAIL whatever", 553);
    assert_eq!(client.expect("SYST", 215).text, "215 Mine.");
    client.expect("SYST x", 501);
    client.expect("HELP", 214).contains("XECHO");
    client
        .expect("SITE HELP RMTREE", 214)
        .contains("remove directory tree");
    client.expect("SITE HELP", 214).contains("RMTREE");

    server.write("dir/file", "12345");
    assert_eq!(client.expect("XSIZE dir/file", 213).text, "213 /dir/file 5");
    client.expect("XSIZE nope", 550);
    client.expect("SITE RMTREE", 501);
    client.expect("SITE RMTREE nope", 550);
    client.expect("CWD dir", 250);
    client.expect("site rmtree sub", 250);
    assert!(!server.exists("dir/sub") && server.exists("dir"));
    let mut anonymous = server.login_as("anonymous", "");
    assert_eq!(
        anonymous.expect("SITE RMTREE dir", 550).text,
        "550 Not enough privileges."
    );
    assert!(server.exists("dir"));
}

#[test]
fn a_command_that_removes_trees_stays_inside() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "").unwrap();
    let server = commands();
    server.mkdir("dir");
    std::os::unix::fs::symlink(outside.path(), server.path("dir/out")).unwrap();
    let mut client = server.login();
    client.expect("SITE RMTREE dir", 250);
    assert!(!server.exists("dir") && outside.path().join("file").exists());
    client.expect("SITE RMTREE ../..", 550);
    assert!(server.home().exists());
}

#[test]
fn commands_that_cannot_be_are_an_error_of_configuration() {
    let _in_the_library = no_forks();
    let run = |name: &str| Command::new(name).run(|_, _| Ok(Reply::new(200, "")));
    for wrong in [
        Command::new("XNOTHING"),
        run(""),
        run("TWO WORDS"),
        run("LINE\r\nEND"),
    ] {
        let error = FtpServer::builder()
            .command(wrong)
            .bind("127.0.0.1:0")
            .err();
        assert!(matches!(error, Some(Error::Config(_))), "{error:?}");
    }
}
