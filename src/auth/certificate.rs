//! Who a client's certificate speaks of: its subject, read from the DER (X.509, RFC 5280).
//!
//! The chain was checked before; this only takes the name out, for authorizers and logs.

use std::fmt::Write as _;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const VERSION: u8 = 0xA0;
const BMP_STRING: u8 = 0x1E;

/// A client's certificate, checked against [`Tls::client_ca`](crate::Tls::client_ca).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Vec<u8>,
    subject: Vec<(String, String)>,
}

impl ClientCertificate {
    /// From a certificate that was checked; `None` when it is none.
    pub(crate) fn new(der: &[u8]) -> Option<ClientCertificate> {
        Some(ClientCertificate {
            der: der.to_vec(),
            subject: subject(der)?,
        })
    }

    /// The distinguished name, the most special part first, as in `CN=alice,O=Example` (RFC 4514).
    pub fn subject(&self) -> String {
        let parts = self
            .subject
            .iter()
            .rev()
            .map(|(kind, value)| format!("{kind}={}", escaped(value)));
        parts.collect::<Vec<_>>().join(",")
    }

    /// The common name of the subject, the last if there are several.
    pub fn common_name(&self) -> Option<&str> {
        let found = self.subject.iter().rev().find(|(kind, _)| kind == "CN");
        found.map(|(_, value)| value.as_str())
    }

    /// The certificate itself, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// One element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (
                bytes
                    .iter()
                    .fold(0, |len, &byte| len << 8 | usize::from(byte)),
                rest,
            )
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Kinds and values of the subject's parts, in the certificate's order.
fn subject(certificate: &[u8]) -> Option<Vec<(String, String)>> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        (_, _, fields) = element(fields)?;
    }
    let (mut names, _) = expect(fields, SEQUENCE)?;
    let mut parts = Vec::new();
    while !names.is_empty() {
        let (mut set, rest) = expect(names, SET)?;
        names = rest;
        while !set.is_empty() {
            let (part, rest) = expect(set, SEQUENCE)?;
            set = rest;
            let (oid, value) = expect(part, OID)?;
            let (tag, value, _) = element(value)?;
            parts.push((kind(oid), text(tag, value)));
        }
    }
    Some(parts)
}

/// The short name of an attribute, or its dotted number.
fn kind(oid: &[u8]) -> String {
    let name = match oid {
        [0x55, 0x04, 3] => "CN",
        [0x55, 0x04, 4] => "SN",
        [0x55, 0x04, 5] => "serialNumber",
        [0x55, 0x04, 6] => "C",
        [0x55, 0x04, 7] => "L",
        [0x55, 0x04, 8] => "ST",
        [0x55, 0x04, 10] => "O",
        [0x55, 0x04, 11] => "OU",
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25] => "DC",
        _ => return dotted(oid),
    };
    name.to_owned()
}

fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for &byte in oid {
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let mut text = String::new();
    if let Some(&first) = numbers.first() {
        let root = (first / 40).min(2);
        let _ = write!(text, "{root}.{}", first - root * 40);
    }
    for number in numbers.iter().skip(1) {
        let _ = write!(text, ".{number}");
    }
    text
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units: Vec<u16> = value
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value).into_owned()
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                let _ = write!(text, "\\{:02X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(parts: &[(DnType, &str)]) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        ClientCertificate::new(certificate.der()).unwrap()
    }

    #[test]
    fn the_subject_is_named_as_people_write_it() {
        let plain = certificate(&[
            (DnType::CountryName, "CH"),
            (DnType::OrganizationName, "A, B\n"),
            (DnType::CommonName, "j\u{fc}rg"),
            (DnType::CustomDnType(vec![2, 5, 4, 12]), "boss"),
        ]);
        assert_eq!(
            plain.subject(),
            "2.5.4.12=boss,CN=j\u{fc}rg,O=A\\, B\\0A,C=CH"
        );
        assert_eq!(plain.common_name(), Some("j\u{fc}rg"));
        let nobody = certificate(&[]);
        assert_eq!(
            (nobody.subject().as_str(), nobody.common_name()),
            ("", None)
        );
    }

    #[test]
    fn a_cut_certificate_is_none() {
        let whole = certificate(&[(DnType::CommonName, "a")]);
        for len in 0..whole.der().len() {
            assert_eq!(ClientCertificate::new(&whole.der()[..len]), None);
        }
    }
}
