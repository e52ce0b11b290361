//! From a command to its answer.

use serde_json::json;

use super::answer::Answer;
use super::args::{Ask, OneVb};
use super::connect::Node;
use super::failure::Failure;
use super::seed::Plan;
use super::{documents, seed, stats, vbuckets};

/// Asks the node.
pub(super) fn ask(asked: &Ask) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::failed(format!("no descriptors for a connection: {error}"), json!({}))
    })?;
    runtime.block_on(answer(asked))
}

/// What is wrong with the command line is told before the node is asked.
async fn answer(asked: &Ask) -> Result<Answer, Failure> {
    let at = asked.at();
    match asked {
        Ask::Get { key, of: OneVb { vbucket }, .. } => {
            let key = documents::key(key)?;
            documents::get(&mut Node::connect(at).await?, key, *vbucket).await
        }
        Ask::Set { key, value, expiry, of: OneVb { vbucket }, .. } => {
            let (key, value) = (documents::key(key)?, documents::value(value)?);
            let mut node = Node::connect(at).await?;
            documents::set(&mut node, (key, &value, *expiry), *vbucket).await
        }
        Ask::Delete { key, of: OneVb { vbucket }, .. } => {
            let key = documents::key(key)?;
            documents::delete(&mut Node::connect(at).await?, key, *vbucket).await
        }
        Ask::Vbuckets { set: Some(set), set_state: Some(state), .. } => {
            vbuckets::set_state(&mut Node::connect(at).await?, set, *state).await
        }
        Ask::Vbuckets { set, .. } => {
            vbuckets::show(&mut Node::connect(at).await?, set.as_ref()).await
        }
        Ask::Stats { group, .. } => stats::show(&mut Node::connect(at).await?, group).await,
        Ask::Seed { count, first, size, .. } => {
            let plan = Plan { count: *count, first: *first, size: *size };
            seed::run(&mut Node::connect(at).await?, plan).await
        }
    }
}
