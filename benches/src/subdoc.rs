//! Sub-document operations on JSON documents: lookups of the last member, and counters.

use std::io;

use mcbp::{FrameBuilder, Opcode, VbId};

use crate::connection::Connection;
use crate::server::{Server, VBUCKETS};

/// How many documents there are at most: they fit the memory of the node's store.
pub(crate) const DOCUMENTS_MAX: u64 = 100_000;
/// How many requests of the first load are in flight.
const FILL_DEPTH: u64 = 512;

/// Stores documents of about `value` bytes with a number at their end.
pub(crate) fn fill(server: &Server, documents: u64, value: usize) -> io::Result<()> {
    let mut connection: Connection = server.connect()?;
    let mut out = Vec::new();
    for from in (0..documents).step_by(FILL_DEPTH as usize) {
        let batch = from..documents.min(from + FILL_DEPTH);
        out.clear();
        for n in batch.clone() {
            let (key, text) = (key(n), text(value));
            let frame = FrameBuilder::request(Opcode::SET).vbucket(vb(n)).extras(&[0; 8]);
            let frame = frame.key(key.as_bytes()).value(text.as_bytes());
            out.extend_from_slice(&frame.build());
        }
        connection.send(&out)?;
        connection.successes((batch.end - batch.start) as usize)?;
    }
    Ok(())
}

/// Appends a request about document `n`: GET, and of its number SUBDOC_GET, or SUBDOC_COUNTER by 1.
pub(crate) fn push(out: &mut Vec<u8>, opcode: Opcode, n: u64) {
    let key = key(n);
    let (extras, value): (&[u8], &[u8]) = match opcode {
        Opcode::GET => (&[], &[]),
        Opcode::SUBDOC_COUNTER => (&[0, 1, 0], b"n1"),
        _ => (&[0, 1, 0], b"n"),
    };
    let frame = FrameBuilder::request(opcode).vbucket(vb(n)).extras(extras);
    out.extend_from_slice(&frame.key(key.as_bytes()).value(value).build());
}

fn key(n: u64) -> String {
    format!("json-{n:010}")
}

fn vb(n: u64) -> VbId {
    VbId(u16::try_from(n % u64::from(VBUCKETS)).unwrap_or(0))
}

/// Members of 32 bytes, then the number.
fn text(bytes: usize) -> String {
    let mut text = String::from("{");
    while text.len() + 40 < bytes {
        let random = fastrand::u64(..);
        text.push_str(&format!("\"m{:03}\":\"{random:020}\",", text.len() / 32 % 1000));
    }
    text + "\"n\":0}"
}
