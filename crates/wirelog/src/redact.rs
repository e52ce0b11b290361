//! Documents, passwords and, if asked, keys, replaced by as many other bytes.
//!
//! Nothing else changes: every length, seqno, CAS, flag and datatype stays, so that a redacted
//! conversation means what the original one means.
//!
//! - A value of a document becomes text made from a salted hash of it: equal values of a file
//!   become equal text. Values of few bytes that differ may become equal too.
//! - A value marked as JSON stays JSON: a string, or a number where it has less than four bytes.
//! - Extended attributes keep their names, unless keys are replaced; each value becomes JSON.
//! - A compressed value stays a compressed value of as many bytes, which inflates to less than the
//!   original: text or JSON, with an empty list of attributes where it had some. One that does not
//!   inflate still does not.
//! - What SASL carries becomes asterisks: passwords, and proofs that allow guessing one.
//! - A key keeps its collection prefix. Different keys of printable ASCII become different keys.
//!
//! A frame is taken for one with a document unless its opcode is known to carry none.

mod key;
mod salt;
mod value;

use mcbp::dcp::CacheRecord;
use mcbp::{Frame, HEADER_BYTES, Opcode};

pub use salt::Salt;

/// What is replaced besides values and passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Keys of documents, names of extended attributes and of collections.
    pub keys: bool,
}

/// Returns the frame with everything private replaced; bytes that are no whole frame come back
/// empty, because nobody knows what they hold.
#[must_use]
pub fn redact(frame: &[u8], redaction: &Redaction, salt: &Salt) -> Vec<u8> {
    let Ok(parsed) = Frame::parse(frame) else { return Vec::new() };
    let body = HEADER_BYTES + parsed.framing.len() + parsed.extras.len();
    let mut out = frame.get(..body).unwrap_or_default().to_vec();
    match Kind::of(&parsed) {
        Kind::Control => {
            out.extend_from_slice(parsed.key);
            out.extend_from_slice(parsed.value);
        }
        Kind::Secret => {
            out.extend_from_slice(parsed.key);
            out.resize(body + parsed.key.len() + parsed.value.len(), b'*');
        }
        Kind::Event => event(&parsed, redaction, salt, &mut out),
        Kind::Cache => cache(&parsed, redaction, salt, &mut out),
        Kind::Document => {
            push_key(parsed.key, redaction, salt, &mut out);
            let names = redaction.keys;
            out.extend(value::redacted(parsed.value, parsed.header.datatype, names, salt));
        }
    }
    out
}

/// What a frame may hold.
enum Kind {
    /// Nothing of a document.
    Control,
    /// A password, or what a password can be guessed from.
    Secret,
    /// The name of a collection.
    Event,
    /// Documents of a cache, many in one value.
    Cache,
    /// A key, a value or both.
    Document,
}

impl Kind {
    fn of(frame: &Frame<'_>) -> Self {
        let is_request = frame.header.is_request();
        match frame.opcode() {
            Opcode::SASL_AUTH | Opcode::SASL_STEP => Self::Secret,
            Opcode::DCP_SYSTEM_EVENT if is_request => Self::Event,
            Opcode::DCP_CACHE_TRANSFER if is_request => Self::Cache,
            Opcode::DCP_MUTATION
            | Opcode::DCP_DELETION
            | Opcode::DCP_EXPIRATION
            | Opcode::DCP_PREPARE
            | Opcode::DCP_COMMIT
            | Opcode::DCP_ABORT
                if is_request =>
            {
                Self::Document
            }
            opcode if opcode.is_dcp() => Self::Control,
            Opcode::HELLO
            | Opcode::SASL_LIST_MECHS
            | Opcode::SELECT_BUCKET
            | Opcode::NOOP
            | Opcode::VERSION
            | Opcode::STAT
            | Opcode::GET_ERROR_MAP
            | Opcode::GET_CLUSTER_CONFIG
            | Opcode::SET_VBUCKET
            | Opcode::GET_VBUCKET
            | Opcode::DEL_VBUCKET
            | Opcode::GET_ALL_VB_SEQNOS
            | Opcode::GET_FAILOVER_LOG
            | Opcode::OBSERVE_SEQNO
            | Opcode::SEQNO_PERSISTENCE => Self::Control,
            _ => Self::Document,
        }
    }
}

fn push_key(original: &[u8], redaction: &Redaction, salt: &Salt, out: &mut Vec<u8>) {
    if redaction.keys {
        out.extend(key::redacted(original, salt));
    } else {
        out.extend_from_slice(original);
    }
}

/// The key of an event is a name without prefix; its value may repeat the name.
fn event(frame: &Frame<'_>, redaction: &Redaction, salt: &Salt, out: &mut Vec<u8>) {
    /// The version whose value is a table with the name in it. The others are plain numbers.
    const FLATBUFFERS: u8 = 2;
    if !redaction.keys {
        out.extend_from_slice(frame.key);
        out.extend_from_slice(frame.value);
        return;
    }
    out.extend(key::name(frame.key, salt));
    if frame.extras.last() == Some(&FLATBUFFERS) {
        out.extend(salt.text(frame.value));
    } else {
        out.extend_from_slice(frame.value);
    }
}

fn cache(frame: &Frame<'_>, redaction: &Redaction, salt: &Salt, out: &mut Vec<u8>) {
    let mut rest = frame.value;
    out.extend_from_slice(frame.key);
    for record in CacheRecord::iter(frame).map_while(Result::ok) {
        // A record is its numbers, then key and value.
        let tail = record.key.len() + record.value.len();
        let Some(numbers) = record_bytes(rest, tail) else { break };
        let Some((head, after)) = rest.split_at_checked(numbers + tail) else { break };
        out.extend_from_slice(head.get(..numbers).unwrap_or_default());
        push_key(record.key, redaction, salt, out);
        out.extend(value::redacted(record.value, record.datatype, redaction.keys, salt));
        rest = after;
    }
    out.extend(salt.text(rest));
}

/// How many bytes of numbers are in front of the key and value of the first record of `rest`.
fn record_bytes(rest: &[u8], tail: usize) -> Option<usize> {
    const NUMBERS: usize = 40;
    (rest.len() >= NUMBERS + tail).then_some(NUMBERS)
}
