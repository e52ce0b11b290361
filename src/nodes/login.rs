//! User, password and TLS of a data node on the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use kvnode::cli::password;
use relay::{Endpoint, Secret, Tls, TlsFiles};

use super::{Env, NodeError};

/// How to log in at a node. Where nothing is given, the configuration file says it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
#[group(skip)]
pub struct LoginArgs {
    /// The user at the node [default: DCP_PROXY_USERNAME, or that of the configuration file].
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// File with the user's password; one line break at its end is ignored [default:
    /// DCP_PROXY_PASSWORD, or that of the configuration file].
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Authorities of the node's certificate (PEM); the connection then uses TLS.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The name or address in the node's certificate [default: the host of the node].
    #[arg(long, value_name = "NAME", requires = "ca")]
    pub server_name: Option<String>,
    /// Our certificate (PEM), where the node wants one.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key_file"])]
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key_file: Option<PathBuf>,
}

impl LoginArgs {
    /// User and password, unless neither is given.
    pub(super) fn user(&self, env: Env<'_>) -> Result<Option<(String, Secret)>, NodeError> {
        let name = self.username.clone().or_else(|| env("DCP_PROXY_USERNAME"));
        let secret = match &self.password_file {
            Some(path) => {
                let read = password(path);
                Some(read.map_err(|what| NodeError(format!("password: {what}")))?)
            }
            None => env("DCP_PROXY_PASSWORD").map(Secret::new),
        };
        match (name, secret) {
            (Some(name), Some(secret)) => Ok(Some((name, secret))),
            (None, None) => Ok(None),
            (Some(name), None) => Err(NodeError(format!(
                "no password of user {name:?}: give --password-file FILE or set \
                 DCP_PROXY_PASSWORD"
            ))),
            (None, Some(_)) => Err(NodeError(
                "a password and no user: give --username NAME or set DCP_PROXY_USERNAME".to_owned(),
            )),
        }
    }

    /// `endpoint` with what is given here in place of what the configuration file says.
    pub(super) fn of(&self, endpoint: Endpoint, env: Env<'_>) -> Result<Endpoint, NodeError> {
        let mut endpoint = endpoint;
        if let Some((user, secret)) = self.user(env)? {
            (endpoint.username, endpoint.password) = (user, secret);
        }
        self.tls().over(endpoint)
    }

    pub(super) fn tls(&self) -> TlsArgs<'_> {
        TlsArgs {
            ca: self.ca.as_deref(),
            server_name: self.server_name.as_deref(),
            identity: self.certificate.as_deref().zip(self.key_file.as_deref()),
        }
    }
}

/// The TLS files of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsArgs<'a> {
    /// The authorities; `None` for plain TCP.
    pub(crate) ca: Option<&'a Path>,
    /// The name to verify; `None` for the host.
    pub(crate) server_name: Option<&'a str>,
    /// Our certificate and its key.
    pub(crate) identity: Option<(&'a Path, &'a Path)>,
}

impl TlsArgs<'_> {
    /// `endpoint` with TLS, if there are authorities.
    pub(crate) fn over(self, endpoint: Endpoint) -> Result<Endpoint, NodeError> {
        let Some(ca) = self.ca else { return Ok(endpoint) };
        let address = &endpoint.address;
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let server_name = self.server_name.unwrap_or(host);
        match Tls::load(TlsFiles { ca, identity: self.identity, server_name }) {
            Ok(tls) => Ok(endpoint.with_tls(tls)),
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Err(NodeError(problems.join("; ")))
            }
        }
    }
}

/// Whether `text` is `HOST:PORT`.
pub(crate) fn host_and_port(text: &str) -> bool {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0))
}
