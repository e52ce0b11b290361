//! One JSON line for a change, straight from its frame: no copy of the value is made.
//!
//! A line has the field `op`, and never `event`, which lines about anything else have. The whole
//! change is decoded before the first byte is written, so that a malformed frame leaves no half
//! line.

mod body;
mod json;
mod text;

use std::io;

use mcbp::dcp::{Abort, ChangeKind, Commit, DocumentChange, Prepare, SystemEvent};
use mcbp::{Datatype, Frame, FrameError, Opcode, Seqno, VbId, key};

use self::text::{Line, Number, base64, string};

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineOptions {
    /// Values and attributes as base64, whatever they are.
    pub raw: bool,
    /// Neither values nor attributes.
    pub keys_only: bool,
    /// The bounds of the snapshot too.
    pub snapshots: bool,
}

/// What a change is, with the fields that only it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A document was written.
    Mutation {
        /// The user's flags.
        flags: u32,
        /// Unix time in seconds; 0 for never.
        expiry: u32,
    },
    /// A document was deleted.
    Deletion {
        /// Unix time in seconds, if the node says it.
        at: Option<u32>,
    },
    /// A document expired.
    Expiration {
        /// Unix time in seconds.
        at: u32,
    },
    /// A durable write was prepared.
    Prepare {
        /// The user's flags.
        flags: u32,
        /// Unix time in seconds; 0 for never.
        expiry: u32,
        /// Whether it is a deletion.
        deleted: bool,
        /// 1 majority, 2 majority and persisted on the active, 3 persisted on a majority.
        level: u8,
    },
    /// A durable write was committed.
    Commit {
        /// The seqno of its prepare.
        prepared: Seqno,
    },
    /// A durable write was aborted.
    Abort {
        /// The seqno of its prepare.
        prepared: Seqno,
    },
    /// A collection or scope was changed.
    SystemEvent {
        /// 0 and 1 for begin and end of a collection, 3 and 4 for creation and drop of a scope, 5
        /// for a changed collection.
        kind: u32,
    },
}

impl Op {
    /// Its name, in the field `op`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mutation { .. } => "mutation",
            Self::Deletion { .. } => "deletion",
            Self::Expiration { .. } => "expiration",
            Self::Prepare { .. } => "prepare",
            Self::Commit { .. } => "commit",
            Self::Abort { .. } => "abort",
            Self::SystemEvent { .. } => "system-event",
        }
    }
}

/// A change, borrowed from its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// The vBucket.
    pub vb: VbId,
    /// Its seqno.
    pub seqno: Seqno,
    /// What happened.
    pub op: Op,
    /// The collection of the key.
    pub collection: u32,
    /// The key; of a system event the name.
    pub key: &'a [u8],
    /// The CAS.
    pub cas: u64,
    /// How often the document was changed.
    pub rev: Option<u64>,
    /// The datatype as the node sent it.
    pub datatype: Datatype,
    /// Attributes and body.
    pub value: &'a [u8],
}

impl<'a> Change<'a> {
    /// Reads a frame of a connection with collections; `None` where it is no change.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] with what is wrong.
    pub fn decode(frame: &Frame<'a>) -> Result<Option<Self>, FrameError> {
        let of = |seqno, rev, op| Parts { seqno, rev, op };
        let parts = match frame.opcode() {
            Opcode::DCP_PREPARE => {
                let Prepare { seqno, rev, flags, expiry, deleted, level, .. } =
                    Prepare::decode(frame)?;
                of(seqno, Some(rev), Op::Prepare { flags, expiry, deleted, level })
            }
            Opcode::DCP_COMMIT => {
                let Commit { prepared, committed } = Commit::decode(frame)?;
                of(committed, None, Op::Commit { prepared })
            }
            Opcode::DCP_ABORT => {
                let Abort { prepared, aborted } = Abort::decode(frame)?;
                of(aborted, None, Op::Abort { prepared })
            }
            Opcode::DCP_SYSTEM_EVENT => {
                let SystemEvent { seqno, event: kind, .. } = SystemEvent::decode(frame)?;
                of(seqno, None, Op::SystemEvent { kind })
            }
            _ => match DocumentChange::decode(frame)? {
                Some(DocumentChange { seqno, rev, kind }) => of(seqno, Some(rev), op(kind)),
                None => return Ok(None),
            },
        };
        Self::of(parts, frame).map(Some)
    }

    fn of(Parts { seqno, rev, op }: Parts, frame: &Frame<'a>) -> Result<Self, FrameError> {
        let (collection, key) = match op {
            // Its key is a name.
            Op::SystemEvent { .. } => (key::DEFAULT_COLLECTION, frame.key),
            _ => key::split(frame.key)
                .ok_or_else(|| frame.malformed("the key has no collection before it"))?,
        };
        let (vb, cas, datatype) = (frame.header.vbucket(), frame.header.cas, frame.header.datatype);
        let value = frame.value;
        Ok(Self { vb, seqno, op, collection, key, cas, rev, datatype, value })
    }

    /// Writes the line, in pieces; large parts of the value are pieces of their own.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        &self,
        options: LineOptions,
        snapshot: (Seqno, Seqno),
        out: &mut impl io::Write,
    ) -> io::Result<()> {
        let mut line = Line::default();
        line.put(b"{\"vb\":").number(u64::from(self.vb.0));
        line.put(b",\"seqno\":").number(self.seqno.0);
        line.put(b",\"op\":\"").put(self.op.name().as_bytes()).put(b"\",\"");
        out.write_all(line.bytes())?;
        self.write_key(out)?;
        let mut line = Line::default();
        if self.collection != key::DEFAULT_COLLECTION {
            line.put(b",\"collection\":\"0x").hex(self.collection).put(b"\"");
        }
        if self.cas != 0 {
            line.put(b",\"cas\":\"").number(self.cas).put(b"\"");
        }
        if let Some(rev) = self.rev {
            line.put(b",\"rev\":").number(rev);
        }
        self.put_op(&mut line);
        if options.snapshots {
            line.put(b",\"snapshot\":[").number(snapshot.0.0);
            line.put(b",").number(snapshot.1.0).put(b"]");
        }
        line.put(b",\"datatype\":[").put(datatype_words(self.datatype)).put(b"]");
        out.write_all(line.bytes())?;
        if !options.keys_only && !self.value.is_empty() {
            body::write(self.datatype, self.value, options.raw, out)?;
        } else if let (Op::Mutation { .. }, false) = (self.op, options.keys_only) {
            out.write_all(b",\"value\":\"\"")?;
        }
        out.write_all(b"}\n")
    }

    /// Appends the line to memory.
    pub fn append(&self, options: LineOptions, snapshot: (Seqno, Seqno), out: &mut Vec<u8>) {
        // A vector takes everything.
        _ = self.write(options, snapshot, out);
    }

    fn write_key(&self, out: &mut impl io::Write) -> io::Result<()> {
        match std::str::from_utf8(self.key) {
            Ok(text) => {
                out.write_all(b"key\":")?;
                string(text, out)
            }
            Err(_) => {
                out.write_all(b"key_base64\":")?;
                base64(self.key, out)
            }
        }
    }

    fn put_op(&self, line: &mut Line) {
        let mut field = |name: &[u8], value: u64| _ = line.put(name).number(value);
        match self.op {
            Op::Mutation { flags, expiry } => {
                field(b",\"flags\":", flags.into());
                field(b",\"expiry\":", expiry.into());
            }
            Op::Deletion { at: Some(at) } | Op::Expiration { at } => {
                field(b",\"deleted_at\":", at.into());
            }
            Op::Deletion { at: None } => {}
            Op::Prepare { flags, expiry, deleted, level } => {
                field(b",\"flags\":", flags.into());
                field(b",\"expiry\":", expiry.into());
                field(b",\"level\":", level.into());
                line.put(if deleted { b",\"deleted\":true" } else { b",\"deleted\":false" });
            }
            Op::Commit { prepared } | Op::Abort { prepared } => {
                field(b",\"prepared\":", prepared.0);
            }
            Op::SystemEvent { kind } => field(b",\"kind\":", kind.into()),
        }
    }
}

struct Parts {
    seqno: Seqno,
    rev: Option<u64>,
    op: Op,
}

const fn op(kind: ChangeKind) -> Op {
    match kind {
        ChangeKind::Document { flags, expiry } => Op::Mutation { flags, expiry },
        ChangeKind::Deleted { at } => Op::Deletion { at },
        ChangeKind::Expired { at } => Op::Expiration { at },
    }
}

/// The names of the bits, as elements of an array.
const fn datatype_words(datatype: Datatype) -> &'static [u8] {
    match datatype.0 & Datatype::KNOWN_BITS {
        0 => b"",
        1 => b"\"json\"",
        2 => b"\"snappy\"",
        3 => b"\"json\",\"snappy\"",
        4 => b"\"xattr\"",
        5 => b"\"json\",\"xattr\"",
        6 => b"\"snappy\",\"xattr\"",
        _ => b"\"json\",\"snappy\",\"xattr\"",
    }
}
