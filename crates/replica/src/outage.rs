//! Since when each wanted stream is not open.

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::VbId;

/// The wanted streams that are not open. Times are since any fixed start.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Outages(BTreeMap<VbId, Duration>);

impl Outages {
    /// Records which of the wanted streams are open at `now`; others are forgotten.
    pub fn observe(&mut self, wanted: impl Iterator<Item = (VbId, bool)>, now: Duration) {
        let before = std::mem::take(&mut self.0);
        let closed = wanted.filter(|(_, is_open)| !is_open);
        self.0 = closed.map(|(vb, _)| (vb, before.get(&vb).copied().unwrap_or(now))).collect();
    }

    /// Returns for how long a stream has not been open, by the last observation.
    #[must_use]
    pub fn of(&self, vb: VbId, now: Duration) -> Option<Duration> {
        self.0.get(&vb).map(|&since| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_its_first_observation_until_the_stream_opens() {
        let at = Duration::from_secs;
        let mut outages = Outages::default();
        outages.observe([(VbId(1), false), (VbId(2), true)].into_iter(), at(1));
        outages.observe([(VbId(1), false), (VbId(2), false)].into_iter(), at(5));
        let of = |outages: &Outages, vb| outages.of(VbId(vb), at(9)).map(|time| time.as_secs());
        assert_eq!((of(&outages, 1), of(&outages, 2), of(&outages, 3)), (Some(8), Some(4), None));
        outages.observe([(VbId(1), true), (VbId(2), false)].into_iter(), at(9));
        assert_eq!((of(&outages, 1), of(&outages, 2)), (None, Some(4)));
        outages.observe(std::iter::empty(), at(9));
        assert_eq!(of(&outages, 2), None, "no longer wanted");
    }
}
