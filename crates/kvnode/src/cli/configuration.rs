//! The configuration of a node from the file and the command line.

use super::arguments::Arguments;
use super::file;
use super::initial_state::Given;
use super::log::Log;
use super::values::password;
use crate::bucket::BucketOptions;
use crate::config::{NodeConfig, Users};
use crate::tls::Tls;

/// What the program runs with.
pub(super) struct Configured {
    pub(super) node: NodeConfig,
    /// The initial states that are given; other buckets have the default.
    pub(super) states: Vec<Given>,
    /// Where log lines go, as the file says.
    pub(super) log: Log,
}

/// Reads the file, if one is given; the command line overrides it.
pub(super) fn configuration(arguments: Arguments) -> Result<Configured, String> {
    let mut config = match &arguments.config {
        Some(path) => file::read(path)?,
        None => file::Partial::default(),
    };
    if let Some((name, vbuckets)) = arguments.bucket {
        let mut options = BucketOptions::new(name);
        options.vbuckets = vbuckets.unwrap_or(options.vbuckets);
        config.buckets = vec![options];
        config.states.clear();
    }
    if let Some(state) = arguments.state {
        for bucket in &mut config.buckets {
            bucket.initial_state = state.vb_state();
        }
        let given = |bucket: &BucketOptions| Given { bucket: bucket.name.clone(), state };
        config.states = config.buckets.iter().map(given).collect();
    }
    if let (Some(name), Some(path)) = (arguments.username, arguments.password_file) {
        config.users.push((name, password(&path)?));
    }
    if let (Some(certificate), Some(key)) = (arguments.tls_cert, arguments.tls_key) {
        config.certificate = Some(certificate.clone());
        config.tls = Some(Tls::load(&certificate, &key, arguments.tls_client_ca.as_deref())?);
    }
    let node = NodeConfig {
        tls: config.tls,
        certificate: config.certificate,
        listen: arguments.listen.or(config.listen).ok_or("no address: give --listen ADDR")?,
        metrics: arguments.metrics.or(config.metrics),
        data: arguments.data.or(config.data).ok_or("no folder for data: give --data DIR")?,
        buckets: config.buckets,
        users: Users(config.users),
        limits: config.limits,
    };
    Ok(Configured { node, states: config.states, log: config.log })
}
