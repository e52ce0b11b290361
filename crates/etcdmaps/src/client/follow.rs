//! The task that follows the maps of a node: carries out what [`Follower`] decides.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::Client;
use tokio::sync::{mpsc, watch as latest};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::EtcdConfig;
use super::error::{EtcdError, within};
use super::now_ms;
use super::range::{self, Range};
use super::watch::{News, Watch};
use crate::follower::{Effect, Event, Follower, Item, KEYS_MAX};
use crate::keys::Keys;
use crate::update::{Known, Update};

/// The deadline to read all maps of a node.
const READ: Duration = Duration::from_secs(10);

/// A connection that works, for reports: the member and the client, which is kilobytes.
pub(super) type Link = Option<(String, Arc<Client>)>;

/// What the task has and is told.
pub(super) struct Follow {
    pub(super) config: Arc<EtcdConfig>,
    pub(super) node: String,
    pub(super) updates: mpsc::Sender<Update>,
    pub(super) known: latest::Receiver<Known>,
    pub(super) link: latest::Sender<Link>,
    pub(super) stop: CancellationToken,
}

/// What is under way.
enum Doing {
    Wait(Instant),
    Open(usize),
    Read,
    Watch { from: i64 },
    Watching(Box<Watch>),
}

impl Follow {
    /// Runs until it is stopped, or nobody listens.
    pub(super) async fn run(mut self) {
        let keys = Keys::new(&self.config.prefix);
        let endpoints = self.config.endpoints.clone();
        let first = fastrand::usize(..endpoints.len().max(1));
        let known = self.known.borrow_and_update().clone();
        let mut machine = Follower::new(keys.clone(), &self.node, known, endpoints, first);
        let prefix = keys.maps_of(&self.node);
        let mut doing = Doing::Wait(Instant::now());
        loop {
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                changed = self.known.changed() => match changed {
                    Ok(()) => Event::Known(self.known.borrow_and_update().clone()),
                    Err(_) => return,
                },
                (event, next) = advance(&mut doing, &self.config, &self.link, &prefix) => {
                    if let Some(next) = next {
                        doing = next;
                    }
                    event
                }
            };
            for effect in machine.on(event, now_ms(), fastrand::f64()) {
                match effect {
                    Effect::Tell(update) => {
                        if !self.tell(update).await {
                            return;
                        }
                    }
                    Effect::Wait(pause) => {
                        self.link.send_replace(None);
                        doing = Doing::Wait(Instant::now() + pause);
                    }
                    Effect::Open(member) => doing = Doing::Open(member),
                    Effect::Read => doing = Doing::Read,
                    Effect::Watch { from } => doing = Doing::Watch { from },
                }
            }
        }
    }

    /// Waits until the sidecar takes an update. Returns whether it still does.
    async fn tell(&self, update: Update) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            sent = self.updates.send(update) => sent.is_ok(),
        }
    }
}

/// Carries on with what is under way, until its next event. May be dropped before: what is under
/// way then begins anew, and a watch loses nothing.
async fn advance(
    doing: &mut Doing,
    config: &EtcdConfig,
    link: &latest::Sender<Link>,
    prefix: &str,
) -> (Event, Option<Doing>) {
    let lost = |error: EtcdError| (Event::Lost { error: error.to_string() }, None);
    let linked = link.borrow().clone();
    match (doing, linked) {
        (Doing::Wait(until), _) => {
            sleep_until(*until).await;
            (Event::Retry, None)
        }
        (Doing::Open(member), _) => match open(config, *member).await {
            Ok(opened) => {
                link.send_replace(Some(opened));
                (Event::Opened, None)
            }
            Err(error) => lost(error),
        },
        (Doing::Watching(watch), _) => match watch.next().await {
            Ok(News::Changed(items)) => (Event::Changed(items), None),
            Ok(News::Compacted) => (Event::Compacted, None),
            Err(error) => lost(error),
        },
        (Doing::Read, Some((endpoint, client))) => match read(&client, &endpoint, prefix).await {
            Ok((revision, items)) => (Event::Read { revision, items }, None),
            Err(error) => lost(error),
        },
        (Doing::Watch { from }, Some((endpoint, client))) => {
            match Watch::set_up(&client, &endpoint, prefix, *from).await {
                Ok(watch) => (Event::Watching, Some(Doing::Watching(Box::new(watch)))),
                Err(error) => lost(error),
            }
        }
        (Doing::Read | Doing::Watch { .. }, None) => {
            (Event::Lost { error: "there is no connection".to_owned() }, None)
        }
    }
}

async fn open(config: &EtcdConfig, member: usize) -> Result<(String, Arc<Client>), EtcdError> {
    let endpoint = config.endpoints.get(member).cloned().unwrap_or_default();
    let client = config.connect(&endpoint).await?;
    Ok((endpoint, Arc::new(client)))
}

async fn read(
    client: &Client,
    endpoint: &str,
    prefix: &str,
) -> Result<(i64, Vec<Item>), EtcdError> {
    let step = "read the maps";
    match within(endpoint, step, READ, range::read(client, prefix, KEYS_MAX)).await? {
        Range::All(present) => {
            let items = present.stored.into_iter().map(|(key, stored)| Item {
                key,
                value: Some(stored.value),
                revision: stored.revision,
            });
            Ok((present.revision, items.collect()))
        }
        Range::TooMany => Err(EtcdError::TooMany { max: KEYS_MAX, prefix: prefix.to_owned() }),
    }
}
