//! Collects the facts: the sidecar first, which knows what is wanted, then all nodes at the same
//! time, each with deadlines, so that none keeps the others from being shown.

mod node;
mod producers;
mod rows;
mod sidecar;

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use mcbp::VbId;
use relay::{Client, Endpoint};
use tokio::time::{Instant, timeout_at};

use super::facts::{Answer, Dropped, Facts, Node, Sidecar, Wanted};
use super::rules;
use crate::client::To;
use crate::config::{self, Config, MapSource};
use crate::nodes;

/// The agent name in HELLO.
const AGENT: &str = "dcp-proxy:explain";
/// How long after the first look the second is: enough for a rate, and short for who waits.
const SECOND_LOOK: Duration = Duration::from_millis(500);
/// The deadline of everything that a node is asked, in deadlines of one step.
const STEPS_MAX: u32 = 4;

/// What to collect.
pub(super) struct What<'a> {
    pub(super) config: &'a Config,
    /// The configuration file, and whether the command line names it.
    pub(super) file: &'a Path,
    pub(super) is_named: bool,
    pub(super) to: &'a To,
    pub(super) bucket: &'a str,
    pub(super) vb: VbId,
    /// The deadline of each step with a node, and of all answers of the sidecar together.
    pub(super) step: Duration,
}

/// A node that is asked.
struct Target {
    node: Node,
    endpoint: Option<Endpoint>,
    client: Option<Client>,
}

/// Collects all facts.
pub(super) async fn facts(what: &What<'_>) -> Facts {
    let sidecar = sidecar::ask(what).await;
    let (producers, wanted) = producers::of(what, wanted(what, &sidecar)).await;
    let nodes = in_order(&what.config.node, &producers, &wanted);
    let mut targets: Vec<_> = nodes.map(|node| target(what, node)).collect();
    let until = Instant::now() + what.step * STEPS_MAX;
    join_all(targets.iter_mut().map(|target| first_look(what, target, until))).await;
    let mut facts = assemble(what, sidecar, wanted, &targets);
    if needs_second_look(&facts) {
        second_look(what, &mut targets, until).await;
    }
    join_all(targets.iter_mut().map(|target| list_streams(what, target, until))).await;
    let ours = targets.first().and_then(|ours| ours.endpoint.clone());
    let sidecar = std::mem::replace(&mut facts.sidecar, Sidecar::Unknown(String::new()));
    let mut facts = assemble(what, sidecar, facts.wanted, &targets);
    if let Some(elsewhere) = rules::elsewhere(&facts) {
        facts.sidecar = elsewhere;
    }
    facts.dropped = dropped(what, &facts, ours).await;
    facts
}

/// Where the vBucket is to come from: the sidecar knows what was changed at run time.
fn wanted(what: &What<'_>, sidecar: &Sidecar) -> Wanted {
    if let Sidecar::Says(told) = sidecar {
        let from = told.view.wanted_from().map(str::to_owned);
        return from.map_or(Wanted::Nobody, Wanted::From);
    }
    if !matches!(what.config.source, MapSource::File) {
        return Wanted::Unknown;
    }
    let bucket = what.config.buckets.iter().find(|bucket| bucket.name == what.bucket);
    let source = bucket.and_then(|bucket| bucket.desired.source(what.vb));
    source.map_or(Wanted::Nobody, |producer| Wanted::From(producer.to_owned()))
}

/// Our node, then the wanted producer, then the others.
fn in_order<'a>(
    own: &'a config::Node,
    producers: &'a [config::Node],
    wanted: &Wanted,
) -> impl Iterator<Item = &'a config::Node> {
    let is_wanted = |node: &&config::Node| *wanted == Wanted::From(node.name().to_owned());
    let (first, others): (Vec<_>, Vec<_>) = producers.iter().partition(is_wanted);
    std::iter::once(own).chain(first).chain(others)
}

fn target(what: &What<'_>, node: &config::Node) -> Target {
    let found = nodes::endpoint(what.config, node);
    let (address, answer, endpoint) = match found {
        Ok(endpoint) => {
            let late = Answer::Failed("it has not answered yet".to_owned());
            (endpoint.address.clone(), late, Some(endpoint))
        }
        Err(why) => (String::new(), Answer::NotAsked(why.to_string()), None),
    };
    Target { node: Node { name: node.name().to_owned(), address, answer }, endpoint, client: None }
}

async fn first_look(what: &What<'_>, target: &mut Target, until: Instant) {
    let Some(endpoint) = &target.endpoint else { return };
    let look = node::first_look(endpoint, what, &mut target.node.answer);
    match timeout_at(until, look).await {
        Ok(client) => target.client = client,
        Err(_) => {
            let limit = what.step * STEPS_MAX;
            let late = || format!("its answers did not end within {limit:?}");
            match &mut target.node.answer {
                Answer::Copy(copy) => copy.unread.push(("the rest".to_owned(), late())),
                other => *other = Answer::Failed(late()),
            }
        }
    }
}

fn assemble(what: &What<'_>, sidecar: Sidecar, wanted: Wanted, targets: &[Target]) -> Facts {
    let mut nodes = targets.iter().map(|target| target.node.clone());
    let none = || Node {
        name: what.config.node.name().to_owned(),
        address: String::new(),
        answer: Answer::NotAsked("it is not in the configuration".to_owned()),
    };
    Facts {
        bucket: what.bucket.to_owned(),
        vb: what.vb.0,
        our_name: what.config.node.name().to_owned(),
        ours: nodes.next().unwrap_or_else(none),
        producers: nodes.collect(),
        wanted,
        sidecar,
        dropped: None,
    }
}

/// A second look tells moving from standing, and what differs from what was changing just then.
fn needs_second_look(facts: &Facts) -> bool {
    let producer = facts.producer().and_then(Node::copy);
    let (Some(ours), Some(theirs)) = (facts.ours.copy(), producer) else { return false };
    ours.high != theirs.high || ours.documents != theirs.documents
}

async fn second_look(what: &What<'_>, targets: &mut [Target], until: Instant) {
    let began = Instant::now();
    tokio::time::sleep(SECOND_LOOK).await;
    // Our node first: a producer that is asked later is never behind its consumer.
    for target in targets.iter_mut().take(2) {
        let (Some(client), Answer::Copy(copy)) = (&mut target.client, &mut target.node.answer)
        else {
            continue;
        };
        let late = timeout_at(until, node::second_look(copy, client, what.vb, began)).await;
        if !matches!(late, Ok(true)) {
            target.client = None;
        }
    }
}

/// The streams come last, since their list may be long. What cannot be read is noted.
async fn list_streams(what: &What<'_>, target: &mut Target, until: Instant) {
    let Answer::Copy(copy) = &mut target.node.answer else { return };
    let why = match &mut target.client {
        None => "the connection was lost before".to_owned(),
        Some(client) => match timeout_at(until, node::streams(copy, client, what.vb)).await {
            Ok(()) => return,
            Err(_) => format!("all answers did not end within {:?}", what.step * STEPS_MAX),
        },
    };
    copy.unread.push(("dcp".to_owned(), why));
}

/// The rows of our copy that a rollback would drop, if one is expected.
async fn dropped(what: &What<'_>, facts: &Facts, ours: Option<Endpoint>) -> Option<Dropped> {
    let parting = rules::parting(facts)?;
    let to = parting.rollback()?;
    let (copy, endpoint) = (facts.ours.copy()?, ours?);
    let dropped = rows::after(&endpoint, what, copy, to).await;
    if to >= parting.common {
        return Some(dropped);
    }
    // Rows come by seqno: those that nobody else has are the last ones.
    let lost = match parting.ours > parting.common {
        true => rows::after(&endpoint, what, copy, parting.common).await,
        false => Dropped::Rows { count: 0, more: false, lost: Some(0), keys: Vec::new() },
    };
    Some(rows::of_which(dropped, lost))
}
