//! System events in rows: of a stored vBucket, and one by one.

use vbucket::collections::{SystemEvent, VbCollections};
use vbucket::{Kind, Row, StoreError};

/// The collections of a vBucket from the newest rows of its system events.
pub(crate) fn from_rows(rows: Vec<Row>) -> Result<VbCollections, StoreError> {
    let event = |row: Row| match event_of(&row) {
        Some(event) => Ok((row.seqno, event)),
        None => Err(StoreError::Damaged {
            what: format!("the system event at seqno {}", row.seqno),
            detail: "it cannot be read; rebuild the vBucket from another copy".to_owned(),
        }),
    };
    let events: Result<Vec<_>, _> = rows.into_iter().map(event).collect();
    events.map(VbCollections::from_events)
}

/// The system event of a row, if it is one.
pub(super) fn event_of(row: &Row) -> Option<SystemEvent> {
    let Kind::Event { is_end } = row.kind else { return None };
    SystemEvent::from_row(&row.key, is_end, &row.value).ok()
}
