//! Bytes as the value of an attribute: a JSON string with base64 in it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// What the string begins with.
const PREFIX: &str = "cb-content-base64-encoded:";

/// Returns the JSON string for the bytes.
pub(super) fn encoded(bytes: &[u8]) -> String {
    format!("\"{PREFIX}{}\"", STANDARD.encode(bytes))
}

/// Returns the bytes that a JSON string stands for; `None` if it stands for none.
pub(super) fn decoded(json: &[u8]) -> Option<Bytes> {
    let text = json.strip_prefix(b"\"")?.strip_prefix(PREFIX.as_bytes())?.strip_suffix(b"\"")?;
    STANDARD.decode(text).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_nothing_else() {
        for bytes in [&b""[..], b"\x00\x01\xff", b"text"] {
            assert_eq!(decoded(encoded(bytes).as_bytes()).as_deref(), Some(bytes));
        }
        assert_eq!(encoded(b"\x00\x01\xff"), "\"cb-content-base64-encoded:AAH/\"");
        for json in ["3", "\"AAH/\"", "\"cb-content-base64-encoded:A\"", "\""] {
            assert_eq!(decoded(json.as_bytes()), None, "{json}");
        }
    }
}
