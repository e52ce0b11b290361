//! The configuration of a node from the file and the command line.

use std::path::{Path, PathBuf};

use settings::Problems;

use super::arguments::Arguments;
use super::file;
use super::initial_state::Given;
use super::log::Log;
use super::values::password;
use crate::bucket::BucketOptions;
use crate::config::{NodeConfig, User, Users, UsersFile};
use crate::tls::Tls;

const NO_USER: &str = "no user: give --username and --password-file, a [[user]] or a users_file";

/// What the program runs with.
pub(super) struct Configured {
    pub(super) node: NodeConfig,
    /// The file of users.
    pub(super) users_file: Option<PathBuf>,
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
    let users_file = arguments.users_file.or(config.users_file);
    let has_user = arguments.username.is_some() || users_file.is_some() || !config.users.is_empty();
    let (login, own) = ((arguments.username, arguments.password_file), config.users);
    let users = users(login, own, users_file.as_deref(), &mut wrong);
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
        (has_user, "user", NO_USER),
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
        users,
        bucketless: config.bucketless,
        limits: config.limits,
    };
    Ok(Configured { node, users_file, states: config.states, log: config.log })
}

/// The users of the command line, the file and the file of users.
fn users(
    (name, password_file): (Option<String>, Option<PathBuf>),
    mut all: Vec<User>,
    users_file: Option<&Path>,
    wrong: &mut Vec<(&'static str, String)>,
) -> Users {
    if let (Some(name), Some(path)) = (name, password_file) {
        match password(&path) {
            Ok(password) => {
                // In the place of one of the file.
                all.retain(|user| user.name != name);
                all.push(User::admin(name, password));
            }
            Err(text) => wrong.push(("--password-file", text)),
        }
    }
    let mut users = Users::new(all);
    match users_file.map(UsersFile::read) {
        Some(Ok(read)) => {
            users.salts = Some(read.salts);
            users.all.extend(read.users);
        }
        Some(Err(text)) => wrong.push(("users_file", text)),
        None => {}
    }
    users
}
