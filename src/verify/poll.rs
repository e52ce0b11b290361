//! Asks both nodes for their seqnos.

use std::time::Duration;

use comparison::Seqnos;
use relay::{Client, Endpoint, LinkError, Reconnect};

use super::lane::Shared;
use super::reader::connect;
use super::{Verify, VerifyError};

/// How often in succession asking may fail.
const FAILURES_MAX: u32 = 3;
/// How long to wait after a failure.
const REST: Duration = Duration::from_secs(1);

/// The connections that are asked.
pub(super) struct Poll<'a> {
    what: &'a Verify,
    clients: Option<(Client, Client)>,
}

impl<'a> Poll<'a> {
    /// Not connected yet.
    pub(super) const fn new(what: &'a Verify) -> Self {
        Self { what, clients: None }
    }

    /// Asks both nodes, and tells the queue and all lanes. Returns whether a vBucket is ready now.
    pub(super) async fn ask(&mut self, shared: &Shared) -> Result<bool, VerifyError> {
        let mut failures = 0;
        let (a, b) = loop {
            match self.seqnos().await {
                Ok(seqnos) => break seqnos,
                Err(error) => {
                    self.clients = None;
                    failures += 1;
                    let is_lasting = matches!(error.retry(), Reconnect::Slowly | Reconnect::Never);
                    if failures > FAILURES_MAX || is_lasting {
                        return Err(error.into());
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        };
        let is_ready = shared.with_queue(|queue, now| {
            queue.on_seqnos(now, &a, &b);
            queue.has_ready()
        });
        shared.news.notify_waiters();
        Ok(is_ready)
    }

    async fn seqnos(&mut self) -> Result<(Seqnos, Seqnos), LinkError> {
        let connect = |endpoint: &'a Endpoint| connect(endpoint, &self.what.bucket);
        let (mut a, mut b) = match self.clients.take() {
            Some(clients) => clients,
            None => tokio::try_join!(connect(&self.what.producer), connect(&self.what.consumer))?,
        };
        let (a_seqnos, b_seqnos) = tokio::try_join!(a.get_all_vb_seqnos(), b.get_all_vb_seqnos())?;
        self.clients = Some((a, b));
        Ok((a_seqnos.into_iter().collect(), b_seqnos.into_iter().collect()))
    }
}
