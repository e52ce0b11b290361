//! Three copies of a vBucket, one of them the leader: the active copy, or the one that was
//! deactivated last.
//!
//! A copy that is up always streams from the leader. A stream ends whenever the leader or its state
//! changes and whenever its replica loses rows, and the next one begins at once; acknowledgements
//! that are on their way are lost with a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vbucket::durability::{Answer, Topology};

use crate::node::{Node, Stage, Write};
use crate::run::{Budget, Mistake, Run, Shape};

/// The names of the nodes.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a client was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    Answer(Answer),
    /// Its connection was lost.
    Disconnected,
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// A client sends the next write of the run.
    Write,
    /// The next queued row of a node is stored.
    Store(usize),
    /// A replica receives the next stored row of the leader.
    Receive(usize),
    /// A replica receives all that it misses from the leader's disk.
    ReceiveSnapshot(usize),
    /// An acknowledgement arrives at the leader: of a node, with a seqno.
    Acknowledge(usize, usize),
    DeadlinePasses,
    Restart(usize),
    BatchFails(usize),
    /// A replica starts again with an empty disk.
    DiskIsLost(usize),
    /// The leader goes down, and another node is promoted.
    FailOver(usize),
    /// A node that is down is a replica again.
    Return(usize),
    Topology(Shape),
    /// The leader is deactivated, and streams what it has.
    Deactivate,
    /// A node that has everything of the deactivated leader is activated.
    Activate(usize),
}

/// One state.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub nodes: [Node; 3],
    pub leader: usize,
    /// The leader was deactivated, and no node has followed it yet.
    pub is_moving: bool,
    /// Acknowledgements on their way to the leader.
    pub acks: BTreeSet<(usize, usize)>,
    pub now: Duration,
    /// The writes that clients have sent, in order, with what they were told.
    pub told: Vec<(Write, Option<Told>)>,
    pub is_told_twice: bool,
    /// A write was committed that no majority had stored.
    pub is_hasty: bool,
    /// A copy decided that is not active.
    pub is_presumptuous: bool,
    /// What a leader had stored as committed: readers may have seen it.
    pub seen: BTreeMap<usize, Write>,
    pub left: Budget,
}

impl World {
    pub fn new(run: &Run) -> Self {
        let mut world = Self { left: run.budget, ..Self::default() };
        world.activate(Shape::All, run);
        world
    }

    pub fn leader(&self) -> &Node {
        &self.nodes[self.leader]
    }

    pub fn lead(&mut self) -> &mut Node {
        &mut self.nodes[self.leader]
    }

    /// The nodes that are up.
    pub fn up(&self) -> impl Iterator<Item = usize> + Clone {
        (0..3).filter(|&at| !self.nodes[at].is_down)
    }

    /// Those that are not the leader.
    pub fn replicas(&self) -> impl Iterator<Item = usize> + Clone {
        self.up().filter(|&at| at != self.leader)
    }

    pub fn answer(&mut self, writes: impl IntoIterator<Item = Write>, answer: Answer) {
        for write in writes {
            let told = self.told[write.id].1.replace(Told::Answer(answer));
            self.is_told_twice |= told.is_some();
        }
    }

    /// The clients of the leader lose their connections.
    pub fn disconnect(&mut self) {
        for (_, told) in &mut self.told {
            told.get_or_insert(Told::Disconnected);
        }
    }

    /// Remembers what the leader shows as committed.
    pub fn look(&mut self) {
        let rows = self.nodes[self.leader].disk().iter();
        let committed = rows.filter(|row| row.stage == Stage::Commit).map(|row| row.write);
        self.seen.extend(committed.map(|write| (write.id, write)));
    }

    /// A topology of the leader.
    pub fn topology(&self, shape: Shape, mistake: Mistake) -> Option<Topology> {
        let name = |at: usize| (!self.nodes[at].is_down).then_some(NAMES[at]);
        let leader = self.leader;
        let [active, next, last] = [leader, (leader + 1) % 3, (leader + 2) % 3].map(name);
        let mut chains = match shape {
            Shape::Moving if next.is_some() => vec![vec![active, last], vec![next, last]],
            Shape::All | Shape::Moving => vec![vec![active, next, last]],
            Shape::Two => vec![vec![active, next, None]],
            Shape::Alone => vec![vec![active, None, None]],
            Shape::Single => vec![vec![active]],
            Shape::Untold => return None,
        };
        if mistake == Mistake::NullLeftOut {
            chains.iter_mut().for_each(|chain| chain.retain(Option::is_some));
        }
        Some(Topology::parse(&serde_json::json!(chains).to_string()).unwrap())
    }
}
