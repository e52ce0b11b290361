//! Asks the data nodes of one bucket for their high seqnos, on control connections of its own and
//! never on those of DCP. A node that does not answer makes lag unknown and harms nothing else.
//!
//! Now and then it asks producers on the same connections whether they count our node for durable
//! writes.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{Message, Recipient};
use mcbp::{Feature, Seqno, Side, VbId};
use relay::{Client, Endpoint, LinkError, Login};
use replica::lag::{Lag, LagBook};
use replica::plan::{Desired, VbSet};
use replica::topology::{SAMPLE_MAX, Stranger};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Limits;
use crate::topology_check;

/// Without it a node tells the seqnos of its default collection only, and those of two nodes cannot
/// be compared.
const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// A seqno that was not refreshed for so many intervals is shown as unknown: the node hangs, long
/// before a request runs into its deadline.
const INTERVALS_MAX: u32 = 3;
/// What a node that is busy may take beyond that.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// After how many intervals topologies are read again, a minute by default: they are set once the
/// replicas are there, and somebody may correct a name.
const TOPOLOGY_INTERVALS: u32 = 60;

/// What a node said when it was asked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Polled {
    side: Side,
    node: String,
    said: Said,
}

/// The answer to one question.
enum Said {
    /// The high seqno of every vBucket.
    Seqnos(Result<Vec<(VbId, Seqno)>, LinkError>),
    /// Our node, where topologies do not know it.
    Stranger(Option<Stranger>),
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
    warnings: BTreeMap<String, String>,
}

/// A task that asks one node again and again, for as long as this is kept.
struct Poll {
    task: JoinHandle<()>,
    /// The vBuckets whose topology it reads.
    sample: watch::Sender<Vec<VbId>>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
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
        Self {
            bucket,
            consumer,
            limits,
            told,
            book: LagBook::default(),
            polls: BTreeMap::new(),
            errors: BTreeMap::new(),
            warnings: BTreeMap::new(),
        }
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
        self.warnings.retain(|name, _| nodes.keys().any(|(_, node)| node == name));
        for ((side, name), node) in nodes {
            let vbs = desired.producers().get(&name).filter(|_| side == Side::Producer);
            let sample: Vec<_> = vbs.into_iter().flat_map(VbSet::iter).take(SAMPLE_MAX).collect();
            let poll = self.polls.entry((side, name)).or_insert_with(|| {
                let (sender, sample) = watch::channel(Vec::new());
                let (bucket, our_name) = (self.bucket.clone(), self.consumer.name.clone());
                let ask = Ask { side, node: node.clone(), bucket, our_name, sample };
                let (limits, told) = (self.limits.clone(), self.told.clone());
                let task = actix_rt::spawn(poll(ask, limits, interval, told));
                Poll { task, sample: sender }
            });
            poll.sample.send_replace(sample);
        }
    }

    /// Takes in an answer; says which node was heard.
    pub(crate) fn said(&mut self, polled: Polled, now: Duration) -> Option<String> {
        let Polled { side, node, said } = polled;
        let asked = (side, node);
        if !self.polls.contains_key(&asked) {
            return None;
        }
        let (_, node) = asked;
        let seqnos = match said {
            Said::Seqnos(seqnos) => seqnos,
            Said::Stranger(stranger) => {
                self.note_stranger(&node, stranger.map(|stranger| stranger.to_string()));
                return Some(node);
            }
        };
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

    /// Logs what is new.
    fn note_stranger(&mut self, node: &str, warning: Option<String>) {
        let bucket = &self.bucket;
        match warning {
            Some(text) if self.warnings.get(node) != Some(&text) => {
                let quoted = text.replace('"', "'");
                log::warn!(
                    "node is in no topology bucket={bucket} producer={node} reason=\"{quoted}\""
                );
                self.warnings.insert(node.to_owned(), text);
            }
            Some(_) => {}
            None => {
                if self.warnings.remove(node).is_some() {
                    log::info!("warning about topology is over bucket={bucket} producer={node}");
                }
            }
        }
    }

    /// The lag of a vBucket as it may be shown: unknown where a node has not said it lately.
    pub(crate) fn recent_lag(&self, vb: VbId, now: Duration) -> Lag {
        let interval = self.limits.lag_interval.unwrap_or_default();
        self.book.recent_lag(vb, now, interval * INTERVALS_MAX + ANSWER_SLACK)
    }

    /// The lag of a vBucket by what the nodes said last, however long ago.
    pub(crate) fn lag(&self, vb: VbId, now: Duration) -> Lag {
        self.book.lag(vb, now)
    }

    /// Why the seqnos of a node are not known, where it did not say them.
    pub(crate) fn error(&self, node: &str) -> Option<&String> {
        self.errors.get(node)
    }

    /// What somebody has to look into at a node that answers.
    pub(crate) fn warning(&self, node: &str) -> Option<&String> {
        self.warnings.get(node)
    }
}

/// Whom to ask for what.
struct Ask {
    side: Side,
    node: Endpoint,
    bucket: String,
    /// As topologies should spell it.
    our_name: String,
    /// Of which vBuckets to read the topology.
    sample: watch::Receiver<Vec<VbId>>,
}

async fn poll(ask: Ask, limits: Limits, interval: Duration, told: Recipient<Polled>) {
    let (mut client, mut failures) = (None, 0_u32);
    let mut topology_due = Instant::now();
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
        ask.tell(&told, Said::Seqnos(seqnos));
        if topology_due <= Instant::now()
            && let Some(connected) = &mut client
        {
            topology_due = Instant::now() + interval * TOPOLOGY_INTERVALS;
            match ask.stranger(connected).await {
                Ok(stranger) => ask.tell(&told, Said::Stranger(stranger)),
                // Seqnos are asked for on a new connection, which says what is wrong.
                Err(_) => client = None,
            }
        }
        tokio::time::sleep(pause).await;
    }
}

impl Ask {
    fn tell(&self, told: &Recipient<Polled>, said: Said) {
        told.do_send(Polled { side: self.side, node: self.node.name.clone(), said });
    }

    /// Reads topologies, of a producer only: the sample of a consumer is empty.
    async fn stranger(&self, client: &mut Client) -> Result<Option<Stranger>, LinkError> {
        let vbs = self.sample.borrow().clone();
        topology_check::stranger(client, &self.our_name, &vbs).await
    }

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
