//! What an action does: around each machine the same as a data node, and what an orchestrator does.

use std::time::Duration;

use vbucket::durability::{Answer, Monitor, Step, Topology};

use crate::node::{Entry, Node, Stage, seqno};
use crate::run::{Mistake, Run, Shape};
use crate::world::{Action, NAMES, World};

impl World {
    pub fn step(&mut self, action: Action, run: &Run) {
        self.left.spend(action);
        match action {
            Action::Write => {
                let write = run.writes[self.told.len()];
                self.told.push((write, None));
                let deadline = self.now + Duration::from_secs(1);
                self.lead().prepare(write, Some(deadline));
            }
            Action::Store(at) => self.store(at, run),
            Action::Receive(at) => self.receive(at, run),
            Action::ReceiveSnapshot(at) => {
                let disk = self.leader().disk().to_vec();
                self.nodes[at].receive_snapshot(&disk);
            }
            Action::Acknowledge(at, high) => {
                self.acks.remove(&(at, high));
                self.lead().monitor.acknowledge(NAMES[at], seqno(high));
            }
            Action::DeadlinePasses => self.pass_deadline(run),
            Action::Restart(at) => self.restart(at, run),
            Action::BatchFails(at) => self.fail_batch(at, run),
            Action::DiskIsLost(at) => {
                self.nodes[at] = Node::default();
                self.begin_stream(at, run);
            }
            Action::FailOver(to) => {
                self.disconnect();
                self.lead().restart();
                self.lead().is_down = true;
                self.lead_from(to, run);
            }
            Action::Return(at) => {
                self.nodes[at].is_down = false;
                self.begin_stream(at, run);
            }
            // What is queued stays queued.
            Action::Topology(shape) => self.lead_on(self.topology(shape, run.mistake)),
            Action::Deactivate => {
                self.is_moving = true;
                let waiting = self.lead().deactivate();
                self.answer(waiting, Answer::Ambiguous);
            }
            Action::Activate(to) => self.lead_from(to, run),
        }
        self.decide(run);
        self.look();
    }

    fn store(&mut self, at: usize, run: &Run) {
        for (Entry { stage, write }, answer) in self.nodes[at].store() {
            self.answer(answer.map(|_| write), answer.unwrap_or(Answer::Ambiguous));
            if stage != Stage::Prepare {
                continue;
            }
            if at != self.leader {
                self.acks.insert((at, self.nodes[at].high_prepared()));
            } else if run.mistake == Mistake::AnsweredTooEarly {
                self.answer([write], Answer::Committed);
            }
        }
    }

    fn receive(&mut self, at: usize, run: &Run) {
        let rows = self.nodes[at].log.len();
        let entry = self.leader().log[rows];
        self.nodes[at].receive(entry, run.mistake == Mistake::CompletionUnheard);
        if entry.stage == Stage::Prepare && run.mistake == Mistake::AckedTooEarly {
            self.acks.insert((at, rows + 1));
        }
    }

    fn pass_deadline(&mut self, run: &Run) {
        self.now = self.leader().monitor.next_deadline().unwrap();
        if run.mistake == Mistake::AbortedAfterCommit {
            let rows: Vec<_> = self.leader().monitor.rows().cloned().collect();
            for row in rows {
                let write = self.leader().write_at(row.seqno);
                if self.leader().has(Stage::Commit, write) {
                    self.lead().decided(Stage::Abort, &row);
                }
            }
        }
    }

    fn restart(&mut self, at: usize, run: &Run) {
        let topology = self.nodes[at].monitor.topology().cloned();
        self.nodes[at].restart();
        if at != self.leader {
            return self.begin_stream(at, run);
        }
        self.disconnect();
        if !self.is_moving {
            self.lead_on(topology);
        }
        self.begin_streams(run);
    }

    fn fail_batch(&mut self, at: usize, run: &Run) {
        // Of a single write the prepare is on disk then.
        if run.mistake == Mistake::FailureUnheard && self.nodes[at].stored > 0 {
            self.nodes[at].truncate();
        } else {
            let gone = self.nodes[at].fail_batch();
            self.answer(gone, Answer::Ambiguous);
        }
        if at != self.leader {
            self.begin_stream(at, run);
        }
    }

    /// The leader becomes active, or has another topology, with a batch that stores all that was
    /// queued before.
    pub fn activate(&mut self, shape: Shape, run: &Run) {
        while self.leader().has_queued() {
            self.store(self.leader, run);
        }
        let topology = self.topology(shape, run.mistake);
        self.lead_on(topology);
    }

    fn lead_on(&mut self, topology: Option<Topology>) {
        let high = seqno(self.leader().stored);
        self.lead().monitor.activate(topology, high);
    }

    fn lead_from(&mut self, to: usize, run: &Run) {
        if run.mistake == Mistake::PreparesDropped {
            self.nodes[to].monitor = Monitor::default();
        }
        self.leader = to;
        self.is_moving = false;
        self.activate(Shape::All, run);
        self.begin_streams(run);
    }

    fn begin_streams(&mut self, run: &Run) {
        self.acks.clear();
        for at in self.replicas().collect::<Vec<_>>() {
            self.begin_stream(at, run);
        }
    }

    /// The stream of a replica begins anew.
    fn begin_stream(&mut self, at: usize, run: &Run) {
        let disk = self.leader().disk().to_vec();
        self.nodes[at].roll_back(&disk);
        if run.mistake != Mistake::NotForgotten {
            self.lead().monitor.forget(NAMES[at]);
        }
        if run.mistake != Mistake::AcksKept {
            self.acks.retain(|&(from, _)| from != at);
        }
        let high = self.nodes[at].high_prepared();
        if high > 0 && run.mistake != Mistake::AcksNotRepeated {
            self.acks.insert((at, high));
        }
    }

    /// The leader decides, and carries it out.
    fn decide(&mut self, run: &Run) {
        let now = self.now;
        let mut steps = self.lead().monitor.decide(now);
        self.is_presumptuous |= self.is_moving && !steps.is_empty();
        if run.mistake == Mistake::OutOfOrder {
            steps.reverse();
        }
        for step in steps {
            match step {
                Step::Commit(row) => {
                    self.is_hasty |= !self.has_majority(self.leader().write_at(row.seqno));
                    self.lead().decided(Stage::Commit, &row);
                    let write = self.leader().write_at(row.seqno);
                    let answer = match run.mistake {
                        Mistake::PromiseForgotten => Some(Answer::Committed),
                        _ => self.lead().monitor.committing(row.seqno),
                    };
                    self.answer(answer.map(|_| write), Answer::Committed);
                }
                Step::Abort(row) => self.lead().decided(Stage::Abort, &row),
                Step::Answer(seqno, answer) => {
                    self.answer([self.leader().write_at(seqno)], answer);
                }
            }
        }
    }
}
