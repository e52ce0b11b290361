//! The admin API over real HTTP, between two data nodes that the test plays, and the subcommands
//! that ask it as processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod access;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod day;
mod events;
mod findings;
mod http;
mod metrics;
#[path = "../../actors/tests/common/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the control plane")]
mod nodes;
mod overview;
mod reads;
mod sets;
mod strangers;
mod subcommands;

use std::path::PathBuf;
use std::sync::Arc;

use dcp_actors::ControlLimits;
use dcp_proxy::admin::{Admin, Durability, EmbeddedFacts, Replicating};
use dcp_proxy::config;
use dcp_proxy::logging::Asked;
use dcp_proxy::sources::Sources;
use dcp_proxy::verification::Verification;
use nodes::Nodes;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use http::{Answer, Http};

/// A configuration whose addresses of nodes are not used.
pub(crate) fn config(admin: &str) -> Configured {
    let text = format!(
        r#"
[node]
name = "beta"
address = "127.0.0.1:1"
username = "dcp-proxy"
password = "secret of beta"
[[producer]]
name = "alpha"
address = "127.0.0.1:1"
username = "dcp-proxy"
password = "secret of alpha"
[[bucket]]
name = "default"
replicate = {{ alpha = "0-3" }}
[admin]
{admin}
"#
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let config = config::parse(&path, &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let sources = Sources::open(Arc::new(config), Asked::default()).unwrap();
    Configured { sources, folder }
}

/// A configuration, and the folder of its state.
pub(crate) struct Configured {
    pub(crate) sources: Sources,
    folder: TempDir,
}

impl Configured {
    /// The `[state] directory`.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("proxy.state")
    }

    /// The session token, once the API listens.
    pub(crate) fn token(&self) -> Option<String> {
        common::session_token(&self.state())
    }
}

/// An admin API and the replication that it serves.
pub(crate) struct Served {
    pub(crate) nodes: Nodes,
    pub(crate) admin: Admin,
    pub(crate) http: Http,
    pub(crate) stop: CancellationToken,
    pub(crate) configured: Configured,
}

impl Served {
    pub(crate) async fn start(limits: ControlLimits) -> Self {
        Self::with(limits, "").await
    }

    /// The same with these lines in `[admin]`.
    pub(crate) async fn with(limits: ControlLimits, lines: &str) -> Self {
        let (nodes, stop) = (Nodes::start(limits).await, CancellationToken::new());
        let configured = config(&format!("listen = \"127.0.0.1:0\"\n{lines}"));
        let admin = Admin::start(&configured.sources, &stop).unwrap();
        let embedded = vec![EmbeddedFacts {
            name: "alpha".to_owned(),
            address: "127.0.0.1:11210".to_owned(),
            durability: Durability::Synced,
        }];
        let running = Replicating {
            replication: nodes.handle.clone(),
            embedded,
            gauges: Vec::new(),
            verification: Verification::default(),
        };
        configured.sources.attach(nodes.handle.clone(), Vec::new(), &stop);
        admin.attach(running);
        let http = Http::with(admin.address(), configured.token());
        Self { nodes, admin, http, stop, configured }
    }

    /// Sends a desired map in the background.
    pub(crate) fn put(&self, body: &str) -> tokio::task::JoinHandle<Answer> {
        let (http, body) = (self.http.clone(), body.to_owned());
        tokio::spawn(async move { http.put(REPLICATIONS, &body).await })
    }

    /// Opens streams of these vBuckets from `alpha`.
    pub(crate) async fn open<const N: usize>(&self, vbs: [u16; N]) -> nodes::Link {
        let set = vbs.map(|vb| vb.to_string()).join(",");
        let answer = self.put(&format!(r#"{{"alpha": "{set}"}}"#));
        let mut link = self.nodes.accept().await;
        for stream in link.requests::<N>().await {
            link.open(&stream).await;
        }
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, &answer.body["open"]), (200, &N.into()), "{answer:?}");
        link
    }
}

/// The path of the desired map of the only bucket.
pub(crate) const REPLICATIONS: &str = "/api/v1/buckets/default/replications";
