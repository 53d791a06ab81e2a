//! A face for the reader of user files.

#[path = "../../../../src/auth/file/lines.rs"]
mod lines;

/// Each user's name and home, or the number of each bad line and what is wrong with it.
pub fn parse(file: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Vec<(usize, String)>> {
    let shown = |line: lines::Line| {
        let home = line.home.as_os_str().as_encoded_bytes().to_vec();
        (line.name, home)
    };
    match lines::parse(file) {
        Ok(users) => Ok(users.into_iter().map(shown).collect()),
        Err(faults) => Err(faults
            .into_iter()
            .map(|fault| (fault.number, fault.what))
            .collect()),
    }
}
