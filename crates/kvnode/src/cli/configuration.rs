//! The configuration of a node from the file and the command line.

use settings::Problems;

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

/// Reads the file, if one is given, and the environment; the command line overrides both.
///
/// # Errors
/// All mistakes of the file and the environment, else those of the command line.
pub(super) fn configuration(arguments: Arguments) -> Result<Configured, Problems> {
    let mut config = match &arguments.config {
        Some(path) => file::read(path)?,
        None => file::of_environment()?,
    };
    let mut wrong = Vec::new();
    if let Some((name, vbuckets)) = arguments.bucket {
        let mut options = BucketOptions::new(name);
        options.vbuckets = vbuckets.unwrap_or(options.vbuckets);
        wrong.extend(options.check().err().map(|text| ("--bucket", text)));
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
    let has_user = arguments.username.is_some() || !config.users.is_empty();
    if let (Some(name), Some(path)) = (arguments.username, arguments.password_file) {
        match password(&path) {
            Ok(password) => {
                // In the place of one of the file.
                config.users.retain(|(user, _)| *user != name);
                config.users.push((name, password));
            }
            Err(text) => wrong.push(("--password-file", text)),
        }
    }
    if let (Some(certificate), Some(key)) = (arguments.tls_cert, arguments.tls_key) {
        match Tls::load(&certificate, &key, arguments.tls_client_ca.as_deref()) {
            Ok(tls) => config.tls = Some(tls),
            Err(text) => wrong.push(("--tls-cert", text)),
        }
        config.certificate = Some(certificate);
    }
    let listen = arguments.listen.or(config.listen);
    let data = arguments.data.or(config.data);
    let missing = [
        (listen.is_some(), "listen", "no address: give --listen ADDR"),
        (data.is_some(), "data", "no folder for data: give --data DIR"),
        (!config.buckets.is_empty(), "bucket", "no bucket: give --bucket NAME or a [[bucket]]"),
        (has_user, "user", "no user: give --username and --password-file, or a [[user]]"),
    ];
    let missing = missing.iter().filter(|(is_there, ..)| !is_there);
    wrong.extend(missing.map(|(_, key, text)| (*key, (*text).to_owned())));
    let (Some(listen), Some(data), true) = (listen, data, wrong.is_empty()) else {
        return Err(Problems::elsewhere(wrong));
    };
    let node = NodeConfig {
        tls: config.tls,
        certificate: config.certificate,
        listen,
        metrics: arguments.metrics.or(config.metrics),
        data,
        buckets: config.buckets,
        users: Users(config.users),
        limits: config.limits,
    };
    Ok(Configured { node, states: config.states, log: config.log })
}
