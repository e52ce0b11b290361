//! The revision of a cluster map.

use std::fmt;

/// How new a cluster map is: the epoch counts first. Both begin with 1; old clusters send no epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MapRevision {
    /// Bumped when the cluster was restored by hand, after which numbers begin anew.
    pub epoch: i64,
    /// The number of the map within its epoch.
    pub number: i64,
}

impl MapRevision {
    /// Reads extras of GET_CLUSTER_CONFIG or SET_CLUSTER_CONFIG.
    ///
    /// # Errors
    /// What is wrong, as text.
    pub fn decode(extras: &[u8]) -> Result<Self, &'static str> {
        let (epoch, number) = extras.split_at_checked(8).unwrap_or_default();
        let (Ok(epoch), Ok(number)) = (epoch.try_into(), number.try_into()) else {
            return Err("the extras are an epoch and a revision of 8 bytes each");
        };
        let revision =
            Self { epoch: i64::from_be_bytes(epoch), number: i64::from_be_bytes(number) };
        if revision.epoch < 1 || revision.number < 1 {
            return Err("epoch and revision must be at least 1");
        }
        Ok(revision)
    }

    /// The extras: epoch and number, each an i64 in network order.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let bytes = (i128::from(self.epoch) << 64) | i128::from(self.number.cast_unsigned());
        bytes.to_be_bytes()
    }
}

impl fmt::Display for MapRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_what_its_extras_say() {
        for (epoch, number) in [(1, 1), (1, i64::MAX), (i64::MAX, 1), (2, 10)] {
            let revision = MapRevision { epoch, number };
            assert_eq!(MapRevision::decode(&revision.encode()), Ok(revision));
        }
        for (epoch, number) in [(0, 1), (1, 0), (-1, 1), (1, -1)] {
            assert!(MapRevision::decode(&MapRevision { epoch, number }.encode()).is_err());
        }
        for bytes in [0, 8, 15, 17, 24] {
            assert!(MapRevision::decode(&vec![1; bytes]).is_err());
        }
        let [old, new] = [(1, 99), (2, 1)].map(|(epoch, number)| MapRevision { epoch, number });
        assert!(old < new);
    }

    #[test]
    fn extras_are_two_numbers_in_network_order() {
        let bytes = MapRevision { epoch: 1, number: 10 }.encode();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 10]);
    }
}
