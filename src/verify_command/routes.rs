//! Which nodes are compared, and which vBuckets of them.

use std::path::Path;
use std::time::Duration;

use comparison::Seqnos;
use mcbp::{VbId, VbState};
use relay::{Client, Deadlines, Endpoint, Login, Reconnect};
use replica::plan::VbSet;

use super::args::VerifyArgs;
use super::in_force::{InForce, in_force};
use crate::config::{self, Config};
use crate::nodes;
use crate::verify::Verify;

/// Why nothing can be compared.
pub(super) enum NoRoute {
    /// The command line or the configuration is wrong.
    Wrong(String),
    /// A node does not answer.
    Failed(String),
}

/// What is compared.
pub(super) struct Routes {
    /// One comparison for each two nodes.
    pub(super) routes: Vec<Verify>,
    /// Who says which vBuckets these are, where the command line does not.
    pub(super) remark: Option<String>,
}

/// Finds the nodes, and which vBuckets of them are compared. `is_named` is whether the command line
/// names the file.
pub(super) async fn routes(
    args: &VerifyArgs,
    file: &Path,
    is_named: bool,
) -> Result<Routes, NoRoute> {
    let wrong = |error: nodes::NodeError| NoRoute::Wrong(error.to_string());
    match args.nodes.as_slice() {
        [a, b] => {
            let find = |what: &str| nodes::find(Some(what), &args.login, file).map_err(wrong);
            let (a, b) = (find(a)?, find(b)?);
            if a.address == b.address {
                let what = format!("both nodes are {}: give two nodes", a.address);
                return Err(NoRoute::Wrong(what));
            }
            let same = same_address(&a.address, &b.address).await;
            let remark = same.map(|same| {
                format!("Both nodes are {same}: a node is always identical to itself. Give two.")
            });
            let vbs = match &args.vb {
                Some(set) => set.iter().collect(),
                None => active(&a, &args.bucket).await?,
            };
            Ok(Routes { routes: vec![route(args, a, b, vbs)], remark })
        }
        [] => of_sidecar(args, file, is_named).await,
        _ => Err(NoRoute::Wrong("give --node twice: first A, which changes come from".to_owned())),
    }
}

/// The socket address that both names stand for, if there is one: a node that is compared with
/// itself is always identical. A name that cannot be resolved fails later.
async fn same_address(a: &str, b: &str) -> Option<String> {
    if a == b {
        return Some(a.to_owned());
    }
    let (a, b) = tokio::join!(tokio::net::lookup_host(a), tokio::net::lookup_host(b));
    let (a, b): (Vec<_>, Vec<_>) = (a.ok()?.collect(), b.ok()?.collect());
    a.into_iter().find(|one| b.contains(one)).map(|same| same.to_string())
}

fn route(args: &VerifyArgs, a: Endpoint, b: Endpoint, vbs: Vec<VbId>) -> Verify {
    let name = format!("{:08x}", fastrand::u32(..));
    let patience = Duration::from_secs(args.patience);
    Verify { rate: args.rate, patience, ..Verify::new(a, b, args.bucket.clone(), vbs, name) }
}

/// Every producer of the bucket and the node of the sidecar.
async fn of_sidecar(args: &VerifyArgs, file: &Path, is_named: bool) -> Result<Routes, NoRoute> {
    let config: Config = config::load(file)
        .map_err(|problems| NoRoute::Wrong(problems.to_string().trim_end().to_owned()))?;
    let wrong = |error: nodes::NodeError| NoRoute::Wrong(error.to_string());
    let bucket = &args.bucket;
    if !config.buckets.iter().any(|known| known.name == *bucket) {
        let known: Vec<_> = config.buckets.iter().map(|known| known.name.as_str()).collect();
        let (path, known) = (config.path.display(), known.join(", "));
        return Err(NoRoute::Wrong(format!(
            "no bucket is called {bucket:?} in {path}: give one of {known}, or --node twice"
        )));
    }
    let ours = nodes::find(None, &args.login, file).map_err(wrong)?;
    let InForce { from, origin, remark } = in_force(&config, file, is_named, bucket).await;
    let mut routes = Vec::new();
    for (name, set) in &from {
        let is_wanted = |vb: &VbId| args.vb.as_ref().is_none_or(|only| only.as_set().contains(vb));
        let vbs: Vec<_> = set.iter().filter(is_wanted).collect();
        if !vbs.is_empty() {
            let producer = nodes::find(Some(name), &args.login, file).map_err(wrong)?;
            routes.push(route(args, producer, ours.clone(), vbs));
        }
    }
    let asked = args.vb.clone().unwrap_or_default();
    let left = left_over(&asked, &routes);
    if !left.is_empty() {
        return Err(NoRoute::Wrong(format!(
            "vBuckets {left} of {bucket} come from no producer according to {origin}: leave them \
             out, or give --node twice ({remark})"
        )));
    }
    if routes.is_empty() {
        return Err(NoRoute::Wrong(format!(
            "no vBucket of {bucket} is replicated according to {origin}: give --node twice \
             ({remark})"
        )));
    }
    Ok(Routes { routes, remark: Some(remark) })
}

/// What of `asked` no comparison has.
fn left_over(asked: &VbSet, routes: &[Verify]) -> VbSet {
    let mut left = asked.clone();
    for vb in routes.iter().flat_map(|route| &route.vbs) {
        left.remove(*vb);
    }
    left
}

/// The vBuckets that are active on a node.
async fn active(node: &Endpoint, bucket: &str) -> Result<Vec<VbId>, NoRoute> {
    // As `tail`: what only another command line or configuration mends is wrong.
    let failed = |error: relay::LinkError| match error.retry() {
        Reconnect::Slowly => NoRoute::Wrong(error.to_string()),
        _ => NoRoute::Failed(error.to_string()),
    };
    let (agent, deadlines) = ("dcp-proxy/verify", Deadlines::default());
    let login = Login { bucket: Some(bucket), agent, features: &[], deadlines };
    let mut client = Client::connect(node, login).await.map_err(failed)?;
    let seqnos = client.get_vb_seqnos_in(VbState::Active).await.map_err(failed)?;
    let seqnos: Seqnos = seqnos.into_iter().collect();
    if seqnos.is_empty() {
        return Err(NoRoute::Wrong(format!(
            "no vBucket of {bucket} is active on {}: give the node that changes come from first, \
             or --vb",
            node.name
        )));
    }
    Ok(seqnos.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_names_of_one_address_are_one_node() {
        let table = [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("localhost:1", "127.0.0.1:1", true),
            ("localhost:1", "127.0.0.1:2", false),
            ("127.0.0.2:1", "127.0.0.1:1", false),
        ];
        for (a, b, is_same) in table {
            assert_eq!(same_address(a, b).await.is_some(), is_same, "{a} {b}");
        }
    }
}
