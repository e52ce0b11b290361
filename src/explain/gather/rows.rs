//! Reads the keys of the rows that a rollback would drop, from our node.

use std::time::Duration;

use mcbp::dcp::stream_flags;
use mcbp::{Frame, Seqno, VbUuid};
use relay::{DcpReader, Deadlines, Endpoint, LinkError, ReaderOptions, StreamEvent, StreamRange};
use tokio::time::{Instant, timeout_at};
use vbucket::FailoverTable;

use super::What;
use crate::explain::facts::{Dropped, VbCopy};

/// How many keys are shown.
const KEYS_MAX: usize = 10;
/// How many rows are counted: a rollback of more is told by its seqnos.
const ROWS_MAX: u64 = 10_000;
/// How many characters of a key are shown.
const KEY_CHARS_MAX: usize = 80;

/// The rows of our copy after `to`.
pub(super) async fn after(endpoint: &Endpoint, what: &What<'_>, copy: &VbCopy, to: u64) -> Dropped {
    let Some(range) = range(what, copy, to) else {
        return Dropped::Unknown("the failover log of our copy is unknown".to_owned());
    };
    let until = Instant::now() + what.step;
    match timeout_at(until, read(endpoint, what, range)).await {
        Ok(Ok(dropped)) => dropped,
        Ok(Err(error)) => Dropped::Unknown(error.to_string()),
        Err(_) => Dropped::Unknown(format!("they did not come within {:?}", what.step)),
    }
}

/// The branch of our copy to which `to` belongs is the newest that began at or before it.
fn range(what: &What<'_>, copy: &VbCopy, to: u64) -> Option<StreamRange> {
    let after = Seqno(to);
    let table = FailoverTable::from_log(&copy.log).ok()?;
    let branch = table.entries().iter().find(|entry| entry.seqno <= after);
    let uuid = if to == 0 { VbUuid(0) } else { branch?.uuid };
    let all = StreamRange::all(what.vb, Seqno(copy.last_high()?));
    let flags = stream_flags::DISK_ONLY;
    Some(StreamRange { after, uuid, snapshot: (after, after), flags, ..all })
}

async fn read(
    endpoint: &Endpoint,
    what: &What<'_>,
    range: StreamRange,
) -> Result<Dropped, LinkError> {
    let name = format!("explain:{:016x}", fastrand::u64(..));
    let wait: Duration = what.step;
    let deadlines = Deadlines { connect: wait, request: wait };
    let options =
        ReaderOptions { deadlines, keys_only: true, ..ReaderOptions::new(what.bucket, &name) };
    let mut reader = DcpReader::open(endpoint, options).await?;
    reader.stream(range);
    let (mut count, mut keys) = (0, Vec::new());
    while let Some(event) = reader.next().await? {
        match event {
            StreamEvent::Change { frame, .. } => {
                count += 1;
                if keys.len() < KEYS_MAX {
                    keys.extend(key(&frame));
                }
                if count >= ROWS_MAX {
                    return Ok(Dropped::Rows { count, more: true, lost: None, keys });
                }
            }
            StreamEvent::Refused { status, .. } => {
                return Ok(Dropped::Unknown(format!("our node refused to stream them: {status}")));
            }
            StreamEvent::RolledBack { to, .. } => {
                let why = format!("our node wants to stream them from seqno {to} on");
                return Ok(Dropped::Unknown(why));
            }
            StreamEvent::Opened { .. }
            | StreamEvent::Marker { .. }
            | StreamEvent::Advanced { .. }
            | StreamEvent::Ended { .. } => {}
        }
    }
    Ok(Dropped::Rows { count, more: false, lost: Some(count), keys })
}

/// The rows after a rollback point, and those of them that the producer never had: it sends the
/// others again. The keys are those of what is lost.
pub(super) fn of_which(dropped: Dropped, lost: Dropped) -> Dropped {
    match (dropped, lost) {
        (Dropped::Rows { count, more, keys, .. }, Dropped::Rows { lost, keys: of_lost, .. }) => {
            let keys = if of_lost.is_empty() { keys } else { of_lost };
            Dropped::Rows { count, more, lost, keys }
        }
        // Keys that are sent again would be taken for those that are lost.
        (Dropped::Rows { .. }, unknown) | (unknown @ Dropped::Unknown(_), _) => unknown,
    }
}

fn key(frame: &[u8]) -> Option<String> {
    let frame = Frame::parse(frame).ok()?;
    let (_, key) = mcbp::key::split(frame.key)?;
    let text = String::from_utf8_lossy(key);
    Some(text.chars().take(KEY_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u64, more: bool, key: &str) -> Dropped {
        let keys = (count > 0).then(|| key.to_owned()).into_iter().collect();
        Dropped::Rows { count, more, lost: (!more).then_some(count), keys }
    }

    #[test]
    fn the_keys_are_those_that_are_lost_and_not_those_that_are_sent_again() {
        let unknown = || Dropped::Unknown("no answer".to_owned());
        let of = |count, more, lost, key: &str| Dropped::Rows {
            count,
            more,
            lost,
            keys: vec![key.to_owned()],
        };
        for (dropped, lost, want) in [
            (rows(5, false, "k"), rows(2, false, "lost"), of(5, false, Some(2), "lost")),
            (rows(9, true, "k"), rows(2, false, "lost"), of(9, true, Some(2), "lost")),
            (rows(9, true, "k"), rows(9, true, "lost"), of(9, true, None, "lost")),
            (rows(5, false, "k"), rows(0, false, ""), of(5, false, Some(0), "k")),
            (rows(5, false, "k"), unknown(), unknown()),
            (unknown(), rows(2, false, "lost"), unknown()),
        ] {
            assert_eq!(of_which(dropped, lost), want);
        }
    }
}
