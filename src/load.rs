//! Writes the sample documents to a node over several connections.
//!
//! A manifest is written after all documents were acknowledged, so that the next run detects an
//! incomplete load and repeats it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use indicatif::{DecimalBytes, HumanCount};
use mcbp::kv::StoreExtras;
use mcbp::{Datatype, Feature, Frame, FrameBuilder, Opaque, Opcode, Status, VbId};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::sample::{self, Fate, Sample};
use crate::screen::Bar;

/// All sample documents of this project come from this seed.
pub(crate) const SEED: u64 = 2016;
/// Connections that write: enough to keep the node's commits full.
const CONNECTIONS: usize = 4;
/// Unanswered requests of each connection: half a megabyte, at 2 kB for a document.
const WINDOW: usize = 256;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);
/// Written after the last document.
const MANIFEST_KEY: &[u8] = b"sample-manifest";

/// Which documents to write to which node.
#[derive(Clone, Debug)]
pub struct Load {
    /// The node.
    pub endpoint: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// How many vBuckets it has.
    pub vbuckets: u16,
    /// How many documents to write.
    pub documents: u64,
}

/// The result of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loaded {
    /// The node has the documents already.
    AlreadyThere,
    /// They were written.
    Written(Totals),
    /// A stop was requested before the end.
    Stopped,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Documents.
    pub documents: u64,
    /// The bytes of their values.
    pub bytes: u64,
    /// How many of them were deleted.
    pub deleted: u64,
    /// How many of them have an expiry.
    pub expiring: u64,
}

/// Why the documents could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The connection failed.
    #[error("sample documents could not be written: {0}")]
    Link(#[from] LinkError),
    /// The node refused a document.
    #[error("a sample document was refused with {0}: free some space or remove the data folder")]
    Refused(Status),
    /// A task of the load panicked: a bug.
    #[error("a task that writes sample documents panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Writes the documents, unless the node has them already.
///
/// # Errors
/// A [`LoadError`]; some documents may have been written, and the next run writes all of them.
pub async fn load(
    load: &Load,
    bar: &mut Bar,
    stop: &CancellationToken,
) -> Result<Loaded, LoadError> {
    let manifest = format!("{{\"documents\":{},\"seed\":{SEED}}}", load.documents);
    let mut client = connect(load).await?;
    let vb = sample::vbucket_of(MANIFEST_KEY, load.vbuckets);
    let get = FrameBuilder::request(Opcode::GET).vbucket(vb).key(MANIFEST_KEY);
    let found = client.call(get).await?;
    if found.value.as_ref() == manifest.as_bytes() {
        return Ok(Loaded::AlreadyThere);
    }
    let totals = write_all(load, bar, stop).await?;
    if stop.is_cancelled() {
        return Ok(Loaded::Stopped);
    }
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).vbucket(vb).datatype(Datatype::JSON);
    client.ask(set.extras(&extras).key(MANIFEST_KEY).value(manifest.as_bytes())).await?;
    Ok(Loaded::Written(totals))
}

/// How many of the first `documents` sample documents are deleted again.
#[must_use]
pub fn deleted_of(documents: u64) -> u64 {
    let fates = (0..documents).map(|number| sample::fate(SEED, number));
    fates.filter(|fate| *fate == Fate::Deleted).count() as u64
}

async fn connect(load: &Load) -> Result<Client, LinkError> {
    let login = Login {
        bucket: Some(&load.bucket),
        agent: "dcp-proxy/load",
        features: &[Feature::JSON],
        deadlines: Deadlines::default(),
    };
    Client::connect(&load.endpoint, login).await
}

async fn write_all(
    load: &Load,
    bar: &mut Bar,
    stop: &CancellationToken,
) -> Result<Totals, LoadError> {
    let (started, counters) = (Instant::now(), Arc::new(Counters::default()));
    let mut writers = JoinSet::new();
    for first in 0..CONNECTIONS {
        writers.spawn(write_share(load.clone(), first, Arc::clone(&counters), stop.clone()));
    }
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            finished = writers.join_next() => match finished {
                Some(finished) => finished??,
                None => return Ok(counters.totals()),
            },
            _ = tick.tick() => {
                let Totals { documents, bytes, .. } = counters.totals();
                bar.set(documents, rate(bytes, started.elapsed()));
            }
        }
    }
}

/// The throughput in megabytes per second, for people.
#[must_use]
pub fn rate(bytes: u64, elapsed: Duration) -> String {
    let per_second = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    format!("{}/s", DecimalBytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// Writes every `CONNECTIONS`th document from `first` on.
async fn write_share(
    load: Load,
    first: usize,
    counters: Arc<Counters>,
    stop: CancellationToken,
) -> Result<(), LoadError> {
    let mut client = connect(&load).await?;
    let mut numbers = (0..load.documents).skip(first).step_by(CONNECTIONS);
    let mut to_delete: Option<(VbId, String)> = None;
    let mut refused = None;
    let next = |opaque: Opaque, out: &mut BytesMut| {
        if let Some((vb, key)) = to_delete.take() {
            let delete = FrameBuilder::request(Opcode::DELETE).vbucket(vb).opaque(opaque);
            delete.key(key.as_bytes()).write(out);
            return true;
        }
        let Some(number) = numbers.next().filter(|_| !stop.is_cancelled()) else { return false };
        let sample = sample::sample(SEED, number);
        let vb = sample::vbucket_of(sample.key.as_bytes(), load.vbuckets);
        write_set(&sample, vb, opaque, out);
        counters.add(&sample);
        if sample.fate == Fate::Deleted {
            to_delete = Some((vb, sample.key));
        }
        true
    };
    let each = |_, response: &Frame<'_>| {
        let status = response.header.status();
        if !status.is_success() {
            refused.get_or_insert(LoadError::Refused(status));
        }
    };
    client.pipeline(WINDOW, next, each).await?;
    refused.map_or(Ok(()), Err)
}

fn write_set(sample: &Sample, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
    let extras = StoreExtras { flags: sample.flags, expiry: sample.fate.ttl_seconds() }.encode();
    FrameBuilder::request(Opcode::SET)
        .vbucket(vb)
        .opaque(opaque)
        .datatype(sample.datatype)
        .extras(&extras)
        .key(sample.key.as_bytes())
        .value(&sample.value)
        .write(out);
}

/// The [`Totals`] of several connections, while they write.
#[derive(Debug, Default)]
struct Counters {
    documents: AtomicU64,
    bytes: AtomicU64,
    deleted: AtomicU64,
    expiring: AtomicU64,
}

impl Counters {
    fn add(&self, sample: &Sample) {
        self.documents.fetch_add(1, Relaxed);
        self.bytes.fetch_add(sample.value.len() as u64, Relaxed);
        match sample.fate {
            Fate::Stays => 0,
            Fate::Expires(_) => self.expiring.fetch_add(1, Relaxed),
            Fate::Deleted => self.deleted.fetch_add(1, Relaxed),
        };
    }

    fn totals(&self) -> Totals {
        Totals {
            documents: self.documents.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            deleted: self.deleted.load(Relaxed),
            expiring: self.expiring.load(Relaxed),
        }
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { documents, bytes, deleted, expiring } = *self;
        write!(f, "{} sample documents, {}", HumanCount(documents), DecimalBytes(bytes))?;
        write!(f, " ({} deleted again, ", HumanCount(deleted))?;
        write!(f, "{} with an expiry)", HumanCount(expiring))
    }
}
