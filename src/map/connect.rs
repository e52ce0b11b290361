//! Which etcd to use, and how to reach it.

use std::path::Path;

use etcdmaps::{EtcdConfig, EtcdTls, Pace};
use relay::Secret;

use super::args::To;
use super::failure::Failure;
use crate::config::{self, Etcd, MapSource};

/// The environment variable with the password, which keeps it out of the list of processes.
const PASSWORD_VARIABLE: &str = "DCP_PROXY_ETCD_PASSWORD";
/// What the keys begin with where nobody says, as in a configuration file.
const PREFIX: &str = "/dcp-proxy";

/// The etcd of a configuration, as the client of etcd takes it.
#[must_use]
pub fn etcd_config(etcd: &Etcd) -> EtcdConfig {
    let tls = etcd.tls.as_ref().map(|tls| EtcdTls {
        ca: tls.ca.clone(),
        identity: tls.identity.clone(),
        server_name: tls.server_name.clone(),
    });
    EtcdConfig {
        endpoints: etcd.endpoints.clone(),
        prefix: etcd.prefix.clone(),
        tls,
        login: etcd.login.clone(),
        pace: Pace::default(),
    }
}

/// The etcd that the arguments name, else the one of the configuration file.
pub(super) fn find(to: &To, config: &Path) -> Result<EtcdConfig, Failure> {
    if to.etcd.is_empty() {
        return of_file(config);
    }
    for endpoint in &to.etcd {
        let is_good = endpoint.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !is_good || endpoint.contains('/') {
            let endpoint = logline::value(endpoint);
            let text = "is not a member of etcd: give HOST:PORT, such as 127.0.0.1:2379";
            return Err(Failure::Wrong(format!("--etcd: {endpoint} {text}")));
        }
    }
    let login = match &to.username {
        None => None,
        Some(user) => match std::env::var(PASSWORD_VARIABLE) {
            Ok(password) => Some((user.clone(), Secret::new(password))),
            Err(_) => {
                let text = "is not set: put the password of --username there";
                return Err(Failure::Wrong(format!("{PASSWORD_VARIABLE} {text}")));
            }
        },
    };
    let tls = to.ca.clone().map(|ca| EtcdTls {
        ca,
        identity: to.certificate.clone().zip(to.key.clone()),
        server_name: None,
    });
    let prefix = to.prefix.clone().unwrap_or_else(|| PREFIX.to_owned());
    Ok(EtcdConfig { endpoints: to.etcd.clone(), prefix, tls, login, pace: Pace::default() })
}

fn of_file(config: &Path) -> Result<EtcdConfig, Failure> {
    let source = config::load_source(config);
    match source.map_err(|problems| Failure::Wrong(problems.to_string()))? {
        MapSource::Etcd(etcd) => Ok(etcd_config(&etcd)),
        MapSource::File | MapSource::Cluster(_) => {
            let text = "has no [desired] etcd: add it, or give --etcd HOST:PORT";
            Err(Failure::Wrong(format!("{} {text}", config.display())))
        }
    }
}
