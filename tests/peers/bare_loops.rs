//! What the system calls of an FTP server cost by themselves: the floor under every comparison.
//!
//! Not a server: one client after the other, fixed answers to the words that `ftpbench` says, no
//! checks, no event loop. `bare_loops MODE`, where the mode is how bytes move: `sendfile` out,
//! `splice` in through a pipe, or a `readwrite` loop in; listings are the same in each. The files and
//! the address come from the environment, as for the other scripts of this folder.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, RawDir, StatxFlags, sendfile, statx};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much one call moves.
const BUFFER: usize = 256 << 10;
/// How much of a listing is read, and sent, at a time.
const PIECE: usize = 64 << 10;
/// What stands in for the facts of an entry: as many bytes as a server's line of LIST has before the
/// name, and one of MLSD.
const LIST: [u8; 55] = [b'.'; 55];
const MLSD: [u8; 77] = [b'.'; 77];

fn main() -> io::Result<()> {
    let mode = env::args().nth(1).unwrap_or_default();
    let variable =
        |name: &str| env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")));
    let (address, port) = (variable("BENCH_ADDRESS")?, variable("BENCH_PORT")?);
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let home = PathBuf::from(variable("BENCH_HOME")?);
    let control = TcpListener::bind((address.as_str(), port))?;
    let data = TcpListener::bind((address.as_str(), 0))?;
    let mut buffer = vec![0; BUFFER];
    for client in control.incoming() {
        // A client that goes in mid-sentence ends its own run only.
        if let Err(error) = serve(client?, &data, &mode, &home, &mut buffer) {
            eprintln!("bare_loops: {error}");
        }
    }
    Ok(())
}

fn serve(
    mut client: TcpStream,
    data: &TcpListener,
    mode: &str,
    home: &Path,
    buffer: &mut [u8],
) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(b"220 .\r\n")?;
    let mut line = [0; 512];
    let mut folder = home.to_owned();
    loop {
        let length = client.read(&mut line)?;
        let Some(text) = line[..length].strip_suffix(b"\r\n") else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(text);
        let (word, name) = text.split_once(' ').unwrap_or((&text, ""));
        let path = folder.join(name);
        match word {
            "USER" => client.write_all(b"331 .\r\n")?,
            "PASS" => client.write_all(b"230 .\r\n")?,
            "FEAT" => client.write_all(b"211 MLST\r\n")?,
            "CWD" => {
                folder = path;
                client.write_all(b"250 .\r\n")?;
            }
            "QUIT" => return client.write_all(b"221 .\r\n"),
            "EPSV" => write!(client, "229 (|||{}|)\r\n", data.local_addr()?.port())?,
            "DELE" => {
                fs::remove_file(path)?;
                client.write_all(b"250 .\r\n")?;
            }
            "LIST" | "MLSD" => {
                let (mut socket, _) = data.accept()?;
                client.write_all(b"150 .\r\n")?;
                match word {
                    "LIST" => list(&folder, &LIST, &mut socket)?,
                    _ => list(&folder, &MLSD, &mut socket)?,
                }
                drop(socket);
                client.write_all(b"226 .\r\n")?;
            }
            "RETR" | "STOR" => {
                let (mut socket, _) = data.accept()?;
                client.write_all(b"150 .\r\n")?;
                match (word, mode) {
                    ("RETR", _) => send(&File::open(path)?, &socket)?,
                    (_, "splice") => receive_by_splice(&socket, &File::create(path)?)?,
                    _ => receive(&mut socket, &mut File::create(path)?, buffer)?,
                }
                drop(socket);
                client.write_all(b"226 .\r\n")?;
            }
            _ => client.write_all(b"200 .\r\n")?,
        }
    }
}

/// The names in the folder's own order and the facts of each, which are not looked at.
fn list(folder: &Path, facts: &[u8], socket: &mut TcpStream) -> io::Result<()> {
    let folder = File::open(folder)?;
    let mut entries = vec![MaybeUninit::uninit(); PIECE];
    let mut entries = RawDir::new(&folder, &mut entries);
    let mut lines = Vec::with_capacity(PIECE + 512);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let asked = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        statx(&folder, name, AtFlags::SYMLINK_NOFOLLOW, asked)?;
        for part in [facts, name.to_bytes(), b"\r\n"] {
            lines.extend_from_slice(part);
        }
        if lines.len() >= PIECE {
            socket.write_all(&lines)?;
            lines.clear();
        }
    }
    socket.write_all(&lines)
}

fn send(file: &File, socket: &TcpStream) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        match sendfile(socket, file, None, left as usize)? {
            0 => return Err(io::Error::other("the file got shorter")),
            sent => left -= sent as u64,
        }
    }
    Ok(())
}

fn receive_by_splice(socket: &TcpStream, file: &File) -> io::Result<()> {
    let (from, into) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&into, BUFFER)?;
    loop {
        let mut held = splice(socket, None, &into, None, BUFFER, SpliceFlags::MOVE)?;
        if held == 0 {
            return Ok(());
        }
        while held > 0 {
            held -= splice(&from, None, file, None, held, SpliceFlags::MOVE)?;
        }
    }
}

fn receive(socket: &mut TcpStream, file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match socket.read(buffer)? {
            0 => return Ok(()),
            length => file.write_all(&buffer[..length])?,
        }
    }
}
