//! Addresses as PORT, PASV, EPRT and EPSV write them (RFC 959 section 4.1.2, RFC 2428).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// What stands for an address where clients are counted: with IPv6 its network of 64 bits, for every
/// customer of a provider has as many addresses as he likes in one.
pub fn network(ip: IpAddr) -> (u8, u64) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (4, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => (6, (ip.to_bits() >> 64) as u64),
    }
}

/// The argument of PORT: `h1,h2,h3,h4,p1,p2`, six numbers up to 255, blanks around them allowed.
pub fn parse_port(arg: &[u8]) -> Option<SocketAddrV4> {
    let mut numbers = [0u8; 6];
    let mut parts = arg.split(|&byte| byte == b',');
    for number in &mut numbers {
        *number = decimal(parts.next()?)?.try_into().ok()?;
    }
    if parts.next().is_some() {
        return None;
    }
    let [h1, h2, h3, h4, p1, p2] = numbers;
    let ip = Ipv4Addr::new(h1, h2, h3, h4);
    Some(SocketAddrV4::new(ip, u16::from_be_bytes([p1, p2])))
}

/// What the argument of EPRT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eprt {
    /// An address of the family that was announced.
    Address(SocketAddr),
    /// Not in the form of RFC 2428, or not an address.
    BadFormat,
    /// The form is right, but the protocol is neither 1 (IPv4) nor 2 (IPv6).
    UnknownProtocol,
}

/// The argument of EPRT: `|protocol|address|port|`, with any printable delimiter. An IPv6 address
/// with a zone (`%eth0`) is a bad format: zones mean something on the client's machine only.
pub fn parse_eprt(arg: &[u8]) -> Eprt {
    eprt_parts(arg).map_or(Eprt::BadFormat, |(protocol, address, port)| {
        let ip = match protocol {
            b"1" => address.parse::<Ipv4Addr>().map(IpAddr::V4),
            b"2" => address.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => return Eprt::UnknownProtocol,
        };
        ip.map_or(Eprt::BadFormat, |ip| {
            Eprt::Address(SocketAddr::new(ip, port))
        })
    })
}

fn eprt_parts(arg: &[u8]) -> Option<(&[u8], &str, u16)> {
    let delimiter = *arg.first().filter(|byte| byte.is_ascii_graphic())?;
    let mut parts = arg[1..].split(|&byte| byte == delimiter);
    let (protocol, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next() != Some(b"") || parts.next().is_some() {
        return None;
    }
    Some((protocol, str::from_utf8(address).ok()?, decimal(port)?))
}

/// What the argument of EPSV asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsv {
    /// No argument: the protocol of the control connection.
    Default,
    /// `1`: IPv4.
    V4,
    /// `2`: IPv6.
    V6,
    /// `ALL`: no other command will set up a data connection from here on.
    All,
    /// Anything else.
    Unknown,
}

/// The argument of EPSV.
pub fn parse_epsv(arg: &[u8]) -> Epsv {
    match arg.trim_ascii() {
        b"" => Epsv::Default,
        b"1" => Epsv::V4,
        b"2" => Epsv::V6,
        word if word.eq_ignore_ascii_case(b"ALL") => Epsv::All,
        _ => Epsv::Unknown,
    }
}

/// The text of the 227 reply to PASV.
pub fn pasv_text(ip: Ipv4Addr, port: u16) -> String {
    let [h1, h2, h3, h4] = ip.octets();
    let [p1, p2] = port.to_be_bytes();
    format!("Entering passive mode ({h1},{h2},{h3},{h4},{p1},{p2}).")
}

/// The text of the 229 reply to EPSV.
pub fn epsv_text(port: u16) -> String {
    // Half of what `format!` costs.
    [
        "Entering extended passive mode (|||",
        &port.to_string(),
        "|).",
    ]
    .concat()
}

/// The one form in which addresses are compared and shown: `::ffff:1.2.3.4`, as a dual-stack socket
/// has it, is `1.2.3.4`.
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The same of an address with its port; the scope of a link-local IPv6 address stays.
pub fn canonical_addr(addr: SocketAddr) -> SocketAddr {
    match canonical(addr.ip()) {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

/// `addr` as seen from `local`: a link-local address without a scope is one of the same link.
pub fn on_link_of(addr: SocketAddr, local: SocketAddr) -> SocketAddr {
    match (addr, local) {
        (SocketAddr::V6(mut addr), SocketAddr::V6(local))
            if addr.ip().is_unicast_link_local() && addr.scope_id() == 0 =>
        {
            addr.set_scope_id(local.scope_id());
            SocketAddr::V6(addr)
        }
        _ => addr,
    }
}

/// A decimal number of digits only, blanks around it allowed.
fn decimal(text: &[u8]) -> Option<u16> {
    let digits = text.trim_ascii();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None; // `parse` would take a sign
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_keep_or_get_their_scope() {
        let scoped: SocketAddr = "[fe80::1%7]:21".parse().unwrap();
        let bare: SocketAddr = "[fe80::2]:4000".parse().unwrap();
        assert_eq!(canonical_addr(scoped), scoped);
        assert_eq!(on_link_of(bare, scoped).to_string(), "[fe80::2%7]:4000");
        let global: SocketAddr = "[2001:db8::1]:4000".parse().unwrap();
        assert_eq!(on_link_of(global, scoped), global);
        let mapped: SocketAddr = "[::ffff:1.2.3.4]:21".parse().unwrap();
        assert_eq!(canonical_addr(mapped).to_string(), "1.2.3.4:21");
    }

    #[test]
    fn port_takes_six_bytes_in_decimal() {
        let parsed = |arg: &str| parse_port(arg.as_bytes()).map(|addr| addr.to_string());
        assert_eq!(parsed("127,0,0,1,4,1").as_deref(), Some("127.0.0.1:1025"));
        assert_eq!(
            parsed("255,255,255,255,255,255").as_deref(),
            Some("255.255.255.255:65535")
        );
        assert_eq!(parsed("0,0,0,0,0,0").as_deref(), Some("0.0.0.0:0"));
        assert_eq!(
            parsed(" 10, 0,0 ,1 ,4,\t1 ").as_deref(),
            Some("10.0.0.1:1025")
        );
        assert_eq!(
            parsed("010,000,000,001,004,001").as_deref(),
            Some("10.0.0.1:1025")
        );
    }

    #[test]
    fn port_takes_nothing_else() {
        for arg in [
            "",
            ",",
            ",,,,,",
            "127,0,0,1",
            "127,0,0,1,1",
            "127,0,0,1,1,1,1",
            "127,0,0,1,1,1,",
            ",127,0,0,1,1,1",
            "127,0,0,1,1.1",
            "X,0,0,1,1,1",
            "256,0,0,1,1,1",
            "127,0,0,1,256,1",
            "127,0,0,1,0,256",
            "127,0,0,1,-1,0",
            "127,0,0,1,+1,0",
            "127,0,0,1,1 1,0",
            "127,0,0,1,0x1,0",
            "127,0,0,1,1,99999999999999999999999",
            "127.0.0.1:21",
            "(127,0,0,1,1,1)",
        ] {
            assert_eq!(parse_port(arg.as_bytes()), None, "{arg}");
        }
        assert_eq!(parse_port(b"127,0,0,1,1,\xFF"), None);
        assert_eq!(parse_port(b"127,0,0,1,1,1\0"), None);
        assert_eq!(parse_port("127,0,0,1,1,\u{661}".as_bytes()), None);
    }

    #[test]
    fn eprt_takes_both_families_and_any_delimiter() {
        let address = |text: &str| Eprt::Address(text.parse().unwrap());
        assert_eq!(
            parse_eprt(b"|1|132.235.1.2|6275|"),
            address("132.235.1.2:6275")
        );
        assert_eq!(
            parse_eprt(b"|2|1080::8:800:200C:417A|5282|"),
            address("[1080::8:800:200C:417A]:5282")
        );
        assert_eq!(parse_eprt(b"!2!::1!0!"), address("[::1]:0"));
        assert_eq!(parse_eprt(b"~1~10.0.0.1~65535~"), address("10.0.0.1:65535"));
        assert_eq!(
            parse_eprt(b"|2|::ffff:1.2.3.4|80|"),
            address("[::ffff:1.2.3.4]:80")
        );
    }

    #[test]
    fn eprt_tells_an_unknown_protocol_from_a_bad_format() {
        for arg in [
            "|3|10.0.0.1|2222|",
            "|0|::1|1|",
            "||::1|1|",
            "|x|::1|1|",
            "|11|10.0.0.1|1|",
        ] {
            assert_eq!(parse_eprt(arg.as_bytes()), Eprt::UnknownProtocol, "{arg}");
        }
        for arg in [
            "",
            "|",
            "||||",
            "|1|10.0.0.1|2222",
            "|1|10.0.0.1|2222|x",
            "|1|10.0.0.1|2222||",
            "|1|10.0.0.1|65536|",
            "|1|10.0.0.1|-1|",
            "|1|10.0.0.1||",
            "|1|10.0.0|2222|",
            "|1|10.0.0.256|2222|",
            "|1|::1|2222|",
            "|2|10.0.0.1|2222|",
            "|2|fe80::1%eth0|2222|",
            "|2|[::1]|2222|",
            "|3|10.0.0.1|x|",
            " 1 10.0.0.1 2222 ",
            ".1.10.0.0.1.2222.",
            "é1é10.0.0.1é2222é",
        ] {
            assert_eq!(parse_eprt(arg.as_bytes()), Eprt::BadFormat, "{arg}");
        }
        assert_eq!(parse_eprt(b"\xFF1\xFF10.0.0.1\xFF21\xFF"), Eprt::BadFormat);
        assert_eq!(parse_eprt(b"|1|10.0.0.\xFF|21|"), Eprt::BadFormat);
    }

    #[test]
    fn epsv_arguments() {
        assert_eq!(parse_epsv(b""), Epsv::Default);
        assert_eq!(parse_epsv(b"1"), Epsv::V4);
        assert_eq!(parse_epsv(b"2 "), Epsv::V6);
        assert_eq!(parse_epsv(b"aLL"), Epsv::All);
        for arg in [&b"3"[..], b"12", b"ALLO", b"|||", b"\xFF", b"1\0"] {
            assert_eq!(parse_epsv(arg), Epsv::Unknown, "{arg:?}");
        }
    }

    #[test]
    fn passive_replies() {
        let ip = Ipv4Addr::new(192, 168, 0, 1);
        assert_eq!(
            pasv_text(ip, 0xEA60),
            "Entering passive mode (192,168,0,1,234,96)."
        );
        assert_eq!(
            pasv_text(ip, 255),
            "Entering passive mode (192,168,0,1,0,255)."
        );
        assert_eq!(
            epsv_text(60000),
            "Entering extended passive mode (|||60000|)."
        );
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        let canonical_of = |text: &str| canonical(text.parse().unwrap()).to_string();
        assert_eq!(canonical_of("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(canonical_of("1.2.3.4"), "1.2.3.4");
        assert_eq!(canonical_of("::1"), "::1");
        assert_eq!(canonical_of("::1.2.3.4"), "::102:304");
    }
}
