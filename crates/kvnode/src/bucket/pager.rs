//! The expiry pager: expires documents that are overdue, even if nobody reads them. Active vBuckets
//! only; a replica gets the expirations from its producer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use log::{error, info};
use logline::value;
use mcbp::{Seqno, Status, VbState};
use tokio_util::sync::CancellationToken;
use vbucket::{Kind, Row, ScanEnd, ScanStep, StoreError};

use super::core::Bucket;
use super::draft::WriteRefusal;
use super::vb::Vb;
use crate::clock::unix_now;

/// How many keys one scan of a vBucket collects: 64 MiB of the longest keys. The next run
/// continues.
const KEYS_MAX: usize = 256 * 1024;

/// What a scan of one vBucket found.
struct Overdue {
    keys: Vec<Bytes>,
    /// When the next of the other documents expires; `u32::MAX` for never.
    next: u32,
}

impl Bucket {
    /// Runs until `shutdown`.
    pub(crate) async fn run_expiry_pager(
        self: Arc<Self>,
        interval: Duration,
        shutdown: CancellationToken,
    ) {
        let pass = async {
            loop {
                tokio::time::sleep(interval).await;
                self.expire_overdue().await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = pass => {}
        }
    }

    /// Makes one pass over the active vBuckets that may hold overdue documents.
    async fn expire_overdue(&self) {
        let mut count = 0;
        for vb in self.all_vbs() {
            if vb.state() == VbState::Active && vb.cell.is_expiry_due(unix_now()) {
                count += expire_in(&vb).await;
            }
        }
        self.counters().pager_runs.add(1);
        self.counters().expired_by_pager.add(count);
        if count > 0 {
            info!("documents expired bucket={} count={count}", self.name());
        }
    }
}

async fn expire_in(vb: &Arc<Vb>) -> u64 {
    vb.cell.forget_expiry();
    let found = {
        let vb = Arc::clone(vb);
        tokio::task::spawn_blocking(move || {
            overdue(&vb, unix_now()).inspect_err(|error| report(&vb, error))
        })
        .await
    };
    let Ok(Ok(Overdue { keys, next })) =
        found.inspect_err(|gone| error!("expiry scan panicked error={}", value(gone)))
    else {
        vb.cell.note_expiry(0);
        return 0;
    };
    vb.cell.note_expiry(next);
    let mut count = 0;
    for key in keys {
        match vb.try_expire(key).await {
            Ok(()) => count += 1,
            // It was changed, or is gone.
            Err(WriteRefusal::Status(Status::KEY_EEXISTS)) => {}
            // A durable write of it waits, for example: the next run looks at it again.
            Err(_) => vb.cell.note_expiry(0),
        }
    }
    count
}

/// That a vBucket was removed meanwhile is no failure of the disk.
fn report(vb: &Vb, error: &StoreError) {
    let gone = matches!(error, StoreError::NoVbucket(_));
    if !gone && vb.shared.counters.read_failures.add() {
        let (bucket, vb) = (vb.bucket_name(), vb.id().0);
        error!("expiry scan failed bucket={bucket} vb={vb} error={}", value(error));
    }
}

fn overdue(vb: &Vb, now: u32) -> Result<Overdue, StoreError> {
    let mut overdue = Overdue { keys: Vec::new(), next: u32::MAX };
    let mut each = |row: Row| {
        if row.is_expired_at(now) {
            overdue.keys.push(row.key);
        } else if let Kind::Document { expiry: expiry @ 1.., .. } = row.kind {
            overdue.next = overdue.next.min(expiry);
        }
        if overdue.keys.len() < KEYS_MAX { ScanStep::More } else { ScanStep::Cancel }
    };
    let mut scan = vb.shared.store.scan(vb.id(), Seqno(1), Seqno::MAX)?;
    match scan.run(&mut each) {
        ScanEnd::Finished => {}
        // The rest is for the next run.
        ScanEnd::Yielded | ScanEnd::Cancelled => overdue.next = 0,
        ScanEnd::Failed(error) => return Err(error),
    }
    Ok(overdue)
}
