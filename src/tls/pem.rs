//! Certificates and keys out of PEM files (RFC 7468), with an error a person can act on for every
//! way in which such files tend to be wrong.

use std::fs;
use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// A file of certificates and a key is some KiB; what is larger is something else.
const MAX_FILE: u64 = 1024 * 1024;

/// The server's chain and its key, from one file or two.
pub(super) fn certified_key(
    provider: &CryptoProvider,
    certfile: &Path,
    keyfile: &Path,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(certfile)?;
    let key = provider
        .key_provider
        .load_private_key(private_key(keyfile)?)
        .map_err(|error| {
            let text = "the private key is of a kind that cannot be used; use RSA with 2048 to \
                        8192 bits, ECDSA with P-256, P-384 or P-521, or Ed25519";
            TlsError::file(keyfile, text).because(error)
        })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let text = format!(
                "the first certificate does not belong to the private key in {}; put the \
                 server's own certificate first, and give its key",
                keyfile.display()
            );
            Err(TlsError::file(certfile, text))
        }
        Err(error) => {
            let text = format!("the first certificate cannot be used ({error})");
            Err(TlsError::file(certfile, text).because(error))
        }
    }
}

/// The authorities that client certificates are checked against.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| {
            let text = format!("a certificate cannot be used as an authority ({error})");
            TlsError::file(file, text).because(error)
        })?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let mut found = Vec::new();
    for section in CertificateDer::pem_slice_iter(&text) {
        found.push(section.map_err(|error| broken(file, error))?);
    }
    if found.is_empty() {
        let text = "there is no certificate in it; a PEM file with BEGIN CERTIFICATE is needed";
        return Err(TlsError::file(file, text));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(file)?;
    if is_encrypted(&text) {
        let text = "the private key is encrypted; store it without a passphrase (openssl pkey \
                    -in KEY -out NEW) and let only the server read it";
        return Err(TlsError::file(file, text));
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&text) {
        let (kind, der) = section.map_err(|error| broken(file, error))?;
        match kind {
            SectionKind::RsaPrivateKey => return Ok(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => return Ok(PrivateKeyDer::Sec1(der.into())),
            SectionKind::PrivateKey => return Ok(PrivateKeyDer::Pkcs8(der.into())),
            _ => {}
        }
    }
    let text = "there is no private key in it; give the key's own PEM file, or append the key";
    Err(TlsError::file(file, text))
}

/// PKCS#8's own way to encrypt, and the older one with headers.
fn is_encrypted(text: &[u8]) -> bool {
    let has = |what: &[u8]| text.windows(what.len()).any(|window| window == what);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let cannot = |error: io::Error| {
        let text = format!("cannot read it ({error}); a PEM file is needed");
        TlsError::file(file, text).because(error)
    };
    let meta = fs::metadata(file).map_err(cannot)?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(TlsError::file(file, "it is no PEM file"));
    }
    let text = fs::read(file).map_err(cannot)?;
    if text.is_empty() {
        return Err(TlsError::file(file, "it is empty; a PEM file is needed"));
    }
    Ok(text)
}

fn broken(file: &Path, error: rustls::pki_types::pem::Error) -> TlsError {
    TlsError::file(file, format!("it is no well-formed PEM file ({error})")).because(error)
}
