//! One connected client: its user, its bucket, its features, and the answers to be written to it.

use std::net::SocketAddr;
use std::sync::Arc;

use log::debug;
use mcbp::{Datatype, FrameBuilder, Header};

use crate::context::Context;
use crate::dcp::ServedBucket;
use crate::protocol::{Features, Replies, RequestError};

/// An authenticated user. Only such a user can have selected a bucket.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) bucket: Option<Arc<ServedBucket>>,
}

/// See the module.
pub(crate) struct Client {
    pub(crate) node: Arc<Context>,
    pub(crate) peer: SocketAddr,
    pub(crate) login: Option<Login>,
    pub(crate) features: Features,
    pub(crate) replies: Replies,
}

impl Client {
    /// A client that has sent nothing yet.
    pub(crate) fn new(node: Arc<Context>, peer: SocketAddr) -> Self {
        let (features, replies) = (Features::default(), Replies::default());
        Self { node, peer, login: None, features, replies }
    }

    /// Adds the answer to a request that failed.
    pub(crate) fn fail(&mut self, request: &Header, error: RequestError) {
        let RequestError { status, context, commit } = error;
        let answer = FrameBuilder::response(request.opcode, status).opaque(request.opaque);
        if commit.is_some() || context.is_empty() || !self.features.xerror {
            return self.replies.answer(request, commit, Some(&answer));
        }
        debug!("request failed peer={} status={status} context={context:?}", self.peer);
        let body = serde_json::json!({ "error": { "context": context } }).to_string();
        let datatype = if self.features.json { Datatype::JSON } else { Datatype::RAW };
        self.replies.send(&answer.datatype(datatype).value(body.as_bytes()));
    }
}
