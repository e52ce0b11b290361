//! Which data node a command means, and how to log in there: for the commands that ask nodes
//! themselves, with or without a sidecar.
//!
//! - `login`: user, password and TLS of the command line
//! - here: a name of the configuration file, or an address

mod login;
#[cfg(test)]
mod tests;

use std::path::Path;

use relay::{Endpoint, Secret};

pub use self::login::LoginArgs;
pub(crate) use self::login::{TlsArgs, host_and_port};
use crate::client;
use crate::config::{self, Config, MapSource, Node};
use crate::session::SessionNode;

/// Why no node is known: wrong usage or configuration. It says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NodeError(String);

/// The node that `what` means: the name of one in the configuration file, or `HOST:PORT`. Without
/// it, `[node]` of the file.
///
/// One that is embedded is found through the session file of the running sidecar. At an address,
/// user and password are those of `login`, or those of the node that the file has at this address,
/// or those of its cluster.
///
/// # Errors
/// A [`NodeError`] where the file has a mistake or no such node, or no user is known.
pub fn find(
    what: Option<&str>,
    login: &LoginArgs,
    config_file: &Path,
) -> Result<Endpoint, NodeError> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    find_with(what, login, config_file, &env)
}

/// How to reach a node of the configuration.
///
/// # Errors
/// A [`NodeError`] where it is embedded, and its sidecar does not run.
pub fn endpoint(config: &Config, node: &Node) -> Result<Endpoint, NodeError> {
    match node {
        Node::Remote(endpoint) => Ok(endpoint.clone()),
        Node::Embedded(name) => embedded(config, name),
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn find_with(
    what: Option<&str>,
    login: &LoginArgs,
    config_file: &Path,
    env: Env<'_>,
) -> Result<Endpoint, NodeError> {
    let loaded = || {
        let known = config::load(config_file);
        known.map_err(|problems| NodeError(problems.to_string().trim_end().to_owned()))
    };
    let Some(what) = what else {
        let config = loaded()?;
        return login.of(endpoint(&config, &config.node)?, env);
    };
    if host_and_port(what) {
        return at_address(what, login, loaded, env);
    }
    let config = loaded()?;
    let mut nodes = std::iter::once(&config.node).chain(&config.producers);
    if let Some(node) = nodes.find(|node| node.name() == what) {
        return login.of(endpoint(&config, node)?, env);
    }
    let known = std::iter::once(&config.node).chain(&config.producers).map(Node::name);
    Err(NodeError(format!(
        "no node is called {what:?} in {}: give one of {}, or HOST:PORT",
        config.path.display(),
        known.collect::<Vec<_>>().join(", "),
    )))
}

/// The node at an address. The configuration file need not be there where `login` says everything.
fn at_address(
    address: &str,
    login: &LoginArgs,
    loaded: impl FnOnce() -> Result<Config, NodeError>,
    env: Env<'_>,
) -> Result<Endpoint, NodeError> {
    if let Some((user, secret)) = login.user(env)? {
        let endpoint = Endpoint::new(address, address, user, secret);
        return login.tls().over(endpoint);
    }
    let who = "give --username NAME and --password-file FILE, or set DCP_PROXY_USERNAME and \
               DCP_PROXY_PASSWORD";
    let no_user = |why: String| NodeError(format!("no user for {address}: {who} ({why})"));
    let config = loaded().map_err(|NodeError(why)| no_user(why))?;
    let nodes = std::iter::once(&config.node).chain(&config.producers);
    let mut endpoints = nodes.filter_map(|node| endpoint(&config, node).ok());
    let known = endpoints.find(|endpoint| endpoint.address == address);
    match known.or_else(|| of_cluster(&config, address)) {
        Some(endpoint) => login.of(endpoint, env),
        None => Err(no_user(format!("{} has no node there", config.path.display()))),
    }
}

/// A node of the cluster that is followed. Its maps name its nodes, not the file, so every other
/// address is one of them.
fn of_cluster(config: &Config, address: &str) -> Option<Endpoint> {
    match &config.source {
        MapSource::Cluster(cluster) => cluster.producer(address),
        MapSource::File | MapSource::Etcd(_) => None,
    }
}

/// A node inside the sidecar, which says in its session file where it is.
fn embedded(config: &Config, name: &str) -> Result<Endpoint, NodeError> {
    let inside = |why: &str| {
        NodeError(format!("{name} runs inside the sidecar of {}: {why}", config.path.display()))
    };
    let session = client::running_session(&config.state).map_err(|why| inside(&why))?;
    let session = session.ok_or_else(|| inside("it does not run: start it"))?;
    let node = session.nodes.into_iter().find(|node| node.name == name);
    let SessionNode { address, password, .. } =
        node.ok_or_else(|| inside("its nodes have not started yet: try again"))?;
    let known = config.embedded.as_ref();
    let configured = known.and_then(|embedded| embedded.password.clone());
    let secret = configured.or_else(|| password.map(Secret::new));
    match (known, secret) {
        (Some(known), Some(secret)) => Ok(Endpoint::new(name, address, &known.username, secret)),
        _ => Err(inside("its password is unknown: set [embedded] password")),
    }
}
