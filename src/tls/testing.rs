//! Certificates and TLS clients for tests, those over real sockets too.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

use super::Tls;

/// An authority, the server's certificate and key in files, and clients who trust it.
pub(crate) struct Pki {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Test Authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pki = Pki {
            authority: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            dir,
        };
        pki.write("ca.pem", certificate.pem());
        let (certificate, key) = pki.issue("localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
        pki.write("cert.pem", certificate.pem());
        pki.write("key.pem", key.serialize_pem());
        pki
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn issue(
        &self,
        name: &str,
        kind: &'static rcgen::SignatureAlgorithm,
    ) -> (rcgen::Certificate, KeyPair) {
        let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls::from_pem_files(self.path("cert.pem"), Some(self.path("key.pem"))).unwrap()
    }

    /// A client's settings; what shares them shares a cache of sessions.
    pub(crate) fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        Arc::new(self.builder(version).with_no_client_auth())
    }

    /// A client who calls itself `name`, by a certificate of the authority.
    pub(crate) fn client_named(
        &self,
        version: &'static SupportedProtocolVersion,
        name: &str,
    ) -> Arc<ClientConfig> {
        let (certificate, key) = self.issue(name, &rcgen::PKCS_ED25519);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let chain = vec![certificate.der().clone()];
        Arc::new(
            self.builder(version)
                .with_client_auth_cert(chain, key)
                .unwrap(),
        )
    }

    fn builder(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
    }
}
