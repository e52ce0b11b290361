//! How every scan gives its rows: one by one, until the range ends or whoever takes them has
//! enough.

use mcbp::Seqno;
use vbucket::store::{Scan, ScanEnd, ScanStep};
use vbucket::{Row, StoreError, VbMeta};

use crate::collections::Collections;

/// Rows of one vBucket in some order, over one snapshot of the store.
pub(crate) trait Walk: Send {
    /// Where a row is in that order.
    type Place;

    fn place(row: &Row) -> Self::Place;

    /// The next row; `Ok(None)` in the place of one that readers do not see.
    fn next(&mut self) -> Option<Result<Option<Row>, StoreError>>;

    /// The row at `place` was taken.
    fn pass(&mut self, _place: Self::Place) {}

    /// The row at `place`, which is the last one, comes once more.
    fn back_to(&mut self, place: Self::Place);

    fn meta(&self) -> &VbMeta;

    fn collections(&self) -> &Collections;
}

/// See the module.
pub(crate) struct Walked<W> {
    walk: W,
    /// Set for good once there is nothing more.
    ended: Option<ScanEnd>,
}

impl<W: Walk> Walked<W> {
    pub(crate) const fn new(walk: W) -> Self {
        Self { walk, ended: None }
    }
}

impl<W: Walk> Scan for Walked<W> {
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd {
        let end = loop {
            if let Some(ended) = &self.ended {
                return ended.clone();
            }
            let row = match self.walk.next() {
                Some(Ok(Some(row))) => row,
                Some(Ok(None)) => continue,
                Some(Err(error)) => break ScanEnd::Failed(error),
                None => break ScanEnd::Finished,
            };
            let place = W::place(&row);
            match each(row) {
                ScanStep::More => self.walk.pass(place),
                ScanStep::Yield => {
                    self.walk.pass(place);
                    return ScanEnd::Yielded;
                }
                ScanStep::Later => {
                    // The engine's iterator cannot step back, but the snapshot is still the same.
                    self.walk.back_to(place);
                    return ScanEnd::Yielded;
                }
                ScanStep::Cancel => break ScanEnd::Cancelled,
            }
        };
        self.ended = Some(end.clone());
        end
    }

    fn meta(&self) -> &VbMeta {
        self.walk.meta()
    }

    fn default_high_seqno(&self) -> Seqno {
        self.walk.collections().default_high_seqno()
    }
}
