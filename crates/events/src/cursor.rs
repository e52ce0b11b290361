//! A position in the events of a process: which process, and the number of an event.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The position of an event, as text `EPOCH-NUMBER`, both in digits that are not to be interpreted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    /// When the process began; `None` where a caller has not said which process it means.
    pub(crate) epoch: Option<u64>,
    /// The number of an event; 0 is before the first.
    pub(crate) seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "{epoch:x}-{}", self.seq),
            None => self.seq.fmt(f),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once('-') {
            Some((epoch, seq)) => {
                let epoch = u64::from_str_radix(epoch, 16);
                epoch.ok().zip(seq.parse().ok()).map(|(epoch, seq)| (Some(epoch), seq))
            }
            None => text.parse().ok().map(|seq| (None, seq)),
        };
        let (epoch, seq) = parsed.ok_or_else(|| {
            format!(
                "{text:?} is not the id of an event: give the id of one, such as 19ac3f0b2d1-42, \
                 or its number"
            )
        })?;
        Ok(Self { epoch, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_is_written() {
        let cursor = Cursor { epoch: Some(0x19ac), seq: 42 };
        assert_eq!(cursor.to_string(), "19ac-42");
        assert_eq!("19ac-42".parse(), Ok(cursor));
        assert_eq!("7".parse(), Ok(Cursor { epoch: None, seq: 7 }));
        for wrong in ["", "-", "x-1", "1-", "-1", "1-2-3", "1x"] {
            let error = wrong.parse::<Cursor>().unwrap_err();
            assert!(error.starts_with(&format!("{wrong:?} is not the id of an event")), "{error}");
        }
    }
}
