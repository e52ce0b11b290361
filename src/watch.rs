//! How far a consumer is behind its producers, seen from outside: by the seqnos of both.

use std::collections::BTreeMap;

use mcbp::{Feature, Seqno, VbId};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};

/// Without it a node tells the seqnos of its default collection only, and those of two nodes cannot
/// be compared.
pub(crate) const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// What comes from one producer for one bucket.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the changes come from.
    pub producer: Endpoint,
    /// Where they go.
    pub consumer: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// The vBuckets.
    pub vbs: Vec<VbId>,
}

/// How far replication is, counted in changes: a seqno is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Changes on the producers.
    pub total: u64,
    /// Those of them that the consumer does not have yet.
    pub behind: u64,
    /// vBuckets whose histories are not of equal length: behind, or ahead before a rollback.
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

/// Asks both ends of every route. Connects when asked, and again after a failure.
#[derive(Debug)]
pub struct Watch {
    routes: Vec<(Route, Option<(Client, Client)>)>,
}

impl Watch {
    /// A watch over these routes; nothing is connected yet.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        Self { routes: routes.iter().map(|route| (route.clone(), None)).collect() }
    }

    /// Where replication stands now.
    ///
    /// # Errors
    /// A [`LinkError`] where a node does not answer; asking again may help.
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
        // A node that does not have the vBucket has no change of it.
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
