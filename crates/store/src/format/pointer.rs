//! Out-of-line values: the layout of their files, and the pointer that a row has instead.

use super::checksum::{concat, crc};

/// Values of at least so many bytes are stored out of line. A smaller one costs less in a table
/// than its pointer does.
pub(crate) const OUT_OF_LINE_BYTES: usize = 1 << 10;

/// What a value file begins with. The last byte is the version of its layout.
pub(crate) const VALUE_FILE_MAGIC: &[u8; 8] = b"dcpvals\x01";
/// Length of a [`ValueHeader`].
pub(crate) const VALUE_HEADER_BYTES: usize = 8;

/// Stands before each value, so that the end of a file can be checked without its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueHeader {
    /// Length of the value.
    pub len: u32,
    /// CRC-32 of the length and the value.
    pub crc: u32,
}

impl ValueHeader {
    /// The header of `value`, whose length is `len`.
    pub(crate) fn new(len: u32, value: &[u8]) -> Self {
        Self { len, crc: crc(&[&len.to_be_bytes(), value]) }
    }

    pub(crate) fn encode(self) -> [u8; VALUE_HEADER_BYTES] {
        concat(&[&self.len.to_be_bytes(), &self.crc.to_be_bytes()])
    }

    pub(crate) fn decode(bytes: [u8; VALUE_HEADER_BYTES]) -> Self {
        let both = u64::from_be_bytes(bytes);
        Self { len: (both >> 32) as u32, crc: both as u32 }
    }
}

/// Where an out-of-line value is, and what its bytes must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValuePointer {
    /// Number of the file.
    pub file: u64,
    /// Offset of the value's first byte in the file.
    pub at: u64,
    /// Length and checksum, as in the file.
    pub header: ValueHeader,
}

impl ValuePointer {
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let [file, at] = [self.file, self.at].map(u64::to_be_bytes);
        concat(&[&file, &at, &self.header.encode()])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, rest) = bytes.as_chunks::<8>();
        let ([file, at, header], []) = (fields, rest) else { return None };
        let [file, at] = [file, at].map(|field| u64::from_be_bytes(*field));
        Some(Self { file, at, header: ValueHeader::decode(*header) })
    }

    /// Length of the value in bytes.
    pub(crate) const fn len(self) -> u32 {
        self.header.len
    }

    /// Bytes of the file that the value takes, with its header.
    pub(crate) const fn disk_bytes(self) -> u64 {
        self.header.len as u64 + VALUE_HEADER_BYTES as u64
    }
}

/// Where the out-of-line values of all commits up to one end: a file, and an offset in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ValuesEnd {
    /// Number of the file.
    pub file: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
}
