//! Desired maps, and their assignment to links.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;
use serde::{Deserialize, Serialize};

mod vbset;

pub use vbset::{VBUCKETS_MAX, VbSet, VbSetError};

/// How many connections carry the streams of one producer: 1 to 64 (MB-63169).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Connections(u8);

/// One link: a pair of connections for part of one producer's vBuckets of one bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct LinkKey {
    /// The producer, by its name in the configuration.
    pub producer: String,
    /// The number of the connection; 0 is the first.
    pub connection: u8,
}

/// The desired map of one bucket: which vBuckets come from which producer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, VbSet>")]
pub struct Desired(BTreeMap<String, VbSet>);

/// The streams of each link.
pub type Links = BTreeMap<LinkKey, BTreeSet<VbId>>;

/// Why a plan is invalid.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum PlanError {
    /// A vBucket cannot come from two producers.
    #[error("{vb} is wanted from both {first} and {second}: give it to one of them")]
    WantedTwice {
        /// The vBucket.
        vb: VbId,
        /// A producer.
        first: String,
        /// Another one.
        second: String,
    },
    /// The number of connections is out of bounds.
    #[error("{0} connections for each producer: give 1 to 64")]
    Connections(u64),
}

impl Connections {
    /// One connection for each producer.
    pub const ONE: Self = Self(1);
    /// The largest number.
    pub const MAX: Self = Self(64);

    /// Returns the checked number.
    ///
    /// # Errors
    /// [`PlanError::Connections`] unless it is 1 to 64.
    pub fn new(count: u64) -> Result<Self, PlanError> {
        match u8::try_from(count) {
            Ok(n) if (1..=Self::MAX.0).contains(&n) => Ok(Self(n)),
            Ok(_) | Err(_) => Err(PlanError::Connections(count)),
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn count(self) -> u8 {
        self.0
    }

    /// Returns the number of the connection that carries a vBucket.
    #[must_use]
    pub const fn of(self, vb: VbId) -> u8 {
        // The remainder is less than 64, so its low byte holds all of it.
        let [_, number] = (vb.0 % self.0 as u16).to_be_bytes();
        number
    }
}

impl TryFrom<u64> for Connections {
    type Error = PlanError;

    fn try_from(count: u64) -> Result<Self, PlanError> {
        Self::new(count)
    }
}

impl TryFrom<BTreeMap<String, VbSet>> for Desired {
    type Error = PlanError;

    fn try_from(producers: BTreeMap<String, VbSet>) -> Result<Self, PlanError> {
        Self::new(producers)
    }
}

impl Desired {
    /// Returns the checked map, without producers that have no vBucket.
    ///
    /// # Errors
    /// [`PlanError::WantedTwice`] for the first vBucket that two producers are asked for.
    pub fn new(producers: BTreeMap<String, VbSet>) -> Result<Self, PlanError> {
        let mut homes: BTreeMap<VbId, &String> = BTreeMap::new();
        for (producer, vbs) in &producers {
            for vb in vbs.iter() {
                if let Some(first) = homes.insert(vb, producer) {
                    let (first, second) = (first.clone(), producer.clone());
                    return Err(PlanError::WantedTwice { vb, first, second });
                }
            }
        }
        Ok(Self(producers.into_iter().filter(|(_, vbs)| !vbs.is_empty()).collect()))
    }

    /// Returns the vBuckets of each producer.
    #[must_use]
    pub const fn producers(&self) -> &BTreeMap<String, VbSet> {
        &self.0
    }

    /// Returns the producer of a vBucket, if it is wanted.
    #[must_use]
    pub fn source(&self, vb: VbId) -> Option<&str> {
        let mut sets = self.0.iter();
        sets.find(|(_, vbs)| vbs.as_set().contains(&vb)).map(|(producer, _)| producer.as_str())
    }

    /// Assigns a vBucket to `producer`, or to none, in place of its previous producer.
    pub fn assign(&mut self, vb: VbId, producer: Option<&str>) {
        for vbs in self.0.values_mut() {
            vbs.remove(vb);
        }
        if let Some(producer) = producer {
            self.0.entry(producer.to_owned()).or_default().insert(vb);
        }
        self.0.retain(|_, vbs| !vbs.is_empty());
    }

    /// Returns the vBuckets of each link, with `connections` links for each producer.
    #[must_use]
    pub fn links(&self, connections: Connections) -> Links {
        let mut links = Links::new();
        for (producer, vbs) in &self.0 {
            for vb in vbs.iter() {
                let (producer, connection) = (producer.clone(), connections.of(vb));
                links.entry(LinkKey { producer, connection }).or_default().insert(vb);
            }
        }
        links
    }
}
