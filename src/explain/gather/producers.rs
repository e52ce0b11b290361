//! The producers: those of the configuration, or those that the map of a cluster names.

use std::collections::BTreeSet;

use tokio::time::timeout;

use super::{STEPS_MAX, What};
use crate::config::{MapSource, Node};
use crate::explain::facts::Wanted;
use crate::sources::{map_of, without_own};

/// Returns the producers, and where the vBucket is to come from, which the map of a cluster says
/// where no sidecar does.
pub(super) async fn of(what: &What<'_>, wanted: Wanted) -> (Vec<Node>, Wanted) {
    let MapSource::Cluster(cluster) = &what.config.source else {
        return (what.config.producers.clone(), wanted);
    };
    let (mut names, mut wanted) = (BTreeSet::new(), wanted);
    if let Wanted::From(name) = &wanted {
        names.insert(name.clone());
    } else {
        let asked = map_of(cluster, what.bucket, what.step);
        if let Ok(Ok(found)) = timeout(what.step * STEPS_MAX, asked).await {
            let mut desired = found.wanted.desired;
            without_own(&mut desired, what.config.node.remote().map(|it| it.address.as_str()));
            names.extend(desired.producers().keys().cloned());
            if wanted == Wanted::Unknown {
                let source = desired.source(what.vb);
                wanted = source.map_or(Wanted::Nobody, |name| Wanted::From(name.to_owned()));
            }
        }
    }
    let endpoints = names.iter().filter_map(|name| cluster.producer(name));
    (endpoints.map(Node::Remote).collect(), wanted)
}
