//! The commands of a client connection: one function for each, and the table that finds it.
//!
//! - `handshake`, `sasl`, `cluster`: the connection itself; `error_map`: what each status means
//! - `read`, `store`, `counter`, `touch`: documents; `value`: what their bytes are (pure);
//!   `expiry`: until when they live; `locks`: documents for one client alone; `observe`: where they
//!   are; `keys`: which there are
//! - `subdoc`: parts of documents, and extended attributes
//! - `range_scan`: all documents of a range
//! - `meta`: documents with the metadata of another cluster
//! - `vbucket`, `seqno`, `compact`: vBuckets; `collections`: the manifest of collections
//! - `timer`: how long commands took; STAT is in `crate::stat`

mod cluster;
mod collections;
mod compact;
mod counter;
mod error_map;
mod expiry;
mod handshake;
mod keys;
mod locks;
mod meta;
mod observe;
mod range_scan;
mod read;
mod sasl;
mod seqno;
mod store;
mod subdoc;
mod timer;
mod touch;
mod value;
mod vbucket;
mod xattrs;

pub use value::VALUE_BYTES_MAX;

use std::time::Duration;

use bytes::Bytes;
use mcbp::{Datatype, Frame, Header, Opcode, Status};

use self::value::Value;
use crate::blocking::leave_worker;
use crate::client::{Client, Login};
use crate::dcp::{DcpOpen, ServedBucket};
use crate::protocol::{Request, RequestError, check_ready};

/// What the session does after a command.
pub(crate) enum Flow {
    /// It executes the next one.
    Next,
    /// It writes the answers and closes the connection.
    Close,
    /// It writes the answers, takes so many bytes of memory for this one, and executes the command
    /// again.
    Memory(usize),
    /// It writes the answers, waits, and answers with this error.
    Late(Duration, RequestError),
    /// It ends; DCP_OPEN is not answered yet.
    Dcp(Box<DcpOpen>),
}

/// Executes one request and adds its answer. `memory` is the memory that the frame lies in, if what
/// it stores may keep that.
pub(crate) async fn execute(client: &mut Client, frame: Frame<'_>, memory: Option<&Bytes>) -> Flow {
    let header = frame.header;
    let unordered = client.features.unordered && !client.speaks_dcp;
    client.replies.begin(client.features.tracing, unordered);
    let inflated;
    let outcome = match inflate(client, &frame) {
        Ok(None) => attempt(client, frame, memory).await,
        Ok(Some(value)) => {
            inflated = value;
            let datatype = header.datatype.without(Datatype::SNAPPY);
            let frame = Frame { header: Header { datatype, ..header }, value: &inflated, ..frame };
            Box::pin(attempt(client, frame, None)).await
        }
        Err(error) => Err(error),
    };
    if let Some(bytes) = client.wanted_bytes.take() {
        return Flow::Memory(bytes);
    }
    let flow = outcome.unwrap_or_else(|error| {
        client.node.counters.errors.add(1);
        if error.delay > Duration::ZERO {
            return Flow::Late(error.delay, error);
        }
        client.fail(&header, error);
        Flow::Next
    });
    client.executed(header.opcode);
    flow
}

/// The value of a request whose value the command reads itself, if it is compressed. Nobody but a
/// user gets anything decompressed, and it takes memory as an answer does.
fn inflate(client: &mut Client, frame: &Frame<'_>) -> Result<Option<Bytes>, RequestError> {
    let datatype = frame.header.datatype;
    let is_compressed = datatype.contains(Datatype::SNAPPY) && client.features.snappy_everywhere;
    if !is_compressed || client.login.is_none() || !reads_its_value(frame.opcode()) {
        return Ok(None);
    }
    let value = Value { bytes: Bytes::copy_from_slice(frame.value), datatype };
    if !client.may_answer_with(value.inflated_bytes()?) {
        return Err(Status::ETMPFAIL.into());
    }
    Ok(Some(value.inflated()?.bytes))
}

/// Whether the command reads the value, and does not store it with its datatype.
const fn reads_its_value(opcode: Opcode) -> bool {
    opcode.is_subdoc()
        || matches!(
            opcode,
            Opcode::OBSERVE | Opcode::SET_CLUSTER_CONFIG | Opcode::RANGE_SCAN_CREATE
        )
}

async fn attempt(
    client: &mut Client,
    frame: Frame<'_>,
    memory: Option<&Bytes>,
) -> Result<Flow, RequestError> {
    let request = Request::new(frame, memory)?;
    run(client, &request).await
}

async fn run(client: &mut Client, request: &Request<'_>) -> Result<Flow, RequestError> {
    // Who is not logged in is refused by the commands that need a user.
    if let Some(login) = &client.login {
        login.privileges.check(request.opcode)?;
    }
    leave_worker(is_quick(request.opcode)).await;
    match request.opcode {
        Opcode::QUIT => {
            if !request.quiet {
                client.replies.send(&request.success());
            }
            return Ok(Flow::Close);
        }
        Opcode::HELLO => handshake::hello(client, request)?,
        Opcode::SASL_LIST_MECHS | Opcode::SASL_AUTH | Opcode::SASL_STEP if client.speaks_dcp => {
            return Err(Status::NOT_SUPPORTED.into());
        }
        Opcode::SELECT_BUCKET if client.speaks_dcp => {
            let context = "a DCP connection stays with its bucket";
            return Err(RequestError::new(Status::NOT_SUPPORTED, context));
        }
        Opcode::SASL_LIST_MECHS => sasl::list(client, request),
        Opcode::SASL_AUTH => sasl::authenticate(client, request)?,
        Opcode::SASL_STEP => sasl::step(client, request)?,
        Opcode::NOOP | Opcode::VERSION | Opcode::VERBOSITY if client.login.is_none() => {
            return Err(RequestError::new(Status::EACCESS, "authenticate first"));
        }
        Opcode::NOOP => client.replies.send(&request.success()),
        Opcode::VERSION => handshake::version(client, request),
        // What this node logs is set where it is started.
        Opcode::VERBOSITY => client.replies.send(&request.success()),
        Opcode::GET_ERROR_MAP => error_map::get(client, request)?,
        Opcode::SELECT_BUCKET => handshake::select_bucket(client, request)?,
        Opcode::GET_CLUSTER_CONFIG => cluster::get(client, request)?,
        Opcode::GET_CMD_TIMER => timer::get(client, request)?,
        opcode if opcode.name().is_none() => return Err(Status::UNKNOWN_COMMAND.into()),
        _ => return run_in_bucket(client, request).await,
    }
    Ok(Flow::Next)
}

/// Whether a command needs nothing but a document, which may be in memory. Others work long or need
/// the disk.
const fn is_quick(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::NOOP
            | Opcode::GET
            | Opcode::GETK
            | Opcode::SET
            | Opcode::ADD
            | Opcode::REPLACE
            | Opcode::DELETE
            | Opcode::APPEND
            | Opcode::PREPEND
            | Opcode::INCREMENT
            | Opcode::DECREMENT
            | Opcode::TOUCH
            | Opcode::GAT
            | Opcode::GET_META
            | Opcode::SET_WITH_META
            | Opcode::ADD_WITH_META
            | Opcode::DELETE_WITH_META
    )
}

/// Executes a command that needs a bucket.
async fn run_in_bucket(client: &mut Client, request: &Request<'_>) -> Result<Flow, RequestError> {
    let Some(Login { user, bucket, privileges, .. }) = &client.login else {
        return Err(RequestError::new(Status::EACCESS, "authenticate first"));
    };
    if request.opcode == Opcode::SET_CLUSTER_CONFIG {
        login_may_set_map(client, request)?;
        cluster::set(client, request)?;
        return Ok(Flow::Next);
    }
    if request.opcode == Opcode::LIST_BUCKETS {
        handshake::list_buckets(client, request);
        return Ok(Flow::Next);
    }
    let Some(served) = bucket.clone() else {
        if request.opcode == Opcode::STAT {
            crate::stat::stat_without_bucket(client, request)?;
            return Ok(Flow::Next);
        }
        return Err(no_bucket(client));
    };
    match request.opcode {
        Opcode::DCP_OPEN => {
            privileges.check_dcp(&request.frame)?;
            check_ready(&served.bucket)?;
            let open = DcpOpen::new(&request.frame, client.features, user.clone(), served)?;
            return Ok(Flow::Dcp(Box::new(open)));
        }
        Opcode::STAT => crate::stat::stat(client, &served, request)?,
        _ => run_on_documents(client, &served, request).await?,
    }
    Ok(Flow::Next)
}

/// An admin of some buckets sets the map of the one that is selected, and no other.
fn login_may_set_map(client: &Client, request: &Request<'_>) -> Result<(), RequestError> {
    let selected = client.served().map(|served| served.bucket.name().as_bytes());
    if selected == Some(request.frame.key) {
        return Ok(());
    }
    client.login.as_ref().map_or(Ok(()), |login| login.check_node(request.opcode))
}

/// Without XERROR a client does not know the status that says it.
fn no_bucket(client: &Client) -> RequestError {
    let status = if client.features.xerror { Status::NO_BUCKET } else { Status::EACCESS };
    RequestError::new(status, "select a bucket")
}

/// Executes a command on the documents or vBuckets of a bucket. Those that are rare or slow are in
/// boxes: every session has room for the largest of the others.
async fn run_on_documents(
    client: &mut Client,
    served: &ServedBucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let bucket = &served.bucket;
    match request.opcode {
        Opcode::GET | Opcode::GETK | Opcode::GET_REPLICA => {
            read::get(client, bucket, request).await
        }
        Opcode::SET | Opcode::ADD | Opcode::REPLACE => store::store(client, bucket, request).await,
        Opcode::APPEND | Opcode::PREPEND => store::extend(client, bucket, request).await,
        Opcode::DELETE => store::delete(client, bucket, request).await,
        Opcode::INCREMENT | Opcode::DECREMENT => counter::count(client, bucket, request).await,
        Opcode::TOUCH | Opcode::GAT => touch::touch(client, bucket, request).await,
        Opcode::GET_LOCKED => Box::pin(locks::get_locked(client, bucket, request)).await,
        Opcode::UNLOCK_KEY => Box::pin(locks::unlock(client, bucket, request)).await,
        Opcode::OBSERVE => observe::observe(client, bucket, request),
        Opcode::EVICT_KEY => Box::pin(observe::evict(client, bucket, request)).await,
        Opcode::GET_RANDOM_KEY => Box::pin(keys::random(client, bucket, request)).await,
        Opcode::GET_KEYS => keys::list(client, bucket, request),
        Opcode::RANGE_SCAN_CREATE => Box::pin(range_scan::create(client, served, request)).await,
        Opcode::RANGE_SCAN_CONTINUE => range_scan::go_on(client, served, request),
        Opcode::RANGE_SCAN_CANCEL => range_scan::cancel(client, served, request),
        opcode if opcode.is_subdoc() => Box::pin(subdoc::execute(client, bucket, request)).await,
        Opcode::GET_META => meta::get(client, bucket, request).await,
        Opcode::SET_WITH_META | Opcode::ADD_WITH_META => meta::store(client, bucket, request).await,
        Opcode::DELETE_WITH_META => meta::delete(client, bucket, request).await,
        Opcode::SET_VBUCKET => vbucket::set(client, bucket, request).await,
        Opcode::GET_VBUCKET => vbucket::get(client, bucket, request),
        Opcode::DEL_VBUCKET => vbucket::delete(client, bucket, request).await,
        Opcode::GET_FAILOVER_LOG => vbucket::failover_log(client, bucket, request),
        Opcode::GET_ALL_VB_SEQNOS => Box::pin(seqno::all(client, bucket, request)).await,
        Opcode::OBSERVE_SEQNO => seqno::observe(client, bucket, request),
        Opcode::SEQNO_PERSISTENCE => seqno::persisted(client, bucket, request).await,
        Opcode::COLLECTIONS_SET_MANIFEST => {
            Box::pin(collections::set_manifest(client, bucket, request)).await
        }
        Opcode::COLLECTIONS_GET_MANIFEST => collections::manifest(client, bucket, request),
        Opcode::COLLECTIONS_GET_ID => collections::collection_id(client, bucket, request),
        Opcode::COLLECTIONS_GET_SCOPE_ID => collections::scope_id(client, bucket, request),
        Opcode::COMPACT_DB => compact::compact(client, bucket, request).await,
        Opcode::ENABLE_TRAFFIC => handshake::enable_traffic(client, bucket, request),
        Opcode::DCP_SEQNO_ADVANCED
        | Opcode::DCP_OSO_SNAPSHOT
        | Opcode::DCP_CACHE_TRANSFER
        | Opcode::DCP_CACHE_TRANSFER_END => Err(Status::UNKNOWN_COMMAND.into()),
        opcode if opcode.is_dcp() => Err(RequestError::new(Status::EINVAL, "send DCP_OPEN first")),
        _ => Err(Status::NOT_SUPPORTED.into()),
    }
}
