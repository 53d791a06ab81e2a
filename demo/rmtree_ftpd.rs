//! A command of one's own that takes long: SITE RMTREE.
//!
//! It removes a directory with all that is in it, on a worker thread: the client waits for the
//! reply, nobody else does, and ABOR stops it. It cannot leave the user's home, follows no link, and
//! removes nothing that the user may not delete himself.
//!
//! ```sh
//! cargo run --example rmtree_ftpd
//! mkdir -p tree/deep && touch tree/deep/file
//! curl -u user:12345 -Q 'SITE RMTREE tree' ftp://127.0.0.1:2121/ -o /dev/null && ls -d tree
//! ```

use ftpdlib::{Arg, Command, DummyAuthorizer, FtpServer, Perm, Reply, VirtualPath, Work};

const MAX_DEPTH: usize = 256;

fn remove_tree(work: &Work, path: &VirtualPath, depth: usize) -> Result<(), Reply> {
    work.check()?; // ABOR, or the client has left
    let fs = work.filesystem();
    let is_dir = fs.symlink_metadata(path)?.is_dir();
    // An override may keep one directory in the tree.
    if !work.account().perms_on(path, is_dir).contains(Perm::DELETE) {
        return Err(Reply::new(550, format!("Not enough privileges: {path}.")));
    }
    if !is_dir {
        return Ok(fs.remove_file(path)?);
    }
    if depth == MAX_DEPTH {
        return Err(Reply::new(550, "Directory tree too deep."));
    }
    let mut names = Vec::new();
    let mut directory = fs.read_dir(path)?;
    while directory.read_names(1024, &mut names)? {}
    drop(directory); // a deep tree needs no more descriptors than a flat one
    for name in names {
        remove_tree(work, &path.child(&name), depth + 1)?;
    }
    Ok(fs.remove_dir(path)?)
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    let rmtree = Command::site("RMTREE")
        .perm(Perm::DELETE)
        .argument(Arg::Required)
        .help("Syntax: SITE RMTREE <SP> path (remove directory tree).")
        .pooled(|work, path| {
            if path.is_root() {
                return Err(Reply::new(550, "Not the home itself."));
            }
            remove_tree(work, path, 0)?;
            Ok(Reply::new(250, "Directory tree removed."))
        });

    FtpServer::builder()
        .authorizer(users)
        .command(rmtree)
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
