//! Asks one node about the vBucket. It changes nothing and opens no stream.

use mcbp::{Feature, FrameBuilder, Opcode, Status, VbId};
use relay::{Client, Deadlines, Endpoint, Fault, LinkError, Login};
use tokio::time::Instant;

use super::{AGENT, What};
use crate::doctor::Failure;
use crate::explain::facts::{Answer, Later, VbCopy};
use crate::explain::stats;

/// Without XERROR a real node closes the connection instead of answering EACCES.
const FEATURES: [Feature; 4] =
    [Feature::XATTR, Feature::COLLECTIONS, Feature::JSON, Feature::XERROR];
/// A name that no connection has: the figures of the vBucket are wanted, not those of a stream.
const NO_CONNECTION: &str = "explain";

type Stats = Vec<(String, String)>;

/// Fills `answer` as far as the node answers; what came before a deadline stays. Returns the
/// connection while it can be used.
pub(super) async fn first_look(
    endpoint: &Endpoint,
    what: &What<'_>,
    answer: &mut Answer,
) -> Option<Client> {
    let deadlines = Deadlines { connect: what.step, request: what.step };
    let login = Login { bucket: Some(what.bucket), agent: AGENT, features: &FEATURES, deadlines };
    let mut client = match Client::connect(endpoint, login).await {
        Ok(client) => client,
        Err(error) => {
            *answer = failed(&error);
            return None;
        }
    };
    let vb = what.vb;
    let details = match client.stats(&format!("vbucket-details {}", vb.0)).await {
        Ok(stats) => stats,
        Err(error) if error.status() == Some(Status::NOT_MY_VBUCKET) => {
            *answer = Answer::Missing;
            return Some(client);
        }
        Err(error) if error.status() == Some(Status::ETMPFAIL) => {
            *answer = Answer::WarmingUp;
            return None;
        }
        Err(error) if is_refusal(&error) => {
            // A user without the privilege for details may have that for the rest.
            let mut copy = VbCopy::default();
            copy.unread.push(("vbucket-details".to_owned(), error.fault.to_string()));
            *answer = Answer::Copy(Box::new(copy));
            Stats::new()
        }
        Err(error) => {
            *answer = failed(&error);
            return None;
        }
    };
    if !details.is_empty() {
        let mut copy = VbCopy::default();
        stats::details(vb, &details, &mut copy);
        *answer = Answer::Copy(Box::new(copy));
    }
    let Answer::Copy(copy) = answer else {
        *answer = Answer::Failed("it says nothing of the vBucket".to_owned());
        return None;
    };
    rest(copy, &mut client, vb, &details).await.then_some(client)
}

/// The other groups. Returns whether the connection can still be used.
async fn rest(copy: &mut VbCopy, client: &mut Client, vb: VbId, details: &Stats) -> bool {
    let Some(seqnos) = group(copy, client, &format!("vbucket-seqno {}", vb.0)).await else {
        return false;
    };
    stats::seqnos(vb, &seqnos, copy);
    let Some(failovers) = group(copy, client, &format!("failovers {}", vb.0)).await else {
        return false;
    };
    copy.log = stats::failovers(vb, &failovers).unwrap_or_default();
    let takeover = format!("dcp-vbtakeover {} {NO_CONNECTION}", vb.0);
    let Some(takeover) = group(copy, client, &takeover).await else { return false };
    copy.deletions = stats::deletions(vb, details, &takeover);
    let version = client.ask(FrameBuilder::request(Opcode::VERSION)).await;
    match version {
        Ok(version) => {
            copy.version = Some(String::from_utf8_lossy(&version.value).into_owned());
            true
        }
        Err(error) => is_refusal(&error),
    }
}

/// A group of statistics; empty where it is refused, which is noted, and `None` where the
/// connection is lost.
async fn group(copy: &mut VbCopy, client: &mut Client, name: &str) -> Option<Stats> {
    match client.stats(name).await {
        Ok(stats) => Some(stats),
        Err(error) => {
            let group = name.split(' ').next().unwrap_or(name);
            copy.unread.push((group.to_owned(), error.fault.to_string()));
            is_refusal(&error).then(Stats::new)
        }
    }
}

/// Looks again. Returns whether the connection can still be used.
pub(super) async fn second_look(
    copy: &mut VbCopy,
    client: &mut Client,
    vb: VbId,
    began: Instant,
) -> bool {
    let Some(details) = group(copy, client, &format!("vbucket-details {}", vb.0)).await else {
        return false;
    };
    let mut again = VbCopy::default();
    stats::details(vb, &details, &mut again);
    let after = began.elapsed();
    copy.later = Some(Later { after, high: again.high, documents: again.documents });
    true
}

/// The DCP streams of the vBucket. The answer is long where a node has many streams, and a node may
/// end it: it is asked for last.
pub(super) async fn streams(copy: &mut VbCopy, client: &mut Client, vb: VbId) {
    if let Some(listed) = group(copy, client, "dcp").await {
        copy.streams = stats::streams(vb, &listed);
    }
}

fn failed(error: &LinkError) -> Answer {
    match error.fault {
        Fault::WarmingUp => Answer::WarmingUp,
        _ => Answer::Failed(Failure::of(error).sentence()),
    }
}

fn is_refusal(error: &LinkError) -> bool {
    matches!(error.fault, Fault::Refused { .. })
}
