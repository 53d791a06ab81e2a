//! The commands: one row each.

use std::borrow::Cow;

use super::table::{Argument, Marks, Row, Run, Table};
use super::{data, digest, files, info, login, secure, service, transfer};
use crate::proto::command::{Arg, is_ls_option, strip_ls_options};
use crate::proto::perm::Perm;

const EXACT: Argument = Argument {
    default: b"",
    otherwise: |_| None,
};
const FOLDER: Argument = Argument {
    default: b"",
    otherwise: without_trailing_blanks,
};
const CHANGE_TO: Argument = Argument {
    default: b"/",
    otherwise: without_trailing_blanks,
};
const PARENT: Argument = Argument {
    default: b"..",
    otherwise: |_| None,
};
const LS: Argument = Argument {
    default: b"",
    otherwise: without_ls_options,
};

fn without_trailing_blanks(arg: &[u8]) -> Option<&[u8]> {
    let trimmed = arg.trim_ascii_end();
    (trimmed.len() < arg.len()).then_some(trimmed)
}

fn without_ls_options(arg: &[u8]) -> Option<&[u8]> {
    let rest = strip_ls_options(arg);
    (is_ls_option(arg) || rest.len() < arg.len()).then_some(rest)
}

macro_rules! rows {
    ($($name:literal $perm:ident $login:ident $arg:ident $run:expr, $help:literal $(, feat $feat:literal)? $(, @$flag:ident)* ;)*) => {
        &[$(Row {
            name: Cow::Borrowed($name),
            perm: Perm::$perm,
            login: rows!(@login $login),
            arg: Arg::$arg,
            help: Cow::Borrowed($help),
            feat: rows!(@feat $($feat)?),
            logged: false $(|| rows!(@logged $flag))*,
            // PASS is known by its name, however it is misspelt.
            secret: false,
            marks: rows!(@marks $($flag)*),
            run: $run,
        },)*]
    };
    (@login auth) => { true };
    (@login free) => { false };
    (@feat) => { None };
    (@feat $feat:literal) => { Some(Cow::Borrowed($feat)) };
    (@logged logged) => { true };
    (@logged $other:ident) => { false };
    (@marks) => { Marks::Forgets };
    (@marks logged) => { Marks::Forgets };
    (@marks keeps) => { Marks::Keeps };
    (@marks takes) => { Marks::Takes };
}

#[rustfmt::skip]
const ROWS: &[Row] = {
    use Run::{Asks, Path, Plain, WordPath};
    rows! {
    "ABOR" NONE free None Plain(transfer::abor), "Syntax: ABOR (abort transfer).";
    "ALLO" NONE auth Required Plain(service::allo), "Syntax: ALLO <SP> bytes (declare the size of the next upload).", @keeps;
    "APPE" APPEND auth Required Path(EXACT, service::appe), "Syntax: APPE <SP> file-name (append data to file).", @takes;
    "CDUP" CWD auth None Path(PARENT, files::cwd), "Syntax: CDUP (go to parent directory).";
    "CLNT" NONE free Optional Plain(info::clnt), "Syntax: CLNT [<SP> client-name] (noop; name the client).", feat "CLNT";
    "CWD" CWD auth Optional Path(CHANGE_TO, files::cwd), "Syntax: CWD [<SP> dir-name] (change working directory).", @logged;
    "DELE" DELETE auth Required Path(EXACT, files::dele), "Syntax: DELE <SP> file-name (delete file).", @logged;
    "EPRT" NONE auth Required Plain(data::eprt), "Syntax: EPRT <SP> |proto|ip|port| (extended active mode).", feat "EPRT", @keeps;
    "EPSV" NONE auth Optional Plain(data::epsv), "Syntax: EPSV [<SP> proto/\"ALL\"] (extended passive mode).", feat "EPSV", @keeps;
    "FEAT" NONE free None Asks(info::feat), "Syntax: FEAT (list all new features supported).";
    "HELP" NONE free Optional Asks(info::help), "Syntax: HELP [<SP> cmd] (show help).";
    "LIST" LIST auth Optional Path(LS, service::list), "Syntax: LIST [<SP> path] (list files).", @takes;
    "MDTM" LIST auth Required Plain(files::mdtm), "Syntax: MDTM <SP> [timeval <SP>] path (file last modification time).", feat "MDTM";
    "MFMT" MTIME auth Required WordPath(files::mfmt), "Syntax: MFMT <SP> timeval <SP> path (set file last modification time).", feat "MFMT", @logged;
    "MKD" MKDIR auth Required Path(EXACT, files::mkd), "Syntax: MKD <SP> path (create directory).", @logged;
    "MLSD" LIST auth Optional Path(FOLDER, service::mlsd), "Syntax: MLSD [<SP> path] (list directory).", @takes;
    "MLST" LIST auth Optional Path(EXACT, files::mlst), "Syntax: MLST [<SP> path] (show information about path).";
    "MODE" NONE auth Required Plain(info::mode), "Syntax: MODE <SP> mode (noop; set data transfer mode).", @keeps;
    "NLST" LIST auth Optional Path(LS, service::nlst), "Syntax: NLST [<SP> path] (list path in a compact form).", @takes;
    "NOOP" NONE free None Plain(info::noop), "Syntax: NOOP (just do nothing).", @keeps;
    "OPTS" NONE free Required Asks(info::opts), "Syntax: OPTS <SP> cmd [<SP> option] (set option for command).";
    "PASS" NONE free Optional Plain(login::pass), "Syntax: PASS [<SP> password] (set user password).";
    "PASV" NONE auth None Plain(data::pasv), "Syntax: PASV (open passive data connection).", @keeps;
    "PORT" NONE auth Required Plain(data::port), "Syntax: PORT <SP> h,h,h,h,p,p (open active data connection).", @keeps;
    "PWD" NONE auth None Plain(files::pwd), "Syntax: PWD (get current working directory).";
    "QUIT" NONE free None Plain(login::quit), "Syntax: QUIT (quit current session).";
    "REIN" NONE auth None Plain(login::rein), "Syntax: REIN (flush account).", @logged;
    "REST" NONE auth Required Plain(service::rest), "Syntax: REST <SP> offset (set file offset).", feat "REST STREAM", @keeps;
    "RETR" READ auth Required Path(EXACT, service::retr), "Syntax: RETR <SP> file-name (retrieve a file).", @takes;
    "RMD" DELETE auth Required Path(EXACT, files::rmd), "Syntax: RMD <SP> dir-name (remove directory).", @logged;
    "RNFR" RENAME auth Required Path(EXACT, files::rnfr), "Syntax: RNFR <SP> file-name (rename (source name)).", @logged;
    "RNTO" RENAME auth Required Path(EXACT, files::rnto), "Syntax: RNTO <SP> file-name (rename (destination name)).", @logged;
    "SITE" NONE free Required Plain(info::site), "Syntax: SITE <SP> site-command (execute SITE command).";
    "SITE CHMOD" CHMOD auth Required WordPath(files::site_chmod), "Syntax: SITE CHMOD <SP> mode path (change file mode).", @logged;
    "SITE HELP" NONE free Optional Asks(info::site_help), "Syntax: SITE HELP [<SP> cmd] (show SITE command help).";
    "SITE UTIME" MTIME auth Required Plain(files::site_utime), "Syntax: SITE UTIME <SP> timeval path, or path atime mtime ctime UTC.", @logged;
    "SIZE" LIST auth Required Path(EXACT, files::size), "Syntax: SIZE <SP> file-name (get file size).", feat "SIZE";
    "STAT" LIST free Optional Plain(info::stat), "Syntax: STAT [<SP> path name] (server stats [list files]).";
    "STOR" WRITE auth Required Path(EXACT, service::stor), "Syntax: STOR <SP> file-name (store a file).", @takes;
    "STOU" WRITE auth Optional Plain(service::stou), "Syntax: STOU [<SP> name] (store a file with a unique name).", @takes;
    "STRU" NONE auth Required Plain(info::stru), "Syntax: STRU <SP> type (noop; set file structure).", @keeps;
    "SYST" NONE free None Plain(info::syst), "Syntax: SYST (get operating system type).";
    "TYPE" NONE auth Required Plain(info::type_), "Syntax: TYPE <SP> [A | I] (set transfer type).", @keeps;
    "USER" NONE free Required Plain(login::user), "Syntax: USER <SP> user-name (set username).";
    "XCUP" CWD auth None Path(PARENT, files::cwd), "Syntax: XCUP (obsolete; go to parent directory).";
    "XCWD" CWD auth Optional Path(CHANGE_TO, files::cwd), "Syntax: XCWD [<SP> dir-name] (obsolete; change directory).", @logged;
    "XMKD" MKDIR auth Required Path(EXACT, files::mkd), "Syntax: XMKD <SP> dir-name (obsolete; create directory).", @logged;
    "XPWD" NONE auth None Plain(files::pwd), "Syntax: XPWD (obsolete; get current dir).";
    "XRMD" DELETE auth Required Path(EXACT, files::rmd), "Syntax: XRMD <SP> dir-name (obsolete; remove directory).", @logged;
    }
};

/// Of servers that hash files for their clients.
#[rustfmt::skip]
const HASH_ROWS: &[Row] = {
    use Run::Plain;
    rows! {
    "HASH" READ auth Required Plain(digest::hash), "Syntax: HASH <SP> file-name (digest of a file; OPTS HASH chooses the algorithm).", @logged;
    "XCRC" READ auth Required Plain(digest::xcrc), "Syntax: XCRC <SP> file-name [<SP> start [<SP> end]] (CRC-32 of a file).", feat "XCRC", @logged;
    "XMD5" READ auth Required Plain(digest::xmd5), "Syntax: XMD5 <SP> file-name [<SP> start [<SP> end]] (MD5 of a file).", feat "XMD5", @logged;
    "XSHA1" READ auth Required Plain(digest::xsha1), "Syntax: XSHA1 <SP> file-name [<SP> start [<SP> end]] (SHA-1 of a file).", feat "XSHA1", @logged;
    "XSHA256" READ auth Required Plain(digest::xsha256), "Syntax: XSHA256 <SP> file-name [<SP> start [<SP> end]] (SHA-256 of a file).", feat "XSHA256", @logged;
    "XSHA512" READ auth Required Plain(digest::xsha512), "Syntax: XSHA512 <SP> file-name [<SP> start [<SP> end]] (SHA-512 of a file).", feat "XSHA512", @logged;
    }
};

/// Of servers that have a certificate.
#[rustfmt::skip]
const TLS_ROWS: &[Row] = {
    use Run::Plain;
    rows! {
    "AUTH" NONE free Required Plain(secure::auth), "Syntax: AUTH <SP> TLS|SSL (set up secure control channel).", feat "AUTH TLS", @logged;
    "CCC" NONE free None Plain(secure::ccc), "Syntax: CCC (refused; the control channel stays secure).";
    "PBSZ" NONE free Required Plain(secure::pbsz), "Syntax: PBSZ <SP> 0 (negotiate TLS buffer).", feat "PBSZ";
    "PROT" NONE free Required Plain(secure::prot), "Syntax: PROT <SP> [C|P] (set up un/secure data channel).", feat "PROT", @logged;
    }
};

impl Default for Table {
    fn default() -> Self {
        let mut table = Table::of(ROWS.to_vec());
        table.add_hashes();
        table
    }
}

impl Table {
    /// Adds the digests of files, which a new table has.
    pub(crate) fn add_hashes(&mut self) {
        for row in HASH_ROWS {
            self.add(row.clone());
        }
    }

    /// Takes them out.
    pub(crate) fn remove_hashes(&mut self) {
        let is_one = |row: &Row| HASH_ROWS.iter().any(|hash| hash.name == row.name);
        self.change(|rows| rows.retain(|row| !is_one(row)));
    }

    /// Adds the commands of FTPS.
    pub(crate) fn add_tls(&mut self) {
        for row in TLS_ROWS {
            self.add(row.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::verb::Verb;

    #[test]
    fn rows_are_sorted_and_unique_and_their_help_names_them() {
        let mut table = Table::default();
        assert!(table.find(&Verb::upper(b"AUTH")).is_none());
        table.add_tls();
        assert!(
            table
                .rows()
                .windows(2)
                .all(|pair| pair[0].name < pair[1].name)
        );
        for row in table.rows() {
            let syntax = format!("Syntax: {}", row.name);
            assert!(row.help.starts_with(&syntax), "{}", row.help);
            assert!(std::ptr::eq(
                table.find(&Verb::upper(row.name.as_bytes())).unwrap(),
                row
            ));
        }
        for name in [
            "",
            "GET",
            "SITE C",
            "SITE CHM",
            "SITE CHMODE",
            "XSHA",
            "ZZZZZZZZZ",
        ] {
            assert!(
                table.find(&Verb::upper(name.as_bytes())).is_none(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_table_of_any_size_finds_its_rows_and_no_others() {
        let mut table = Table::default();
        let known = table.find(&Verb::upper(b"NOOP")).unwrap().clone();
        let name = |number: u32| format!("SITE X{number}");
        for number in 0..300 {
            let name = name(number).into();
            let row = known.clone();
            table.add(Row { name, ..row });
        }
        for number in 0..600 {
            let found = table.find(&Verb::upper(name(number).as_bytes()));
            assert_eq!(found.is_some(), number < 300, "{number}");
            assert!(found.is_none_or(|row| row.name == name(number)));
        }
    }

    #[test]
    fn other_readings_of_an_argument() {
        assert_eq!((LS.otherwise)(b"-la"), Some(&b""[..]));
        assert_eq!((LS.otherwise)(b"-la docs"), Some(&b"docs"[..]));
        assert_eq!((LS.otherwise)(b"docs"), None);
        assert_eq!((FOLDER.otherwise)(b"docs "), Some(&b"docs"[..]));
        assert_eq!((FOLDER.otherwise)(b" docs"), None);
    }
}
