//! What the system calls of an FTP server cost by themselves: the floor under every comparison.
//!
//! Not a server: one client after the other, fixed answers to the words that `ftpbench` says, no
//! checks, no event loop. `bare_loops MODE`, where the mode is how bytes move: `sendfile` out,
//! `splice` in through a pipe, or a `readwrite` loop in. The files and the address come from the
//! environment, as for the other scripts of this folder.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use rustix::fs::sendfile;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much one call moves.
const BUFFER: usize = 256 << 10;

fn main() -> io::Result<()> {
    let mode = env::args().nth(1).unwrap_or_default();
    let variable =
        |name: &str| env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")));
    let (address, port) = (variable("BENCH_ADDRESS")?, variable("BENCH_PORT")?);
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let files = PathBuf::from(variable("BENCH_HOME")?).join("files");
    let control = TcpListener::bind((address.as_str(), port))?;
    let data = TcpListener::bind((address.as_str(), 0))?;
    let mut buffer = vec![0; BUFFER];
    for client in control.incoming() {
        // A client that goes in mid-sentence ends its own run only.
        if let Err(error) = serve(client?, &data, &mode, &files, &mut buffer) {
            eprintln!("bare_loops: {error}");
        }
    }
    Ok(())
}

fn serve(
    mut client: TcpStream,
    data: &TcpListener,
    mode: &str,
    files: &Path,
    buffer: &mut [u8],
) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(b"220 .\r\n")?;
    let mut line = [0; 512];
    loop {
        let length = client.read(&mut line)?;
        let Some(text) = line[..length].strip_suffix(b"\r\n") else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(text);
        let (word, name) = text.split_once(' ').unwrap_or((&text, ""));
        let path = files.join(name);
        match word {
            "USER" => client.write_all(b"331 .\r\n")?,
            "PASS" => client.write_all(b"230 .\r\n")?,
            "CWD" => client.write_all(b"250 .\r\n")?,
            "QUIT" => return client.write_all(b"221 .\r\n"),
            "EPSV" => write!(client, "229 (|||{}|)\r\n", data.local_addr()?.port())?,
            "DELE" => {
                fs::remove_file(path)?;
                client.write_all(b"250 .\r\n")?;
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
