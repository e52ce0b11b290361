//! Asks one data node, step by step; each step has a deadline, and all of them together.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use exposition::certificate;
use futures::future::join_all;
use futures::stream::StreamExt as _;
use mcbp::{FrameBuilder, Opcode};
use relay::tls::look;
use relay::{Client, Deadlines, LINK_FEATURES, Login, Tls};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::bucket::bucket;
use super::{AGENT, BucketTarget, Target};
use crate::doctor::facts::{BucketFacts, NodeFacts, TlsFacts, Tried};
use crate::doctor::failure::Failure;

/// How many addresses of a name are tried, as for a link.
const ADDRESSES_MAX: usize = 8;
/// How many buckets of a node are asked about at a time.
const BUCKETS_AT_A_TIME: usize = 4;
/// The deadline of all checks of a node, in deadlines of one step.
const STEPS_MAX: u32 = 6;

/// Fills `facts` as far as the node answers.
pub(super) async fn node(facts: &mut NodeFacts, target: Target<'_>, step: Duration) {
    let limit = step * STEPS_MAX;
    let (until, buckets) = (Instant::now() + limit, &target.buckets);
    if timeout_at(until, reach(facts, &target, step)).await.is_err() {
        facts.unfinished = Some(limit);
    }
    if !matches!(facts.login, Some(Ok(_))) || facts.unfinished.is_some() {
        return;
    }
    facts.buckets = buckets.iter().map(empty).collect();
    let deadlines = Deadlines { connect: step, request: step };
    let asking = facts.buckets.iter_mut().zip(buckets).map(|(facts, of)| {
        // What was found before the deadline stays.
        async { timeout_at(until, bucket(facts, &target, &of.sample, deadlines)).await.is_err() }
    });
    let mut asking = futures::stream::iter(asking).buffer_unordered(BUCKETS_AT_A_TIME);
    let mut is_late = false;
    while let Some(late) = asking.next().await {
        is_late |= late;
    }
    drop(asking);
    facts.unfinished = is_late.then_some(limit);
}

fn empty(target: &BucketTarget<'_>) -> BucketFacts {
    BucketFacts { bucket: target.name.to_owned(), ..BucketFacts::default() }
}

/// From the addresses to the login.
async fn reach(facts: &mut NodeFacts, target: &Target<'_>, step: Duration) {
    let stream = connect(facts, step).await;
    let Some(stream) = stream else { return };
    let endpoint = target.endpoint;
    match &endpoint.tls {
        Some(tls) => {
            let shown = shake_hands(tls, stream, step).await;
            let is_up = shown.is_ok();
            facts.tls = Some(shown);
            if !is_up {
                return;
            }
        }
        None => drop(stream),
    }
    let deadlines = Deadlines { connect: step, request: step };
    let mechanisms = async {
        let mut client = Client::unauthenticated(endpoint, deadlines).await?;
        client.ask(FrameBuilder::request(Opcode::SASL_LIST_MECHS)).await
    };
    let mechanisms = mechanisms.await.map_err(|error| Failure::of(&error)).map(|response| {
        let text = String::from_utf8_lossy(&response.value);
        text.split_ascii_whitespace().map(str::to_owned).collect()
    });
    let is_silent = matches!(&mechanisms, Err(failure) if !failure.is_answer());
    facts.mechanisms = Some(mechanisms);
    if !is_silent {
        log_in(facts, target, deadlines).await;
    }
}

async fn shake_hands(tls: &Tls, stream: TcpStream, step: Duration) -> Result<TlsFacts, Failure> {
    let silent = |_| Failure::Silent(format!("the TLS handshake had no answer within {step:?}"));
    let shown = timeout(step, look(tls, stream)).await.map_err(silent)?;
    let shown = shown.map_err(|fault| Failure::Tls(fault.to_string()))?;
    let expiries = shown.chain.iter().filter_map(|der| certificate::expiry_of(der));
    Ok(TlsFacts {
        version: shown.version.to_owned(),
        server_name: tls.server_name(),
        expires_s: expiries.min(),
    })
}

async fn log_in(facts: &mut NodeFacts, target: &Target<'_>, deadlines: Deadlines) {
    let login = Login { bucket: None, agent: AGENT, features: &LINK_FEATURES, deadlines };
    match Client::connect(target.endpoint, login).await {
        Ok(mut client) => {
            facts.login = Some(Ok(client.features().to_vec()));
            if let Ok(version) = client.ask(FrameBuilder::request(Opcode::VERSION)).await {
                facts.version = Some(String::from_utf8_lossy(&version.value).into_owned());
            }
        }
        Err(error) => facts.login = Some(Err(Failure::of(&error))),
    }
}

/// Tries every address of the name; returns the connection to the first that answered.
async fn connect(facts: &mut NodeFacts, step: Duration) -> Option<TcpStream> {
    let found = match timeout(step, lookup_host(&facts.address)).await {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect::<Vec<_>>(),
        Ok(Err(error)) => {
            facts.addresses = Some(Err(error.to_string()));
            return None;
        }
        Err(_) => {
            facts.addresses = Some(Err(format!("the resolver did not answer within {step:?}")));
            return None;
        }
    };
    let mut first = None;
    let tries = found.iter().map(|&address| try_address(address, step));
    let mut tried = Vec::new();
    for (one, stream) in join_all(tries).await {
        tried.push(one);
        first = first.or(stream);
    }
    facts.addresses = Some(Ok(tried));
    first
}

async fn try_address(address: SocketAddr, step: Duration) -> (Tried, Option<TcpStream>) {
    let began = Instant::now();
    let (connected, stream) = match timeout(step, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => (Ok(began.elapsed()), Some(stream)),
        Ok(Err(error)) => (Err(error.to_string()), None),
        Err(_) => (Err(format!("no answer within {step:?}")), None),
    };
    (Tried { address, connected, is_here: is_here(address) }, stream)
}

/// Whether an address is one of this machine: only such a one can be bound.
fn is_here(address: SocketAddr) -> bool {
    UdpSocket::bind((address.ip(), 0)).is_ok()
}

/// Whether something listens at an address; for what is not a data node.
pub(super) async fn is_reachable(address: &str, step: Duration) -> Result<(), String> {
    match timeout(step, TcpStream::connect(address)).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {step:?}")),
    }
}
