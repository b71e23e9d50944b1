//! SOCKS 5 (RFC 1928) with user name and password (RFC 1929), sans-io.

use std::net::IpAddr;

use crate::secret::Secret;

/// A conversation that asks a proxy for a way to a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Dialogue {
    at: At,
    /// The message with the credentials.
    login: Option<Secret<Vec<u8>>>,
    /// The message that names the server.
    request: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Method,
    Login,
    Reply,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first `read` bytes are done with; send this.
    Send {
        /// It may hold the credentials.
        message: Secret<Vec<u8>>,
        /// Bytes that were read for it.
        read: usize,
    },
    /// More bytes are needed.
    Wait,
    /// All bytes are read; what comes next comes from the server.
    Open,
}

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// We have no credentials, and the proxy wants some.
    WantsCredentials,
    /// It wants to log in by neither way we know.
    NoCommonMethod,
    /// It did not take the credentials.
    BadCredentials,
    /// This is longer than its length byte can say.
    TooLong(&'static str),
    /// The proxy's reply code, see [`reason`].
    Denied(u8),
    /// It speaks something else.
    Garbled(&'static str),
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THEM: u8 = 0xff;
const CONNECT: u8 = 1;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

impl Dialogue {
    /// A way to this host, whose name the proxy resolves.
    pub fn new(host: &str, port: u16, credentials: Option<(&str, &str)>) -> Result<Self, Refusal> {
        let mut request = vec![VERSION, CONNECT, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(V4);
                request.extend_from_slice(&address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(V6);
                request.extend_from_slice(&address.octets());
            }
            Err(_) => {
                request.push(NAME);
                counted(&mut request, host, "the server's name")?;
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        let login = credentials.map(|(name, password)| {
            let mut login = vec![LOGIN_VERSION];
            counted(&mut login, name, "the proxy's user name")?;
            counted(&mut login, password, "the proxy's password").map(|()| Secret::new(login))
        });
        Ok(Dialogue { at: At::Start, login: login.transpose()?, request })
    }

    /// What follows from the bytes that came and were not read yet.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        match self.at {
            At::Start => {
                self.at = At::Method;
                let message = match self.login {
                    None => vec![VERSION, 1, NO_LOGIN],
                    Some(_) => vec![VERSION, 2, NO_LOGIN, PASSWORD],
                };
                Ok(Step::Send { message: Secret::new(message), read: 0 })
            }
            At::Method => {
                version(bytes, VERSION)?;
                let [_, method, ..] = *bytes else { return Ok(Step::Wait) };
                match (method, self.login.take()) {
                    (NO_LOGIN, _) => self.ask(),
                    (PASSWORD, Some(message)) => {
                        self.at = At::Login;
                        Ok(Step::Send { message, read: 2 })
                    }
                    (NONE_OF_THEM, None) => Err(Refusal::WantsCredentials),
                    (NONE_OF_THEM, Some(_)) => Err(Refusal::NoCommonMethod),
                    _ => Err(Refusal::Garbled("it chose a way to log in that it was not offered")),
                }
            }
            At::Login => {
                // RFC 1929 says 1; some answer with the other protocol's 5.
                if bytes.first().is_some_and(|version| ![LOGIN_VERSION, VERSION].contains(version)) {
                    return Err(Refusal::Garbled("its answer to the login is none"));
                }
                match *bytes {
                    [_, 0, ..] => self.ask(),
                    [_, _, ..] => Err(Refusal::BadCredentials),
                    _ => Ok(Step::Wait),
                }
            }
            At::Reply => {
                version(bytes, VERSION)?;
                // A refusal may come without the address that belongs to it.
                if let [_, code @ 1..=255, ..] = *bytes {
                    return Err(Refusal::Denied(code));
                }
                let length = match *bytes {
                    [_, _, _, V4, ..] => 4 + 4 + 2,
                    [_, _, _, V6, ..] => 4 + 16 + 2,
                    [_, _, _, NAME, length, ..] => 4 + 1 + usize::from(length) + 2,
                    [] | [_] | [_, _] | [_, _, _] | [_, _, _, NAME] => return Ok(Step::Wait),
                    _ => return Err(Refusal::Garbled("its answer names an address of no known kind")),
                };
                match bytes.len() {
                    had if had < length => Ok(Step::Wait),
                    had if had == length => Ok(Step::Open),
                    _ => Err(Refusal::Garbled("it agreed to connect and then went on talking itself")),
                }
            }
        }
    }

    fn ask(&mut self) -> Result<Step, Refusal> {
        self.at = At::Reply;
        Ok(Step::Send { message: Secret::new(std::mem::take(&mut self.request)), read: 2 })
    }
}

/// A reply code in words (RFC 1928, section 6).
pub fn reason(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "the way is too long (TTL expired)",
        7 => "it does not know how to connect (command not supported)",
        8 => "it does not know this kind of address",
        _ => "for no reason that SOCKS 5 knows",
    }
}

/// Appends a text behind its length.
fn counted(message: &mut Vec<u8>, text: &str, what: &'static str) -> Result<(), Refusal> {
    message.push(u8::try_from(text.len()).map_err(|_| Refusal::TooLong(what))?);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

fn version(bytes: &[u8], expected: u8) -> Result<(), Refusal> {
    match bytes.first() {
        Some(4) => Err(Refusal::Garbled("it speaks SOCKS 4")),
        Some(b'H') => Err(Refusal::Garbled("it answers in HTTP")),
        Some(version) if *version != expected => Err(Refusal::Garbled("its answer is no SOCKS 5")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::mutated;

    /// What is sent in answer to these messages, and how it ends; each message comes byte by byte.
    fn talk(mut dialogue: Dialogue, replies: &[&[u8]]) -> (Vec<Vec<u8>>, Result<Step, Refusal>) {
        let (mut sent, mut replies) = (Vec::new(), replies.iter());
        let mut bytes: Vec<u8> = Vec::new();
        let mut coming: Vec<u8> = Vec::new();
        loop {
            match dialogue.step(&bytes) {
                Ok(Step::Send { message, read }) => {
                    bytes.drain(..read);
                    assert!(bytes.is_empty());
                    sent.push(message.expose().clone());
                    let Some(reply) = replies.next() else { return (sent, Ok(Step::Wait)) };
                    coming = reply.to_vec();
                }
                Ok(Step::Wait) if coming.is_empty() => return (sent, Ok(Step::Wait)),
                Ok(Step::Wait) => bytes.push(coming.remove(0)),
                end => return (sent, end),
            }
        }
    }

    const OPEN: &[u8] = &[5, 0, 0, 1, 127, 0, 0, 1, 0x19, 0x2b];

    #[test]
    fn names_and_addresses_are_asked_for_with_and_without_a_login() {
        let named = Dialogue::new("a.example", 6443, None).unwrap();
        let (sent, end) = talk(named, &[&[5, 0], OPEN]);
        assert_eq!(sent, [vec![5, 1, 0], b"\x05\x01\x00\x03\x09a.example\x19\x2b".to_vec()]);
        assert_eq!(end, Ok(Step::Open));
        let v4 = Dialogue::new("10.0.0.1", 443, Some(("u", "pw"))).unwrap();
        let (sent, end) = talk(v4, &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 1, b'x', 0, 1]]);
        assert_eq!(sent, [vec![5, 2, 0, 2], b"\x01\x01u\x02pw".to_vec(), vec![5, 1, 0, 1, 10, 0, 0, 1, 1, 0xbb]]);
        assert_eq!(end, Ok(Step::Open));
        let v6 = Dialogue::new("fd00::1", 1, Some(("u", "pw"))).unwrap();
        let (sent, end) = talk(v6, &[&[5, 0], &[&[5, 0, 0, 4][..], &[0; 18]].concat()]);
        assert_eq!((sent.len(), sent[1].len(), end), (2, 4 + 16 + 2, Ok(Step::Open)));
    }

    #[test]
    fn refusals_are_told_apart() {
        use Refusal::*;
        let with = || Dialogue::new("a", 1, Some(("u", "p"))).unwrap();
        let without = || Dialogue::new("a", 1, None).unwrap();
        let cases: [(Dialogue, &[&[u8]], Refusal); 11] = [
            (without(), &[&[5, 0xff]], WantsCredentials),
            (with(), &[&[5, 0xff]], NoCommonMethod),
            (without(), &[&[5, 2]], Garbled("it chose a way to log in that it was not offered")),
            (with(), &[&[5, 2], &[1, 1]], BadCredentials),
            (with(), &[&[5, 2], b"HT"], Garbled("its answer to the login is none")),
            (without(), &[&[5, 0], &[5, 2]], Denied(2)),
            (without(), &[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], Denied(5)),
            (without(), &[&[5, 0], &[5, 0, 0, 9]], Garbled("its answer names an address of no known kind")),
            (without(), &[&[4, 0]], Garbled("it speaks SOCKS 4")),
            (without(), &[b"HTTP/1.1 400 Bad Request"], Garbled("it answers in HTTP")),
            (without(), &[&[0, 0x5b]], Garbled("its answer is no SOCKS 5")),
        ];
        for (dialogue, replies, expected) in cases {
            assert_eq!(talk(dialogue, replies).1, Err(expected), "{replies:?}");
        }
        let mut eager = without();
        eager.step(&[]).unwrap();
        eager.step(&[5, 0]).unwrap();
        assert!(matches!(eager.step(&[OPEN, b"x"].concat()), Err(Garbled(_))));
        assert_eq!(Dialogue::new(&"a".repeat(256), 1, None).err(), Some(TooLong("the server's name")));
        assert_eq!(Dialogue::new("a", 1, Some(("u", &"p".repeat(256)))).err(), Some(TooLong("the proxy's password")));
        assert_eq!((reason(5), reason(99)), ("connection refused", "for no reason that SOCKS 5 knows"));
    }

    #[test]
    fn mutated_replies_end_or_want_more() {
        let replies: [&[u8]; 3] = [&[5, 2], &[1, 0], &[5, 0, 0, 3, 4, b'h', b'o', b's', b't', 0, 80]];
        for seed in 0..100_000_u64 {
            let mut dialogue = Dialogue::new("a.example", 6443, Some(("u", "p"))).unwrap();
            let mut bytes = Vec::new();
            let mut nth = 0;
            for _ in 0..8 {
                match dialogue.step(&bytes) {
                    Ok(Step::Send { message, read }) => {
                        assert!(!message.expose().is_empty() && read <= bytes.len(), "seed {seed}");
                        bytes.drain(..read);
                    }
                    Ok(Step::Wait) if nth < replies.len() => {
                        bytes.extend(mutated(replies[nth], seed.wrapping_mul(3) + nth as u64));
                        nth += 1;
                    }
                    _ => break,
                }
            }
        }
    }
}
