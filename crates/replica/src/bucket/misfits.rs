//! vBuckets whose state at a data node does not fit its role: a consumer replicates into replicas,
//! a producer sends what is active there. Streams of others are refused with a status that does not
//! say so.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Side, VbId, VbState};

use crate::plan::VbSet;

/// The states that do not fit, by node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Misfits(BTreeMap<(Side, String), BTreeMap<VbId, VbState>>);

/// The state that a vBucket needs at a node.
const fn needed(side: Side) -> VbState {
    match side {
        Side::Producer => VbState::Active,
        Side::Consumer => VbState::Replica,
    }
}

impl Misfits {
    /// Records the vBuckets of a node that are in another state than its role needs.
    pub(super) fn record(&mut self, side: Side, node: String, states: Vec<(VbId, VbState)>) {
        self.0.insert((side, node), states.into_iter().collect());
    }

    /// Adds a vBucket in such a state.
    pub(super) fn add(&mut self, side: Side, node: &str, vb: VbId, state: VbState) {
        self.0.entry((side, node.to_owned())).or_default().insert(vb, state);
    }

    /// Removes vBuckets that a node reports in a fitting state.
    pub(super) fn remove(&mut self, side: Side, node: &str, vbs: impl Iterator<Item = VbId>) {
        if let Some(states) = self.0.get_mut(&(side, node.to_owned()))
            && !states.is_empty()
        {
            vbs.for_each(|vb| _ = states.remove(&vb));
        }
    }

    /// Returns the vBuckets of a node in this state; `None` before it was recorded.
    pub(super) fn in_state(
        &self,
        side: Side,
        node: &str,
        state: VbState,
    ) -> Option<BTreeSet<VbId>> {
        let states = self.0.get(&(side, node.to_owned()))?;
        Some(states.iter().filter(|(_, of)| **of == state).map(|(&vb, _)| vb).collect())
    }

    /// Forgets nodes that are not polled any more.
    pub(super) fn retain(&mut self, is_polled: impl Fn(&(Side, String)) -> bool) {
        self.0.retain(|node, _| is_polled(node));
    }

    /// Returns what does not fit of a vBucket that `consumer` replicates from `producer`.
    pub(super) fn of(&self, vb: VbId, producer: &str, consumer: &str) -> Option<String> {
        let nodes = [(Side::Consumer, consumer), (Side::Producer, producer)];
        nodes.into_iter().find_map(|(side, node)| {
            let state = self.0.get(&(side, node.to_owned()))?.get(&vb)?;
            Some(format!("{vb} is {state} at {node}; needs {}", needed(side)))
        })
    }

    /// Returns a warning about the wanted vBuckets of a node that do not fit.
    pub(super) fn warning(&self, node: &str, is_wanted: impl Fn(VbId) -> bool) -> Option<String> {
        self.0.iter().filter(|((_, name), _)| name == node).find_map(|((side, _), states)| {
            let mut by_state: BTreeMap<VbState, VbSet> = BTreeMap::new();
            for (&vb, &state) in states.iter().filter(|(vb, _)| is_wanted(**vb)) {
                by_state.entry(state).or_default().insert(vb);
            }
            let parts: Vec<_> =
                by_state.iter().map(|(state, vbs)| format!("{state} here: {vbs}")).collect();
            let needed = needed(*side);
            (!parts.is_empty()).then(|| {
                format!(
                    "vBuckets that need to be {needed} to be replicated are {}",
                    parts.join("; ")
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_does_not_fit_is_said_as_such() {
        let mut misfits = Misfits::default();
        let states = [0, 1, 2, 7].map(|vb| (VbId(vb), VbState::Active));
        misfits.record(Side::Consumer, "beta".to_owned(), states.into());
        misfits.record(Side::Producer, "alpha".to_owned(), vec![(VbId(9), VbState::Dead)]);
        let of = |vb| misfits.of(VbId(vb), "alpha", "beta");
        assert_eq!(of(0).as_deref(), Some("vb:0 is active at beta; needs replica"));
        assert_eq!(of(9).as_deref(), Some("vb:9 is dead at alpha; needs active"));
        assert_eq!(of(3), None);
        let warning = misfits.warning("beta", |vb| vb.0 < 7);
        let text = "vBuckets that need to be replica to be replicated are active here: 0-2";
        assert_eq!(warning.as_deref(), Some(text));
        assert_eq!(misfits.warning("beta", |_| false), None);
        misfits.retain(|(side, _)| *side == Side::Producer);
        assert_eq!(misfits.of(VbId(0), "alpha", "beta"), None);
    }
}
