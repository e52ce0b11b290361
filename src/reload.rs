//! SIGHUP: reads the configuration file again and applies what a running sidecar can take:
//! passwords, the token, certificates, and the log.
//!
//! Secrets and certificates in files do not need it: they are read again when they are used. It
//! applies those that stand in the configuration file itself, and other files that it names now.

use std::path::PathBuf;

use logline::value;
use relay::{Endpoint, Secret};

use crate::config::{self, Config, Node};
use crate::logging::{self, Asked};

/// What can be replaced, and the configuration at the start to compare with.
pub struct Reload {
    path: PathBuf,
    asked: Asked,
    endpoints: Vec<Endpoint>,
    secrets: [Option<Secret>; 2],
    kept: String,
}

impl Reload {
    /// Of a configuration that is in use; clones of its secrets and certificates see the changes.
    #[must_use]
    pub fn new(config: &Config, asked: Asked) -> Self {
        Self {
            path: config.path.clone(),
            asked,
            endpoints: endpoints(config),
            secrets: secrets(config),
            kept: kept(config),
        }
    }

    /// Reads the file and applies it. Where it is invalid, nothing changes.
    pub fn run(&self) {
        let file = value(self.path.display());
        let new = match config::load(&self.path) {
            Ok(new) => new,
            Err(problems) => {
                let problems = value(problems);
                log::error!(
                    "configuration invalid, the old one stays signal=SIGHUP problem={problems}"
                );
                return;
            }
        };
        logging::configure(self.asked, &new.log);
        for endpoint in endpoints(&new) {
            if let Some(own) = self.endpoints.iter().find(|own| own.name == endpoint.name) {
                own.password.adopt(&endpoint.password);
                if let (Some(own), Some(tls)) = (&own.tls, &endpoint.tls) {
                    own.adopt(tls);
                }
            }
        }
        for pair in self.secrets.iter().zip(secrets(&new)) {
            if let (Some(own), Some(secret)) = pair {
                own.adopt(&secret);
            }
        }
        log::info!("secrets, certificates and log settings read again signal=SIGHUP file={file}");
        if kept(&new) != self.kept {
            log::warn!(
                "other settings have changed, they need a restart signal=SIGHUP file={file}"
            );
        }
    }
}

fn endpoints(config: &Config) -> Vec<Endpoint> {
    let nodes = std::iter::once(&config.node).chain(&config.producers);
    let remote = nodes.filter_map(|node| match node {
        Node::Remote(endpoint) => Some(endpoint.clone()),
        Node::Embedded(_) => None,
    });
    remote.collect()
}

fn secrets(config: &Config) -> [Option<Secret>; 2] {
    let embedded = config.embedded.as_ref().and_then(|embedded| embedded.password.clone());
    [config.admin.token.clone(), embedded]
}

/// What needs a restart, as text to compare.
fn kept(config: &Config) -> String {
    let text = config.to_string();
    text.lines().filter(|line| !line.starts_with("log ")).collect::<Vec<_>>().join("\n")
}
