//! A connection with streams, each read for itself and held to the rules of snapshots: a marker
//! covers every frame up to the next one, what it announces comes, and seqnos grow.

use std::collections::{HashMap, VecDeque};

use mcbp::Opcode;

use crate::client::{Client, Packet};

/// One stream, as far as it was received.
#[derive(Default)]
struct Stream {
    snapshot: Option<(u64, u64)>,
    position: u64,
    unread: VecDeque<Packet>,
}

impl Stream {
    /// Checks a frame and keeps what is to be read.
    #[track_caller]
    fn take(&mut self, packet: Packet) {
        if packet.opcode() == Opcode::DCP_SNAPSHOT_MARKER {
            let (start, end) = (packet.marker().start.0, packet.marker().end.0);
            if let Some((_, before)) = self.snapshot.replace((start, end)) {
                assert_eq!(self.position, before, "the snapshot before {packet:?} is not whole");
                assert!(start > before, "{packet:?} begins below {before}");
            }
            assert!(start <= end && end > self.position, "{packet:?} after {}", self.position);
            return;
        }
        if packet.opcode() != Opcode::DCP_STREAM_END {
            let (seqno, snapshot) = (packet.seqno(), self.snapshot.unwrap());
            assert!(seqno > self.position, "{packet:?} after {}", self.position);
            assert!((snapshot.0..=snapshot.1).contains(&seqno), "{packet:?} not in {snapshot:?}");
            self.position = seqno;
        }
        self.unread.push_back(packet);
    }
}

/// See the module.
pub(crate) struct Streams {
    pub(crate) client: Client,
    by_opaque: HashMap<u32, Stream>,
    /// Those that came before they were asked for.
    answers: Vec<Packet>,
    /// The SEQNO_ADVANCED that were passed over.
    advances: usize,
}

impl Streams {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, by_opaque: HashMap::new(), answers: Vec::new(), advances: 0 }
    }

    /// The next frame of a stream, SEQNO_ADVANCED left out, without its marker.
    #[track_caller]
    pub(crate) fn next(&mut self, opaque: u32) -> Packet {
        loop {
            let packet = self.next_of_any_kind(opaque);
            if packet.opcode() != Opcode::DCP_SEQNO_ADVANCED {
                return packet;
            }
            self.advances += 1;
        }
    }

    #[track_caller]
    fn next_of_any_kind(&mut self, opaque: u32) -> Packet {
        loop {
            if let Some(packet) = self.by_opaque.entry(opaque).or_default().unread.pop_front() {
                return packet;
            }
            let packet = self.client.next();
            self.keep(packet);
        }
    }

    fn keep(&mut self, packet: Packet) {
        if packet.is_request() {
            self.by_opaque.entry(packet.opaque()).or_default().take(packet);
        } else {
            self.answers.push(packet);
        }
    }

    /// The answer with this opaque.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, opaque: u32) -> Packet {
        match self.answers.iter().position(|packet| packet.opaque() == opaque) {
            Some(at) => self.answers.remove(at),
            None => self.client.answer_to(opaque),
        }
    }

    /// Reads until the stream is at a seqno, by SEQNO_ADVANCED alone.
    #[track_caller]
    pub(crate) fn advances_to(&mut self, opaque: u32, seqno: u64) {
        loop {
            let packet = self.next_of_any_kind(opaque);
            assert_eq!(packet.opcode(), Opcode::DCP_SEQNO_ADVANCED, "{packet:?}");
            if packet.seqno() == seqno {
                return;
            }
            assert!(packet.seqno() < seqno, "{packet:?} instead of {seqno}");
        }
    }

    /// Checks that no stream has a change or an end that was not read, and returns how many
    /// SEQNO_ADVANCED were passed over.
    #[track_caller]
    pub(crate) fn has_nothing_more(&mut self) -> usize {
        while self.client.has_answer() {
            let packet = self.client.next();
            self.keep(packet);
        }
        for (opaque, stream) in &self.by_opaque {
            let is_more = |packet: &&Packet| packet.opcode() != Opcode::DCP_SEQNO_ADVANCED;
            let more = stream.unread.iter().find(is_more);
            assert!(more.is_none(), "stream {opaque:#x}: {more:?}");
        }
        self.advances + self.by_opaque.values().map(|stream| stream.unread.len()).sum::<usize>()
    }
}
