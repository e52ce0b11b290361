//! Reads a FlatBuffers table of any origin: every offset is checked before it is followed.
//!
//! The library's own accessors are unsafe functions, made for generated code that has verified the
//! buffer before. Source of the format: `docs/source/internals.md` of google/flatbuffers.

use super::change::Flaw;

const OUTSIDE: Flaw = "an offset of the FlatBuffers value points outside of it";

/// The root table of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    buffer: &'a [u8],
    /// The table begins here. Places of its fields are relative to it.
    at: usize,
    /// Two bytes for each field: its place, or 0 where it is absent.
    places: &'a [u8],
}

impl<'a> Table<'a> {
    /// Returns the table to which the first four bytes point.
    pub(super) fn root(buffer: &'a [u8]) -> Result<Self, Flaw> {
        let at = follow(buffer, 0)?;
        let back = i32::from_le_bytes(read(buffer, at)?);
        let header = i64::try_from(at).ok().and_then(|at| at.checked_sub(back.into()));
        let header = header.and_then(|at| usize::try_from(at).ok()).ok_or(OUTSIDE)?;
        let length = usize::from(u16::from_le_bytes(read(buffer, header)?));
        let whole = buffer.get(header..).and_then(|rest| rest.get(..length)).ok_or(OUTSIDE)?;
        // Before the places there are the lengths of these places and of the table.
        let places = whole.get(4..).ok_or("the header of the FlatBuffers table is too short")?;
        Ok(Self { buffer, at, places })
    }

    /// Returns where the field with that number begins; `None` where it is absent.
    fn place(&self, field: u16) -> Option<usize> {
        let place = self.places.chunks_exact(2).nth(field.into())?.first_chunk::<2>()?;
        let place = usize::from(u16::from_le_bytes(*place));
        (place != 0).then(|| self.at.saturating_add(place))
    }

    fn number<const N: usize>(&self, field: u16) -> Result<[u8; N], Flaw> {
        self.place(field).map_or(Ok([0; N]), |place| read(self.buffer, place))
    }

    /// Returns a field; 0 where it is absent.
    pub(super) fn u64(&self, field: u16) -> Result<u64, Flaw> {
        self.number(field).map(u64::from_le_bytes)
    }

    /// Returns a field; 0 where it is absent.
    pub(super) fn u32(&self, field: u16) -> Result<u32, Flaw> {
        self.number(field).map(u32::from_le_bytes)
    }

    /// Returns a field; false where it is absent. Every number but 0 is true.
    pub(super) fn bool(&self, field: u16) -> Result<bool, Flaw> {
        self.number(field).map(|[byte]| byte != 0)
    }

    /// Returns a field that is a string; `None` where it is absent.
    pub(super) fn bytes(&self, field: u16) -> Result<Option<&'a [u8]>, Flaw> {
        let Some(place) = self.place(field) else { return Ok(None) };
        let at = follow(self.buffer, place)?;
        let length = usize_of(u32::from_le_bytes(read(self.buffer, at)?));
        let rest = self.buffer.get(at..).and_then(|string| string.get(4..)).ok_or(OUTSIDE)?;
        rest.get(..length).map(Some).ok_or(OUTSIDE)
    }
}

/// Returns the place to which the four bytes at `at` point: they are relative to their own place.
fn follow(buffer: &[u8], at: usize) -> Result<usize, Flaw> {
    at.checked_add(usize_of(u32::from_le_bytes(read(buffer, at)?))).ok_or(OUTSIDE)
}

fn read<const N: usize>(buffer: &[u8], at: usize) -> Result<[u8; N], Flaw> {
    buffer.get(at..).and_then(<[u8]>::first_chunk).copied().ok_or(OUTSIDE)
}

/// Where a number does not fit, the offset points outside of every buffer anyway.
fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_cut_off_anywhere_has_no_root_or_a_flaw() {
        // The value with which a real node created the scope "s8".
        let whole = [
            16, 0, 0, 0, 0, 0, 10, 0, 12, 0, 0, 0, 4, 0, 8, 0, 10, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0,
            2, 0, 0, 0, b's', b'8', 0, 0,
        ];
        let table = Table::root(&whole).unwrap();
        assert_eq!((table.u64(0), table.u32(1)), (Ok(0), Ok(8)));
        assert_eq!(table.bytes(2), Ok(Some(&b"s8"[..])));
        assert_eq!((table.u64(3), table.bytes(99)), (Ok(0), Ok(None)), "of later versions");
        for length in 0..whole.len() - 2 {
            let read = Table::root(&whole[..length]).and_then(|table| table.bytes(2));
            assert!(read.is_err(), "{length}");
        }
    }

    #[test]
    fn offsets_that_point_outside_are_flaws() {
        for buffer in [&[0xff; 8][..], &[4, 0, 0, 0, 0, 0, 0, 0x80], &[4, 0, 0, 0, 5, 0, 0, 0]] {
            assert!(Table::root(buffer).is_err(), "{buffer:?}");
        }
    }
}
