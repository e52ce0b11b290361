//! Macros: values that stand for something that the node knows. What is known only once the change
//! is queued has a mark in its place until then. Pure.

use memchr::memmem;

use super::crc32c::crc32c;
use crate::bucket::{Number, Stamp};

/// What a macro stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Macro<'a> {
    /// The CAS of the change, `"${Mutation.CAS}"`.
    Cas,
    /// Its seqno, `"${Mutation.seqno}"`.
    Seqno,
    /// The checksum of the new body, `"${Mutation.value_crc32c}"`.
    Crc32c,
    /// A field of `$document` before the change, with a dot in front; or all, if it is empty.
    Document(&'a [u8]),
}

impl<'a> Macro<'a> {
    /// Reads a value, which is a macro as a whole.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        match value.strip_prefix(b"\"${")?.strip_suffix(b"}\"")? {
            b"Mutation.CAS" => Some(Self::Cas),
            b"Mutation.seqno" => Some(Self::Seqno),
            b"Mutation.value_crc32c" => Some(Self::Crc32c),
            other => other.strip_prefix(b"$document").map(Self::Document),
        }
    }
}

/// What is in the place of numbers that are not known yet: hexadecimal numbers of their length,
/// which nothing else in the attributes has.
#[derive(Debug)]
pub(super) struct Marks {
    cas: String,
    seqno: String,
    crc32c: String,
}

impl Marks {
    /// Marks that none of the texts has. `random` makes numbers that clients cannot foresee.
    pub(super) fn unlike(texts: &[&[u8]], mut random: impl FnMut() -> u64) -> Self {
        loop {
            let (cas, seqno, crc32c) = (random(), random(), random() >> 32);
            let marks = Self {
                cas: format!("0x{cas:016x}"),
                seqno: format!("0x{seqno:016x}"),
                crc32c: format!("0x{crc32c:08x}"),
            };
            let is_in = |mark: &String| {
                texts.iter().any(|text| memmem::find(text, mark.as_bytes()).is_some())
            };
            if ![&marks.cas, &marks.seqno, &marks.crc32c].into_iter().any(is_in) {
                return marks;
            }
        }
    }

    /// The JSON of a number that is not known yet; `None` for a macro that is not one.
    pub(super) fn of(&self, what: Macro<'_>) -> Option<String> {
        let mark = match what {
            Macro::Cas => &self.cas,
            Macro::Seqno => &self.seqno,
            Macro::Crc32c => &self.crc32c,
            Macro::Document(_) => return None,
        };
        Some(format!("\"{mark}\""))
    }

    /// Puts the checksum of `body` into `section`, and returns where the numbers belong that are
    /// still unknown.
    pub(super) fn settle(&self, section: &mut [u8], body: &[u8]) -> Vec<Stamp> {
        let places = |section: &[u8], mark: &str| {
            memmem::find_iter(section, mark.as_bytes()).collect::<Vec<_>>()
        };
        let checksums = places(section, &self.crc32c);
        if !checksums.is_empty() {
            let text = format!("0x{:08x}", crc32c(body));
            for at in checksums {
                if let Some(place) = section.get_mut(at..at + text.len()) {
                    place.copy_from_slice(text.as_bytes());
                }
            }
        }
        let stamps = |number, mark| {
            let places = places(section, mark).into_iter();
            places.map(move |at| Stamp { number, at: at + "0x".len() })
        };
        stamps(Number::Cas, &self.cas).chain(stamps(Number::Seqno, &self.seqno)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_is_the_whole_value() {
        for (value, expected) in [
            ("\"${Mutation.CAS}\"", Some(Macro::Cas)),
            ("\"${Mutation.seqno}\"", Some(Macro::Seqno)),
            ("\"${Mutation.value_crc32c}\"", Some(Macro::Crc32c)),
            ("\"${$document}\"", Some(Macro::Document(b""))),
            ("\"${$document.CAS}\"", Some(Macro::Document(b".CAS"))),
            ("\"${$vbucket.HLC}\"", None),
            ("\"${Mutation.CAS} x\"", None),
            ("${Mutation.CAS}", None),
            ("{\"a\":\"${Mutation.CAS}\"}", None),
            ("", None),
        ] {
            assert_eq!(Macro::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn marks_are_like_nothing_else_and_found_again() {
        let mut numbers = [1_u64, 2, 3 << 32, 4, 5, 6 << 32].into_iter();
        let taken: &[u8] = b"{\"a\":\"0x0000000000000002\"}";
        let marks = Marks::unlike(&[b"", taken], || numbers.next().unwrap());
        assert_eq!(marks.of(Macro::Cas).as_deref(), Some("\"0x0000000000000004\""));
        assert_eq!(marks.of(Macro::Document(b"")), None);
        let mut section = [marks.of(Macro::Seqno), marks.of(Macro::Crc32c), marks.of(Macro::Cas)]
            .map(Option::unwrap)
            .concat()
            .into_bytes();
        let stamps = marks.settle(&mut section, b"{\"a\":1}");
        assert_eq!(&section[20..32], b"\"0xcff7d56a\"");
        let expected =
            [Stamp { number: Number::Cas, at: 35 }, Stamp { number: Number::Seqno, at: 3 }];
        assert_eq!(stamps, expected);
    }
}
