//! What clients and the cluster manager do to a vBucket of the producer's bench: plain and durable
//! writes, collections.

use std::sync::Arc;

use bytes::Bytes;
use mcbp::framing::Level;
use mcbp::{Seqno, VbId};
use proptest::prelude::*;
use vbucket::collections::{Change, Collection, SystemEvent};
use vbucket::{Kind, Row};

use super::producer_node::{Copy, Node, row};

/// One of them. Keys with an even number are in the default collection, others in collection 8.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writing {
    Write {
        key: u8,
        deletes: bool,
    },
    Prepare {
        key: u8,
        deletes: bool,
    },
    /// The oldest prepare is committed or aborted.
    Complete {
        commits: bool,
    },
    Collection {
        id: u8,
        begins: bool,
    },
}

/// A random one, durable writes among them.
pub(crate) fn writing() -> impl Strategy<Value = Writing> {
    let change = || (0..6_u8, any::<bool>());
    prop_oneof![
        4 => change().prop_map(|(key, deletes)| Writing::Write { key, deletes }),
        5 => change().prop_map(|(key, deletes)| Writing::Prepare { key, deletes }),
        4 => any::<bool>().prop_map(|commits| Writing::Complete { commits }),
        1 => (8..10_u8, any::<bool>())
            .prop_map(|(id, begins)| Writing::Collection { id, begins }),
    ]
}

impl Node {
    /// Does it, unless the vBucket refuses it. Returns whether there is a new row.
    pub(crate) fn happens(&self, vb: VbId, writing: Writing) -> bool {
        self.with(vb, |copy| {
            let seqno = Seqno(copy.rows.len() as u64 + 1);
            let row = match writing {
                Writing::Write { key, deletes } if copy.takes_writes_of(key) => {
                    change(key, deletes, seqno)
                }
                Writing::Prepare { key, deletes } if copy.takes_writes_of(key) => {
                    change(key, deletes, seqno).prepared(Level::Majority)
                }
                Writing::Write { .. } | Writing::Prepare { .. } => return false,
                Writing::Complete { commits } => {
                    let Some(oldest) = copy.pending().first().cloned() else { return false };
                    match commits {
                        true => oldest.committed_at(seqno).unwrap(),
                        false => Row::aborted(oldest.document_key(), oldest.seqno, seqno, 1),
                    }
                }
                Writing::Collection { id, begins } => {
                    if copy.collections().get(u32::from(id)).is_some() == begins {
                        return false;
                    }
                    event(id, begins, seqno)
                }
            };
            copy.rows.push(Arc::new(row));
            true
        })
    }
}

impl Copy {
    fn pending(&self) -> Vec<Arc<Row>> {
        let is_prepare = |row: &Arc<Row>| matches!(row.kind, Kind::Prepared { .. });
        let mut pending: Vec<_> = self.newest().into_values().filter(is_prepare).collect();
        pending.sort_by_key(|row| row.seqno);
        pending
    }

    /// Whether the collection of the key is there, and no durable write is pending for it.
    fn takes_writes_of(&self, key: u8) -> bool {
        let key = change(key, false, Seqno(1)).key;
        let is_pending = self.pending().iter().any(|row| row.document_key() == key);
        self.collections().get(u32::from(key[0])).is_some() && !is_pending
    }
}

fn change(key: u8, deletes: bool, seqno: Seqno) -> Row {
    let row = row(key, seqno);
    let collection = if key.is_multiple_of(2) { 0 } else { 8 };
    let key = Bytes::from([&[collection], &row.key[1..]].concat());
    match deletes {
        true => Row { key, kind: Kind::Deleted { at: 1 }, value: Bytes::new(), ..row },
        false => Row { key, ..row },
    }
}

fn event(id: u8, begins: bool, seqno: Seqno) -> Row {
    let id = u32::from(id);
    let change = match begins {
        true => Change::Begin { id, collection: collection(format!("c{id}")) },
        false => Change::End { id, scope: 0, is_system: false },
    };
    SystemEvent { uid: seqno.0, change }.row(seqno)
}

fn collection(name: String) -> Collection {
    let history = name == "c8";
    Collection { scope: 0, name, max_ttl: None, history, metered: false, flush_uid: 0 }
}
