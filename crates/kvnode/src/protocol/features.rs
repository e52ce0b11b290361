//! What a connection has negotiated with HELLO.

use mcbp::Feature;

/// What a connection is told of a new cluster map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MapNews {
    /// The map.
    Full,
    /// That there is one.
    Brief,
}

/// The features of a connection. Only what this node supports is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Features {
    /// Values may carry extended attributes.
    pub(crate) xattr: bool,
    /// Values may be compressed with snappy.
    pub(crate) snappy: bool,
    /// Values of every request and answer may be compressed with snappy.
    pub(crate) snappy_everywhere: bool,
    /// The datatype tells whether a value is JSON.
    pub(crate) json: bool,
    /// Keys carry a collection prefix.
    pub(crate) collections: bool,
    /// Answers to changes carry vBucket uuid and seqno.
    pub(crate) mutation_seqno: bool,
    /// Errors may use the codes of the error map.
    pub(crate) xerror: bool,
    /// Answers say how long the request took.
    pub(crate) tracing: bool,
    /// The node may send requests.
    pub(crate) duplex: bool,
    /// It is told of new cluster maps.
    pub(crate) map_news: Option<MapNews>,
    /// Answers to durable writes may come later than others. All others come in order.
    pub(crate) unordered: bool,
    /// It knows of durable writes: seqnos are those of all rows, not of the visible ones.
    pub(crate) sync_replication: bool,
    /// `NOT_MY_VBUCKET` carries a map only if the connection has an older one.
    pub(crate) dedupe_maps: bool,
}

impl Features {
    /// Grants the supported features among `asked`; returns them in the order of their codes.
    ///
    /// # Errors
    /// What is missing for one of them, as text.
    pub(crate) fn negotiate(asked: &[Feature]) -> Result<(Self, Vec<Feature>), &'static str> {
        let mut features = Self::default();
        let mut granted: Vec<_> = asked.iter().copied().filter(|&it| features.grant(it)).collect();
        if features.map_news.is_some() && !features.duplex {
            return Err("notifications of cluster maps need DUPLEX");
        }
        granted.sort_unstable_by_key(|feature| feature.0);
        granted.dedup();
        if features.map_news == Some(MapNews::Brief) {
            granted.retain(|&feature| feature != Feature::CLUSTERMAP_NOTIFICATION);
        }
        Ok((features, granted))
    }

    /// Records `feature`; returns whether it is granted.
    fn grant(&mut self, feature: Feature) -> bool {
        let field = match feature {
            Feature::XATTR => &mut self.xattr,
            Feature::SNAPPY => &mut self.snappy,
            Feature::SNAPPY_EVERYWHERE => &mut self.snappy_everywhere,
            Feature::JSON => &mut self.json,
            Feature::COLLECTIONS => &mut self.collections,
            Feature::MUTATION_SEQNO => &mut self.mutation_seqno,
            Feature::XERROR => &mut self.xerror,
            Feature::TRACING => &mut self.tracing,
            Feature::DUPLEX => &mut self.duplex,
            Feature::UNORDERED_EXECUTION => &mut self.unordered,
            Feature::SYNC_REPLICATION => &mut self.sync_replication,
            Feature::DEDUPE_NOT_MY_VBUCKET => &mut self.dedupe_maps,
            // The brief form wins, whatever the order.
            Feature::CLUSTERMAP_NOTIFICATION => {
                self.map_news.get_or_insert(MapNews::Full);
                return true;
            }
            Feature::CLUSTERMAP_NOTIFICATION_BRIEF => {
                self.map_news = Some(MapNews::Brief);
                return true;
            }
            feature => return needs_no_record(feature),
        };
        *field = true;
        true
    }
}

/// Whether this node always behaves as the feature says.
const fn needs_no_record(feature: Feature) -> bool {
    matches!(
        feature,
        Feature::TCP_NODELAY
            | Feature::SELECT_BUCKET
            | Feature::ALT_REQUEST
            | Feature::PRESERVE_TTL
            | Feature::VATTR
            | Feature::CREATE_AS_DELETED
            | Feature::SUBDOC_DOCUMENT_MACRO
            | Feature::SUBDOC_REPLACE_BODY_WITH_XATTR
            | Feature::SUBDOC_REPLICA_READ
            | Feature::SUBDOC_MULTIPLE_XATTR_KEYS
            | Feature::SUBDOC_BINARY_XATTR
            | Feature::SUBDOC_REPLICA_READ_OF_DELETED
            | Feature::GET_CLUSTER_CONFIG_WITH_VERSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_in_the_order_of_their_codes_and_there_once() {
        let asked = [Feature::JSON, Feature::TLS, Feature::XATTR, Feature::JSON, Feature(0xffff)];
        let (features, granted) = Features::negotiate(&asked).unwrap();
        assert_eq!(granted, [Feature::XATTR, Feature::JSON]);
        assert!(features.json && features.xattr && !features.snappy);
    }

    #[test]
    fn the_brief_notification_wins_and_both_need_duplex() {
        let (full, brief) =
            (Feature::CLUSTERMAP_NOTIFICATION, Feature::CLUSTERMAP_NOTIFICATION_BRIEF);
        for asked in [[full, brief, Feature::DUPLEX], [brief, full, Feature::DUPLEX]] {
            let (features, granted) = Features::negotiate(&asked).unwrap();
            assert_eq!(granted, [Feature::DUPLEX, brief]);
            assert_eq!(features.map_news, Some(MapNews::Brief));
        }
        assert!(Features::negotiate(&[full]).is_err());
        assert!(Features::negotiate(&[brief]).is_err());
    }
}
