//! One connected client: its user, its bucket, its features, and the answers to be written to it.

mod maps;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use invariant::Broken;
use log::debug;
use mcbp::{Datatype, FrameBuilder, Header, Opcode, Status};
use scram::Challenged;
use tokio::time::Instant;

use self::maps::KnownMaps;
use crate::account::{FREE_BYTES, Lease};
use crate::admission::Seat;
use crate::config::{Grant, Role};
use crate::context::Context;
use crate::dcp::ServedBucket;
use crate::privilege::Privileges;
use crate::protocol::{Features, Given, Replies, RequestError};
use crate::timings::Timings;

/// An authenticated user. Only such a user can have selected a bucket.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) bucket: Option<Arc<ServedBucket>>,
    /// What the user may do in the bucket.
    pub(crate) privileges: Privileges,
    /// What the user may do in each bucket.
    grant: Arc<Grant>,
}

impl Login {
    /// Selects no bucket any more.
    pub(crate) fn leave_bucket(&mut self) {
        self.bucket = None;
        self.privileges = self.grant.without_bucket();
    }

    /// Checks a command that concerns the node and not the selected bucket.
    pub(crate) fn check_node(&self, opcode: Opcode) -> Result<(), RequestError> {
        Ok(self.grant.without_bucket().check(opcode)?)
    }

    /// Checks that the user may see the times of a bucket's commands, or of those without one.
    pub(crate) fn check_times(&self, bucket: Option<&str>) -> Result<(), RequestError> {
        Ok(match bucket {
            Some(bucket) => self.grant.in_bucket(bucket).check_times_of_bucket(),
            None => self.grant.without_bucket().check_times_of_node(),
        }?)
    }

    /// Whether the user may do anything in a bucket.
    pub(crate) fn knows(&self, bucket: &str) -> bool {
        !self.grant.in_bucket(bucket).is_empty()
    }

    /// Selects a bucket. Whether one exists where the user may do nothing is not said.
    pub(crate) fn select(&mut self, node: &Context, name: &str) -> Result<(), RequestError> {
        self.leave_bucket();
        let privileges = self.grant.in_bucket(name);
        if privileges.is_empty() {
            let context = format!("user {:?} has no privilege for bucket {name:?}", self.user);
            return Err(RequestError::new(Status::EACCESS, context));
        }
        self.bucket = Some(node.bucket(name).ok_or(Status::KEY_ENOENT)?);
        self.privileges = privileges;
        Ok(())
    }
}

/// See the module.
pub(crate) struct Client {
    pub(crate) node: Arc<Context>,
    pub(crate) peer: SocketAddr,
    pub(crate) login: Option<Login>,
    /// A login that waits for its second step.
    pub(crate) exchange: Option<Box<Challenged>>,
    pub(crate) features: Features,
    /// What it knows of cluster maps.
    pub(crate) maps: KnownMaps,
    pub(crate) replies: Replies,
    pub(crate) seat: Arc<Seat>,
    /// What it has of memory without asking, once for requests and once for answers. Set between
    /// requests only: a command may ask twice.
    pub(crate) free_bytes: usize,
    /// The memory of answers that wait, beyond what every connection has.
    pub(crate) lease: Option<Lease>,
    /// How much memory the answer to the current request needs; with it the request is executed
    /// again.
    pub(crate) wanted_bytes: Option<usize>,
    /// Whether the kernel keeps little of what is written to it.
    pub(crate) unsent_limited: bool,
    /// Whether it has opened DCP: then it stays with its user and its bucket.
    pub(crate) speaks_dcp: bool,
    /// Since when it is not logged in, if it is not.
    stranger_since: Instant,
}

impl Client {
    /// A client that has sent nothing yet.
    pub(crate) fn new(node: Arc<Context>, peer: SocketAddr, seat: Arc<Seat>) -> Self {
        let anonymous = node.bucketless.anonymous_bucket.clone();
        let mut client = Self {
            node,
            peer,
            login: None,
            exchange: None,
            features: Features::default(),
            maps: KnownMaps::default(),
            replies: Replies::default(),
            seat,
            free_bytes: FREE_BYTES,
            lease: None,
            wanted_bytes: None,
            unsent_limited: false,
            speaks_dcp: false,
            stranger_since: Instant::now(),
        };
        if let Some(bucket) = anonymous.filter(|_| peer.ip().to_canonical().is_loopback()) {
            client.log_in_as_nobody(&bucket);
        }
        client
    }

    /// The client reads and writes the documents of a bucket without a login.
    fn log_in_as_nobody(&mut self, bucket: &str) {
        self.seat.log_in("");
        let grant = Grant { role: Role::ReadWrite, buckets: vec![bucket.to_owned()] };
        self.log_in(String::new(), Arc::new(grant));
        self.try_select(bucket);
    }

    /// Selects a bucket if it is there and the user may use it.
    fn try_select(&mut self, bucket: &str) {
        if let Some(login) = &mut self.login
            && login.select(&self.node, bucket).is_err()
        {
            login.leave_bucket();
        }
    }

    /// The client is `user` from now on; its seat knows that already.
    pub(crate) fn log_in(&mut self, user: String, grant: Arc<Grant>) {
        let privileges = grant.without_bucket();
        let selected = Some(user.clone()).filter(|_| self.node.bucketless.select_user_bucket);
        self.forget_maps();
        self.login = Some(Login { user, bucket: None, privileges, grant });
        if let Some(bucket) = selected {
            self.try_select(&bucket);
        }
    }

    /// The client has no user and no bucket any more.
    pub(crate) fn log_out(&mut self) {
        if self.login.take().is_some() {
            self.stranger_since = Instant::now();
            self.seat.log_out();
        }
    }

    /// The bucket that it has selected.
    pub(crate) fn served(&self) -> Option<&Arc<ServedBucket>> {
        self.login.as_ref()?.bucket.as_ref()
    }

    /// A request has been executed; its answer may still wait for a commit.
    pub(crate) fn executed(&mut self, opcode: Opcode) {
        self.replies.end(opcode, timings(&self.node, self.login.as_ref()));
    }

    /// The answers that wait, as [`Replies::settle`] returns them.
    pub(crate) async fn settle(&mut self) -> Result<(BytesMut, Option<Bytes>), Broken> {
        if self.replies.awaits_commit()
            && let Some(served) = self.served()
        {
            served.bucket.offer_worker();
        }
        self.replies.settle(timings(&self.node, self.login.as_ref())).await
    }

    /// An answer that waited can be given.
    pub(crate) fn give(&mut self, given: Given) {
        self.replies.give(given, timings(&self.node, self.login.as_ref()));
    }

    /// When a client that has not logged in is closed.
    pub(crate) fn login_deadline(&self) -> Instant {
        self.stranger_since + self.node.limits.authentication()
    }

    /// Whether the answer to the current request may take `bytes` of memory. If not, the command
    /// returns without an answer, and is executed again once it may.
    pub(crate) fn may_answer_with(&mut self, bytes: usize) -> bool {
        let may = bytes <= self.answer_bytes_max();
        if !may {
            self.wanted_bytes = Some(bytes);
        }
        may
    }

    /// How much memory the answer to the current request may take: what the answers before it
    /// have left, and what it has without asking.
    pub(crate) fn answer_bytes_max(&self) -> usize {
        let leased = self.lease.as_ref().map_or(0, Lease::bytes);
        leased.saturating_sub(self.replies.bytes()).max(self.free_bytes)
    }

    /// Adds the answer to a request that failed.
    pub(crate) fn fail(&mut self, request: &Header, error: RequestError) {
        let RequestError { status, context, commit, delay: _ } = error;
        // Without XERROR the status of a lock is unknown: another change was first.
        let is_locked = status == Status::LOCKED && !self.features.xerror;
        let status = if is_locked { Status::KEY_EEXISTS } else { status };
        let answer = FrameBuilder::response(request.opcode, status).opaque(request.opaque);
        if matches!(status, Status::UNKNOWN_COLLECTION | Status::UNKNOWN_SCOPE) {
            return self.fail_unknown(&answer);
        }
        if status == Status::NOT_MY_VBUCKET
            && let Some(map) = self.missing_map()
        {
            let (text, datatype) = map.shown(&self.features);
            return self.replies.send(&answer.datatype(datatype).value(text));
        }
        if commit.is_some() || context.is_empty() || !self.features.xerror {
            return self.replies.answer(request, commit, Some(&answer));
        }
        debug!("request failed peer={} status={status} context={context:?}", self.peer);
        let body = serde_json::json!({ "error": { "context": context } }).to_string();
        let datatype = if self.features.json { Datatype::JSON } else { Datatype::RAW };
        self.replies.send(&answer.datatype(datatype).value(body.as_bytes()));
    }

    /// Adds the answer to a request that names a collection or scope which is not in the manifest.
    /// It has the uid of the manifest, for clients without XERROR too.
    fn fail_unknown(&mut self, answer: &FrameBuilder<'_>) {
        let context = "the manifest has no such collection or scope";
        let uid = self.served().map_or(0, |served| served.bucket.manifest().uid());
        let uid = format!("{uid:x}");
        let body = serde_json::json!({ "error": { "context": context }, "manifest_uid": uid });
        let datatype = if self.features.json { Datatype::JSON } else { Datatype::RAW };
        self.replies.send(&answer.datatype(datatype).value(body.to_string().as_bytes()));
    }
}

/// Where the times of a client's commands are counted: with the bucket that it has selected.
fn timings<'a>(node: &'a Context, login: Option<&'a Login>) -> &'a Timings {
    let served = login.and_then(|login| login.bucket.as_deref());
    served.map_or(&node.counters.timings, |served| &served.bucket.counters().timings)
}
