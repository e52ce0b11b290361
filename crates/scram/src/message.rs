//! The messages: attributes with one letter, in the order of RFC 5802, section 7.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::MESSAGE_BYTES_MAX;

/// What is wrong with a message.
pub(crate) type Wrong = &'static str;

/// A client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    /// What comes before the user: flag and authorization identity, with their commas.
    pub(crate) header: &'a str,
    /// The rest, which the proof covers.
    pub(crate) bare: &'a str,
    pub(crate) user: String,
    pub(crate) nonce: &'a str,
}

/// A node's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

/// A client's final message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// What comes before the proof, which the proof covers.
    pub(crate) without_proof: &'a str,
    /// The header of the first message, as it was sent.
    pub(crate) header: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Wrong> {
        let text = text(message)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err("it has no header");
        };
        if flag != "n" {
            return Err("it asks for channel binding, which nodes do not have");
        }
        if !authzid.is_empty() && !authzid.starts_with("a=") {
            return Err("its second part is no authorization identity");
        }
        let header = text.get(..text.len() - bare.len()).unwrap_or_default();
        let mut attributes = bare.split(',');
        let user = unescaped(next(&mut attributes, "n=")?)?;
        let nonce = nonce(next(&mut attributes, "r=")?)?;
        if user.is_empty() {
            return Err("it names no user");
        }
        Ok(Self { header, bare, user, nonce })
    }
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Wrong> {
        let mut attributes = text(message)?.split(',');
        let nonce = nonce(next(&mut attributes, "r=")?)?;
        let salt = decoded(next(&mut attributes, "s=")?)?;
        let iterations = next(&mut attributes, "i=")?;
        let iterations = iterations.parse().map_err(|_| "its iterations are no number")?;
        Ok(Self { nonce, salt, iterations })
    }
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Wrong> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("it has no proof")?;
        let mut attributes = without_proof.split(',');
        let header = decoded(next(&mut attributes, "c=")?)?;
        let nonce = nonce(next(&mut attributes, "r=")?)?;
        Ok(Self { without_proof, header, nonce, proof: decoded(proof)? })
    }
}

/// The signature of a node's final message, or its error.
pub(crate) fn signature(message: &[u8]) -> Result<Result<Vec<u8>, &str>, Wrong> {
    let mut attributes = text(message)?.split(',');
    let first = attributes.next().unwrap_or_default();
    match (first.strip_prefix("v="), first.strip_prefix("e=")) {
        (Some(signature), _) => decoded(signature).map(Ok),
        (None, Some(error)) => Ok(Err(error)),
        (None, None) => Err("it has neither a signature nor an error"),
    }
}

/// A name with its commas and equals signs as RFC 5802 writes them.
pub(crate) fn escaped(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, Wrong> {
    BASE64_STANDARD.decode(text).map_err(|_| "an attribute is no base64")
}

fn text(message: &[u8]) -> Result<&str, Wrong> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err("it is too long");
    }
    let text = std::str::from_utf8(message).map_err(|_| "it is no UTF-8")?;
    if text.contains('\0') { Err("it has a zero byte") } else { Ok(text) }
}

fn next<'a>(
    attributes: &mut impl Iterator<Item = &'a str>,
    name: &'static str,
) -> Result<&'a str, Wrong> {
    let attribute = attributes.next().ok_or("an attribute is missing")?;
    attribute.strip_prefix(name).ok_or("an attribute is missing, or at another place")
}

/// RFC 5802: printable ASCII without a comma; and blanks, which Couchbase's C++ core puts into it
/// (recording 10a: `r=0xffffffdf 0xffffffcd 0x02`).
fn nonce(text: &str) -> Result<&str, Wrong> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err("its nonce is empty, or not printable");
    }
    Ok(text)
}

fn unescaped(name: &str) -> Result<String, Wrong> {
    let (mut user, mut rest) = (String::with_capacity(name.len()), name);
    while let Some((before, after)) = rest.split_once('=') {
        user.push_str(before);
        let (escape, tail) = after.split_at_checked(2).ok_or("a bad escape in the user")?;
        user.push(match escape {
            "2C" => ',',
            "3D" => '=',
            _ => return Err("a bad escape in the user"),
        });
        rest = tail;
    }
    user.push_str(rest);
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_escapes() {
        for user in ["user", "a,b", "a=b", "=2C", ",,==", "Zo\u{eb}"] {
            assert_eq!(unescaped(&escaped(user)).as_deref(), Ok(user));
        }
        for bad in ["=", "a=2", "=2c", "=AA"] {
            unescaped(bad).unwrap_err();
        }
    }

    #[test]
    fn the_header_is_kept_as_it_was_sent() {
        let first = ClientFirst::parse(b"n,a=other,n=user,r=abc,x=y").unwrap();
        assert_eq!((first.header, first.bare), ("n,a=other,", "n=user,r=abc,x=y"));
        assert_eq!((&first.user[..], first.nonce), ("user", "abc"));
    }

    #[test]
    fn the_nonce_of_couchbases_cpp_core_has_blanks() {
        let first = ClientFirst::parse(b"n,,n=Administrator,r=0xffffffdf 0x02 0x17").unwrap();
        assert_eq!(first.nonce, "0xffffffdf 0x02 0x17");
    }

    /// Recording 09: each of these has status 0x04.
    #[test]
    fn what_is_no_first_message_is_refused() {
        for bad in [
            &b"n,,r=abc"[..],
            b"garbage",
            b"y,,n=Administrator,r=abc",
            b"p=tls-unique,,n=a,r=abc",
            b"n,x,n=a,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=a",
            b"n,,n=a,r=",
            b"n,,n=a,r=a\tb",
            b"n,,r=abc,n=a",
            b"n,,m=must,n=a,r=abc",
            b"n,,n=\xff,r=abc",
            b"n,,n=a\0b,r=abc",
            b"",
        ] {
            ClientFirst::parse(bad).unwrap_err();
        }
        let long = [&b"n,,n="[..], &[b'a'; MESSAGE_BYTES_MAX], b",r=abc"].concat();
        assert_eq!(ClientFirst::parse(&long), Err("it is too long"));
    }

    #[test]
    fn a_final_message_ends_with_its_proof() {
        let last = ClientFinal::parse(b"c=biws,r=abc,p=AAAA").unwrap();
        assert_eq!((last.without_proof, &last.header[..]), ("c=biws,r=abc", &b"n,,"[..]));
        for bad in ["c=biws,r=abc", "r=abc,p=AAAA", "c=biws,r=abc,p=A", "c=biws,p=AAAA", ",p="] {
            ClientFinal::parse(bad.as_bytes()).unwrap_err();
        }
    }
}
