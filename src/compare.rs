//! What two nodes hold of one vBucket, compared change by change. Pure: whoever reads the streams
//! brings the frames, in the order of their seqnos.

use std::cmp::Ordering;
use std::fmt;

pub use mcbp::dcp::ChangeKind as Kind;
use mcbp::dcp::{DocumentChange, FailoverEntry};
use mcbp::{Datatype, Frame, FrameError, Seqno, VbId};

/// One change as a stream carries it, without what belongs to the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// Where it stands in the vBucket's history.
    pub seqno: Seqno,
    /// The key without collection prefix.
    pub key: &'a [u8],
    /// How often the document was changed.
    pub rev: u64,
    /// The compare-and-swap token.
    pub cas: u64,
    /// What the value is.
    pub datatype: Datatype,
    /// Document, deletion or expiration.
    pub kind: Kind,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> Change<'a> {
    /// Reads a MUTATION, DELETION or EXPIRATION of a connection with collections; `None` for any
    /// other frame.
    ///
    /// # Errors
    /// A [`FrameError`] where the frame does not have the form its opcode asks for.
    pub fn decode(frame: &Frame<'a>) -> Result<Option<Self>, FrameError> {
        let Some(change) = DocumentChange::decode(frame)? else { return Ok(None) };
        let DocumentChange { seqno, rev, kind } = change;
        let (_, key) = mcbp::key::split(frame.key)
            .ok_or_else(|| frame.malformed("the key has no collection prefix"))?;
        let (cas, datatype) = (frame.header.cas, frame.header.datatype);
        Ok(Some(Self { seqno, key, rev, cas, datatype, kind, value: frame.value }))
    }
}

/// The names of the two nodes, in the order in which they are compared.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The node that changes come from.
    pub left: &'a str,
    /// The node that changes go to.
    pub right: &'a str,
}

/// Which of the two fronts was compared, and is to be replaced by its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// The left one.
    pub left: bool,
    /// The right one.
    pub right: bool,
}

/// Compares the next change of each side; `None` for a side that has no more. Returns what to read
/// next, and the difference if there is one; `None` once both sides have ended.
#[must_use]
pub fn step(
    names: Names<'_>,
    left: Option<&Change<'_>>,
    right: Option<&Change<'_>>,
) -> Option<(Advance, Option<String>)> {
    let only = |change: &Change<'_>, here, there| {
        format!("{} is on {here} and not on {there}", Title(change))
    };
    let order = match (left, right) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(left), Some(right)) => left.seqno.cmp(&right.seqno),
    };
    let difference = match (order, left, right) {
        (Ordering::Less, Some(left), _) => Some(only(left, names.left, names.right)),
        (Ordering::Greater, _, Some(right)) => Some(only(right, names.right, names.left)),
        (_, Some(left), Some(right)) => differs(names, left, right),
        (_, _, None) | (_, None, _) => None,
    };
    Some((Advance { left: order.is_le(), right: order.is_ge() }, difference))
}

/// The first field in which two changes of one seqno differ.
fn differs(names: Names<'_>, left: &Change<'_>, right: &Change<'_>) -> Option<String> {
    let say = |field: &str, l: &dyn fmt::Debug, r: &dyn fmt::Debug| {
        let Names { left: here, right: there } = names;
        Some(format!("{}: {field} is {l:?} on {here} and {r:?} on {there}", Title(left)))
    };
    if left.key != right.key {
        return say("key", &Text(left.key), &Text(right.key));
    }
    if left.kind != right.kind {
        return say("kind", &left.kind, &right.kind);
    }
    if left.rev != right.rev {
        return say("rev", &left.rev, &right.rev);
    }
    if left.cas != right.cas {
        return say("cas", &left.cas, &right.cas);
    }
    if left.datatype != right.datatype {
        return say("datatype", &left.datatype, &right.datatype);
    }
    if left.value != right.value {
        return say("value", &Bytes(left.value), &Bytes(right.value));
    }
    None
}

/// Compares the high seqnos of a vBucket; `None` for a node that does not have it.
#[must_use]
pub fn seqnos(names: Names<'_>, left: Option<Seqno>, right: Option<Seqno>) -> Option<String> {
    let say = |seqno: Option<Seqno>| seqno.map_or("absent".to_owned(), |seqno| seqno.to_string());
    (left != right).then(|| {
        let Names { left: here, right: there } = names;
        format!("high seqno is {} on {here} and {} on {there}", say(left), say(right))
    })
}

/// Compares the failover logs of a vBucket, newest entry first.
#[must_use]
pub fn failover_logs(
    names: Names<'_>,
    left: &[FailoverEntry],
    right: &[FailoverEntry],
) -> Option<String> {
    let say = |log: &[FailoverEntry]| {
        let entries = log.iter().map(|entry| format!("{:x}@{}", entry.uuid.0, entry.seqno));
        entries.collect::<Vec<_>>().join(" ")
    };
    (left != right).then(|| {
        let Names { left: here, right: there } = names;
        format!("failover log is {} on {here} and {} on {there}", say(left), say(right))
    })
}

/// One difference and the vBucket it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The vBucket.
    pub vb: VbId,
    /// What differs, with the names of the nodes.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.vb, self.what)
    }
}

struct Title<'a>(&'a Change<'a>);

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seqno {}, key {:?}", self.0.seqno, Text(self.0.key))
    }
}

struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Length and checksum: enough to see that two values differ, no matter how long they are.
struct Bytes<'a>(&'a [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes with CRC32 {:08x}", self.0.len(), crc32fast::hash(self.0))
    }
}

#[cfg(test)]
mod tests;
