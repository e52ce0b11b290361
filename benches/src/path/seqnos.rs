//! Reads the high seqno of every vBucket of a data node. Those that kvnode returns are durable.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode};

use crate::connection::Connection;
use crate::server::{Server, VBUCKETS};

/// The pause between two checks of the warm-up of a node.
const POLL: Duration = Duration::from_millis(2);
/// The deadline of the warm-up.
const WARM_UP_WAIT: Duration = Duration::from_secs(120);

/// Asks one node, over one connection.
pub(crate) struct Seqnos(Connection);

impl Seqnos {
    /// Waits for the end of the warm-up, before which the node accepts no streams.
    pub(crate) fn of(node: &Server) -> io::Result<Self> {
        let mut connection = node.connect()?;
        let deadline = Instant::now() + WARM_UP_WAIT;
        while let Err(error) = connection.ask(&FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS)) {
            if Instant::now() > deadline {
                return Err(error);
            }
            thread::sleep(POLL);
        }
        Ok(Self(connection))
    }

    /// The high seqno of each vBucket by its id; 0 where there is none.
    pub(crate) fn ask(&mut self) -> io::Result<Vec<u64>> {
        self.0.send(&FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS).build())?;
        let mut seqnos = vec![0; usize::from(VBUCKETS)];
        self.0.answers(1, |frame| {
            for &[v0, v1, ref seqno @ ..] in frame.value.as_chunks::<10>().0 {
                if let Some(place) = seqnos.get_mut(usize::from(u16::from_be_bytes([v0, v1]))) {
                    *place = u64::from_be_bytes(*seqno);
                }
            }
        })?;
        Ok(seqnos)
    }
}
