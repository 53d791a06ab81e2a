//! The clients that people use. One that is not installed is told of, and its test passes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ftpdlib::SessionReuse;

use crate::common::{TestServer, sample, skipped};
use crate::server;
use crate::testing::Pki;

pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    if found.is_err() {
        skipped(&format!("{program} is not installed"));
    }
    found.is_ok()
}

fn run(command: &mut Command) -> Output {
    run_with(command, Stdio::null())
}

/// Runs a client that must succeed, and that reads `input`.
pub(crate) fn run_with(command: &mut Command, input: impl Into<Stdio>) -> Output {
    let output = command.stdin(input).output().expect("the client runs");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn curl(pki: &Pki) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "60", "-u", "user:12345", "--cacert"]);
    curl.arg(pki.path("ca.pem"));
    curl
}

#[test]
fn curl_of_every_kind() {
    if !has("curl") {
        return;
    }
    let pki = Pki::new();
    for reuse in [SessionReuse::Off, SessionReuse::Require] {
        for implicit in [false, true] {
            let server = server(&pki, |tls| {
                let tls = tls.control_required(true).data_required(true);
                tls.session_reuse(reuse).implicit(implicit)
            });
            let scheme = if implicit { "ftps" } else { "ftp" };
            let url = |name: &str| format!("{scheme}://127.0.0.1:{}/{name}", server.addr().port());
            let content = sample(3_000_000);
            let source = pki.write("source", &content);
            for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
                // In TLS 1.3 curl uses a session once, keeps but one, and does not look for the
                // next one behind an upload.
                let alone = reuse == SessionReuse::Require && version.len() == 1;
                let mut up = curl(&pki);
                up.args(["--ssl-reqd", "-T"]).arg(&source).args(version);
                up.arg(url("one"));
                if !alone {
                    up.arg("-T").arg(&source).arg(url("two"));
                }
                run(&mut up);
                assert!(server.read("one") == content);
                assert!(alone || server.read("two") == content);
                let mut down = curl(&pki);
                down.arg("--ssl-reqd").args(version);
                down.args([url("one"), url("one"), url("")]);
                let got = run(&mut down).stdout;
                assert!(
                    got.starts_with(&content) && got.len() > 6_000_000,
                    "{}",
                    got.len()
                );
                std::fs::remove_file(server.path("one")).expect("the file");
            }
        }
    }
}

#[test]
fn openssl_s_client_has_a_conversation() {
    use std::io::Write;

    if !has("openssl") {
        return;
    }
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.control_required(true));
    for version in ["-tls1_2", "-tls1_3"] {
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-crlf",
                "-starttls",
                "ftp",
                version,
                "-connect",
            ])
            .arg(server.addr().to_string())
            .arg("-CAfile")
            .arg(pki.path("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        let mut input = child.stdin.take().expect("a pipe");
        input
            .write_all(b"USER user\nPASS 12345\nPBSZ 0\nPROT P\nPWD\nQUIT\n")
            .expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        for reply in [
            "331 ",
            "230 ",
            "200 PBSZ=0",
            "200 Protection",
            "257 ",
            "221 ",
        ] {
            assert!(text.contains(reply), "{version}: {text}");
        }
        drop(input);
    }
    for version in ["-tls1", "-tls1_1"] {
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-starttls",
                "ftp",
                version,
                "-cipher",
                "ALL:@SECLEVEL=0",
                "-connect",
            ])
            .arg(server.addr().to_string())
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() || text.contains("Cipher is (NONE)"),
            "{version}: {text}"
        );
    }
}

const PYTHON: &str = r#"
import ftplib, io, ssl, sys
host, port, ca, version, reuse = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
context = ssl.create_default_context(cafile=ca)
context.maximum_version = context.minimum_version = getattr(ssl.TLSVersion, version)

class Reusing(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host,
                                            session=self.sock.session)
        return conn, size

ftp = (Reusing if reuse == "yes" else ftplib.FTP_TLS)(context=context, timeout=60)
ftp.connect(host, port)
ftp.login("user", "12345")
ftp.prot_p()
content = bytes(range(251)) * 8000
for time in range(6):
    ftp.storbinary("STOR file", io.BytesIO(content))
    got = []
    ftp.retrbinary("RETR file", got.append)
    assert b"".join(got) == content
assert "file" in ftp.nlst()
lines = []
ftp.retrlines("LIST", lines.append)
assert len(lines) == 1, lines
ftp.storlines("STOR text", io.BytesIO(b"a\nb\n"))
ftp.quit()
"#;

#[test]
fn pythons_ftplib() {
    if !has("python3") {
        return;
    }
    let pki = Pki::new();
    for (reuse, asked) in [(SessionReuse::Off, "no"), (SessionReuse::Require, "yes")] {
        for version in ["TLSv1_2", "TLSv1_3"] {
            let server = server(&pki, |tls| tls.session_reuse(reuse).control_required(true));
            let mut python = Command::new("python3");
            python.args(["-c", PYTHON, "127.0.0.1", &server.addr().port().to_string()]);
            run(python.arg(pki.path("ca.pem")).arg(version).arg(asked));
            assert_eq!(server.read("text"), b"a\nb\n");
        }
    }
}

const BASIC_FTP: &str = r#"
const [host, port, ca, secure, version] = process.argv.slice(1);
const { Readable, Writable } = require("stream");
const fs = require("fs");
const { Client } = require("basic-ftp");
const content = Buffer.alloc(1000000, 7);
(async () => {
  const client = new Client(20000);
  await client.access({
    host, port: Number(port), user: "user", password: "12345",
    secure: secure === "implicit" ? "implicit" : true,
    secureOptions: { ca: fs.readFileSync(ca), minVersion: version, maxVersion: version },
  });
  for (let time = 0; time < 6; time++) {
    await client.uploadFrom(Readable.from([content]), "file" + time);
    let size = 0;
    const sink = new Writable({ write(data, _, done) { size += data.length; done(); } });
    await client.downloadTo(sink, "file" + time);
    if (size !== content.length) throw new Error("got " + size);
  }
  if ((await client.list()).length !== 6) throw new Error("list");
  client.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;

/// Where `tests/install-clients` puts it.
const NODE_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/node_modules");

#[test]
fn basic_ftp_of_npm() {
    if !has("node") {
        return;
    }
    let there = Command::new("node")
        .env("NODE_PATH", NODE_PATH)
        .args(["-e", "require('basic-ftp')"])
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        return skipped("node has no basic-ftp; run tests/install-clients");
    }
    let pki = Pki::new();
    for reuse in [SessionReuse::Off, SessionReuse::Require] {
        for implicit in [false, true] {
            for version in ["TLSv1.2", "TLSv1.3"] {
                let server = server(&pki, |tls| tls.session_reuse(reuse).implicit(implicit));
                let mut node = Command::new("node");
                node.env("NODE_PATH", NODE_PATH);
                node.args(["-e", BASIC_FTP, "--", "127.0.0.1"]);
                node.arg(server.addr().port().to_string());
                node.arg(pki.path("ca.pem"));
                node.arg(if implicit { "implicit" } else { "explicit" });
                run(node.arg(version));
            }
        }
    }
}

fn lftp(pki: &Pki, server: &TestServer, script: &str) -> Output {
    let settings = format!(
        "set net:max-retries 1; set net:timeout 10; set cmd:fail-exit yes; \
         set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ftp:ssl-protect-list yes; \
         set ssl:ca-file {}; open -u user,12345 ftp://127.0.0.1:{}; {script}; bye",
        pki.path("ca.pem").display(),
        server.addr().port()
    );
    run(Command::new("lftp").args(["--norc", "-c", &settings]))
}

#[test]
fn lftp_mirrors_both_ways() {
    if !has("lftp") {
        return;
    }
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.data_required(true).control_required(true));
    let local = tempfile::tempdir().expect("a folder");
    for at in 0..20 {
        let dir = local.path().join(format!("up/dir{}", at % 4));
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join(format!("file{at}")), sample(at * 7919)).expect("a file");
    }
    let (up, down) = (local.path().join("up"), local.path().join("down"));
    lftp(
        &pki,
        &server,
        &format!("mirror -R --parallel=3 {} copy", up.display()),
    );
    lftp(
        &pki,
        &server,
        &format!("mirror --parallel=3 copy {}", down.display()),
    );
    same(&up, &server.path("copy"));
    same(&up, &down);
}

#[track_caller]
fn same(one: &Path, other: &Path) {
    let difference = Command::new("diff")
        .arg("-r")
        .args([one, other])
        .output()
        .expect("diff");
    assert!(
        difference.status.success(),
        "{}",
        String::from_utf8_lossy(&difference.stdout)
    );
}
