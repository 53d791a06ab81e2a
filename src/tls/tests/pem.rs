//! Every way in which a certificate's files can be right or wrong.

use std::process::Command;

use super::*;

fn error(certfile: impl AsRef<Path>, keyfile: Option<PathBuf>) -> String {
    let error = Tls::from_pem_files(certfile, keyfile)
        .map(drop)
        .unwrap_err();
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

/// Keys that rcgen does not make, and other forms of them.
fn openssl(pki: &Pki, args: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    let dir = pki.path("");
    match command.args(args).current_dir(dir).output() {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
        Err(_) => false,
    }
}

#[test]
fn keys_of_every_kind_and_form_are_taken() {
    let pki = Pki::new();
    for kind in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let (certificate, key) = pki.issue("localhost", kind);
        let both = pki.write("both.pem", certificate.pem() + &key.serialize_pem());
        Tls::from_pem_files(&both, None::<&Path>).unwrap();
        // The key may stand first, and there may be text between.
        let turned = format!("{}\nSome text.\n{}", key.serialize_pem(), certificate.pem());
        let turned = pki.write("turned.pem", turned.replace('\n', "\r\n"));
        Tls::from_pem_files(&turned, Some(&turned)).unwrap();
    }
    let make = "req -x509 -nodes -days 2 -subj /CN=x -out c.pem -keyout k.pem -newkey";
    let make: Vec<&str> = make.split(' ').collect();
    for (kind, convert) in [
        (&["rsa:2048"][..], "pkey -in k.pem -traditional -out t.pem"),
        (
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
            "ec -in k.pem -out t.pem",
        ),
    ] {
        if !openssl(&pki, &[&make[..], kind].concat()) {
            return;
        }
        openssl(&pki, &convert.split(' ').collect::<Vec<_>>());
        let traditional = std::fs::read_to_string(pki.path("t.pem")).unwrap();
        assert!(!traditional.contains("BEGIN PRIVATE KEY"), "{traditional}");
        Tls::from_pem_files(pki.path("c.pem"), Some(pki.path("t.pem"))).unwrap();
        Tls::from_pem_files(pki.path("c.pem"), Some(pki.path("k.pem"))).unwrap();
    }
    for convert in [
        "pkey -in k.pem -aes256 -passout pass:x -out e.pem",
        "ec -in k.pem -aes256 -passout pass:x -out e.pem",
    ] {
        openssl(&pki, &convert.split(' ').collect::<Vec<_>>());
        let text = error(pki.path("c.pem"), Some(pki.path("e.pem")));
        assert!(
            text.contains("e.pem") && text.contains("encrypted"),
            "{text}"
        );
    }
    openssl(&pki, &[&make[..], &["rsa:1024"]].concat());
    let text = error(pki.path("c.pem"), Some(pki.path("k.pem")));
    assert!(
        text.contains("k.pem") && text.contains("RSA with 2048"),
        "{text}"
    );
}

#[test]
fn wrong_files_are_told_apart() {
    let pki = Pki::new();
    let (cert, key) = (pki.path("cert.pem"), pki.path("key.pem"));
    let text = error(pki.path("none.pem"), None);
    assert!(text.contains("none.pem: cannot read it"), "{text}");
    let text = error(&cert, Some(pki.path("none.pem")));
    assert!(text.contains("none.pem: cannot read it"), "{text}");
    let text = error(pki.path(""), Some(key.clone()));
    assert!(text.contains("no PEM file"), "{text}");
    let text = error(pki.write("empty.pem", ""), Some(key.clone()));
    assert!(text.contains("empty.pem: it is empty"), "{text}");
    let text = error(&key, Some(key.clone()));
    assert!(text.contains("no certificate in it"), "{text}");
    let text = error(&cert, None);
    assert!(text.contains("cert.pem: there is no private key"), "{text}");
    let text = error(
        pki.write("der.pem", [0x30, 0x82, 0xFF, 0]),
        Some(key.clone()),
    );
    assert!(text.contains("no certificate in it"), "{text}");
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let text = error(pki.write("broken.pem", broken), Some(key.clone()));
    assert!(
        text.contains("broken.pem: it is no well-formed PEM"),
        "{text}"
    );
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let text = error(pki.write("nonsense.pem", nonsense), Some(key.clone()));
    assert!(
        text.contains("nonsense.pem: the first certificate cannot"),
        "{text}"
    );

    // Somebody else's key, and a chain in the wrong order.
    let (_, other) = pki.issue("other", &rcgen::PKCS_ECDSA_P256_SHA256);
    let other = pki.write("other.pem", other.serialize_pem());
    let text = error(&cert, Some(other));
    assert!(
        text.contains("does not belong") && text.contains("other.pem"),
        "{text}"
    );
    let own = std::fs::read_to_string(&cert).unwrap();
    let authority = std::fs::read_to_string(pki.path("ca.pem")).unwrap();
    let turned = pki.write("turned.pem", authority.clone() + &own);
    let text = error(turned, Some(key.clone()));
    assert!(text.contains("does not belong"), "{text}");
    Tls::from_pem_files(pki.write("chain.pem", own + &authority), Some(key)).unwrap();

    let refused = pki
        .tls()
        .client_ca(pki.path("key.pem"))
        .map(drop)
        .unwrap_err();
    assert!(refused.to_string().contains("no certificate"), "{refused}");
}
