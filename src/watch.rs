//! Measures how far a consumer is behind its producers, by asking both for their seqnos.

use std::collections::BTreeMap;

use mcbp::{Feature, Seqno, VbId};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};

/// Without it a node returns the seqnos of its default collection only, which cannot be compared
/// between nodes.
pub(crate) const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// The vBuckets of one bucket that come from one producer.
#[derive(Clone, Debug)]
pub struct Route {
    /// The node that changes come from.
    pub producer: Endpoint,
    /// The node that they go to.
    pub consumer: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// The vBuckets.
    pub vbs: Vec<VbId>,
}

/// The progress of replication, in changes; each seqno counts as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Changes on the producers.
    pub total: u64,
    /// How many of them the consumer does not have yet.
    pub behind: u64,
    /// vBuckets whose high seqnos differ: behind, or ahead and not rolled back yet.
    pub unequal: usize,
}

impl Position {
    /// Changes that the consumer has.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.total.saturating_sub(self.behind)
    }

    fn add(&mut self, producer: Seqno, consumer: Seqno) {
        self.total += producer.0;
        self.behind += producer.0.saturating_sub(consumer.0);
        self.unequal += usize::from(producer != consumer);
    }
}

/// Asks both nodes of every route. Connects when first asked, and again after a failure.
#[derive(Debug)]
pub struct Watch {
    routes: Vec<(Route, Option<(Client, Client)>)>,
}

impl Watch {
    /// A watch over these routes. It is not connected yet.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        Self { routes: routes.iter().map(|route| (route.clone(), None)).collect() }
    }

    /// Watches these routes from now on; connections of routes that stay are kept.
    pub fn follow(&mut self, routes: &[Route]) {
        let mut before = std::mem::take(&mut self.routes);
        let mut clients_of = |route: &Route| {
            let is_same = |(old, _): &(Route, Option<(Client, Client)>)| {
                (&old.producer.name, &old.producer.address, &old.bucket)
                    == (&route.producer.name, &route.producer.address, &route.bucket)
            };
            before.iter_mut().find(|old| is_same(old)).and_then(|(_, clients)| clients.take())
        };
        self.routes = routes.iter().map(|route| (route.clone(), clients_of(route))).collect();
    }

    /// How many vBuckets are watched.
    #[must_use]
    pub fn vbuckets(&self) -> usize {
        self.routes.iter().map(|(route, _)| route.vbs.len()).sum()
    }

    /// The progress of replication now.
    ///
    /// # Errors
    /// A [`LinkError`] where a node does not answer. The next call connects again.
    pub async fn position(&mut self) -> Result<Position, LinkError> {
        let mut position = Position::default();
        for (route, clients) in &mut self.routes {
            let (mut producer, mut consumer) = match clients.take() {
                Some(clients) => clients,
                None => (
                    connect(&route.producer, &route.bucket).await?,
                    connect(&route.consumer, &route.bucket).await?,
                ),
            };
            let (there, here) =
                tokio::try_join!(producer.get_all_vb_seqnos(), consumer.get_all_vb_seqnos())?;
            *clients = Some((producer, consumer));
            add_all(&mut position, &route.vbs, &there, &here);
        }
        Ok(position)
    }
}

fn add_all(position: &mut Position, vbs: &[VbId], there: &[(VbId, Seqno)], here: &[(VbId, Seqno)]) {
    let (there, here): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (there.iter().copied().collect(), here.iter().copied().collect());
    for vb in vbs {
        // A node that does not have the vBucket has no changes of it.
        let seqno = |of: &BTreeMap<VbId, Seqno>| of.get(vb).copied().unwrap_or_default();
        position.add(seqno(&there), seqno(&here));
    }
}

async fn connect(endpoint: &Endpoint, bucket: &str) -> Result<Client, LinkError> {
    let login = Login {
        bucket: Some(bucket),
        agent: "dcp-proxy/watch",
        features: &SEQNO_FEATURES,
        deadlines: Deadlines::default(),
    };
    let client = Client::connect(endpoint, login).await?;
    client.require(&SEQNO_FEATURES)?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vbuckets_of_the_route_count() {
        let seqnos = |list: &[(u16, u64)]| -> Vec<(VbId, Seqno)> {
            list.iter().map(|&(vb, seqno)| (VbId(vb), Seqno(seqno))).collect()
        };
        let there = seqnos(&[(0, 10), (1, 20), (2, 5), (9, 100)]);
        let here = seqnos(&[(0, 10), (1, 15), (2, 7), (8, 100)]);
        let mut position = Position::default();
        add_all(&mut position, &[VbId(0), VbId(1), VbId(2), VbId(3)], &there, &here);
        assert_eq!(position, Position { total: 35, behind: 5, unequal: 2 });
        assert_eq!(position.done(), 30);
    }
}
