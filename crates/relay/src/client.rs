//! A client of a data node: requests and responses, for tools and monitors. No DCP.

use bytes::BytesMut;
use mcbp::dcp::{FailoverEntry, decode_failover_log};
use mcbp::{
    Feature, Frame, FrameBuilder, FrameError, HEADER_BYTES, Opaque, Opcode, Seqno, VbId, VbState,
};

use crate::exchange::Exchange;
use crate::handshake::{hello, select_bucket};
use crate::login::log_in;
use crate::name_check::{self, WITHOUT_STREAMS};
use crate::pipeline::pipeline;
use crate::{ConnectionStep, Deadlines, Endpoint, Fault, LinkError, Peer, Response, socket};

/// The largest answer to STAT, in bytes over all its frames: 16 MiB. The largest of a real node,
/// the details of 1,024 vBuckets, has some 4 MiB. A peer that never ends its answer ends here.
const STATS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a [`Client`] logs in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The bucket to select, if any.
    pub bucket: Option<&'a str>,
    /// The agent name in HELLO; truncated to 250 bytes.
    pub agent: &'a str,
    /// The features to request with HELLO; [`Client::features`] returns those that were granted.
    pub features: &'a [Feature],
    /// How long connect and each request may take.
    pub deadlines: Deadlines,
}

/// A connection that is logged in.
///
/// After any error but [`Fault::Refused`] a response may still be outstanding: drop the client
/// then.
pub struct Client {
    peer: Peer,
    exchange: Exchange,
    features: Vec<Feature>,
}

impl Client {
    /// Connects, logs in, sends HELLO and selects the bucket.
    ///
    /// # Errors
    /// A [`LinkError`] without a side, with the step.
    pub async fn connect(endpoint: &Endpoint, login: Login<'_>) -> Result<Self, LinkError> {
        let peer = Peer::of(None, endpoint);
        match introduce(endpoint, login).await {
            Ok((exchange, features)) => Ok(Self { peer, exchange, features }),
            Err(fault) => Err(fault.at(peer)),
        }
    }

    /// Connects without a login, for the few requests that a node answers to anybody.
    ///
    /// # Errors
    /// A [`LinkError`] without a side, with the step.
    pub async fn unauthenticated(
        endpoint: &Endpoint,
        deadlines: Deadlines,
    ) -> Result<Self, LinkError> {
        let peer = Peer::of(None, endpoint);
        match socket::connect(endpoint, deadlines.connect).await {
            Ok(connected) => {
                let exchange = Exchange::new(connected.halves, deadlines.request);
                Ok(Self { peer, exchange, features: Vec::new() })
            }
            Err(fault) => Err(fault.at(peer)),
        }
    }

    /// The features that HELLO granted.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Checks that HELLO granted all of `features`. Without them, answers of two nodes cannot be
    /// compared.
    ///
    /// # Errors
    /// A [`LinkError`] with the missing features.
    pub fn require(&self, features: &[Feature]) -> Result<(), LinkError> {
        let missing: Vec<_> =
            features.iter().copied().filter(|feature| !self.features.contains(feature)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Fault::Features { missing }.at(self.peer.clone()))
    }

    /// Sends a request with a new opaque, and returns its response, whatever its status.
    ///
    /// # Errors
    /// A [`LinkError`] if there is no valid response in time.
    pub async fn call(&mut self, request: FrameBuilder<'_>) -> Result<Response, LinkError> {
        let response = self.exchange.call(request).await;
        response.map_err(|fault| fault.at(self.peer.clone()))
    }

    /// As [`Client::call`], but an error status is [`Fault::Refused`].
    ///
    /// # Errors
    /// A [`LinkError`] if there is no successful response in time.
    pub async fn ask(&mut self, request: FrameBuilder<'_>) -> Result<Response, LinkError> {
        let response = self.call(request).await?;
        response.accepted().map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Waits until the node has sent a request of its own since the last call, such as that it has
    /// a new cluster map. What it has said is not kept: ask for it. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// A [`LinkError`] if the connection ends, or the node sends an answer that nobody waits for.
    pub async fn told(&mut self) -> Result<(), LinkError> {
        let told = self.exchange.told(ConnectionStep::Request(Opcode::GET_CLUSTER_CONFIG)).await;
        told.map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Sends many requests with up to `window` of them unanswered; reads while it writes.
    ///
    /// `next` appends one request with the given opaque and returns true, or returns false if there
    /// are no more. Quiet commands, which are not always answered, cannot be used. `each` is called
    /// with every response in order, and the number of its request from 0. Returns the number of
    /// responses.
    ///
    /// # Errors
    /// A [`LinkError`] if a response is missing or out of order. An error status is not an error.
    pub async fn pipeline(
        &mut self,
        window: usize,
        next: impl FnMut(Opaque, &mut BytesMut) -> bool,
        each: impl FnMut(u64, &Frame<'_>),
    ) -> Result<u64, LinkError> {
        let done = pipeline(&mut self.exchange, window, next, each).await;
        done.map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Returns the high seqno of every vBucket of the node (GET_ALL_VB_SEQNOS).
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn get_all_vb_seqnos(&mut self) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        self.vb_seqnos(&[]).await
    }

    /// Returns the high seqno of every vBucket in this state.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn get_vb_seqnos_in(
        &mut self,
        state: VbState,
    ) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        self.vb_seqnos(&u32::from(state as u8).to_be_bytes()).await
    }

    async fn vb_seqnos(&mut self, extras: &[u8]) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        let request = FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS).extras(extras);
        let response = self.ask(request).await?;
        response.decode(vb_seqnos).map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Returns the failover log of a vBucket, newest entry first (GET_FAILOVER_LOG).
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn failover_log(&mut self, vb: VbId) -> Result<Vec<FailoverEntry>, LinkError> {
        let request = FrameBuilder::request(Opcode::GET_FAILOVER_LOG).vbucket(vb);
        let response = self.ask(request).await?;
        response.decode(decode_failover_log).map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Returns one group of statistics, such as `vbucket-seqno` or `failovers 7`; the empty group
    /// is the general one.
    ///
    /// # Errors
    /// As [`Client::ask`]; the deadline is for the whole group, and so is a limit of 16 MiB.
    pub async fn stats(&mut self, group: &str) -> Result<Vec<(String, String)>, LinkError> {
        let stats = stats(&mut self.exchange, group.as_bytes(), b"").await;
        stats.map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Returns the statistics of the DCP connections of the bucket, without those of single streams
    /// where the node can leave them out.
    ///
    /// # Errors
    /// As [`Client::stats`].
    pub async fn dcp_stats(&mut self) -> Result<Vec<(String, String)>, LinkError> {
        let stats = stats(&mut self.exchange, name_check::GROUP, WITHOUT_STREAMS).await;
        stats.map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Sets the state of a vBucket; creates the vBucket if it does not exist.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn set_vbucket(&mut self, vb: VbId, state: VbState) -> Result<(), LinkError> {
        let extras = [state as u8];
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb).extras(&extras);
        self.ask(request).await.map(drop)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("peer", &self.peer).finish_non_exhaustive()
    }
}

async fn introduce(
    endpoint: &Endpoint,
    login: Login<'_>,
) -> Result<(Exchange, Vec<Feature>), Fault> {
    let mut exchange = log_in(endpoint, login.deadlines).await?;
    let features = hello(&mut exchange, login.agent, login.features).await?;
    if let Some(bucket) = login.bucket {
        select_bucket(&mut exchange, bucket).await?;
    }
    Ok((exchange, features))
}

async fn stats(
    exchange: &mut Exchange,
    group: &[u8],
    options: &[u8],
) -> Result<Vec<(String, String)>, Fault> {
    let step = ConnectionStep::Request(Opcode::STAT);
    let opaque = exchange.next_opaque();
    let request = FrameBuilder::request(Opcode::STAT).opaque(opaque);
    let request = request.key(group).value(options).build();
    exchange
        .within(step, async |exchange| {
            exchange.send(&request, step).await?;
            let (mut stats, mut total_bytes) = (Vec::new(), 0);
            loop {
                let response = exchange.response(step, opaque).await?.accepted()?;
                if response.key.is_empty() {
                    return Ok(stats);
                }
                total_bytes += HEADER_BYTES + response.key.len() + response.value.len();
                if total_bytes > STATS_BYTES_MAX {
                    let (opcode, max_bytes) = (Opcode::STAT, STATS_BYTES_MAX);
                    return Err(Fault::TooLarge { opcode, frame_bytes: total_bytes, max_bytes });
                }
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                stats.push((text(&response.key), text(&response.value)));
            }
        })
        .await
}

/// Reads the answer to GET_ALL_VB_SEQNOS.
fn vb_seqnos(frame: &Frame<'_>) -> Result<Vec<(VbId, Seqno)>, FrameError> {
    let (entries, rest) = frame.value.as_chunks::<10>();
    if !rest.is_empty() {
        return Err(frame.malformed("the value is a list of entries of 10 bytes"));
    }
    let entry = |&[v0, v1, ref seqno @ ..]: &[u8; 10]| {
        (VbId(u16::from_be_bytes([v0, v1])), Seqno(u64::from_be_bytes(*seqno)))
    };
    Ok(entries.iter().map(entry).collect())
}
