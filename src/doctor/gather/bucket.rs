//! Asks one node about one bucket. It changes nothing: DCP connections have names of their own, no
//! stream is opened, and the only change of a state that is asked for is one that no node accepts.

use std::collections::BTreeMap;

use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Side, Status, VbId, VbState};
use relay::{Client, DcpOpen, Deadlines, Endpoint, LINK_FEATURES, LinkError, Login, Prepared};
use replica::topology;

use super::stats::{connections, max_cas, number};
use super::{AGENT, Target};
use crate::clock;
use crate::doctor::facts::{BucketFacts, Clock, DcpConnection, Need};
use crate::doctor::failure::Failure;

/// A vBucket that no bucket has, and a topology, which is for active vBuckets only: a node refuses
/// this change whoever asks, and answers EACCESS to a user who may change no state at all.
const REFUSED_VB: VbId = VbId(u16::MAX);
const REFUSED_VALUE: &[u8] = br#"{"topology":[[]]}"#;

/// Those of a link, whose values decide what an answer means, and the one without which a real node
/// closes the connection instead of answering EACCES.
const FEATURES: [Feature; 5] =
    [Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON, Feature::XERROR];

/// The states of vBuckets, in the order in which they are asked for.
const STATES: [VbState; 4] = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];

/// Fills `facts` as far as the node answers.
pub(super) async fn bucket(
    facts: &mut BucketFacts,
    target: &Target<'_>,
    sample: &[VbId],
    deadlines: Deadlines,
) {
    let name = facts.bucket.clone();
    let login = Login { bucket: Some(&name), agent: AGENT, features: &FEATURES, deadlines };
    let mut client = match Client::connect(target.endpoint, login).await {
        Ok(client) => client,
        Err(error) => {
            facts.opened = Some(Err(Failure::of(&error)));
            return;
        }
    };
    facts.opened = Some(Ok(()));
    if let Err(error) = ask(facts, &mut client, sample).await {
        facts.broken = Some(Failure::of(&error));
        return;
    }
    let opened = open_dcp(facts, &mut client, target, deadlines).await;
    facts.dcp = Some(opened.map_err(|error| Failure::of(&error)));
}

/// The requests without DCP. An error is the loss of the connection.
async fn ask(
    facts: &mut BucketFacts,
    client: &mut Client,
    sample: &[VbId],
) -> Result<(), LinkError> {
    let asked_ms = now_ms();
    let general = answer(client.stats("").await, Need::Statistics, facts)?;
    let answered_ms = now_ms();
    if let Some(stats) = general {
        facts.vbuckets_max = number(&stats, "ep_max_vbuckets");
        let node_s = number(&stats, "time");
        facts.clock = node_s.map(|node_s| Clock { node_s, asked_ms, answered_ms });
    }
    let mut states = BTreeMap::new();
    let mut are_known = true;
    for state in STATES {
        match answer(client.get_vb_seqnos_in(state).await, Need::Seqnos, facts)? {
            Some(vbs) => states.extend(vbs.into_iter().map(|(vb, _)| (vb, state))),
            None => are_known = false,
        }
    }
    facts.states = are_known.then_some(states);
    for &vb in sample {
        let details = client.stats(&topology::group(vb)).await;
        // A vBucket that is not there is told by the states.
        if let Ok(stats) = told(details)? {
            facts.topologies.push(topology::replicas(vb, &stats));
            facts.max_cas.extend(max_cas(vb, &stats).map(|cas| (vb, cas)));
        }
    }
    let listed = answer(client.dcp_stats().await, Need::Connections, facts)?;
    facts.connections = listed.map(|stats| connections(&stats));
    let extras = [VbState::Replica as u8];
    let change = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(REFUSED_VB).extras(&extras);
    let has_json = client.features().contains(&Feature::JSON);
    let datatype = if has_json { Datatype::JSON } else { Datatype::RAW };
    let response = client.call(change.datatype(datatype).value(REFUSED_VALUE)).await?;
    facts.answers.insert(Need::SetState, response.status);
    Ok(())
}

/// Splits refusals, after which the connection can be used, from its loss.
fn told<T>(result: Result<T, LinkError>) -> Result<Result<T, Status>, LinkError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => match error.status() {
            Some(status) if Failure::of(&error).is_answer() => Ok(Err(status)),
            _ => Err(error),
        },
    }
}

/// Notes the status of an answer; the first error of a need stays.
fn answer<T>(
    result: Result<T, LinkError>,
    need: Need,
    facts: &mut BucketFacts,
) -> Result<Option<T>, LinkError> {
    let told = told(result)?;
    let status = told.as_ref().err().copied().unwrap_or(Status::SUCCESS);
    let noted = facts.answers.entry(need).or_insert(status);
    if noted.is_success() {
        *noted = status;
    }
    Ok(told.ok())
}

/// Opens a DCP connection without a stream, looks at it in the node's list, and closes it.
async fn open_dcp(
    facts: &mut BucketFacts,
    client: &mut Client,
    target: &Target<'_>,
    deadlines: Deadlines,
) -> Result<(), LinkError> {
    let (endpoint, side): (&Endpoint, Side) = (target.endpoint, target.side);
    let name = format!("doctor:{:016x}", fastrand::u64(..));
    let prepared = Prepared::connect(endpoint, side, &facts.bucket, deadlines).await?;
    let open = DcpOpen {
        connection_name: &name,
        consumer_name: Some(target.our_name),
        agent: AGENT,
        features: &LINK_FEATURES,
    };
    let opened = prepared.open(open).await?;
    if side == Side::Consumer
        && let Ok(stats) = client.dcp_stats().await
    {
        facts.window_bytes = window_bytes(facts, &connections(&stats), &name, target.our_name);
    }
    drop(opened);
    Ok(())
}

/// The window of the links to our node, where there are some: ours divides the same memory by one
/// more. Else that of our connection.
fn window_bytes(
    facts: &BucketFacts,
    now: &[DcpConnection],
    name: &str,
    our_name: &str,
) -> Option<u64> {
    let of_link = format!("->{our_name}:");
    let before = facts.connections.iter().flatten();
    let links =
        before.filter(|it| it.name.starts_with("replication:") && it.name.contains(&of_link));
    let ours = now.iter().find(|connection| connection.name == name);
    let windows = links.filter_map(|connection| connection.window_bytes);
    windows.min().or_else(|| ours?.window_bytes)
}

/// The clock of this machine, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    i64::try_from(clock::now_ms()).unwrap_or(i64::MAX)
}
