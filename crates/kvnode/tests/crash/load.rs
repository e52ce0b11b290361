//! Writers that remember what was acknowledged, until their node is gone.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::Sender;

use bytes::Bytes;
use fastrand::Rng;
use mcbp::{FrameBuilder, HEADER_BYTES, Header, Opcode, Status, VbId, VbState};

use crate::client::Client;
use crate::contents;

/// vBuckets that are written to; the others have other tasks.
pub(crate) const WRITTEN: u16 = 6;
/// Requests that are under way at once, at most.
const PIPELINE_MAX: usize = 16;
const KEYS: u64 = 30;

/// Each change of a key has a version of its own; these delete it.
const fn deletes(version: u64) -> bool {
    version.is_multiple_of(7)
}

/// Some values are large enough to be stored out of line.
fn value(version: u64) -> String {
    let width = if version.is_multiple_of(5) { 1_500 } else { 200 };
    format!("{version:>width$}")
}

#[derive(Clone, Copy, Default, Debug)]
struct Known {
    acknowledged: u64,
    sent: u64,
}

/// What one writer knows.
#[derive(Debug)]
pub(crate) struct Ledger {
    writer: usize,
    keys: BTreeMap<(u16, String), Known>,
    version: u64,
}

impl Ledger {
    pub(crate) const fn new(writer: usize) -> Self {
        Self { writer, keys: BTreeMap::new(), version: 0 }
    }

    /// Writes until the node is gone; tells `progress` how many changes were acknowledged.
    pub(crate) fn write(&mut self, mut client: Client, rng: &mut Rng, progress: &Sender<u64>) {
        while self.write_some(&mut client.stream, rng, progress).is_some() {}
    }

    fn write_some(
        &mut self,
        stream: &mut TcpStream,
        rng: &mut Rng,
        progress: &Sender<u64>,
    ) -> Option<()> {
        let mut batch = Vec::new();
        let mut frames = Vec::new();
        for _ in 0..rng.usize(1..=PIPELINE_MAX) {
            self.version += 1;
            let version = self.version;
            let place =
                (rng.u16(..WRITTEN), format!("writer-{}-key-{}", self.writer, rng.u64(..KEYS)));
            frames.extend_from_slice(&change(&place, version));
            self.keys.entry(place.clone()).or_default().sent = version;
            batch.push((place, version));
        }
        alive(stream.write_all(&frames))?;
        for (place, version) in batch {
            let status = receive(stream)?;
            let gone = status == Status::KEY_ENOENT && deletes(version);
            assert!(status.is_success() || gone, "{place:?} is answered {status}");
            self.keys.get_mut(&place).unwrap().acknowledged = version;
            // The test may have ended.
            let _done = progress.send(1);
        }
        Some(())
    }

    /// Compares with what a node holds, which is what counts from then on.
    pub(crate) fn check(&mut self, client: &mut Client) -> Result<(), String> {
        for ((vb, key), known) in &mut self.keys {
            let Known { acknowledged, sent } = *known;
            let found = contents::get(client, *vb, key);
            let found = found.map(|value| String::from_utf8(value).unwrap());
            let held = match &found {
                Some(text) => text.trim().parse().unwrap(),
                None => (acknowledged..=sent).rev().find(|&v| v == 0 || deletes(v)).unwrap_or(0),
            };
            let may_be = (acknowledged..=sent).contains(&held) && deletes(held) == found.is_none();
            if !may_be {
                return Err(format!(
                    "{key} of vb:{vb} is at version {held}, but {acknowledged} was acknowledged \
                     and {sent} sent"
                ));
            }
            *known = Known { acknowledged: held, sent: held };
        }
        Ok(())
    }
}

fn change((vb, key): &(u16, String), version: u64) -> Bytes {
    let vb = VbId(*vb);
    if deletes(version) {
        return FrameBuilder::request(Opcode::DELETE).vbucket(vb).key(key.as_bytes()).build();
    }
    let value = value(version);
    let set = FrameBuilder::request(Opcode::SET).vbucket(vb).extras(&[0; 8]);
    set.key(key.as_bytes()).value(value.as_bytes()).build()
}

/// Changes a state again and again until the node is gone; knows which one was acknowledged.
#[derive(Debug)]
pub(crate) struct Flipper {
    vb: u16,
    pub(crate) acknowledged: VbState,
    pub(crate) sent: VbState,
}

impl Flipper {
    pub(crate) const fn new(vb: u16) -> Self {
        Self { vb, acknowledged: VbState::Active, sent: VbState::Active }
    }

    pub(crate) fn flip(&mut self, mut client: Client, progress: &Sender<u64>) {
        while self.flip_once(&mut client.stream).is_some() {
            let _done = progress.send(1);
        }
    }

    fn flip_once(&mut self, stream: &mut TcpStream) -> Option<()> {
        let active = self.acknowledged == VbState::Active;
        self.sent = if active { VbState::Replica } else { VbState::Active };
        let extras = [self.sent as u8];
        let frame = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(self.vb));
        alive(stream.write_all(&frame.extras(&extras).build()))?;
        assert_eq!(receive(stream)?, Status::SUCCESS);
        self.acknowledged = self.sent;
        Some(())
    }

    /// Compares with the state that a node reports.
    pub(crate) fn check(&mut self, client: &mut Client) -> Result<VbState, String> {
        let found = contents::state(client, self.vb);
        if found != self.acknowledged && found != self.sent {
            return Err(format!("vb:{} is {found}, {self:?}", self.vb));
        }
        (self.acknowledged, self.sent) = (found, found);
        Ok(found)
    }
}

/// The status of the next answer; `None` if the node is gone.
fn receive(stream: &mut TcpStream) -> Option<Status> {
    let mut header = [0; HEADER_BYTES];
    alive(stream.read_exact(&mut header))?;
    let header = Header::decode(&header).unwrap();
    let mut body = vec![0; header.frame_bytes() - HEADER_BYTES];
    alive(stream.read_exact(&mut body))?;
    Some(header.status())
}

/// `None` for the end of a connection; a kill explains no other error.
fn alive<T>(outcome: std::io::Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            let gone =
                [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(gone.contains(&error.kind()), "{error}");
            None
        }
    }
}
