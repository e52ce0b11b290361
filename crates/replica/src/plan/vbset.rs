//! The text form of a set of vBuckets: `0-511,600`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use mcbp::VbId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of vBuckets, each less than [`VBUCKETS_MAX`]; not empty where it was parsed. Displays as
/// the shortest list of ranges, which parses to the same set.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VbSet(BTreeSet<VbId>);

/// The most vBuckets that a bucket has; they are numbered from 0.
pub const VBUCKETS_MAX: u16 = 1024;

/// Why a text is not a set of vBuckets.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VbSetError {
    /// The text, or the part between two commas, is empty.
    #[error("an empty part: give vbuckets like 0-511,600")]
    Empty,
    /// A part is neither a number nor a range of numbers.
    #[error("{part:?} is not a vbucket or a range: give vbuckets like 0-511,600")]
    NotANumber {
        /// The part as written.
        part: String,
    },
    /// A number is greater than the last vBucket.
    #[error("vbucket {number} is out of range: give 0 to {last}")]
    OutOfRange {
        /// The number.
        number: u64,
        /// The last vBucket that there can be.
        last: u16,
    },
    /// A range ends before it starts.
    #[error("range {first}-{last} is reversed: write {last}-{first}")]
    Reversed {
        /// As written.
        first: u16,
        /// As written.
        last: u16,
    },
    /// A vBucket is named twice.
    #[error("vbucket {0} is named twice")]
    Duplicate(u16),
}

impl VbSet {
    /// Returns the vBuckets in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = VbId> {
        self.0.iter().copied()
    }

    /// Returns the vBuckets.
    #[must_use]
    pub const fn as_set(&self) -> &BTreeSet<VbId> {
        &self.0
    }

    /// Returns the number of vBuckets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a vBucket. Returns whether it was missing.
    pub fn insert(&mut self, vb: VbId) -> bool {
        self.0.insert(vb)
    }

    /// Removes a vBucket. Returns whether it was in the set.
    pub fn remove(&mut self, vb: VbId) -> bool {
        self.0.remove(&vb)
    }
}

impl FromStr for VbSet {
    type Err = VbSetError;

    /// Parses numbers and ranges separated by commas; blanks around them are allowed. Returns the
    /// first error.
    fn from_str(text: &str) -> Result<Self, VbSetError> {
        let mut vbs = BTreeSet::new();
        for part in text.split(',') {
            let part = part.trim();
            if part.is_empty() {
                return Err(VbSetError::Empty);
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (parse_number(first, part)?, parse_number(last, part)?);
            if first > last {
                return Err(VbSetError::Reversed { first, last });
            }
            for vb in first..=last {
                if !vbs.insert(VbId(vb)) {
                    return Err(VbSetError::Duplicate(vb));
                }
            }
        }
        Ok(Self(vbs))
    }
}

fn parse_number(text: &str, part: &str) -> Result<u16, VbSetError> {
    let text = text.trim();
    let not_a_number = || VbSetError::NotANumber { part: part.to_owned() };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not_a_number());
    }
    let number: u64 = text.parse().map_err(|_| not_a_number())?;
    match u16::try_from(number) {
        Ok(vb) if vb < VBUCKETS_MAX => Ok(vb),
        Ok(_) | Err(_) => Err(VbSetError::OutOfRange { number, last: VBUCKETS_MAX - 1 }),
    }
}

impl fmt::Display for VbSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vbs = self.0.iter().map(|vb| vb.0).peekable();
        let mut comma = "";
        while let Some(first) = vbs.next() {
            let mut last = first;
            while let Some(next) = vbs.next_if(|&next| next - 1 == last) {
                last = next;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl Serialize for VbSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VbSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl FromIterator<VbId> for VbSet {
    fn from_iter<I: IntoIterator<Item = VbId>>(vbs: I) -> Self {
        Self(vbs.into_iter().collect())
    }
}
