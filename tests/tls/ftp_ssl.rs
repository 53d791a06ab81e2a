//! ftp-ssl, netkit's ftp client with TLS, as Debian has it.
//!
//! It takes TLS 1.2 and 1.3, says PBSZ and PROT P by itself, and resumes the session on data
//! connections. But it closes a data connection first and says close_notify after, into nothing.
//! So its uploads are complete only for a server that allows truncated ones.

use std::fs::File;
use std::process::Command;

use ftpdlib::SessionReuse;

use crate::clients::{has, run_with};
use crate::common::{PASSWORD, TestServer, USER, sample};
use crate::server;
use crate::testing::Pki;

const SIZE: usize = 300_000;

const SCRIPT: &str = "put up there\nget there down\nappend up there\nsize there\nls . listing\n";

/// Runs a script, protected or not at all, and gives what was said. The status does not tell what
/// became of the transfers.
#[track_caller]
fn ftp_ssl(pki: &Pki, server: &TestServer, version: &str, passive: bool, script: &str) -> String {
    let settings = format!(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n\
         [default]\nMinProtocol = {version}\nMaxProtocol = {version}\n"
    );
    let settings = pki.write("openssl.cnf", settings);
    let mode = if passive { "passive\n" } else { "" };
    let script = format!("user {USER} {PASSWORD}\nbinary\n{mode}{script}quit\n");
    let script = pki.write("script", script);
    // It has no time limit of its own.
    let mut client = Command::new("timeout");
    client.args(["60", "ftp-ssl", "-n", "-i", "-v", "-z", "secure"]);
    client.args(["-z", "verify=1", "-z"]);
    client.arg(format!("cacert={}", pki.path("ca.pem").display()));
    client
        .arg(server.addr().ip().to_string())
        .arg(server.addr().port().to_string())
        .env("OPENSSL_CONF", settings)
        .env("HOME", server.home())
        .current_dir(pki.path("."));
    let output = run_with(&mut client, File::open(script).expect("the script"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Both versions of TLS, both modes, and sessions that need not and must be resumed.
fn each_way(settings: impl Fn(ftpdlib::Tls) -> ftpdlib::Tls, test: impl Fn(&TestServer, &str)) {
    if !has("ftp-ssl") {
        return;
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        for passive in [true, false] {
            for reuse in [SessionReuse::Off, SessionReuse::Require] {
                let pki = Pki::new();
                let content = sample(SIZE);
                pki.write("up", &content);
                let server = server(&pki, |tls| {
                    let tls = tls.control_required(true).data_required(true);
                    settings(tls.session_reuse(reuse))
                });
                let said = ftp_ssl(&pki, &server, version, passive, SCRIPT);
                let what = format!("{version}, passive: {passive}, {reuse:?}: {said}");
                // Whatever the uploads are called, all their bytes have come.
                assert!(server.read("there") == [&content[..], &content].concat());
                assert!(std::fs::read(pki.path("down")).expect("a file") == content);
                let listing = std::fs::read_to_string(pki.path("listing")).expect("a list");
                assert!(listing.contains(" 600000 "), "{listing}");
                assert!(said.contains("213 600000"), "{what}");
                let mode = "227 Entering passive mode";
                assert_eq!(said.contains(mode), passive, "{what}");
                test(&server, &what);
            }
        }
    }
}

fn codes(what: &str, code: &str) -> usize {
    what.lines().filter(|line| line.starts_with(code)).count()
}

#[track_caller]
fn wait_for_two(server: &TestServer, event: &str) {
    let two = |events: &[String]| events.iter().filter(|seen| *seen == event).count() == 2;
    server.record().wait_until(two);
}

#[test]
fn all_is_well_where_truncated_uploads_are_allowed() {
    each_way(
        |tls| tls.allow_truncated_uploads(true),
        |server, what| {
            assert_eq!(codes(what, "226 "), 4, "{what}");
            wait_for_two(server, "received /there 300000");
            server.record().wait_for("sent /there 300000");
        },
    );
}

#[test]
fn its_uploads_are_incomplete_by_default() {
    each_way(
        |tls| tls,
        |server, what| {
            assert_eq!(codes(what, "426 "), 2, "{what}");
            assert_eq!(codes(what, "226 "), 2, "{what}");
            let record = server.record();
            record.wait_for("sent /there 300000");
            wait_for_two(server, "incomplete_received /there 300000");
            assert_eq!(record.count("received /there 300000"), 0);
        },
    );
}
