//! What a change would open and close.

use std::collections::BTreeMap;

use replica::plan::{Desired, VbSet};
use serde::Serialize;

/// The streams that differ between two maps, by producer. A vBucket that changes its producer is
/// closed from the old one and opened from the new one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Diff {
    /// Streams that would be opened.
    pub opens: BTreeMap<String, VbSet>,
    /// Streams that would be closed.
    pub closes: BTreeMap<String, VbSet>,
    /// Streams that are in both.
    pub stays: BTreeMap<String, VbSet>,
}

impl Diff {
    /// Compares two maps.
    #[must_use]
    pub fn between(before: &Desired, after: &Desired) -> Self {
        let mut diff = Self::default();
        let mut note = |map: fn(&mut Self) -> &mut BTreeMap<String, VbSet>, producer: &str, vb| {
            map(&mut diff).entry(producer.to_owned()).or_default().insert(vb);
        };
        for (producer, vbs) in before.producers() {
            for vb in vbs.iter() {
                let stays = after.source(vb) == Some(producer);
                note(if stays { |it| &mut it.stays } else { |it| &mut it.closes }, producer, vb);
            }
        }
        for (producer, vbs) in after.producers() {
            let opens = vbs.iter().filter(|&vb| before.source(vb) != Some(producer));
            opens.for_each(|vb| note(|it| &mut it.opens, producer, vb));
        }
        diff
    }

    /// Whether both maps have the same streams.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opens.is_empty() && self.closes.is_empty()
    }
}
