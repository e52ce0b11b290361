//! Asks the data nodes of one bucket for their high seqnos, on control connections of its own and
//! never on those of DCP. A node that does not answer makes lag unknown and harms nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{Message, Recipient};
use mcbp::{Feature, Seqno, Side, VbId};
use relay::{Client, Endpoint, LinkError, Login};
use replica::lag::{Lag, LagBook};
use replica::plan::Desired;
use tokio::task::JoinHandle;

use crate::config::Limits;

/// Without it a node tells the seqnos of its default collection only, and those of two nodes cannot
/// be compared.
const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// What a node said when it was asked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Polled {
    side: Side,
    node: String,
    seqnos: Result<Vec<(VbId, Seqno)>, LinkError>,
}

/// The lag of one bucket.
pub(crate) struct LagMonitor {
    bucket: String,
    consumer: Endpoint,
    limits: Limits,
    told: Recipient<Polled>,
    book: LagBook,
    polls: BTreeMap<(Side, String), Poll>,
    errors: BTreeMap<String, String>,
}

/// A task that asks one node again and again, for as long as this is kept.
struct Poll(JoinHandle<()>);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl LagMonitor {
    /// Asks nobody yet. Answers go to `told`, which is to hand them to [`Self::said`].
    pub(crate) fn new(
        bucket: String,
        consumer: Endpoint,
        limits: Limits,
        told: Recipient<Polled>,
    ) -> Self {
        let (book, polls, errors) = (LagBook::default(), BTreeMap::new(), BTreeMap::new());
        Self { bucket, consumer, limits, told, book, polls, errors }
    }

    /// Asks for what is wanted, and for nothing else.
    pub(crate) fn follow(&mut self, desired: &Desired, producers: &BTreeMap<String, Endpoint>) {
        let Some(interval) = self.limits.lag_interval else { return };
        let mut sources = BTreeMap::new();
        for (producer, vbs) in desired.producers() {
            sources.extend(vbs.iter().map(|vb| (vb, producer.clone())));
        }
        self.book.follow(&sources);
        let names = desired.producers().keys();
        let mut nodes: BTreeMap<_, _> = names
            .filter_map(|name| producers.get(name))
            .map(|node| ((Side::Producer, node.name.clone()), node))
            .collect();
        if !nodes.is_empty() {
            nodes.insert((Side::Consumer, self.consumer.name.clone()), &self.consumer);
        }
        self.polls.retain(|asked, _| nodes.contains_key(asked));
        self.errors.retain(|name, _| nodes.keys().any(|(_, node)| node == name));
        for ((side, name), node) in nodes {
            self.polls.entry((side, name)).or_insert_with(|| {
                let ask = Ask { side, node: node.clone(), bucket: self.bucket.clone() };
                let (limits, told) = (self.limits.clone(), self.told.clone());
                Poll(actix_rt::spawn(poll(ask, limits, interval, told)))
            });
        }
    }

    /// Takes in an answer; says which node was heard.
    pub(crate) fn said(&mut self, polled: Polled, now: Duration) -> Option<String> {
        let Polled { side, node, seqnos } = polled;
        let asked = (side, node);
        if !self.polls.contains_key(&asked) {
            return None;
        }
        let (_, node) = asked;
        let seqnos = match seqnos {
            Ok(seqnos) => {
                if self.errors.remove(&node).is_some() {
                    log::info!("lag is known again bucket={} node={node}", self.bucket);
                }
                Some(seqnos)
            }
            Err(error) => {
                if self.errors.insert(node.clone(), error.to_string()).is_none() {
                    log::warn!("lag is unknown bucket={} reason=\"{error}\"", self.bucket);
                }
                None
            }
        };
        match side {
            Side::Consumer => self.book.consumer_said(seqnos.as_deref(), now),
            Side::Producer => self.book.producer_said(&node, seqnos.as_deref(), now),
        }
        seqnos.map(|_| node)
    }

    /// The lag of a vBucket.
    pub(crate) fn lag(&self, vb: VbId, now: Duration) -> Lag {
        self.book.lag(vb, now)
    }

    /// Why the seqnos of a node are not known, where it did not say them.
    pub(crate) fn error(&self, node: &str) -> Option<&String> {
        self.errors.get(node)
    }
}

/// Whom to ask for what.
struct Ask {
    side: Side,
    node: Endpoint,
    bucket: String,
}

async fn poll(ask: Ask, limits: Limits, interval: Duration, told: Recipient<Polled>) {
    let (mut client, mut failures) = (None, 0_u32);
    loop {
        let seqnos = ask.once(&mut client, &limits).await;
        let pause = if seqnos.is_ok() {
            failures = 0;
            interval
        } else {
            client = None;
            failures = failures.saturating_add(1);
            limits.backoff.delay(failures, fastrand::f64()).max(interval)
        };
        told.do_send(Polled { side: ask.side, node: ask.node.name.clone(), seqnos });
        tokio::time::sleep(pause).await;
    }
}

impl Ask {
    async fn once(
        &self,
        client: &mut Option<Client>,
        limits: &Limits,
    ) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        let connected = match client.take() {
            Some(connected) => connected,
            None => {
                let login = Login {
                    bucket: Some(&self.bucket),
                    agent: "dcp-proxy:lag",
                    features: &SEQNO_FEATURES,
                    deadlines: limits.handshake,
                };
                let connected = Client::connect(&self.node, login).await?;
                connected.require(&SEQNO_FEATURES)?;
                connected
            }
        };
        client.insert(connected).get_all_vb_seqnos().await
    }
}
