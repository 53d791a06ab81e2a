//! The table of flags: parser, `--help` and the tables of `docs/cli.md` come from it or are
//! compared with it. A default in it is parsed as if it had been given.

use getopts::{HasArg, Occur};

/// One flag.
pub(super) struct Flag {
    /// Its letter, or nothing.
    short: &'static str,
    /// Its name without the dashes.
    pub(super) long: &'static str,
    /// What its value is called; empty for a switch.
    value: &'static str,
    /// The value when it is not given; empty when that is no value but a rule told in `help`.
    pub(super) default: &'static str,
    help: &'static str,
}

/// Flags that belong together.
pub(super) struct Group {
    title: &'static str,
    flags: &'static [Flag],
}

const fn switch(short: &'static str, long: &'static str, help: &'static str) -> Flag {
    Flag {
        short,
        long,
        value: "",
        default: "",
        help,
    }
}

const fn value(
    short: &'static str,
    long: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        short,
        long,
        value,
        default,
        help,
    }
}

pub(super) const GROUPS: [Group; 4] = [
    Group {
        title: "Main options",
        flags: &[
            value(
                "i",
                "interface",
                "ADDRESS",
                "",
                "address or host name to listen on (default: all interfaces, IPv6 and IPv4)",
            ),
            value(
                "p",
                "port",
                "PORT",
                "2121",
                "TCP port to listen on, 0 = a free one",
            ),
            value(
                "d",
                "directory",
                "PATH",
                "",
                "directory to share (default: the current directory)",
            ),
            switch(
                "w",
                "write",
                "let the user change files (default: read-only)",
            ),
            value(
                "u",
                "username",
                "NAME",
                "",
                "user who may log in; needs --password, and switches anonymous off",
            ),
            value("P", "password", "PASSWORD", "", "password of that user"),
            switch(
                "",
                "anonymous",
                "besides that user let anonymous in, always read-only",
            ),
            value(
                "",
                "users",
                "FILE",
                "",
                "users with their password hashes, homes and permissions, one a line; read \
                 again on SIGHUP",
            ),
            switch(
                "",
                "hash-password",
                "print the hash of a password for --users; asks for it, or reads a line of \
                 standard input",
            ),
            value(
                "n",
                "nat-address",
                "ADDRESS",
                "",
                "public IPv4 address or host name, told to clients for passive connections when \
                 the server is behind a NAT",
            ),
            value(
                "",
                "masquerade-map",
                "PRIVATE=PUBLIC",
                "",
                "like --nat-address, for clients that reach the server at address PRIVATE; may \
                 be repeated",
            ),
            value(
                "r",
                "range",
                "FROM-TO",
                "",
                "ports for passive connections, such as 60000-60100 (default: any free port)",
            ),
            switch("D", "debug", "log every command and reply"),
            value(
                "",
                "concurrency",
                "MODEL",
                "async",
                "how clients are served: async (one thread for all), multi-thread (a thread each), \
                 multi-proc (a process each) or pre-fork (--workers processes)",
            ),
            value(
                "",
                "workers",
                "N",
                "",
                "number of worker processes; needs --concurrency pre-fork (default: as many as \
                 processors)",
            ),
        ],
    },
    Group {
        title: "TLS options (all of them need --tls)",
        flags: &[
            switch("", "tls", "offer FTPS (FTP over TLS); needs --certfile"),
            value(
                "",
                "certfile",
                "PATH",
                "",
                "the certificate chain, PEM, the server's own certificate first",
            ),
            value(
                "",
                "keyfile",
                "PATH",
                "",
                "the private key, PEM, unencrypted (default: it is in the --certfile)",
            ),
            switch("", "tls-control-required", "refuse to log in without TLS"),
            switch(
                "",
                "tls-data-required",
                "refuse data connections without TLS",
            ),
            switch(
                "",
                "tls-implicit",
                "begin with TLS instead of AUTH TLS (usually on port 990)",
            ),
            value(
                "",
                "tls-session-reuse",
                "MODE",
                "off",
                "require: a data connection must resume the TLS session of its control \
                 connection, or off",
            ),
            value(
                "",
                "tls-client-ca",
                "PATH",
                "",
                "ask clients for a certificate and check it against these authorities, PEM; a \
                 client without one is let in still",
            ),
            switch(
                "",
                "tls-allow-truncated-uploads",
                "take an upload for complete that ends without TLS's own end, for clients that \
                 know no better",
            ),
        ],
    },
    Group {
        title: "Limits and timeouts (0 = none; SECS may have a fraction)",
        flags: &[
            value(
                "",
                "max-cons",
                "N",
                "512",
                "connections at once: the listening socket, control and data connections \
                 together",
            ),
            value(
                "",
                "max-cons-per-ip",
                "N",
                "0",
                "clients at once from one address, or from one IPv6 network of 64 bits",
            ),
            value(
                "",
                "max-cons-per-user",
                "N",
                "0",
                "sessions of one user at most",
            ),
            value(
                "",
                "max-login-attempts",
                "N",
                "3",
                "failed logins after which the client is disconnected",
            ),
            value(
                "",
                "ban-after",
                "N",
                "20",
                "failed logins within --ban-time that get an address banned",
            ),
            value(
                "",
                "ban-time",
                "SECS",
                "600",
                "how long an address is banned",
            ),
            value(
                "",
                "timeout",
                "SECS",
                "300",
                "how long a client may be idle",
            ),
            value(
                "",
                "data-timeout",
                "SECS",
                "",
                "how long a transfer may stall (default: as --timeout)",
            ),
            value(
                "",
                "passive-timeout",
                "SECS",
                "30",
                "how long to wait for the client's data connection",
            ),
            value(
                "",
                "active-timeout",
                "SECS",
                "30",
                "how long to try to open a data connection to the client",
            ),
            value(
                "",
                "auth-failed-timeout",
                "SECS",
                "3",
                "delay before a failed login is answered",
            ),
            value(
                "",
                "read-limit",
                "BYTES",
                "0",
                "bytes per second to receive from one client",
            ),
            value(
                "",
                "write-limit",
                "BYTES",
                "0",
                "bytes per second to send to one client",
            ),
            value(
                "",
                "grace",
                "SECS",
                "10",
                "how long transfers may go on after SIGTERM or SIGINT",
            ),
        ],
    },
    Group {
        title: "Other options",
        flags: &[
            value(
                "",
                "banner",
                "TEXT",
                "",
                "greeting of clients (default: ftpdlib VERSION ready.)",
            ),
            switch(
                "",
                "permit-foreign-addresses",
                "let data connections go to and come from other addresses than the client's (FXP)",
            ),
            switch(
                "",
                "permit-privileged-ports",
                "let clients name ports below 1024 for active connections",
            ),
            value(
                "",
                "encoding",
                "NAME",
                "utf-8",
                "encoding of names and texts towards clients: utf-8 or latin-1",
            ),
            switch(
                "",
                "use-localtime",
                "list files with local time (default: GMT)",
            ),
            switch(
                "",
                "disable-sendfile",
                "do not use sendfile(2) for downloads",
            ),
            switch(
                "",
                "atomic-uploads",
                "give an upload its name only when all of it has come; until then it is hidden",
            ),
            switch(
                "",
                "keep-partial",
                "keep what came of an upload that was cut off, for REST; needs --atomic-uploads",
            ),
            switch(
                "",
                "no-overwrite",
                "refuse to replace files, by STOR or by renaming",
            ),
            value(
                "",
                "umask",
                "OCTAL",
                "",
                "permissions that new files and folders do not get, such as 027 (default: the \
                 process's own)",
            ),
            switch(
                "",
                "disable-hashes",
                "do not offer digests of files (HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512)",
            ),
            switch("V", "version", "print the version"),
            switch("h", "help", "print this help"),
        ],
    },
];

/// Every flag of the table.
pub(super) fn all() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// A parser of `flags`. As with pyftpdlib, each may be repeated and the last one counts.
pub(super) fn parser(flags: impl IntoIterator<Item = &'static Flag>) -> getopts::Options {
    let mut parser = getopts::Options::new();
    for flag in flags {
        let has_arg = if flag.value.is_empty() {
            HasArg::No
        } else {
            HasArg::Yes
        };
        let help = match flag.default {
            "" => flag.help.to_owned(),
            default => format!("{} (default: {default})", flag.help),
        };
        parser.opt(
            flag.short,
            flag.long,
            &help,
            flag.value,
            has_arg,
            Occur::Multi,
        );
    }
    parser
}

/// The text of `--help`.
pub(super) fn help() -> String {
    let mut text = "Usage: ftpdlib [options]\n\n\
        Share a directory over FTP. Without options: the current one, read-only, with\n\
        anyone (user \"anonymous\"), on port 2121.\n"
        .to_owned();
    for group in &GROUPS {
        let rows =
            parser(group.flags).usage_with_format(|rows| rows.collect::<Vec<_>>().join("\n"));
        text.push_str(&format!("\n{}:\n", group.title));
        for line in rows.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text.push_str(
        "\nExamples:\n    \
         ftpdlib -w                          anyone may read and write here\n    \
         ftpdlib -u bob -P secret -d /srv    one user, another directory, read-only\n    \
         ftpdlib --users /etc/ftpdlib/users  many users, each with a home of his own\n    \
         ftpdlib -n ftp.example.com -r 60000-60100    behind a router\n\n\
         RUST_LOG (such as ftpdlib=debug) chooses what is logged, NO_COLOR switches\n\
         colours off. Exit status: 0 fine, 1 the system refused, 2 wrong usage.\n",
    );
    text
}

#[cfg(test)]
mod tests;
