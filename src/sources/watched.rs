//! Asks the nodes of a cluster for the map of a bucket: one node at a time, the next one where it
//! does not answer. A node tells when it has a new map; it is asked from time to time too, because
//! not every node does, and because a push can be lost. While another node is looked for, it is
//! still heard: a node or a name server that does not answer hides no map.

use std::time::Duration;

use clustermap::{Address, Map, Network, Revision, Seen, Wanted};
use mcbp::{Feature, FrameBuilder, Opcode, Status};
use relay::Client;
use tokio::time::{Instant, sleep, timeout};

use super::reach::Reach;
use crate::config::Cluster;

/// How often a node is asked that tells of new maps, or that answers with nothing where there is no
/// newer one: as clients do.
const ASK_EVERY: Duration = Duration::from_millis(2500);
/// How long one node is asked before another one is. A node that the cluster has lost may serve an
/// old map for ever.
const STAY: Duration = Duration::from_secs(30);
/// The pause after all nodes have failed: it doubles from the first to the second value.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
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

/// A connection to one node.
struct Asked {
    node: Address,
    client: Client,
    /// When another node is looked for; `None` while one is.
    until: Option<Instant>,
    /// Whether it has answered with a map, or that there is no newer one.
    has_answered: bool,
}

/// See the module.
pub(super) struct Watch {
    cluster: Cluster,
    bucket: String,
    /// The newest revision.
    newest: Option<Revision>,
    reach: Reach,
    /// The node that failed last and its error, if none has answered since.
    failed: Option<(String, String)>,
    asked: Option<Asked>,
    /// The node that was asked before, until the other one has answered.
    former: Option<Asked>,
    stay: Duration,
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
        let reach = Reach::new(cluster.clone(), bucket.clone(), nodes, limit);
        let (newest, failed, told) = (None, None, String::new());
        let (asked, former) = (None, None);
        let (stay, pause) = (STAY, PAUSES.0);
        Self { cluster, bucket, newest, reach, failed, asked, former, stay, pause, told }
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
                        (self.asked, self.former, self.failed) = (Some(asked), None, None);
                        Ok(found)
                    }
                    Err(error) => {
                        self.asked = self.former.take();
                        Err((asked.node.to_string(), error))
                    }
                },
                Ok(None) => Ok(None),
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(Some(watched)) => return watched,
                Ok(None) => {}
                Err(failed) => self.failed = Some(failed),
            }
            if self.asked.is_none()
                && self.reach.turns.are_over()
                && let Some((node, error)) = self.failed.take()
                && self.is_news(&error)
            {
                return Watched::Away { node, error };
            }
        }
    }

    /// Connects to the next node. After all have failed, it waits first.
    async fn connect(&mut self) -> Result<Option<Asked>, (String, String)> {
        if let Some(reached) = self.reach.next().await {
            return reached.map(|(node, client)| Some(self.begin(node, client)));
        }
        // Where the nodes to begin with have brought no other node, the error is told first.
        if self.failed.is_none() {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSES.1);
            self.reach.turns.begin_again();
        }
        Ok(None)
    }

    fn begin(&self, node: Address, client: Client) -> Asked {
        Asked { node, client, until: Some(Instant::now() + self.stay), has_answered: false }
    }

    /// Waits until a node is to be asked: this one again, or another one once that is reached.
    async fn wait(&mut self, mut asked: Asked) -> Result<Option<Asked>, (String, String)> {
        if asked.until.is_some_and(|until| Instant::now() >= until) {
            self.reach.turns.begin_after(&asked.node);
            asked.until = None;
        }
        tokio::select! {
            told = timeout(ASK_EVERY, asked.client.told()) => {
                if let Ok(Err(error)) = told {
                    self.reach.turns.begin_again();
                    return Err((asked.node.to_string(), error.to_string()));
                }
            }
            reached = self.reach.next(), if asked.until.is_none() => match reached {
                Some(Ok((node, client))) => {
                    self.former = Some(asked);
                    return Ok(Some(self.begin(node, client)));
                }
                // The one after it is next, and this one has the maps meanwhile.
                Some(Err(_)) => {}
                None => asked.until = Some(Instant::now() + self.stay),
            },
        }
        Ok(Some(asked))
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
        self.reach.turns.set_nodes(map.addresses(network, tls));
        Ok(Some((revision, wanted)))
    }

    fn is_news(&mut self, text: &str) -> bool {
        let is_news = self.told != text;
        text.clone_into(&mut self.told);
        is_news
    }
}

#[cfg(test)]
mod tests;
