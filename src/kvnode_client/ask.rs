//! From a command to its answer.

use serde_json::json;

use super::answer::Answer;
use super::args::{Ask, At, OneVb};
use super::collections::Change;
use super::connect::Node;
use super::failure::Failure;
use super::seed::Plan;
use super::{collections, documents, seed, stats, vbuckets};

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
        Ask::Get { key, of, .. } => {
            let key = documents::key(key)?;
            documents::get(&mut connect(at, of).await?, key, of.vbucket).await
        }
        Ask::Set { key, value, expiry, of, .. } => {
            let (key, value) = (documents::key(key)?, documents::value(value)?);
            let mut node = connect(at, of).await?;
            documents::set(&mut node, (key, &value, *expiry), of.vbucket).await
        }
        Ask::Delete { key, of, .. } => {
            let key = documents::key(key)?;
            documents::delete(&mut connect(at, of).await?, key, of.vbucket).await
        }
        Ask::Vbuckets { set: Some(set), set_state: Some(state), topology, .. } => {
            vbuckets::set_state(&mut Node::connect(at).await?, set, *state, topology).await
        }
        Ask::Vbuckets { set, .. } => {
            vbuckets::show(&mut Node::connect(at).await?, set.as_ref()).await
        }
        Ask::Collections { create, modify, max_ttl, history, drop, set, .. } => {
            let (max_ttl, history) = (*max_ttl, history.unwrap_or_default());
            let create = create.as_deref().map(|path| Change::Create { path, max_ttl, history });
            let modify = modify.as_deref().map(|path| Change::Modify { path, history });
            let drop = drop.as_deref().map(Change::Drop);
            let change = create.or(modify).or(drop).or(set.as_deref().map(Change::Set));
            collections::run(&mut Node::connect(at).await?, change).await
        }
        Ask::Stats { group, .. } => stats::show(&mut Node::connect(at).await?, group).await,
        Ask::Seed { count, first, size, .. } => {
            let plan = Plan { count: *count, first: *first, size: *size };
            seed::run(&mut Node::connect(at).await?, plan).await
        }
    }
}

/// Connects for a command about a document.
async fn connect(at: &At, of: &OneVb) -> Result<Node, Failure> {
    match &of.collection {
        None => Node::connect(at).await,
        Some(path) => Node::connect_for(at, path).await,
    }
}
