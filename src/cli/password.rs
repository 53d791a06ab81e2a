//! `--hash-password`: a password in, its hash for a user file out.

use std::io::{self, BufRead, IsTerminal, Read};

use ftpdlib::PasswordHash;
use zeroize::Zeroizing;

use super::output::{Failure, print};

/// What a client can send.
const LONGEST: usize = 4096;

/// Asks on the terminal, twice and without echo, or takes the first line of standard input.
pub(super) fn hash() -> Result<(), Failure> {
    let stdin = io::stdin();
    let password = match stdin.is_terminal() {
        true => asked()?,
        false => first_line(&mut stdin.lock()).map_err(|error| unreadable(&error))?,
    };
    if password.is_empty() {
        return Err(Failure::System("the password is empty".to_owned()));
    }
    if password.len() > LONGEST {
        let text = format!("the password is longer than {LONGEST} bytes, which no client can send");
        return Err(Failure::System(text));
    }
    let hash = PasswordHash::new(&password).map_err(|error| Failure::System(error.to_string()))?;
    print(&format!("{hash}\n"))
}

fn asked() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(|text| Zeroizing::new(text.into_bytes()))
            .map_err(|error| unreadable(&error))
    };
    let (first, second) = (ask("Password: ")?, ask("The same again: ")?);
    match first == second {
        true => Ok(first),
        false => Err(Failure::System("the two passwords differ".to_owned())),
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::System(format!("cannot read the password: {error}"))
}

/// The line without its end; of one that is too long, enough to tell.
fn first_line(input: &mut impl BufRead) -> io::Result<Zeroizing<Vec<u8>>> {
    // So large that it need not move, which would leave a copy.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    let mut limited = input.take(LONGEST as u64 + 3);
    limited.read_until(b'\n', &mut line)?;
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8]) -> Vec<u8> {
        first_line(&mut input).unwrap().to_vec()
    }

    #[test]
    fn the_first_line_is_taken_as_it_is() {
        for (input, line) in [
            (&b""[..], &b""[..]),
            (b"secret", b"secret"),
            (b"secret\n", b"secret"),
            (b"secret\r\nmore\n", b"secret"),
            (b" a b \xFF\0\r\r\n", b" a b \xFF\0\r"),
            (b"\n", b""),
        ] {
            assert_eq!(read(input), line, "{input:?}");
        }
        assert_eq!(read(&[b'x'; 4096]).len(), LONGEST);
        assert!(read(&[b'x'; 100_000]).len() > LONGEST);
        assert_eq!(read(&[&[b'x'; 4096][..], b"\r\n"].concat()).len(), LONGEST);
    }
}
