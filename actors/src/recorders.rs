//! The recorders of all links, which outlive the incarnations of their links.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use relay::{Budget, Recorder};

/// What the recorders of a process may keep of the past together: 64 MiB. Without data frames, 64
/// links keep at most an eighth of that.
pub const RECORDED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// So many recorders are kept of links that are not open; far more than a sidecar has links.
const RECORDERS_MAX: usize = 4096;

/// The recorders by the names of the links' connections; clones share them.
#[derive(Clone)]
pub(crate) struct Recorders {
    budget: Arc<Budget>,
    state: Arc<Mutex<State>>,
}

struct State {
    data_bytes: usize,
    recorders: BTreeMap<String, Arc<Recorder>>,
}

impl Recorders {
    /// Keeps `data_bytes` of the data frames of each link.
    pub(crate) fn new(data_bytes: usize) -> Self {
        let state = State { data_bytes, recorders: BTreeMap::new() };
        let budget = Arc::new(Budget::new(RECORDED_BYTES_MAX));
        Self { budget, state: Arc::new(Mutex::new(state)) }
    }

    /// The recorder of the link with this name.
    pub(crate) fn of(&self, name: &str) -> Arc<Recorder> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.recorders.get(name) {
            return Arc::clone(known);
        }
        if state.recorders.len() >= RECORDERS_MAX {
            state.recorders.retain(|_, recorder| Arc::strong_count(recorder) > 1);
        }
        let recorder = Arc::new(Recorder::new(state.data_bytes, Arc::clone(&self.budget)));
        state.recorders.insert(name.to_owned(), Arc::clone(&recorder));
        recorder
    }

    /// Changes how much of the data frames of each link is kept.
    pub(crate) fn keep(&self, data_bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.data_bytes = data_bytes;
        state.recorders.values().for_each(|recorder| recorder.keep(data_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_its_recorder_and_those_of_links_that_are_gone_make_room() {
        let recorders = Recorders::new(0);
        let kept = recorders.of("kept");
        for number in 0..2 * RECORDERS_MAX {
            recorders.of(&number.to_string());
        }
        assert!(Arc::ptr_eq(&kept, &recorders.of("kept")));
        assert!(recorders.state.lock().unwrap().recorders.len() <= RECORDERS_MAX);
    }

    #[test]
    fn a_change_reaches_links_that_are_there_and_new_ones() {
        let recorders = Recorders::new(0);
        let old = recorders.of("old");
        recorders.keep(1 << 20);
        assert_eq!(old.kept_bytes(), 1 << 20);
        assert_eq!(recorders.of("new").kept_bytes(), 1 << 20);
    }
}
