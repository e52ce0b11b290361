//! Newtypes of the protocol, so that numbers of different kinds are not confused.

use std::fmt;

/// A vBucket id, 0 to 1023 in a usual bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VbId(pub u16);

/// A sequence number within one vBucket; 0 means that nothing was written yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seqno(pub u64);

/// The identity of one branch of a vBucket's history (failover table); 0 means none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VbUuid(pub u64);

/// Four bytes that match a response to its request, and a frame to its stream.
///
/// Only their sender interprets them: a data node counts them in its own byte order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Opaque(pub u32);

impl Seqno {
    /// No end, in STREAM_REQ.
    pub const MAX: Self = Self(u64::MAX);
    /// The seqno before the first.
    pub const ZERO: Self = Self(0);

    /// The highest seqno that a node takes from a peer: those of kv_engine are signed. The other
    /// half of the range is left for the changes that follow it.
    pub const TAKEN_MAX: Self = Self(i64::MAX as u64);

    /// The start of the range after this seqno; saturates. A change gets [`Seqno::successor`].
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The seqno of the next change; `None` where there is none.
    #[must_use]
    pub const fn successor(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for VbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vb:{}", self.0)
    }
}

impl fmt::Debug for VbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

macro_rules! decimal {
    ($($name:ident)+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+ };
}
decimal!(Seqno VbUuid);

/// The role of a data node in DCP: which end of a replication link it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The node that receives changes.
    Consumer,
    /// The node that sends changes.
    Producer,
}

impl Side {
    /// The opposite end of the link.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Producer,
            Self::Producer => Self::Consumer,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
        })
    }
}

/// The state of a vBucket on one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum VbState {
    /// Serves reads and writes.
    Active = 1,
    /// Receives changes over DCP.
    Replica = 2,
    /// About to become active; operations wait until then.
    Pending = 3,
    /// Not served here.
    Dead = 4,
}

impl VbState {
    /// Returns the state for its number on the wire; `None` for any other number than 1 to 4.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Active),
            2 => Some(Self::Replica),
            3 => Some(Self::Pending),
            4 => Some(Self::Dead),
            _ => None,
        }
    }

    /// The name of the state in the statistics of a data node.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replica => "replica",
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for VbState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The datatype bits of a frame, byte 5 of the header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Datatype(pub u8);

impl Datatype {
    /// Plain bytes.
    pub const RAW: Self = Self(0);
    /// The value is JSON.
    pub const JSON: Self = Self(1);
    /// The value is compressed with snappy (raw format).
    pub const SNAPPY: Self = Self(2);
    /// The value begins with extended attributes.
    pub const XATTR: Self = Self(4);
    /// Every bit that has a meaning.
    pub const KNOWN_BITS: u8 = 7;

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether only bits with a meaning are set.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 & !Self::KNOWN_BITS == 0
    }

    /// This datatype with the bits of `other` cleared.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// This datatype with the bits of `other` set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
