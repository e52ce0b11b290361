//! The maps of a whole cluster, for `dcp-proxy map`.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

use super::config::EtcdConfig;
use super::error::{EtcdError, within};
use super::range::{self, Range};
use super::watch::Watch;
use crate::changes::{Batch, Present};
use crate::keys::Keys;

/// The deadline to read everything.
const READ: Duration = Duration::from_secs(30);
/// The deadline of a transaction.
const WRITE: Duration = Duration::from_secs(10);
/// The most keys that a cluster has.
const KEYS_MAX: usize = 10_000;

/// The maps of a cluster at one member of etcd.
pub struct Store {
    endpoint: String,
    client: Box<Client>,
    keys: Keys,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// It was carried out, with this revision.
    At(i64),
    /// A key was changed since it was read; nothing was written.
    Conflict,
}

impl Store {
    /// Connects to the first member that answers, and reads the maps of all nodes.
    ///
    /// # Errors
    /// Why no member could be used.
    pub async fn open(config: &EtcdConfig) -> Result<(Self, Present), EtcdError> {
        let mut errors: BTreeMap<String, &str> = BTreeMap::new();
        for endpoint in &config.endpoints {
            let opened = async {
                let client = Box::new(config.connect(endpoint).await?);
                let keys = Keys::new(&config.prefix);
                let store = Self { endpoint: endpoint.clone(), client, keys };
                let present = store.read(&store.keys.maps()).await?;
                Ok((store, present))
            };
            match opened.await {
                Ok(opened) => return Ok(opened),
                Err(error @ EtcdError::TooMany { .. }) => return Err(error),
                Err(error) => _ = errors.insert(error.to_string(), endpoint),
            }
        }
        Err(EtcdError::All(errors.into_keys().collect::<Vec<_>>().join("\n")))
    }

    /// The member in use.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The layout of the keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Reads all keys of maps and statuses.
    ///
    /// # Errors
    /// An [`EtcdError`].
    pub async fn everything(&self) -> Result<Present, EtcdError> {
        self.read(&self.keys.all()).await
    }

    async fn read(&self, prefix: &str) -> Result<Present, EtcdError> {
        let read = range::read(&self.client, prefix, KEYS_MAX);
        match within(&self.endpoint, "read the maps", READ, read).await? {
            Range::All(present) => Ok(present),
            Range::TooMany => Err(EtcdError::TooMany { max: KEYS_MAX, prefix: prefix.to_owned() }),
        }
    }

    /// Writes in one transaction, if each key still has the revision that was read.
    ///
    /// # Errors
    /// An [`EtcdError`]; after one that is about a deadline or the connection, it may have been
    /// written.
    pub async fn write(&self, batch: &Batch) -> Result<Written, EtcdError> {
        let conditions: Vec<Compare> = batch
            .changes
            .iter()
            .map(|it| Compare::mod_revision(it.key.as_str(), CompareOp::Equal, it.expected))
            .collect();
        let operations: Vec<TxnOp> = batch
            .changes
            .iter()
            .map(|it| match it.value() {
                Some(value) => TxnOp::put(it.key.as_str(), value, None),
                None => TxnOp::delete(it.key.as_str(), None),
            })
            .collect();
        let mut kv = self.client.kv_client();
        let written = kv.txn(Txn::new().when(conditions).and_then(operations));
        let answer = within(&self.endpoint, "write the maps", WRITE, written).await?;
        if !answer.succeeded() {
            return Ok(Written::Conflict);
        }
        Ok(Written::At(answer.header().map_or(0, etcd_client::ResponseHeader::revision)))
    }

    /// Watches maps and statuses from a revision on.
    ///
    /// # Errors
    /// An [`EtcdError`].
    pub async fn watch(&self, from: i64) -> Result<Watch, EtcdError> {
        Watch::set_up(&self.client, &self.endpoint, &self.keys.all(), from).await
    }
}
