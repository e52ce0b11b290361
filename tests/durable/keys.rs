//! The documents of the campaign.

use bytes::Bytes;
use mcbp::VbId;
use mcbp::key::{DEFAULT_COLLECTION, prefixed};

/// Enough that copies of several nodes are active after a failover.
pub(crate) const VBUCKETS: u16 = 4;
/// Keys that all writers want.
const HOT: u16 = 6;
/// Keys of the collection that is dropped now and then.
const DROPPED: u16 = 4;
/// Keys that are seldom written twice in a round.
const COLD: u16 = 400;
const PLAIN: u16 = 6;

/// What is done with a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    Hot,
    Cold,
    /// Of the collection with this id.
    Of(u32),
    /// Written without durability: it may be lost in a failover.
    Plain,
}

/// The key of a document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    number: u16,
}

impl Key {
    /// A random one.
    pub(crate) fn random(kind: Kind, rng: &mut fastrand::Rng) -> Self {
        Self { kind, number: rng.u16(..count(kind)) }
    }

    /// All of a kind.
    pub(crate) fn all(kind: Kind) -> impl Iterator<Item = Self> {
        (0..count(kind)).map(move |number| Self { kind, number })
    }

    pub(crate) const fn is_durable(self) -> bool {
        !matches!(self.kind, Kind::Plain)
    }

    pub(crate) const fn vb(self) -> VbId {
        VbId(self.number % VBUCKETS)
    }

    /// With the prefix of its collection.
    pub(crate) fn bytes(self) -> Bytes {
        let (name, collection) = match self.kind {
            Kind::Hot => ("hot", DEFAULT_COLLECTION),
            Kind::Cold => ("cold", DEFAULT_COLLECTION),
            Kind::Of(id) => ("of", id),
            Kind::Plain => ("plain", DEFAULT_COLLECTION),
        };
        prefixed(collection, format!("{name}-{}", self.number).as_bytes())
    }
}

const fn count(kind: Kind) -> u16 {
    match kind {
        Kind::Hot => HOT,
        Kind::Cold => COLD,
        Kind::Of(_) => DROPPED,
        Kind::Plain => PLAIN,
    }
}
