//! How to reach etcd, and a connection to one of its members.

use std::path::PathBuf;
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use relay::{Secret, Tls, TlsFiles};

use super::error::{EtcdError, within};
use crate::reporter::Pace;

/// The deadline to connect and to log in.
const CONNECT: Duration = Duration::from_secs(5);
/// How often an idle connection is probed; etcd closes one that is probed more often than every 5 s
/// (`--grpc-keepalive-min-time`).
const PROBE: Duration = Duration::from_secs(10);
/// The deadline of the answer to a probe.
const PROBE_ANSWER: Duration = Duration::from_secs(5);

/// An etcd cluster.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// Its members, as `host:port`; at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// TLS; `None` for plain TCP.
    pub tls: Option<EtcdTls>,
    /// The user and the password, which is read again for each connection.
    pub login: Option<(String, Secret)>,
    /// How often reports are written.
    pub pace: Pace,
}

/// The TLS files of an etcd cluster, in PEM. They are read again for each connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EtcdTls {
    /// The certificate authorities to trust.
    pub ca: PathBuf,
    /// The own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that certificates are verified against; `None` for the host of each endpoint.
    pub server_name: Option<String>,
}

impl EtcdConfig {
    /// Connects to one of the endpoints, and logs in. Without a login the first call connects.
    pub(super) async fn connect(&self, endpoint: &str) -> Result<Client, EtcdError> {
        let options = self.options(endpoint).await?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{endpoint}");
        within(endpoint, "connect", CONNECT, Client::connect([url], Some(options))).await
    }

    /// Reads secrets and certificates; files may be on a disk that hangs.
    async fn options(&self, endpoint: &str) -> Result<ConnectOptions, EtcdError> {
        let (config, host) = (self.clone(), host(endpoint).to_owned());
        let read = tokio::task::spawn_blocking(move || config.read_options(&host));
        let slow = || EtcdError::Slow {
            endpoint: endpoint.to_owned(),
            step: "read passwords and certificates",
            limit: CONNECT,
        };
        match tokio::time::timeout(CONNECT, read).await {
            Ok(Ok(options)) => options,
            Ok(Err(_)) | Err(_) => Err(slow()),
        }
    }

    fn read_options(&self, host: &str) -> Result<ConnectOptions, EtcdError> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(PROBE, PROBE_ANSWER)
            .with_keep_alive_while_idle(true)
            // A member without a leader would answer with what was, and send no changes.
            .with_require_leader(true)
            // Tokens expire, by default after 5 minutes.
            .with_auto_token_refresh(true);
        if let Some((user, password)) = &self.login {
            options = options.with_user(user, password.expose());
        }
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.read(host)?);
        }
        Ok(options)
    }
}

impl EtcdTls {
    fn read(&self, host: &str) -> Result<TlsOptions, EtcdError> {
        let server_name = self.server_name.as_deref().unwrap_or(host);
        let identity = self.identity.as_ref();
        // The rules and the texts of all other TLS of a sidecar.
        Tls::load(TlsFiles {
            ca: &self.ca,
            identity: identity.map(|(certificate, key)| (certificate.as_path(), key.as_path())),
            server_name,
        })
        .map_err(|problems| {
            let texts: Vec<String> = problems.into_iter().map(|problem| problem.text).collect();
            EtcdError::Tls { text: texts.join("; ") }
        })?;
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| EtcdError::Tls {
                text: format!("file {} could not be read: {error}", path.display()),
            })
        };
        let mut options = TlsOptions::new()
            .domain_name(server_name)
            .ca_certificate(Certificate::from_pem(read(&self.ca)?));
        if let Some((certificate, key)) = identity {
            options = options.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(options)
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(endpoint: &str) -> &str {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
