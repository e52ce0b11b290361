//! Starts the control plane on threads of its own. The rest of the program gives commands through
//! [`ReplicationHandle`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use events::Events;
use futures::channel::oneshot;
use futures::future::join_all;
use mcbp::VbId;
use relay::{Endpoint, Recorder};
use replica::bucket::{BucketCommand, Change, CommandError, Done, MoveKind, MoveRequest, Restart};
use replica::plan::{Connections, Desired, VbSet};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::bucket_actor::{ReadStatus, Submit};
use crate::buckets::{self, Bucket, Buckets};
use crate::config::{BucketPlan, ReplicationConfig};
use crate::status::{BucketStatus, Moved};
use crate::threads::Threads;
use crate::timings::Timings;

/// How long the threads may take to end once all streams are closed, or given up.
const THREADS_STOP: Duration = Duration::from_secs(1);

/// Starts replication.
#[derive(Debug)]
pub struct Replication;

/// A running replication; cheap to clone, usable from any thread and runtime.
#[derive(Clone)]
pub struct ReplicationHandle(Arc<Inner>);

struct Inner {
    buckets: Buckets,
    end: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Replication {
    /// Starts threads and the actors of the buckets, which begin to replicate at once.
    ///
    /// # Errors
    /// The OS error if no thread can be created; and a plan that names a bucket twice, or a
    /// producer that is missing.
    pub fn start(config: ReplicationConfig) -> std::io::Result<ReplicationHandle> {
        Self::start_telling(config, &Events::start())
    }

    /// The same, and tells what happens to `events`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_telling(
        config: ReplicationConfig,
        events: &Events,
    ) -> std::io::Result<ReplicationHandle> {
        let events = events.clone();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("replication".to_owned()).spawn(move || {
                let system = actix_rt::System::new();
                system.block_on(async move {
                    let threads = Threads::start(config.limits.threads);
                    let own = actix_rt::System::current().arbiter().clone();
                    // The receiver waits for this, so it exists.
                    _ = ready.send(start_buckets(config, own, &threads, events));
                    _ = ended.await;
                });
            })?;
        let buckets = started
            .recv()
            .map_err(|_| std::io::Error::other("the replication thread ended during start-up"))?
            .map_err(std::io::Error::other)?;
        let (end, thread) = (Mutex::new(Some(end)), Mutex::new(Some(thread)));
        Ok(ReplicationHandle(Arc::new(Inner { buckets, end, thread })))
    }
}

fn start_buckets(
    config: ReplicationConfig,
    own: ArbiterHandle,
    threads: &Threads,
    events: Events,
) -> Result<Buckets, CommandError> {
    let ReplicationConfig { node, producers, buckets: plans, limits } = config;
    let buckets = Buckets::new(node, producers, limits, own, threads.handles(), events);
    for plan in plans {
        buckets.add(plan)?;
    }
    Ok(buckets)
}

impl ReplicationHandle {
    /// Sets the whole desired map of a bucket, by producer. Waits until every stream is open or has
    /// failed, at most until the deadline of the command. Returns the number of open streams.
    ///
    /// Commands of one bucket are queued. Failed streams are retried in the background.
    ///
    /// # Errors
    /// [`CommandError::Failed`] lists every vBucket that is not open, and why;
    /// [`CommandError::Plan`] names a vBucket that is wanted from two producers.
    pub async fn set_desired(
        &self,
        bucket: &str,
        desired: BTreeMap<String, BTreeSet<VbId>>,
    ) -> Result<usize, CommandError> {
        let set = |vbs: BTreeSet<VbId>| vbs.into_iter().collect::<VbSet>();
        let desired = desired.into_iter().map(|(producer, vbs)| (producer, set(vbs)));
        let desired = Desired::new(desired.collect())?;
        self.change(bucket, Change::All(desired)).await
    }

    /// Adds vBuckets to the desired map of a bucket, by producer, in place of their previous
    /// producers; all others stay as they are. Waits as [`Self::set_desired`] does, for these
    /// vBuckets. Returns the number of open streams of the bucket.
    ///
    /// # Errors
    /// As [`Self::set_desired`], for these vBuckets.
    pub async fn add_desired(&self, bucket: &str, added: Desired) -> Result<usize, CommandError> {
        self.change(bucket, Change::Add(added)).await
    }

    /// Assigns one vBucket to a producer, or to none, and leaves all others alone. Waits until its
    /// stream is open, closed or failed, at most until the deadline of the command. Returns the
    /// number of open streams of the bucket.
    ///
    /// # Errors
    /// [`CommandError::Failed`] says why the stream is not open; it is retried in the background.
    pub async fn set_stream(
        &self,
        bucket: &str,
        vb: VbId,
        from: Option<&str>,
    ) -> Result<usize, CommandError> {
        self.change(bucket, Change::One { vb, from: from.map(str::to_owned) }).await
    }

    /// Spreads the streams of each producer over `connections` connections, 1 to 64. Streams that
    /// keep their connection (`vb % connections`) are not touched. Waits and returns as
    /// [`Self::set_desired`] does.
    ///
    /// # Errors
    /// [`CommandError::Plan`] unless it is 1 to 64, and those of [`Self::set_desired`].
    pub async fn set_connections(
        &self,
        bucket: &str,
        connections: u8,
    ) -> Result<usize, CommandError> {
        let connections = Connections::new(u64::from(connections))?;
        self.change(bucket, Change::Connections(connections)).await
    }

    /// Takes a vBucket over: its stream is closed, and then it becomes active here and dead at
    /// `from`. After that it is not replicated any more. No link to `from` needs to exist. A
    /// vBucket that is active here already counts as taken over, and an interrupted takeover is
    /// finished.
    ///
    /// Each of its few steps takes at most the time limits of a command and of a takeover together.
    ///
    /// # Errors
    /// [`CommandError::Failed`] says why the vBucket did not move, and which copies both nodes
    /// have. The previous desired map is restored.
    pub async fn takeover(
        &self,
        bucket: &str,
        vb: VbId,
        from: &str,
    ) -> Result<Moved, CommandError> {
        self.start_move(bucket, vb, from, MoveKind::Takeover).await
    }

    /// Replicates a vBucket until `from` has few changes left to send, then takes it over.
    /// [`BucketStatus::moves`] shows its phase.
    ///
    /// # Errors
    /// As [`Self::takeover`]; a malformed estimate is an error too.
    pub async fn move_vbucket(
        &self,
        bucket: &str,
        vb: VbId,
        from: &str,
    ) -> Result<Moved, CommandError> {
        self.start_move(bucket, vb, from, MoveKind::WithData).await
    }

    /// Sets map and connections of a bucket as its sources have them: one change, which touches
    /// only what differs. vBuckets that were taken over in this process stay out of it, until
    /// another command names them. Waits as [`Self::set_desired`] does, for what differs. Returns
    /// the number of open streams of the bucket.
    ///
    /// # Errors
    /// As [`Self::set_desired`], for the vBuckets that differ. [`CommandError::Busy`] where its
    /// turn does not come in time: then nothing has changed.
    pub async fn follow(
        &self,
        bucket: &str,
        desired: Desired,
        connections: Connections,
    ) -> Result<usize, CommandError> {
        self.change(bucket, Change::Follow { desired, connections }).await
    }

    /// Closes links, or single streams, and opens them again. Their delays, retry loops and pauses
    /// for a rival end. Waits until the streams are open or have failed, at most until the deadline
    /// of the command. Returns the number of open streams of the bucket.
    ///
    /// # Errors
    /// [`CommandError::NothingToRestart`] for a link without streams, and for a vBucket that is not
    /// replicated: nothing is restarted then. [`CommandError::Failed`] lists what is not open
    /// again.
    pub async fn restart(&self, bucket: &str, what: Restart) -> Result<usize, CommandError> {
        self.changed(self.ask(bucket, BucketCommand::Restart(what))?).await
    }

    /// Sets the producers. New ones are known at once. Links to one whose address, username or TLS
    /// (whether, and the server name) has changed are opened anew with the new endpoint, once no
    /// move runs on them; an endpoint without such a change stays as it is, with the secrets that
    /// were adopted into it. A producer that is missing is unknown to new and to queued commands at
    /// once; the running move from it ends first. Its streams stay until the desired map does not
    /// name it any more, so follow such a map before.
    pub fn set_producers(&self, producers: Vec<Endpoint>) {
        self.0.buckets.set_producers(producers);
    }

    /// Adds a bucket, which begins to replicate at once.
    ///
    /// # Errors
    /// [`CommandError::BucketExists`]; [`CommandError::NoProducer`] for a map that names an unknown
    /// one; [`CommandError::Stopping`].
    pub fn add_bucket(&self, plan: BucketPlan) -> Result<(), CommandError> {
        self.0.buckets.add(plan)
    }

    /// Removes a bucket: its queued commands are refused with [`CommandError::Removed`], a takeover
    /// that has begun ends, which may take longer than `limit` by the limit of a takeover, and its
    /// streams and links are closed. Its status is gone at once; its name is free when this
    /// returns. Returns whether all streams were closed within `limit`; after that the connections
    /// are dropped. Returns false for an unknown bucket, and for one that another call removes.
    pub async fn remove_bucket(&self, bucket: &str, limit: Duration) -> bool {
        self.0.buckets.remove(bucket, limit).await
    }

    /// Returns a receiver of every vBucket that becomes active here by a takeover or move, each
    /// sent before its caller is answered. There is one receiver: a new one replaces it. Keep
    /// reading it.
    #[must_use]
    pub fn moved_vbuckets(&self) -> UnboundedReceiver<Moved> {
        self.0.buckets.moved().receiver()
    }

    /// Returns the status of every bucket. Never waits for a command.
    pub async fn status(&self) -> Vec<BucketStatus> {
        let buckets = self.0.buckets.all();
        let reads = buckets.iter().map(|(_, bucket)| bucket.actor.send(ReadStatus));
        join_all(reads).await.into_iter().flatten().collect()
    }

    /// Returns the name of a link's connections, and the recorder of what passes it and has passed.
    /// The link need not be open.
    ///
    /// # Errors
    /// [`CommandError::NoBucket`]. A producer without a link is not an error: nothing passes.
    pub fn recorder(
        &self,
        bucket: &str,
        producer: &str,
        connection: u8,
    ) -> Result<(String, Arc<Recorder>), CommandError> {
        let buckets = &self.0.buckets;
        let missing = || CommandError::NoBucket { bucket: bucket.to_owned() };
        buckets.get(bucket).ok_or_else(missing)?;
        let name = buckets.link_name(bucket, producer, connection);
        let recorder = buckets.recorders().of(&name);
        Ok((name, recorder))
    }

    /// Changes how many bytes of the last frames are kept of each link; 0 for the handshake and
    /// control frames alone.
    pub fn keep_recorded(&self, data_bytes: usize) {
        self.0.buckets.recorders().keep(data_bytes);
    }

    /// Returns how long the steps of each bucket take, by its name.
    #[must_use]
    pub fn timings(&self) -> Vec<(String, Arc<Timings>)> {
        let buckets = self.0.buckets.all().into_iter();
        buckets.map(|(name, bucket)| (name, bucket.timings)).collect()
    }

    /// Closes the streams on the consumer, then the connections, and ends the threads. Returns
    /// whether all streams were closed within `limit`; after that the connections are dropped. A
    /// takeover that has begun ends first, within three quarters of `limit`; every other move is
    /// refused with [`CommandError::Stopping`].
    pub async fn shutdown(&self, limit: Duration) -> bool {
        let actors = self.0.buckets.stop();
        let all = join_all(actors.iter().map(|actor| buckets::stop(actor, limit)));
        let clean = tokio::time::timeout(limit, all).await.is_ok();
        let end = self.0.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(end), Some(thread)) = (end, thread) {
            // The receiver is gone if the thread has already ended.
            _ = end.send(());
            let joined = tokio::task::spawn_blocking(move || thread.join());
            // One that hangs must not keep the process.
            return tokio::time::timeout(THREADS_STOP, joined).await.is_ok() && clean;
        }
        clean
    }

    async fn change(&self, bucket: &str, change: Change) -> Result<usize, CommandError> {
        self.changed(self.ask(bucket, BucketCommand::Change(change))?).await
    }

    async fn changed(&self, answered: Answered) -> Result<usize, CommandError> {
        match answer_of(answered).await? {
            Done::Changed { open } => Ok(open),
            done => Err(invariant::broken!("a change was answered with {done:?}").into()),
        }
    }

    async fn start_move(
        &self,
        bucket: &str,
        vb: VbId,
        from: &str,
        kind: MoveKind,
    ) -> Result<Moved, CommandError> {
        self.ask_for_move(bucket, vb, from, kind)?.await
    }

    /// Queues a move at once; the future is its answer.
    pub(crate) fn ask_for_move(
        &self,
        bucket: &str,
        vb: VbId,
        from: &str,
        kind: MoveKind,
    ) -> Result<impl Future<Output = Result<Moved, CommandError>> + use<>, CommandError> {
        let request = MoveRequest { vb, from: from.to_owned(), kind };
        let answer = self.ask(bucket, BucketCommand::Move(request))?;
        let (bucket, from) = (bucket.to_owned(), from.to_owned());
        Ok(async move {
            match answer_of(answer).await? {
                Done::Moved { elapsed_ms } => Ok(Moved { bucket, vbucket: vb.0, from, elapsed_ms }),
                done => Err(invariant::broken!("a move was answered with {done:?}").into()),
            }
        })
    }

    fn ask(&self, bucket: &str, command: BucketCommand) -> Result<Answered, CommandError> {
        let missing = || CommandError::NoBucket { bucket: bucket.to_owned() };
        let Bucket { actor, .. } = self.0.buckets.get(bucket).ok_or_else(missing)?;
        let (answer, answered) = oneshot::channel();
        actor.do_send(Submit { command, answer });
        Ok(answered)
    }
}

/// Receives the answer of a command; cancelled if replication has ended.
type Answered = oneshot::Receiver<Result<Done, CommandError>>;

async fn answer_of(answered: Answered) -> Result<Done, CommandError> {
    answered.await.unwrap_or(Err(CommandError::Stopping))
}

impl std::fmt::Debug for ReplicationHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicationHandle").finish_non_exhaustive()
    }
}
