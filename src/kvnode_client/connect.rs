//! Which node a command asks, as which user, and the connection.

use std::borrow::Cow;

use kvnode::cli::{Written, password, written};
use mcbp::{Feature, FrameBuilder, Opcode, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, Login, Secret};

use super::args::At;
use super::failure::Failure;
use crate::nodes::{TlsArgs, host_and_port};
use crate::sample::vbucket_of;
use crate::session::reachable;

const NODE: &str = "127.0.0.1:11210";
const BUCKET: &str = "default";
const FEATURES: &[Feature] = &[Feature::JSON, Feature::MUTATION_SEQNO, Feature::XERROR];
/// The same for documents of a named collection.
const WITH_COLLECTIONS: &[Feature] =
    &[Feature::JSON, Feature::MUTATION_SEQNO, Feature::XERROR, Feature::COLLECTIONS];
/// The vBuckets of a bucket whose node does not tell how many there are.
const VBUCKETS: u16 = 1024;

/// A node that a command asks.
pub(super) struct Node {
    pub(super) address: String,
    pub(super) bucket: String,
    pub(super) client: Client,
    /// The collection that keys are of, if it is not the default one.
    collection: Option<u32>,
}

impl Node {
    /// Connects for documents of a collection, which is looked up.
    pub(super) async fn connect_for(at: &At, path: &str) -> Result<Self, Failure> {
        let mut node = Self::connect_with(at, WITH_COLLECTIONS).await?;
        let request = FrameBuilder::request(Opcode::COLLECTIONS_GET_ID).value(path.as_bytes());
        let response = node.client.call(request).await?;
        let id = response.extras.last_chunk().filter(|_| response.status.is_success());
        let Some(id) = id else {
            let (address, bucket, status) = (&node.address, &node.bucket, response.status);
            let text = format!(
                "node {address}, bucket {bucket:?}: no collection {path:?} ({status}): kvnode \
                 collections shows those that are there"
            );
            let json = serde_json::json!({ "node": address, "bucket": bucket, "collection": path });
            return Err(Failure::failed(text, json));
        };
        node.collection = Some(u32::from_be_bytes(*id));
        Ok(node)
    }

    /// A key as this connection sends it.
    pub(super) fn sent<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        let prefixed = self.collection.map(|id| mcbp::key::prefixed(id, key).to_vec());
        prefixed.map_or(Cow::Borrowed(key), Cow::Owned)
    }

    pub(super) async fn connect(at: &At) -> Result<Self, Failure> {
        Self::connect_with(at, FEATURES).await
    }

    async fn connect_with(at: &At, features: &'static [Feature]) -> Result<Self, Failure> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (endpoint, bucket) = target(at, env)?;
        let login = Login {
            bucket: Some(&bucket),
            agent: concat!("kvnode/", env!("CARGO_PKG_VERSION")),
            features,
            deadlines: Deadlines::default(),
        };
        let client = Client::connect(&endpoint, login).await?;
        Ok(Self { address: endpoint.address, bucket, client, collection: None })
    }

    /// How many vBuckets the bucket has, which decides on the vBucket of a key.
    pub(super) async fn vbuckets(&mut self) -> Result<u16, Failure> {
        let stats = self.client.stats("").await?;
        let count = stats.iter().find(|(name, _)| name == "ep_max_vbuckets");
        Ok(count.and_then(|(_, count)| count.parse().ok()).unwrap_or(VBUCKETS))
    }

    /// The vBucket of a key, unless another one is `given`.
    pub(super) async fn vbucket(
        &mut self,
        key: &[u8],
        given: Option<u16>,
    ) -> Result<VbId, Failure> {
        match given {
            Some(vb) => Ok(VbId(vb)),
            None => Ok(vbucket_of(key, self.vbuckets().await?)),
        }
    }

    /// The state of a vBucket; `None` where the node does not have it, or does not say.
    pub(super) async fn state(&mut self, vb: VbId) -> Option<VbState> {
        let request = FrameBuilder::request(Opcode::GET_VBUCKET).vbucket(vb);
        let response = self.client.ask(request).await.ok()?;
        VbState::from_wire(u32::from(*response.value.last()?))
    }
}

/// The node and the bucket that the command line means. `env` reads the environment.
pub(super) fn target(
    at: &At,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(Endpoint, String), Failure> {
    let file = at.config.as_deref().map(written).transpose().map_err(Failure::wrong)?;
    let address = address(at, file.as_ref())?;
    let bucket = at.bucket.clone().or_else(|| file.as_ref()?.buckets.first().cloned());
    let (user, secret) = user(at, file.as_ref(), env)?;
    let endpoint = over_tls(at, file.as_ref(), Endpoint::new("node", address, user, secret))?;
    Ok((endpoint, bucket.unwrap_or_else(|| BUCKET.to_owned())))
}

fn address(at: &At, file: Option<&Written>) -> Result<String, Failure> {
    if let Some(node) = &at.node {
        return if host_and_port(node) {
            Ok(node.clone())
        } else {
            let text = format!("--node {node:?}: give HOST:PORT, such as {NODE} or [::1]:11210");
            Err(Failure::wrong(text))
        };
    }
    let Some(listen) = file.and_then(|file| file.listen) else { return Ok(NODE.to_owned()) };
    if listen.port() == 0 {
        let text = format!("the file says listen = \"{listen}\", any free port: give --node");
        return Err(Failure::wrong(text));
    }
    Ok(reachable(listen).to_string())
}

fn user(
    at: &At,
    file: Option<&Written>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(String, Secret), Failure> {
    let users = file.map(|file| file.users.as_slice()).unwrap_or_default();
    let first = users.first().map(|(name, _)| name.clone());
    let name = at.username.clone().or_else(|| env("KVNODE_USERNAME")).or(first);
    let name = name.ok_or_else(|| {
        Failure::wrong("no user: give --username NAME, or --config with the file of the node")
    })?;
    if let Some(path) = &at.password_file {
        let secret = password(path).map_err(|what| Failure::wrong(format!("password: {what}")))?;
        return Ok((name, secret));
    }
    if let Some(text) = env("KVNODE_PASSWORD") {
        return Ok((name, Secret::new(text)));
    }
    match users.iter().find(|(known, _)| *known == name) {
        Some((_, secret)) => Ok((name, secret.clone())),
        None => Err(Failure::wrong(format!(
            "no password of user {name:?}: give --password-file FILE or set KVNODE_PASSWORD"
        ))),
    }
}

fn over_tls(at: &At, file: Option<&Written>, endpoint: Endpoint) -> Result<Endpoint, Failure> {
    if at.ca.is_none()
        && let Some(certificate) =
            file.filter(|_| at.node.is_none()).and_then(|file| file.certificate.as_ref())
    {
        return Err(Failure::wrong(format!(
            "the node uses TLS: give --ca FILE with the authority of its certificate, \
             {certificate:?}"
        )));
    }
    let tls = TlsArgs {
        ca: at.ca.as_deref(),
        server_name: at.server_name.as_deref(),
        identity: at.certificate.as_deref().zip(at.key_file.as_deref()),
    };
    tls.over(endpoint).map_err(|error| Failure::wrong(error.to_string()))
}
