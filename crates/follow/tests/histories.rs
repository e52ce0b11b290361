//! Random histories of one vBucket, followed over lost connections, new branches, rollbacks and
//! checkpoints: what was shown is what the node has, in order, each change once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use follow::{Checkpoint, Effect, End, Filter, Follow, Notice, Now, Request, Track};
use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, StreamEndStatus, VbId, VbUuid};
use proptest::prelude::*;
use replica::backoff::Backoff;

const VB: VbId = VbId(7);

/// A data node, by the rules of `needsRollback` in kv_engine.
struct Node {
    /// The key of each seqno, from 1.
    history: Vec<u8>,
    /// Newest first.
    log: Vec<(u64, usize)>,
    uuids: u64,
    stream: Option<Stream>,
}

/// An open stream.
struct Stream {
    sent: usize,
    /// The end of the snapshot that is being sent, and the seqnos of it that are not sent yet.
    snapshot: Vec<usize>,
    end_at_least: usize,
}

enum Answer {
    Open(Vec<FailoverEntry>),
    Rollback(u64),
}

impl Node {
    fn new() -> Self {
        Self { history: Vec::new(), log: vec![(1, 0)], uuids: 1, stream: None }
    }

    /// Another node takes over, which has the history up to `seqno` alone, and perhaps nothing of
    /// the newest branch.
    fn fail_over(&mut self, mut seqno: usize, knows_newest: bool) {
        if let ([(_, begin), _, ..], false) = (&self.log[..], knows_newest) {
            seqno = seqno.min(*begin);
            self.log.remove(0);
        }
        self.history.truncate(seqno);
        self.log.retain(|&(_, begin)| begin <= seqno);
        self.uuids += 1;
        self.log.insert(0, (self.uuids, seqno));
        self.stream = None;
    }

    fn ask(&mut self, request: &Request) -> Answer {
        let (start, high) = (request.after.0, self.history.len() as u64);
        let (mut first, mut last) = (request.snapshot.0.0, request.snapshot.1.0);
        assert!(first <= start && start <= last, "{request:?}");
        if start > 0 {
            let at = self.log.iter().position(|&(uuid, _)| uuid == request.uuid.0);
            let Some(at) = at else { return Answer::Rollback(0) };
            let newer = at.checked_sub(1).map(|newer| self.log[newer].1 as u64);
            let upper = newer.unwrap_or(high);
            if start == first {
                last = start;
            }
            if last > upper {
                if start == last {
                    first = start;
                }
                return Answer::Rollback(if upper < first { upper } else { first });
            }
        }
        assert!(start <= high, "{request:?}, and {high} is the last one");
        let end_at_least = usize::try_from(last).unwrap();
        let sent = usize::try_from(start).unwrap();
        self.stream = Some(Stream { sent, snapshot: Vec::new(), end_at_least });
        let entry = |&(uuid, seqno): &(u64, usize)| FailoverEntry {
            uuid: VbUuid(uuid),
            seqno: Seqno(seqno as u64),
        };
        Answer::Open(self.log.iter().map(entry).collect())
    }

    /// What documents are at which seqno.
    fn state(&self) -> BTreeMap<u8, usize> {
        self.history.iter().enumerate().map(|(at, key)| (*key, at + 1)).collect()
    }
}

/// What a reader of the lines has.
#[derive(Clone, Default)]
struct Reader(Vec<(usize, u8)>);

impl Reader {
    fn show(&mut self, seqno: usize, key: u8) {
        let last = self.0.last().map_or(0, |&(seqno, _)| seqno);
        assert!(seqno > last, "{seqno} after {last}: out of order, or twice");
        self.0.push((seqno, key));
    }

    fn roll_back(&mut self, to: u64) {
        self.0.retain(|&(seqno, _)| seqno as u64 <= to);
    }
}

struct Run {
    node: Node,
    follow: Follow,
    reader: Reader,
    /// As the thread that writes lines has it.
    taken: Track,
    saved: Track,
    at: Duration,
    rollbacks: usize,
}

fn follow_from(track: &Track) -> Follow {
    Follow::new(&BTreeMap::from([(VB, (track.clone(), End::Never))]), Backoff::default())
}

impl Run {
    fn new() -> Self {
        let (track, at) = (Track::start(), Duration::ZERO);
        let (node, reader) = (Node::new(), Reader::default());
        let follow = follow_from(&track);
        Self { node, follow, reader, taken: track.clone(), saved: track, at, rollbacks: 0 }
    }

    const fn now(&self) -> Now {
        Now { at: self.at, random: 1.0 }
    }

    /// Lets a minute pass, and carries out what follows.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut is_quiet = true;
            self.at += Duration::from_secs(60);
            self.follow.tick(self.now());
            while let Some(effect) = self.follow.effect() {
                is_quiet = false;
                self.carry_out(effect);
            }
            if is_quiet {
                return;
            }
        }
        panic!("it asks again and again");
    }

    fn carry_out(&mut self, effect: Effect) {
        let now = self.now();
        match effect {
            Effect::Connect => self.follow.connected(now),
            Effect::Request(request) => match self.node.ask(&request) {
                Answer::Open(log) => self.follow.opened(VB, &log, now),
                Answer::Rollback(to) => self.follow.rolled_back(VB, Seqno(to), now),
            },
            Effect::Tracked(VB, track) => self.taken = *track,
            Effect::Say(Notice::Rollback { vb: VB, from, to }) => {
                let last = self.reader.0.last().map_or(0, |&(seqno, _)| seqno as u64);
                assert!(last <= from.0 && to <= from, "from {from} to {to}, {last} was shown");
                self.reader.roll_back(to.0);
                self.rollbacks += 1;
            }
            Effect::Say(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// The node sends the next change, or the next snapshot of up to `size` seqnos.
    fn deliver(&mut self, size: usize) -> bool {
        let high = self.node.history.len();
        let Some(stream) = &mut self.node.stream else { return false };
        if stream.snapshot.is_empty() {
            let end = (stream.sent + size.max(1)).max(stream.end_at_least).min(high);
            if end <= stream.sent {
                return false;
            }
            // An older change of a key is left out.
            let range = stream.sent + 1..=end;
            let is_last = |&seqno: &usize| {
                let key = self.node.history[seqno - 1];
                !self.node.history[seqno..end].contains(&key)
            };
            stream.snapshot = range.filter(is_last).rev().collect();
            let (start, end) = (Seqno(stream.sent as u64), Seqno(end as u64));
            self.follow.marker(VB, start, end);
            self.taken.marker(start, end);
        }
        let seqno = stream.snapshot.pop().unwrap();
        stream.sent = seqno;
        assert!(self.follow.advance(VB, Seqno(seqno as u64)), "{seqno} is new");
        assert!(self.taken.advance(Seqno(seqno as u64)));
        self.reader.show(seqno, self.node.history[seqno - 1]);
        true
    }

    /// The process is killed, and another one goes on from the checkpoint.
    fn restart(&mut self) {
        let tracks = BTreeMap::from([(VB, self.saved.clone())]);
        let checkpoint = Checkpoint { bucket: "b".to_owned(), filter: Filter::default(), tracks };
        let read = Checkpoint::from_json(&checkpoint.to_json()).unwrap();
        self.taken = read.tracks[&VB].clone();
        self.follow = follow_from(&self.taken);
        self.node.stream = None;
        // What came after it comes again, or is void.
        self.reader.roll_back(self.taken.seqno().0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    Deliver(usize, usize),
    Settle,
    Lose,
    End,
    FailOver { back: usize, knows_newest: bool },
    Save,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0u8..6).prop_map(Step::Write),
        8 => (1usize..8, 1usize..12).prop_map(|(size, n)| Step::Deliver(size, n)),
        4 => Just(Step::Settle),
        2 => Just(Step::Lose),
        1 => Just(Step::End),
        2 => (0usize..12, any::<bool>())
            .prop_map(|(back, knows_newest)| Step::FailOver { back, knows_newest }),
        2 => Just(Step::Save),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..120)
}

fn play(steps: &[Step]) -> Run {
    let mut run = Run::new();
    for step in steps {
        match *step {
            Step::Write(key) => run.node.history.push(key),
            Step::Deliver(size, n) => _ = (0..n).take_while(|_| run.deliver(size)).count(),
            Step::Settle => run.settle(),
            Step::Lose => {
                run.node.stream = None;
                run.follow.lost("lost".to_owned(), run.now());
            }
            Step::End => {
                if run.node.stream.take().is_some() {
                    run.follow.ended(VB, StreamEndStatus::STATE_CHANGED, run.now());
                }
            }
            Step::FailOver { back, knows_newest } => {
                let seqno = run.node.history.len().saturating_sub(back);
                run.node.fail_over(seqno, knows_newest);
                run.follow.lost("failed over".to_owned(), run.now());
            }
            Step::Save => run.saved = run.taken.clone(),
            Step::Restart => run.restart(),
        }
    }
    run.settle();
    while run.deliver(3) {}
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_missing_twice_or_out_of_order(steps in steps()) {
        let run = play(&steps);
        let shown: BTreeMap<u8, usize> =
            run.reader.0.iter().map(|&(seqno, key)| (key, seqno)).collect();
        prop_assert_eq!(shown, run.node.state());
        prop_assert_eq!(run.taken.seqno().0, run.node.history.len() as u64);
    }
}

#[test]
fn a_change_that_a_snapshot_left_out_comes_after_a_rollback_into_that_snapshot() {
    // Key 1 at seqno 1 is left out for seqno 3, which is then lost.
    let mut steps: Vec<_> = [1, 2, 1].map(Step::Write).to_vec();
    steps.extend([Step::Settle, Step::Deliver(3, 9)]);
    steps.push(Step::FailOver { back: 1, knows_newest: true });
    let run = play(&steps);
    assert_eq!((run.reader.0, run.rollbacks), (vec![(1, 1), (2, 2)], 1));
}

#[test]
fn a_node_that_does_not_know_the_newest_branch_need_not_send_all_again() {
    let mut steps: Vec<_> = (0..6).map(Step::Write).collect();
    steps.extend([Step::Settle, Step::Deliver(6, 9)]);
    steps.push(Step::FailOver { back: 0, knows_newest: true });
    steps.extend([Step::Settle, Step::Write(1), Step::Deliver(1, 1)]);
    steps.push(Step::FailOver { back: 1, knows_newest: false });
    let mut run = play(&steps[..steps.len() - 1]);
    run.node.fail_over(6, false);
    run.follow.lost("failed over".to_owned(), run.now());
    run.settle();
    assert_eq!((run.rollbacks, run.taken.seqno()), (1, Seqno(6)), "back to 6, and not to 0");
}
