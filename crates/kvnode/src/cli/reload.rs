//! SIGHUP: reads the configuration again and applies what a running node can take: users, their
//! passwords, certificates, and the log.

use log::{error, info, warn};
use logline::value;

use super::arguments::Arguments;
use super::configuration::{Configured, configuration};
use crate::config::NodeConfig;
use crate::node::NodeHandle;

/// The configuration at the start, as far as a running node keeps it.
pub(super) struct Reload {
    kept: String,
}

impl Reload {
    pub(super) fn new(config: &NodeConfig) -> Self {
        Self { kept: kept(config) }
    }

    /// Reads the configuration and applies it to the node. Where it is invalid, nothing changes.
    pub(super) fn run(&self, arguments: &Arguments, node: &NodeHandle) {
        let Configured { node: config, log, .. } = match configuration(arguments.clone()) {
            Ok(read) => read,
            Err(problem) => {
                let problem = value(problem);
                error!("configuration invalid, the old one stays signal=SIGHUP problem={problem}");
                return;
            }
        };
        arguments.log().apply(log);
        info!("users, certificates and log settings read again signal=SIGHUP");
        if kept(&config) != self.kept {
            warn!("other settings have changed, they need a restart signal=SIGHUP");
        }
        node.reload(config);
    }
}

/// What needs a restart, as text to compare.
fn kept(config: &NodeConfig) -> String {
    let NodeConfig { listen, metrics, tls, certificate: _, data, buckets, users: _, limits } =
        config;
    format!("{:?}", (listen, metrics, tls.is_some(), data, buckets, limits))
}
