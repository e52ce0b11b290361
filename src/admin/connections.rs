//! The connections of the admin API, and which of them have a request in progress. What is kept is
//! decided in `places`; all of it is on one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::places::{ConnectionId, Places};

/// The connections of this server.
pub(super) struct Connections {
    started: Instant,
    pub(super) places: RefCell<Places>,
    pub(super) tasks: RefCell<BTreeMap<ConnectionId, AbortHandle>>,
    /// Connections that were closed to make room, and errors of the listener, since the last line
    /// about them was logged.
    pub(super) displaced: RefCell<u64>,
    pub(super) errors: RefCell<u64>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            places: RefCell::default(),
            tasks: RefCell::default(),
            displaced: RefCell::default(),
            errors: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn close(&self, id: ConnectionId) {
        self.places.borrow_mut().remove(id);
        if let Some(task) = self.tasks.borrow_mut().remove(&id) {
            task.abort();
        }
    }

    /// Closes what is overdue, and logs what there is to say.
    pub(super) fn tick(&self) {
        let overdue = self.places.borrow().overdue(self.now());
        overdue.into_iter().for_each(|id| self.close(id));
        let (displaced, errors) = (self.displaced.take(), self.errors.take());
        if displaced > 0 {
            log::warn!("admin API closed idle connections to make room count={displaced}");
        }
        if errors > 1 {
            log::warn!("admin API accepts no connection errors={errors}");
        }
    }
}

/// A request in progress; the connection is idle again when it is dropped. An answer without end
/// keeps it.
pub(super) struct InProgress {
    connections: Rc<Connections>,
    id: Option<ConnectionId>,
}

impl InProgress {
    /// Of a request that is served on this connection, if it is on one.
    pub(super) const fn new(connections: Rc<Connections>, id: Option<ConnectionId>) -> Self {
        Self { connections, id }
    }

    /// The client takes an answer without end, and has room for more of it now.
    pub(super) fn follows(&self) {
        let now = self.connections.now();
        self.id.iter().for_each(|id| self.connections.places.borrow_mut().follows(*id, now));
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let now = self.connections.now();
        self.id.iter().for_each(|id| self.connections.places.borrow_mut().end(*id, now));
    }
}
