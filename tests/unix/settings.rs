//! Settings that cannot be are errors before anybody logs in.

use std::process::Command;

use ftpdlib::{AuthorizerError, Perm, UnixAuthorizer, UnixOverride, UnixSettings};

use crate::users::{User, can_make_users};

#[track_caller]
fn refused(settings: UnixSettings, text: &str) {
    let error = settings.build().expect_err("settings that cannot be");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn contradictions_are_told() {
    let users = UnixAuthorizer::builder;
    refused(
        users().allowed_users(["root"]).rejected_users(["bin"]),
        "exclude each other",
    );
    refused(users().rejected_users(["anonymous"]), "anonymous_user");
    let own = || UnixOverride::new().perm(Perm::READ_ONLY);
    refused(
        users().rejected_users(["bin"]).override_user("bin", own()),
        "\"bin\" is overridden and may not log in",
    );
    refused(
        users()
            .anonymous_user("nobody")
            .override_user("anonymous", own().password("x")),
        "cannot have a password",
    );
    refused(
        users().override_user("anonymous", own()),
        "needs an anonymous_user",
    );
}

#[test]
fn users_must_be_there_and_able_to_log_in() {
    if !can_make_users("settings of users") {
        return;
    }
    let users = UnixAuthorizer::builder;
    for settings in [
        users().allowed_users(["no-such-user"]),
        users().rejected_users(["no-such-user"]),
        users().anonymous_user("no-such-user"),
        users().override_user("no-such-user", UnixOverride::new()),
    ] {
        assert!(
            matches!(settings.build(), Err(AuthorizerError::NoSuchUser(name)) if name == "no-such-user")
        );
    }
    let user = User::with(&[], &["-s", "/usr/sbin/no-such-shell"]);
    refused(users().allowed_users([&user.name]), "/etc/shells");
    let settings = users()
        .allowed_users([&user.name])
        .require_valid_shell(false);
    settings.build().unwrap();
    refused(users().anonymous_user("root"), "cannot be root");
    std::fs::remove_dir(&user.home).unwrap();
    let settings = users().anonymous_user(&user.name);
    assert!(matches!(
        settings.build(),
        Err(AuthorizerError::NotADirectory(..))
    ));
}

/// Asked again by a process that is not root.
#[test]
fn without_root_the_error_says_so() {
    const CHILD: &str = "FTPDLIB_TEST_NOT_ROOT";
    if std::env::var_os(CHILD).is_some() {
        let error = UnixAuthorizer::new().unwrap_err();
        assert!(matches!(error, AuthorizerError::Privileges(_)));
        return eprintln!("<{error}>");
    }
    if !can_make_users("what is told to others than root") {
        return;
    }
    // The program may be where only root may go.
    let place = crate::users::public_place();
    let program = place.path().join("test");
    // By another process: what this one writes is open for writing, until they start theirs, in those
    // that other tests fork meanwhile, and such a file cannot be started.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args([
            "settings::without_root_the_error_says_so",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("run it as root"), "{text}");
}
