//! The commands of a client connection: one function each, and the table that finds it.
//!
//! - `connection`, `sasl`: the connection itself
//! - `read`, `store`, `counter`, `touch`: documents; `value`: what their bytes are (pure)
//! - `meta`: documents with what another cluster knows of them
//! - `vbucket`, `seqno`, `compact`: vBuckets; STAT is in `crate::stat`

mod compact;
mod connection;
mod counter;
mod error_map;
mod meta;
mod read;
mod sasl;
mod seqno;
mod store;
mod touch;
mod value;
mod vbucket;

use std::sync::Arc;

use mcbp::{Frame, FrameBuilder, Header, Opcode, Status, VbId};

pub(crate) use connection::VERSION;

use crate::bucket::{Bucket, Ticket, Vb, VbError, Warmup};
use crate::session::{Fail, Request, Session};

/// What the session does after a command.
pub(crate) enum Flow {
    /// The next one.
    Next,
    /// Writes the answers and hangs up.
    Close,
    /// Hands the connection over; DCP_OPEN is not answered yet.
    Dcp { bucket: Arc<Bucket>, user: String },
}

/// Carries out one request and adds its answer.
pub(crate) async fn handle(session: &mut Session, frame: Frame<'_>) -> Flow {
    let header = frame.header;
    let outcome = match Request::new(frame) {
        Ok(request) => run(session, &request).await,
        Err(status) => Err(status.into()),
    };
    outcome.unwrap_or_else(|fail| {
        session.node.counters.errors.add(1);
        session.fail(&header, &fail);
        Flow::Next
    })
}

async fn run(session: &mut Session, request: &Request<'_>) -> Result<Flow, Fail> {
    match request.opcode {
        Opcode::QUIT => {
            if !request.quiet {
                session.replies.send(&success(request));
            }
            return Ok(Flow::Close);
        }
        Opcode::HELLO => connection::hello(session, request)?,
        Opcode::SASL_LIST_MECHS => sasl::list(session, request),
        Opcode::SASL_AUTH => sasl::authenticate(session, request)?,
        Opcode::SASL_STEP => return Err(sasl::no_step()),
        Opcode::NOOP => session.replies.send(&success(request)),
        Opcode::VERSION => connection::version(session, request),
        Opcode::GET_ERROR_MAP => error_map::get(session, request)?,
        Opcode::SELECT_BUCKET => connection::select_bucket(session, request)?,
        opcode if opcode.name().is_none() => return Err(Status::UNKNOWN_COMMAND.into()),
        _ => return run_in_bucket(session, request).await,
    }
    Ok(Flow::Next)
}

/// Commands that need a bucket.
async fn run_in_bucket(session: &mut Session, request: &Request<'_>) -> Result<Flow, Fail> {
    let bucket = session.bucket.clone();
    let Some(bucket) = bucket else {
        let missing = if session.user.is_none() { "authenticate first" } else { "select a bucket" };
        return Err(Fail::new(Status::EACCESS, missing));
    };
    match request.opcode {
        Opcode::GET | Opcode::GETK => read::get(session, &bucket, request).await?,
        Opcode::SET | Opcode::ADD | Opcode::REPLACE => {
            store::store(session, &bucket, request).await?;
        }
        Opcode::APPEND | Opcode::PREPEND => store::extend(session, &bucket, request).await?,
        Opcode::DELETE => store::delete(session, &bucket, request).await?,
        Opcode::INCREMENT | Opcode::DECREMENT => counter::count(session, &bucket, request).await?,
        Opcode::TOUCH | Opcode::GAT => touch::touch(session, &bucket, request).await?,
        Opcode::GET_META => meta::get(session, &bucket, request).await?,
        Opcode::SET_WITH_META | Opcode::ADD_WITH_META => {
            meta::store(session, &bucket, request).await?;
        }
        Opcode::DELETE_WITH_META => meta::delete(session, &bucket, request).await?,
        Opcode::STAT => crate::stat::stat(session, &bucket, request)?,
        Opcode::SET_VBUCKET => vbucket::set(session, &bucket, request).await?,
        Opcode::GET_VBUCKET => vbucket::get(session, &bucket, request)?,
        Opcode::DEL_VBUCKET => vbucket::delete(session, &bucket, request).await?,
        Opcode::GET_FAILOVER_LOG => vbucket::failover_log(session, &bucket, request)?,
        Opcode::GET_ALL_VB_SEQNOS => seqno::all(session, &bucket, request)?,
        Opcode::OBSERVE_SEQNO => seqno::observe(session, &bucket, request)?,
        Opcode::SEQNO_PERSISTENCE => seqno::persisted(session, &bucket, request).await?,
        Opcode::COMPACT_DB => compact::compact(session, &bucket, request).await?,
        Opcode::ENABLE_TRAFFIC => connection::enable_traffic(session, &bucket, request)?,
        Opcode::DCP_OPEN => {
            ready(&bucket)?;
            crate::dcp::Opening::check(&request.frame, session.features)?;
            let user = session.user.clone().unwrap_or_default();
            return Ok(Flow::Dcp { bucket, user });
        }
        opcode if opcode.is_dcp() => {
            return Err(Fail::new(Status::EINVAL, "send DCP_OPEN first"));
        }
        _ => return Err(Status::NOT_SUPPORTED.into()),
    }
    Ok(Flow::Next)
}

/// The start of a successful answer.
fn success(request: &Request<'_>) -> FrameBuilder<'static> {
    let Header { opcode, opaque, .. } = request.frame.header;
    FrameBuilder::response(opcode, Status::SUCCESS).opaque(opaque)
}

/// Fails with a temporary failure until warm-up has ended well.
pub(crate) fn ready(bucket: &Bucket) -> Result<(), Fail> {
    match bucket.warmup() {
        Warmup::Done => Ok(()),
        Warmup::Loading => Err(Fail::new(Status::ETMPFAIL, "warm-up is under way")),
        Warmup::Failed(reason) => Err(Fail::new(Status::ETMPFAIL, reason)),
        Warmup::Closed => Err(Fail::new(Status::ETMPFAIL, "the bucket is shutting down")),
    }
}

/// The vBucket of a request, in whatever state.
pub(crate) fn any_vb(bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, Fail> {
    match bucket.vb(vb) {
        Some(vb) => Ok(vb),
        None => {
            ready(bucket)?;
            bucket.counters().not_my_vbucket.add(1);
            Err(Status::NOT_MY_VBUCKET.into())
        }
    }
}

/// The vBucket of a request, where it is active.
fn active_vb(bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, Fail> {
    let found = any_vb(bucket, vb)?;
    match found.state() {
        mcbp::VbState::Active => Ok(found),
        state => {
            bucket.counters().not_my_vbucket.add(1);
            Err(VbError::WrongState { vb, state }.into())
        }
    }
}

/// Adds an answer that waits for `ticket`, where there is one.
fn answer(
    session: &mut Session,
    request: &Request<'_>,
    ticket: Option<Ticket>,
    frame: Option<&FrameBuilder<'_>>,
) {
    match (ticket, frame) {
        (Some(ticket), frame) => session.replies.promise(&request.frame.header, ticket, frame),
        (None, Some(frame)) => session.replies.send(frame),
        (None, None) => {}
    }
}
