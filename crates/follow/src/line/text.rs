//! Numbers, strings and base64 of a line.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The fixed part of a line has less: some ten numbers with their names.
const LINE_BYTES_MAX: usize = 512;
/// How much is encoded at a time; a multiple of three, so that no padding comes between.
const BASE64_INPUT_BYTES: usize = 3 * 1024;
const BASE64_OUTPUT_BYTES: usize = BASE64_INPUT_BYTES / 3 * 4;

/// The fixed part of a line, on the stack.
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; LINE_BYTES_MAX], length: 0 }
    }
}

/// Appends a number.
pub(super) trait Number {
    fn number(&mut self, number: u64) -> &mut Self;
}

impl Line {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends bytes, which fit by the bound of the constant.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length + bytes.len();
        debug_assert!(end <= LINE_BYTES_MAX, "the fixed part of a line has {end} bytes");
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
        self
    }

    pub(super) fn hex(&mut self, number: u32) -> &mut Self {
        let digits = format!("{number:x}");
        self.put(digits.as_bytes())
    }
}

impl Number for Line {
    #[inline]
    fn number(&mut self, mut number: u64) -> &mut Self {
        let (mut digits, mut rest) = ([0; 20], 20);
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            rest -= 1;
            if number == 0 {
                break;
            }
        }
        self.put(digits.get(rest..).unwrap_or_default())
    }
}

/// Writes a JSON string.
pub(super) fn string(text: &str, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Writes a JSON string of base64.
pub(super) fn base64(bytes: &[u8], out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut encoded = [0; BASE64_OUTPUT_BYTES];
    for chunk in bytes.chunks(BASE64_INPUT_BYTES) {
        let length = BASE64_STANDARD.encode_slice(chunk, &mut encoded).map_err(io::Error::other)?;
        out.write_all(encoded.get(..length).unwrap_or_default())?;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits() {
        for number in [0, 7, 10, 99, 100, 1_234_567_890, u64::MAX - 1, u64::MAX] {
            let mut line = Line::default();
            assert_eq!(line.number(number).bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn base64_of_many_pieces_is_that_of_the_whole() {
        for length in [0, 1, 2, 3, BASE64_INPUT_BYTES, BASE64_INPUT_BYTES + 1, 10_000] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut out = Vec::new();
            base64(&bytes, &mut out).unwrap();
            let expected = format!("\"{}\"", BASE64_STANDARD.encode(&bytes));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{length}");
        }
    }
}
