//! Writers and readers, which go on over kills and failovers until they are stopped.

use std::sync::Arc;

use fastrand::Rng;
use mcbp::Status;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::common::looks;
use crate::history::{Outcome, Request};
use crate::keys::{Key, Kind};
use crate::session::{Session, Shared, Wanted, new_value};

const WRITERS: usize = 5;
const READERS: usize = 2;
/// Writes that one connection has under way, at most.
const PIPELINE_MAX: usize = 24;

/// Running clients.
pub(crate) struct Clients {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Clients {
    pub(crate) fn start(shared: &Arc<Shared>, rng: &mut Rng) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let mut client = || {
            let session = Session::new(Arc::clone(shared));
            Worker { session, rng: rng.fork(), stop: stop.clone() }
        };
        for _ in 0..WRITERS {
            tasks.spawn(client().write());
        }
        for _ in 0..READERS {
            tasks.spawn(client().read());
        }
        tasks.spawn(client().write_many());
        tasks.spawn(client().write_plain());
        Self { tasks, stop }
    }

    /// Waits for what is under way.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

struct Worker {
    session: Session,
    rng: Rng,
    stop: CancellationToken,
}

impl Worker {
    fn durable_key(&mut self) -> Key {
        let collection = self.session.shared.routes.borrow().collection;
        let kind = match (self.rng.u8(..10), collection) {
            (0..=2, Some(id)) => Kind::Of(id),
            (3, _) => Kind::Cold,
            _ => Kind::Hot,
        };
        Key::random(kind, &mut self.rng)
    }

    /// A level, and how long it may take. Some have no time to be replicated.
    fn requirement(&mut self) -> (u8, u16) {
        let milliseconds = if self.rng.u8(..8) == 0 { 20 } else { self.rng.u16(300..2_000) };
        (self.rng.u8(1..=3), milliseconds)
    }

    fn get(key: Key) -> Wanted {
        Wanted { key, request: Request::Get, level: 0, milliseconds: 0, cas: 0 }
    }

    /// A random change of a document; over a version that was read before, or over any.
    async fn change(&mut self, key: Key, level: u8, milliseconds: u16) -> Option<Outcome> {
        let mut wanted = Wanted { level, milliseconds, ..Self::get(key) };
        wanted.request = match self.rng.u8(..10) {
            0..=4 => Request::Set(new_value()),
            5..=7 => {
                let found = self.session.call(Self::get(key)).await?;
                if let Outcome::Done { found: Some(old), cas, .. } = found {
                    wanted.cas = cas;
                    Request::Swap { old, new: new_value() }
                } else {
                    Request::Add(new_value())
                }
            }
            8 => Request::Add(new_value()),
            _ => Request::Delete,
        };
        self.session.call(wanted).await
    }

    /// Keeps a client from asking again at once that is not served now.
    fn is_served(outcome: Option<Outcome>) -> bool {
        match outcome {
            None => false,
            Some(Outcome::Refused(status)) => {
                matches!(status, Status::KEY_EEXISTS | Status::KEY_ENOENT)
            }
            Some(_) => true,
        }
    }

    async fn write(mut self) {
        let mut again = looks();
        while !self.stop.is_cancelled() {
            let (level, milliseconds) = self.requirement();
            let key = self.durable_key();
            if !Self::is_served(self.change(key, level, milliseconds).await) {
                again.tick().await;
            }
        }
    }

    async fn read(mut self) {
        let mut again = looks();
        while !self.stop.is_cancelled() {
            let key = self.durable_key();
            self.session.call(Self::get(key)).await;
            if self.rng.u8(..4) == 0 {
                again.tick().await;
            }
        }
    }

    async fn write_many(mut self) {
        let mut again = looks();
        while !self.stop.is_cancelled() {
            let first = Key::random(Kind::Cold, &mut self.rng);
            let count = self.rng.usize(1..=PIPELINE_MAX);
            let (level, milliseconds) = self.requirement();
            let request = || Request::Set(new_value());
            let keys = Key::all(Kind::Cold).filter(|key| key.vb() == first.vb() && *key >= first);
            let wanted = |key| Wanted { request: request(), level, milliseconds, ..Self::get(key) };
            let all: Vec<_> = keys.take(count).map(wanted).collect();
            if self.session.call_all(&all).await.is_none() {
                again.tick().await;
            }
        }
    }

    async fn write_plain(mut self) {
        let mut again = looks();
        while !self.stop.is_cancelled() {
            let key = Key::random(Kind::Plain, &mut self.rng);
            let outcome = self.change(key, 0, 0).await;
            if !Self::is_served(outcome) || self.rng.bool() {
                again.tick().await;
            }
        }
    }
}
