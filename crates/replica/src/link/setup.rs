//! A set-up: streams are added and closed at once, and the command is answered when nothing is
//! pending, with one outcome for each vBucket.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;

use super::attempt::AddPlan;
use super::overdue::rolls_back_still;
use super::phase::SetUp;
use super::stream::Settled;
use super::{
    Activity, ConsumerMachine, Effect, Effects, Outcome, Phase, Ticket, VbError, VbOutcome,
};

impl ConsumerMachine {
    /// Makes the set of open streams equal to `wanted`; open streams in `reopen` are closed first.
    pub(super) fn set_up(
        &mut self,
        ticket: Ticket,
        wanted: &BTreeSet<VbId>,
        reopen: &BTreeSet<VbId>,
        fx: &mut Effects,
    ) {
        let open = self.ledger.open.keys().copied();
        let undesired = open.filter(|vb| !wanted.contains(vb)).collect();
        for &vb in wanted {
            let must_go = reopen.contains(&vb) || self.ledger.incomplete.contains_key(&vb);
            if must_go && self.ledger.open.contains_key(&vb) {
                self.ledger.close(vb, Some(AddPlan::REPLICATE), fx);
            }
        }
        self.change(ticket, wanted, &undesired, fx);
    }

    /// Adds the missing streams of `add`, closes `close`, and leaves all others alone.
    pub(super) fn change(
        &mut self,
        ticket: Ticket,
        add: &BTreeSet<VbId>,
        close: &BTreeSet<VbId>,
        fx: &mut Effects,
    ) {
        let mut outcomes = BTreeMap::new();
        for &vb in close {
            self.ledger.close(vb, None, fx);
        }
        for &vb in add {
            if self.ledger.open.contains_key(&vb) {
                outcomes.insert(vb, VbOutcome::AlreadyOpen);
            } else if self.ledger.stuck.contains_key(&vb) {
                outcomes.insert(vb, VbOutcome::Failed(rolls_back_still(vb)));
            } else if !self.ledger.closing.contains_key(&vb) {
                self.ledger.add(vb, AddPlan::REPLICATE, fx);
            }
        }
        self.phase = Phase::Live(Activity::SettingUp(SetUp { ticket, outcomes }));
        self.answer_if_set_up(fx);
    }

    /// Records settled vBuckets of a set-up.
    pub(super) fn settle_in_set_up(
        &mut self,
        settled: impl IntoIterator<Item = Settled>,
        fx: &mut Effects,
    ) {
        let goes_on = self.ledger.rollbacks > 0 && !self.ledger.is_settled();
        let Some(set_up) = self.phase.set_up_mut() else { return };
        for settled in settled {
            let (vb, outcome) = match settled {
                Settled::Added(vb, stream) => {
                    self.ledger.open.insert(vb, stream);
                    if goes_on {
                        fx.push(Effect::Opened(vb));
                    }
                    (vb, VbOutcome::Opened)
                }
                Settled::Finished(vb) => (vb, VbOutcome::Finished),
                Settled::Closed(vb) => (vb, VbOutcome::Closed),
                Settled::RolledBack(vb) => (vb, VbOutcome::RolledBack),
                Settled::Failed(error) => (error.vb, VbOutcome::Failed(error)),
            };
            set_up.outcomes.insert(vb, outcome);
        }
        self.answer_if_set_up(fx);
    }

    /// Reports the end of an open stream at once. A running set-up may take long, because it may
    /// wait for rollbacks, and its answer then leaves this vBucket out.
    pub(super) fn open_stream_ended(&mut self, error: VbError, fx: &mut Effects) {
        if let Some(set_up) = self.phase.set_up_mut() {
            set_up.outcomes.remove(&error.vb);
        }
        fx.push(Effect::Ended(error));
    }

    fn answer_if_set_up(&mut self, fx: &mut Effects) {
        if !self.ledger.is_settled() {
            return;
        }
        if let Activity::SettingUp(SetUp { ticket, outcomes }) = self.phase.take_activity() {
            fx.push(Effect::Answer(ticket, Outcome::Done(outcomes)));
        }
    }
}
