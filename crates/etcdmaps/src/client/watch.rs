//! A watch of all keys under a prefix, which fails when it stops to work.

use std::time::Duration;

use etcd_client::{Client, WatchOptions, WatchStream};
use tokio::time::{Instant, timeout_at};

use super::error::{EtcdError, within};
use super::range;
use crate::follower::Item;

/// The deadline to set the watch up.
const SET_UP: Duration = Duration::from_secs(5);
/// After how long without news it is asked for a sign of life. A connection can be alive whose
/// watch is not.
const QUIET: Duration = Duration::from_secs(20);
/// The deadline of that.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A watch.
pub struct Watch {
    endpoint: String,
    stream: WatchStream,
    /// When it is asked, or has to have answered.
    deadline: Instant,
    is_asked: bool,
}

/// What a watch brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Changes, in their order.
    Changed(Vec<Item>),
    /// It begins before a compaction, so that changes are missing, and has ended.
    Compacted,
}

impl Watch {
    /// Watches the keys under `prefix`, which ends with a slash, from a revision on.
    pub(super) async fn set_up(
        client: &Client,
        endpoint: &str,
        prefix: &str,
        from: i64,
    ) -> Result<Self, EtcdError> {
        let options = WatchOptions::new()
            .with_range(range::end(prefix))
            .with_start_revision(from)
            // A transaction may have more than the largest answer has room for.
            .with_fragment()
            .with_progress_notify();
        let mut watch = client.watch_client();
        let call = watch.watch(prefix, Some(options));
        let stream = within(endpoint, "watch the maps", SET_UP, call).await?;
        let deadline = Instant::now() + QUIET;
        Ok(Self { endpoint: endpoint.to_owned(), stream, deadline, is_asked: false })
    }

    /// The next news. Nothing is lost where it is not waited for until its end.
    ///
    /// # Errors
    /// The watch has ended.
    pub async fn next(&mut self) -> Result<News, EtcdError> {
        loop {
            match timeout_at(self.deadline, self.stream.message()).await {
                Err(_) => self.ask().await?,
                Ok(Err(error)) => return Err(self.ended(super::error::explained(&error))),
                Ok(Ok(None)) => return Err(self.ended("etcd has closed it".to_owned())),
                Ok(Ok(Some(answer))) => {
                    // A sign of life is not used as a revision to go on from: of members before
                    // 3.4.25 and 3.5.8 it may overtake changes (etcd#15220).
                    self.is_asked = false;
                    self.deadline = Instant::now() + QUIET;
                    if answer.compact_revision() > 0 {
                        return Ok(News::Compacted);
                    }
                    if answer.canceled() {
                        let reason = logline::capped(answer.cancel_reason(), 200);
                        return Err(self.ended(format!("etcd has cancelled it: {reason}")));
                    }
                    let items: Vec<Item> = answer.events().iter().filter_map(item).collect();
                    if !items.is_empty() {
                        return Ok(News::Changed(items));
                    }
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<(), EtcdError> {
        if self.is_asked {
            return Err(EtcdError::Slow {
                endpoint: self.endpoint.clone(),
                step: "give a sign of life of the watch",
                limit: SIGN_OF_LIFE,
            });
        }
        self.is_asked = true;
        self.deadline = Instant::now() + SIGN_OF_LIFE;
        let asked = self.stream.request_progress();
        within(&self.endpoint, "take a request", SIGN_OF_LIFE, asked).await
    }

    fn ended(&self, text: String) -> EtcdError {
        EtcdError::Failed { endpoint: self.endpoint.clone(), step: "watch the maps", text }
    }
}

/// A change. The version of a key that was deleted is 0; the type of an event is not asked for,
/// because the library panics where it does not know it.
fn item(event: &etcd_client::Event) -> Option<Item> {
    let pair = event.kv()?;
    let value = (pair.version() > 0).then(|| pair.value().to_vec());
    Some(Item { key: pair.key().to_vec(), value, revision: pair.mod_revision() })
}
