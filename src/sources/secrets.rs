//! The secrets and certificates of a configuration that is read again: given to all who hold the
//! old ones, and shared with the new configuration.

use relay::{Endpoint, Secret};

use crate::config::{Config, Node};

/// The secrets and certificates of a configuration file.
pub(super) struct Renewed {
    endpoints: Vec<Endpoint>,
    /// Those of the admin API and of the embedded nodes.
    others: [Option<Secret>; 2],
}

impl Renewed {
    pub(super) fn of(config: &Config) -> Self {
        let own = config.node.remote().into_iter();
        let endpoints = own.chain(config.producers.iter().filter_map(Node::remote)).cloned();
        let embedded = config.embedded.as_ref().and_then(|embedded| embedded.password.clone());
        Self { endpoints: endpoints.collect(), others: [config.admin.token.clone(), embedded] }
    }

    /// Gives them to all who hold those of the old configuration. Those for another address or user
    /// are not for the connections that are open.
    pub(super) fn adopt(self, before: &Config) {
        let before = Self::of(before);
        for new in &self.endpoints {
            let Some(old) = before.endpoints.iter().find(|old| is_same(old, new)) else { continue };
            old.password.adopt(&new.password);
            if let (Some(old), Some(new)) = (&old.tls, &new.tls)
                && old.server_name() == new.server_name()
            {
                old.adopt(new);
            }
        }
        for (old, new) in before.others.iter().zip(&self.others) {
            if let (Some(old), Some(new)) = (old, new) {
                old.adopt(new);
            }
        }
    }
}

/// Has the new configuration share the secrets that connections hold, so that the next reload
/// reaches them too.
pub(super) fn share(before: &Config, live: &mut Config) {
    for node in &mut live.producers {
        let Node::Remote(new) = node else { continue };
        let mut known = before.producers.iter().filter_map(Node::remote);
        let Some(old) = known.find(|old| is_same(old, new)) else { continue };
        new.password = old.password.clone();
        if let (Some(old), Some(tls)) = (&old.tls, &mut new.tls)
            && old.server_name() == tls.server_name()
        {
            *tls = old.clone();
        }
    }
    if let (Some(old), Some(token)) = (&before.admin.token, &mut live.admin.token) {
        *token = old.clone();
    }
}

/// Whether both are the same node by the same name, for the same user.
fn is_same(old: &Endpoint, new: &Endpoint) -> bool {
    (&old.name, &old.address, &old.username) == (&new.name, &new.address, &new.username)
}
