//! A user reads and changes exactly what he could in a shell: the same accesses are tried by the
//! server and by a shell that has become the user, and the answers compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use ftpdlib::UnixOverride;

use crate::common::{Client, Mode};
use crate::users::{Group, SECRET, UnixServer, User, can_make_users, public_place};

/// A user and a group of nobody that is here.
const STRANGER: u32 = 54_321;

const FILE_MODES: [u32; 12] = [
    0o600, 0o640, 0o604, 0o060, 0o006, 0o000, 0o400, 0o200, 0o222, 0o444, 0o044, 0o4755,
];
const DIRECTORY_MODES: [u32; 13] = [
    0o700, 0o750, 0o711, 0o710, 0o733, 0o555, 0o444, 0o222, 0o1777, 0o770, 0o070, 0o007, 0o000,
];

struct Case {
    name: String,
    owner: u32,
    group: u32,
    mode: u32,
}

struct Cases {
    files: Vec<Case>,
    directories: Vec<Case>,
}

fn cases(user: &User, group: &Group) -> Cases {
    let all = |kind: &str, modes: &[u32]| {
        let mut cases = Vec::new();
        for owner in [user.uid, STRANGER, 0] {
            for group in [user.gid, group.gid, STRANGER, 0] {
                for &mode in modes {
                    let name = format!("{kind}-{owner}-{group}-{mode:o}");
                    cases.push(Case {
                        name,
                        owner,
                        group,
                        mode,
                    });
                }
            }
        }
        cases
    };
    Cases {
        files: all("file", &FILE_MODES),
        directories: all("dir", &DIRECTORY_MODES),
    }
}

/// Puts all cases into `place`.
fn lay_out(place: &Path, cases: &Cases) {
    fs::create_dir(place).unwrap();
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    let own = |path: &Path, case: &Case| {
        chown(path, Some(case.owner), Some(case.group)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(case.mode)).unwrap();
    };
    for case in &cases.files {
        let path = place.join(&case.name);
        fs::write(&path, "content").unwrap();
        own(&path, case);
    }
    for case in &cases.directories {
        let path = place.join(&case.name);
        fs::create_dir(&path).unwrap();
        for name in ["read", "remove", "rename"] {
            fs::write(path.join(name), "content").unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o644)).unwrap();
            chown(path.join(name), Some(STRANGER), Some(STRANGER)).unwrap();
        }
        own(&path, case);
    }
}

/// What a shell may do: `access name` and whether it went.
fn by_shell(user: &User, place: &Path, cases: &Cases) -> BTreeMap<String, bool> {
    let mut script = String::new();
    let mut attempt = |what: &str, name: &str, command: String| {
        let _ = writeln!(
            script,
            "if {command}; then echo '{what} {name} +'; else echo '{what} {name} -'; fi"
        );
    };
    for Case { name, mode, .. } in &cases.files {
        attempt("read", name, format!("cat {name} >/dev/null"));
        attempt("chmod", name, format!("chmod {mode:04o} {name}"));
        attempt(
            "time",
            name,
            format!("touch -c -d 2020-01-01T00:00:00Z {name}"),
        );
        // Last, since it takes a set-user-id bit away, and chmod gives it back.
        attempt(
            "append",
            name,
            format!("printf x | dd of={name} conv=notrunc oflag=append"),
        );
    }
    for Case { name, .. } in &cases.directories {
        attempt("list", name, format!("ls {name} >/dev/null"));
        attempt("stat", name, format!("stat {name}/read >/dev/null"));
        attempt("inner", name, format!("cat {name}/read >/dev/null"));
        attempt("enter", name, format!("(cd {name})"));
        attempt("create", name, format!("(: >{name}/created)"));
        attempt("mkdir", name, format!("mkdir {name}/made"));
        attempt(
            "rename",
            name,
            format!("mv -fT {name}/rename {name}/renamed"),
        );
        attempt("remove", name, format!("unlink {name}/remove"));
    }
    let output = user.shell(place, &script);
    let line = |line: &str| {
        let (access, went) = line.rsplit_once(' ').expect("an answer");
        (access.to_owned(), went == "+")
    };
    output.lines().map(line).collect()
}

/// What the server lets him do.
fn by_server(client: &mut Client, place: &str, cases: &Cases) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut note = |what: &str, name: &str, went: bool| {
        found.insert(format!("{what} {name}"), went);
    };
    for Case { name, mode, .. } in &cases.files {
        let path = format!("{place}/{name}");
        note(
            "read",
            name,
            transfer(client, &format!("RETR {path}"), b"content"),
        );
        note(
            "chmod",
            name,
            goes(client, &format!("SITE CHMOD {mode:04o} {path}")),
        );
        note(
            "time",
            name,
            goes(client, &format!("MFMT 20200101000000 {path}")),
        );
        note(
            "append",
            name,
            transfer(client, &format!("APPE {path}"), b"x"),
        );
    }
    for Case { name, .. } in &cases.directories {
        let path = format!("{place}/{name}");
        note(
            "list",
            name,
            transfer(client, &format!("NLST {path}"), b"read\r\n"),
        );
        note("stat", name, goes(client, &format!("SIZE {path}/read")));
        note(
            "inner",
            name,
            transfer(client, &format!("RETR {path}/read"), b"content"),
        );
        let entered = goes(client, &format!("CWD {path}"));
        note("enter", name, entered);
        client.expect(format!("CWD {place}/"), 250);
        note(
            "create",
            name,
            transfer(client, &format!("STOR {path}/created"), b"x"),
        );
        note("mkdir", name, goes(client, &format!("MKD {path}/made")));
        // RNFR may say it already.
        let renamed = client.cmd(format!("RNFR {path}/rename")).code == 350
            && goes(client, &format!("RNTO {path}/renamed"));
        note("rename", name, renamed);
        note("remove", name, goes(client, &format!("DELE {path}/remove")));
    }
    found
}

fn goes(client: &mut Client, line: &str) -> bool {
    let reply = client.cmd(line);
    assert!(
        reply.code < 300 || reply.code == 550,
        "{line}: {}",
        reply.text
    );
    reply.code < 300
}

/// Whether a transfer went; if it did, a download has `content` in it.
fn transfer(client: &mut Client, line: &str, content: &[u8]) -> bool {
    let mut data = client.data(Mode::Epsv);
    let reply = client.cmd(line);
    if reply.code == 550 {
        return false;
    }
    assert!(matches!(reply.code, 125 | 150), "{line}: {}", reply.text);
    if line.starts_with("RETR") || line.starts_with("NLST") {
        let mut got = Vec::new();
        data.read_to_end(&mut got).unwrap();
        let there = got.windows(content.len()).any(|part| part == content);
        assert!(there, "{line}: {:?}", String::from_utf8_lossy(&got));
    } else {
        data.write_all(content).unwrap();
    }
    drop(data);
    let reply = client.reply();
    assert!(matches!(reply.code, 226 | 550), "{line}: {}", reply.text);
    reply.code == 226
}

#[track_caller]
fn compare(server: &UnixServer, user: &User, group: &Group, place: &Path, whole_tree: bool) {
    let cases = cases(user, group);
    lay_out(&place.join("shell"), &cases);
    lay_out(&place.join("server"), &cases);
    let expected = by_shell(user, &place.join("shell"), &cases);
    // The table has both, and all of it.
    let allowed = expected.values().filter(|went| **went).count();
    let refused = expected.len() - allowed;
    assert!(allowed > 300 && refused > 300, "{allowed} {refused}");
    assert_eq!(
        expected.len(),
        cases.files.len() * 4 + cases.directories.len() * 8
    );

    let mut client = server.connect();
    client.login_as(&user.name, SECRET);
    let prefix = match whole_tree {
        true => place.join("server").display().to_string(),
        false => "/server".to_owned(),
    };
    let found = by_server(&mut client, &prefix, &cases);
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(access, went)| found.get(*access) != Some(went))
        .map(|(access, went)| format!("{access}: shell {went}, server {:?}", found.get(access)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );

    // What was made is his.
    let made = fs::metadata(place.join(format!("server/dir-{}-{}-700/made", user.uid, user.gid)));
    assert_eq!(owner(&made.unwrap()), (user.uid, user.gid));
    let mode = |side: &str, name: &str| {
        fs::metadata(place.join(side).join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    // A write takes the set-user-id bit away, where the write is not root's.
    for case in cases.files.iter().filter(|case| case.mode == 0o4755) {
        let (shell, server) = (mode("shell", &case.name), mode("server", &case.name));
        assert_eq!(server, shell, "{}", case.name);
    }
}

fn owner(found: &fs::Metadata) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    (found.uid(), found.gid())
}

#[test]
fn as_in_a_shell_in_the_whole_tree() {
    if !can_make_users("rights in the whole tree") {
        return;
    }
    let group = Group::new();
    let (user, place) = (User::with(&[&group], &[]), public_place());
    let server = UnixServer::start(|users| users.whole_tree(true));
    compare(&server, &user, &group, place.path(), true);
}

#[test]
fn as_in_a_shell_on_worker_threads() {
    if !can_make_users("rights on worker threads") {
        return;
    }
    let group = Group::new();
    let (user, place) = (User::with(&[&group], &[]), public_place());
    let server = UnixServer::start(|users| users.whole_tree(true).slow_files(true));
    compare(&server, &user, &group, place.path(), true);
}

#[test]
fn as_in_a_shell_in_a_confined_home() {
    if !can_make_users("rights in a confined home") {
        return;
    }
    let group = Group::new();
    let (user, place) = (User::with(&[&group], &[]), public_place());
    let home = UnixOverride::new().home(place.path());
    let server = UnixServer::start(|users| users.override_user(&user.name, home));
    compare(&server, &user, &group, place.path(), false);
}

/// A directory above that may not be entered keeps out, whatever is below; one that may only be
/// passed through does not.
#[test]
fn directories_on_the_way_count() {
    if !can_make_users("directories on the way") {
        return;
    }
    let (user, place) = (User::new(), public_place());
    let way = place.path().join("way");
    fs::create_dir_all(way.join("home")).unwrap();
    fs::write(way.join("home/file"), "content").unwrap();
    chown(way.join("home"), Some(user.uid), Some(user.gid)).unwrap();
    let set = |mode| fs::set_permissions(&way, fs::Permissions::from_mode(mode)).unwrap();
    let home = UnixOverride::new().home(way.join("home"));
    let server = UnixServer::start(|users| users.override_user(&user.name, home.clone()));
    set(0o711);
    let mut client = server.login(&user);
    assert_eq!(client.fetch("RETR file"), b"content");
    client.put("STOR new", b"new");
    set(0o700);
    let mut client = server.connect();
    client.expect(format!("USER {}", user.name), 331);
    client
        .expect(format!("PASS {SECRET}"), 530)
        .contains("Home directory not available.");
    let server = UnixServer::start(|users| users.override_user(&user.name, home).whole_tree(true));
    let mut client = server.login(&user);
    assert!(client.expect("PWD", 257).text.contains("\"/\""));
    client.refused(format!("RETR {}", way.join("home/file").display()), 550);
}
