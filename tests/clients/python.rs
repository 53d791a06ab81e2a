//! Python's ftplib.

use crate::common::sample;
use crate::stage::Stage;
use crate::tree::{self, ODD_NAMES};

each_way!("python3":
    upload_and_download
    resume
    lists
    rename_and_delete
    lines
    abort
    quit_in_a_transfer
    unique_names
    odd_names
    errors
);

const LOGIN: &str = "
import ftplib, io, os, sys
ftp = ftplib.FTP(timeout=30)
ftp.connect(sys.argv[1], int(sys.argv[2]))
ftp.login('user', '12345')
ftp.set_pasv(sys.argv[3] == 'passive')

def fetch(name, **options):
    content = io.BytesIO()
    ftp.retrbinary('RETR ' + name, content.write, **options)
    return content.getvalue()

def refused(code, function, *arguments):
    try:
        function(*arguments)
    except ftplib.error_perm as error:
        assert str(error).startswith(code), error
    else:
        assert False, 'not refused'
";

/// Runs a script in a session; what it asserts must hold.
#[track_caller]
fn python(stage: &Stage, script: &str) -> String {
    let mut python = stage.program("python3");
    let mode = if stage.way.active {
        "active"
    } else {
        "passive"
    };
    python
        .args(["-I", "-X", "utf8", "-c"])
        .arg(format!("{LOGIN}{script}"))
        .arg(stage.server.addr().ip().to_string())
        .args([&stage.port().to_string(), mode]);
    stage.run(python)
}

fn upload_and_download(stage: &Stage) {
    let content = sample(300_000);
    stage.write("up", &content);
    python(
        stage,
        "
with open('up', 'rb') as file:
    assert ftp.storbinary('STOR there', file).startswith('226')
with open('down', 'wb') as file:
    assert ftp.retrbinary('RETR there', file.write).startswith('226')
ftp.storbinary('STOR empty', io.BytesIO())
assert fetch('empty') == b''
ftp.quit()
",
    );
    assert_eq!(stage.server.read("there"), content);
    assert_eq!(stage.read("down"), content);
    assert_eq!(stage.server.read("empty"), b"");
}

fn resume(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("file", &content);
    stage.server.write("rest", &content[..100_000]);
    stage.server.write("append", &content[..100_000]);
    stage.write("content", &content);
    python(
        stage,
        "
content = open('content', 'rb').read()
assert fetch('file', rest=100000) == content[100000:]
assert fetch('file') == content
assert ftp.size('rest') == 100000
ftp.storbinary('STOR rest', io.BytesIO(content[100000:]), rest=100000)
ftp.storbinary('APPE append', io.BytesIO(content[100000:]))
assert fetch('file', rest=300000) == b''
ftp.quit()
",
    );
    assert_eq!(stage.server.read("rest"), content);
    assert_eq!(stage.server.read("append"), content);
}

fn lists(stage: &Stage) {
    stage.server.mkdir("sub/nested");
    stage.server.write("sub/file", "12345");
    python(
        stage,
        "
facts = dict(ftp.mlsd('sub', facts=['type', 'size', 'modify', 'unix.mode']))
assert sorted(facts) == ['file', 'nested'], facts
assert facts['file']['type'] == 'file' and facts['file']['size'] == '5', facts
assert facts['nested']['type'] == 'dir' and len(facts['file']['modify']) == 14, facts
assert sorted(name for name, _ in ftp.mlsd('sub')) == ['file', 'nested']
assert sorted(ftp.nlst('sub')) in (['file', 'nested'], ['sub/file', 'sub/nested']), ftp.nlst('sub')
ftp.cwd('sub')
assert sorted(ftp.nlst()) == ['file', 'nested']
lines = []
ftp.dir(lines.append)
assert len(lines) == 2, lines
lines = []
ftp.dir('-la', lines.append)
assert sorted(line[0] for line in lines if line[-2:] not in (' .', '..')) == ['-', 'd'], lines
ftp.voidcmd('TYPE I')
assert ftp.size('file') == 5
assert ftp.sendcmd('MDTM file') == '213 ' + facts['file']['modify']
assert list(ftp.mlsd('nested')) == [] and ftp.nlst('nested') == []
ftp.quit()
",
    );
}

fn rename_and_delete(stage: &Stage) {
    stage.server.write("old", "content");
    stage.server.write("doomed", "");
    python(
        stage,
        "
assert ftp.mkd('a \"quoted\" dir') == '/a \"quoted\" dir'
assert ftp.cwd('a \"quoted\" dir').startswith('250')
assert ftp.pwd() == '/a \"quoted\" dir'
ftp.rename('../old', 'new')
assert ftp.cwd('..').startswith('250')
assert ftp.pwd() == '/'
ftp.delete('doomed')
ftp.mkd('gone')
ftp.rmd('gone')
ftp.quit()
",
    );
    assert_eq!(tree::names(stage.server.home()), ["a \"quoted\" dir"]);
    assert_eq!(stage.server.read("a \"quoted\" dir/new"), b"content");
}

fn lines(stage: &Stage) {
    python(
        stage,
        "
ftp.storlines('STOR text', io.BytesIO(b'one\\ntwo\\r\\n\\nlast'))
lines = []
ftp.retrlines('RETR text', lines.append)
assert lines == ['one', 'two', '', 'last'], lines
ftp.voidcmd('TYPE A')
refused('550', ftp.size, 'text')
ftp.quit()
",
    );
    // ftplib ends the last line too.
    assert_eq!(stage.server.read("text"), b"one\ntwo\n\nlast\n");
}

/// ftplib sends ABOR as urgent data, and leaves the second reply to its user.
fn abort(stage: &Stage) {
    stage.server.write_sparse("big", 1 << 30);
    stage.server.write("small", "content");
    python(
        stage,
        "
for _ in range(3):
    ftp.voidcmd('TYPE I')
    data = ftp.transfercmd('RETR big')
    assert len(data.recv(4096)) > 0
    assert ftp.abort().startswith('426')
    assert ftp.voidresp().startswith('226')
    data.close()
    assert fetch('small') == b'content'
assert ftp.abort().startswith('226'), 'with no transfer there is one reply'
assert fetch('small') == b'content'

data = ftp.transfercmd('STOR up')
data.sendall(b'half')
assert ftp.abort().startswith('426')
assert ftp.voidresp().startswith('226')
data.close()
assert ftp.voidcmd('NOOP').startswith('200')
ftp.quit()
",
    );
}

/// QUIT waits for the transfer's end. It is answered at once, so either reply may be the first.
fn quit_in_a_transfer(stage: &Stage) {
    stage.server.write("file", sample(3 << 20));
    python(
        stage,
        "
ftp.voidcmd('TYPE I')
data = ftp.transfercmd('RETR file')
ftp.putcmd('QUIT')
size = 0
while chunk := data.recv(65536):
    size += len(chunk)
assert size == 3 << 20, size
data.close()
replies = sorted([ftp.getresp(), ftp.getresp()])
assert replies[0].startswith('221') and replies[1].startswith('226'), replies
try:
    ftp.getresp()
except EOFError:
    ftp.close()
else:
    assert False, 'not closed'
",
    );
}

fn unique_names(stage: &Stage) {
    let replies = python(
        stage,
        "
for content in b'one', b'two':
    data, _ = ftp.ntransfercmd('STOU')
    data.sendall(content)
    data.close()
    print(ftp.voidresp())
ftp.quit()
",
    );
    let names = tree::names(stage.server.home());
    assert_eq!(names.len(), 2, "{names:?} {replies}");
    let mut contents: Vec<_> = names
        .iter()
        .map(|name| stage.server.read(name.to_str().expect("a plain name")))
        .collect();
    contents.sort();
    assert_eq!(contents, [b"one", b"two"]);
}

fn odd_names(stage: &Stage) {
    for name in ODD_NAMES {
        stage.write(name, name.as_bytes());
    }
    python(
        stage,
        "
names = sorted(os.listdir('.'))
for name in names:
    with open(name, 'rb') as file:
        ftp.storbinary('STOR ' + name, file)
assert sorted(name for name, _ in ftp.mlsd()) == names
assert sorted(ftp.nlst()) == names
for name in names:
    assert fetch(name) == name.encode(), name
    assert ftp.size(name) == len(name.encode()), name
    ftp.rename(name, name + 'x')
    ftp.delete(name + 'x')
    assert ftp.mkd(name) == '/' + name
    ftp.cwd(name)
    assert ftp.pwd() == '/' + name
    ftp.cwd('/')
ftp.quit()
",
    );
    assert_eq!(
        tree::names(stage.server.home()),
        tree::names(&stage.local(""))
    );
    for name in ODD_NAMES {
        assert!(stage.server.path(name).is_dir(), "{name:?}");
    }
}

fn errors(stage: &Stage) {
    stage.server.mkdir("full/of");
    python(
        stage,
        "
refused('550', fetch, 'none')
refused('550', fetch, 'full')
refused('550', ftp.delete, 'none')
refused('550', ftp.delete, 'full')
refused('550', ftp.rmd, 'full')
refused('550', ftp.cwd, 'none')
refused('550', ftp.rename, 'none', 'other')
refused('550', ftp.size, 'full')
refused('500', ftp.voidcmd, 'XYZZY')
refused('501', ftp.voidcmd, 'TYPE')
assert ftp.voidcmd('NOOP').startswith('200')
ftp.quit()
",
    );
    assert_eq!(tree::names(stage.server.home()), ["full"]);
}
