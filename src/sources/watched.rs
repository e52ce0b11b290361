//! Asks the nodes of a cluster for the map of a bucket: one node at a time, the next one where it
//! does not answer. A node tells when it has a new map; it is asked from time to time too, because
//! not every node does, and because a push can be lost.

use std::time::Duration;

use clustermap::{Address, Map, Network, Revision, Seen, Wanted};
use mcbp::{Feature, FrameBuilder, Opcode, Status};
use relay::{Client, Deadlines, LinkError, Login};
use tokio::time::{Instant, sleep, timeout};

use super::hosts::Hosts;
use super::turns::Turns;
use crate::config::Cluster;

/// How often a node is asked that tells of new maps, or that answers with nothing where there is no
/// newer one: as clients do.
const ASK_EVERY: Duration = Duration::from_millis(2500);
/// How long one node is asked before another one is. A node that the cluster has lost may serve an
/// old map for ever.
const STAY: Duration = Duration::from_secs(30);
/// The pause after all nodes have failed: it doubles from the first to the second value.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// What a node is asked for. The brief notification has no map, which is then asked for.
const FEATURES: [Feature; 4] = [
    Feature::DUPLEX,
    Feature::CLUSTERMAP_NOTIFICATION,
    Feature::GET_CLUSTER_CONFIG_WITH_VERSION,
    Feature::CLUSTERMAP_NOTIFICATION_BRIEF,
];

/// What became of asking.
pub(super) enum Watched {
    /// A newer map than those before it.
    Map {
        /// The node that has sent it.
        node: String,
        revision: Revision,
        wanted: Wanted,
    },
    /// A node answers that did not before, and has no newer map.
    Follows { node: String },
    /// A node has sent what cannot be followed; told once for each text.
    Refused { node: String, reason: String },
    /// No node has answered with a map; told once for each text.
    Away { node: String, error: String },
}

/// A connection to one node, and until when it is used.
struct Asked {
    node: Address,
    client: Client,
    until: Instant,
    /// Whether it has answered with a map, or that there is no newer one.
    has_answered: bool,
}

/// See the module.
pub(super) struct Watch {
    cluster: Cluster,
    bucket: String,
    deadlines: Deadlines,
    /// The newest revision.
    newest: Option<Revision>,
    /// The nodes of the newest map, and those to begin with.
    turns: Turns,
    /// The node that failed last and its error, if none has answered since.
    failed: Option<(String, String)>,
    asked: Option<Asked>,
    pause: Duration,
    /// What was told last, and is not told again.
    told: String,
}

impl Watch {
    /// Begins with the nodes of the configuration; `nodes` are those of the last map.
    pub(super) fn new(
        cluster: Cluster,
        bucket: String,
        nodes: Vec<Address>,
        limit: Duration,
    ) -> Self {
        let turns = Turns::new(Hosts::new(&cluster, bucket.clone(), limit), nodes);
        let deadlines = Deadlines { connect: limit, request: limit };
        let (newest, failed, asked, told) = (None, None, None, String::new());
        let pause = PAUSES.0;
        Self { cluster, bucket, deadlines, newest, turns, failed, asked, pause, told }
    }

    /// Waits until there is something to tell. Dropping the future may drop a connection.
    pub(super) async fn next(&mut self) -> Watched {
        loop {
            let asked = match self.asked.take() {
                Some(asked) => self.wait(asked).await,
                None => self.connect().await,
            };
            let answered = match asked {
                Ok(Some(mut asked)) => match self.ask(&mut asked).await {
                    Ok(found) => {
                        (self.asked, self.failed) = (Some(asked), None);
                        Ok(found)
                    }
                    Err(error) => Err((asked.node.to_string(), error)),
                },
                Ok(None) => Ok(None),
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(Some(watched)) => return watched,
                Ok(None) => {}
                Err(failed) => self.failed = Some(failed),
            }
            if self.turns.are_over()
                && let Some((node, error)) = self.failed.take()
                && self.is_news(&error)
            {
                return Watched::Away { node, error };
            }
        }
    }

    /// Connects to the next node. After all have failed, it waits first.
    async fn connect(&mut self) -> Result<Option<Asked>, (String, String)> {
        let Some(node) = self.turns.next().await else {
            // Where the nodes to begin with have brought no other node, the error is told first.
            if self.failed.is_none() {
                sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSES.1);
                self.turns.begin_again();
            }
            return Ok(None);
        };
        let failed = |error: String| (node.to_string(), error);
        let endpoint = self.cluster.endpoint(&node).map_err(failed)?;
        let login = Login {
            bucket: Some(&self.bucket),
            agent: "dcp-proxy",
            features: &FEATURES,
            deadlines: self.deadlines,
        };
        let whole = self.deadlines.connect.saturating_mul(2);
        let client = timeout(whole, Client::connect(&endpoint, login)).await;
        let late = |_| format!("{node} did not log in within {whole:?}");
        let client = client.map_err(|error| failed(late(error)))?;
        let client = client.map_err(|error: LinkError| failed(error.to_string()))?;
        let until = Instant::now() + STAY;
        Ok(Some(Asked { node, client, until, has_answered: false }))
    }

    /// Waits until the node is to be asked again; `None` where another node is next.
    async fn wait(&mut self, mut asked: Asked) -> Result<Option<Asked>, (String, String)> {
        if Instant::now() >= asked.until {
            self.turns.begin_after(&asked.node);
            return Ok(None);
        }
        match timeout(ASK_EVERY, asked.client.told()).await {
            Ok(Err(error)) => {
                self.turns.begin_again();
                Err((asked.node.to_string(), error.to_string()))
            }
            Ok(Ok(())) | Err(_) => Ok(Some(asked)),
        }
    }

    /// Asks the node for its map. `None` where there is nothing to tell.
    async fn ask(&mut self, asked: &mut Asked) -> Result<Option<Watched>, String> {
        let extras = self.newest.map(Revision::encode);
        let knows = asked.client.features().contains(&Feature::GET_CLUSTER_CONFIG_WITH_VERSION);
        let extras = extras.as_ref().filter(|_| knows).map_or(&[][..], |it| &it[..]);
        let request = FrameBuilder::request(Opcode::GET_CLUSTER_CONFIG).extras(extras);
        let response = asked.client.call(request).await.map_err(|error| error.to_string())?;
        if !response.status.is_success() {
            let what = match response.status {
                Status::KEY_ENOENT => "it has no map yet".to_owned(),
                status => format!("GET_CLUSTER_CONFIG was refused: {status}"),
            };
            return Err(format!("{}: {what}", asked.node));
        }
        self.pause = PAUSES.0;
        let is_first = !std::mem::replace(&mut asked.has_answered, true);
        let node = asked.node.to_string();
        let taken = match &response.value[..] {
            [] => Ok(None),
            text => self.take(&asked.node, text),
        };
        Ok(match taken {
            Ok(Some((revision, wanted))) => Some(Watched::Map { node, revision, wanted }),
            Ok(None) => is_first.then_some(Watched::Follows { node }),
            Err(reason) => self.is_news(&reason).then_some(Watched::Refused { node, reason }),
        })
    }

    /// Reads a map. `None` where it is not newer than the newest one.
    fn take(&mut self, from: &Address, text: &[u8]) -> Result<Option<(Revision, Wanted)>, String> {
        let map = Map::parse(text, &from.host).map_err(|error| error.to_string())?;
        if map.bucket != self.bucket {
            let (found, wanted) = (logline::value(&map.bucket).to_string(), &self.bucket);
            return Err(format!("it is the map of bucket {found}, and not of {wanted}"));
        }
        let (revision, newest) = (map.revision, self.newest);
        match Seen::of(revision, newest) {
            Seen::Newer => {}
            Seen::Same => return Ok(None),
            Seen::Older => {
                let newest = newest.map(|it| it.to_string()).unwrap_or_default();
                if self.is_news(&format!("{from} {revision}")) {
                    log::warn!(
                        "older cluster map ignored bucket={} node={from} revision={revision} \
                         newest={newest}",
                        self.bucket
                    );
                }
                return Ok(None);
            }
        }
        let network = self.cluster.network.unwrap_or_else(|| Network::of(&map.nodes, &from.host));
        let tls = self.cluster.address.tls;
        let wanted = map.wanted(network, tls).map_err(|error| error.to_string())?;
        self.told.clear();
        self.newest = Some(revision);
        self.turns.set_nodes(map.addresses(network, tls));
        Ok(Some((revision, wanted)))
    }

    fn is_news(&mut self, text: &str) -> bool {
        let is_news = self.told != text;
        text.clone_into(&mut self.told);
        is_news
    }
}
