//! Decides what is compared next. Pure: events and the time in, effects out.
//!
//! A *run* compares the vBuckets of one bucket that come from one producer, in batches, so that it
//! can be put off between and within them: while a link is down, or vBuckets move. One batch runs
//! at a time, whatever the number of runs. A vBucket that differs is compared a second time
//! before that is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::VbId;

use super::plan::{PATIENCE, Plan, Run, first};
use super::words::{Effect, End, Event, Held, Moment, Sight, Target};

#[cfg(test)]
mod tests;

/// How many vBuckets a batch has: enough that connecting costs little, and few enough that others
/// have their turn soon.
pub(super) const BATCH_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Running {
    target: Target,
    vbs: BTreeSet<VbId>,
    confirms: bool,
    is_cancelled: bool,
}

/// The schedule of all targets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Schedule {
    every: Option<Duration>,
    plans: BTreeMap<Target, Plan>,
    running: Option<Running>,
    is_over: bool,
}

impl Schedule {
    pub(super) fn on(&mut self, at: Moment, event: Event) -> Vec<Effect> {
        let mut fx = Vec::new();
        match event {
            Event::Every(every) if every != self.every => {
                self.every = every;
                self.plans.values_mut().for_each(|plan| plan.due = first(every, at));
            }
            // Only time has passed.
            Event::Every(_) => {}
            Event::Seen(seen) => self.seen(seen, at),
            Event::Asked(target, vbs) => self.asked(&target, &vbs, at, &mut fx),
            Event::Ended(end) => self.ended(end, at, &mut fx),
            Event::Stop => self.is_over = true,
        }
        self.cancel_held(&mut fx);
        if self.running.is_none() && !self.is_over {
            self.begin_due(at, &mut fx);
            self.end_runs(at, &mut fx);
            self.compare_next(&mut fx);
        }
        fx
    }

    /// Whether a run has begun and is not over.
    pub(super) fn is_busy(&self) -> bool {
        self.plans.values().any(|plan| plan.run.is_some())
    }

    /// Returns when the next run of a target is due, and why its run is put off, if it is.
    pub(super) fn outlook(&self, target: &Target) -> (Option<Duration>, Option<Held>) {
        let Some(plan) = self.plans.get(target) else { return (None, None) };
        let held = plan.run.as_ref().and(plan.sight.held);
        (plan.due.filter(|_| plan.run.is_none()), held)
    }

    /// Returns how many vBuckets of the run of a target are not compared yet.
    pub(super) fn left(&self, target: &Target) -> Option<usize> {
        let run = self.plans.get(target)?.run.as_ref()?;
        Some(run.left.union(&run.doubtful).count())
    }

    fn seen(&mut self, seen: BTreeMap<Target, Sight>, at: Moment) {
        let running = self.running.as_ref().map(|running| &running.target);
        self.plans.retain(|target, _| seen.contains_key(target) || running == Some(target));
        for plan in self.plans.values_mut() {
            plan.sight = Sight::default();
        }
        for (target, sight) in seen {
            let every = self.every;
            let new = || Plan { due: first(every, at), ..Plan::default() };
            self.plans.entry(target).or_insert_with(new).sight = sight;
        }
        for plan in self.plans.values_mut() {
            let Plan { sight, run, .. } = plan;
            if let Some(run) = run {
                run.left.retain(|vb| sight.wanted.contains(vb));
                run.doubtful.retain(|vb| sight.wanted.contains(vb));
            }
        }
    }

    fn asked(&mut self, target: &Target, vbs: &BTreeSet<VbId>, at: Moment, fx: &mut Vec<Effect>) {
        let Some(plan) = self.plans.get_mut(target) else { return };
        let vbs = vbs.intersection(&plan.sight.wanted).copied();
        match &mut plan.run {
            Some(run) => {
                run.left.extend(vbs);
                run.is_asked = true;
            }
            None => {
                plan.run = Some(Run::new(vbs.collect(), true, at.now));
                fx.push(Effect::Begun(target.clone()));
            }
        }
    }

    fn ended(&mut self, end: End, at: Moment, fx: &mut Vec<Effect>) {
        let Some(running) = self.running.take() else { return };
        let Some(plan) = self.plans.get_mut(&running.target) else { return };
        let Some(run) = &mut plan.run else { return };
        match end {
            End::Compared { done, differing } => {
                run.progress = at.now;
                if running.confirms {
                    run.doubtful.retain(|vb| !done.contains(vb));
                } else {
                    run.left.retain(|vb| !done.contains(vb));
                    let wanted = &plan.sight.wanted;
                    run.doubtful.extend(differing.intersection(wanted));
                }
            }
            End::Failed => {
                plan.run_over(self.every, at);
                fx.push(Effect::Failed(running.target));
            }
        }
    }

    /// Cancels the running batch where its target is held, or gone, or everything ends.
    fn cancel_held(&mut self, fx: &mut Vec<Effect>) {
        let Some(running) = &mut self.running else { return };
        let plan = self.plans.get(&running.target);
        let must_end = self.is_over
            || plan.is_none_or(|plan| {
                plan.sight.held.is_some() || running.vbs.is_disjoint(&plan.sight.ready)
            });
        if must_end && !running.is_cancelled {
            running.is_cancelled = true;
            fx.push(Effect::Cancel);
        }
    }

    fn begin_due(&mut self, at: Moment, fx: &mut Vec<Effect>) {
        for (target, plan) in &mut self.plans {
            let is_due = plan.due.is_some_and(|due| due <= at.now) && plan.run.is_none();
            if is_due && !plan.sight.wanted.is_empty() {
                plan.run = Some(Run::new(plan.sight.wanted.clone(), false, at.now));
                fx.push(Effect::Begun(target.clone()));
            }
        }
    }

    /// Ends what is done, and what has waited too long for streams that do not open.
    fn end_runs(&mut self, at: Moment, fx: &mut Vec<Effect>) {
        let every = self.every;
        for (target, plan) in &mut self.plans {
            let Some(run) = &plan.run else { continue };
            let left: BTreeSet<_> = run.left.union(&run.doubtful).copied().collect();
            let waits = plan.sight.held.is_some() || !left.is_disjoint(&plan.sight.ready);
            let is_patient = at.now.saturating_sub(run.progress) < PATIENCE;
            if left.is_empty() || (!waits && !is_patient) {
                plan.run_over(every, at);
                fx.push(Effect::Over { target: target.clone(), skipped: left });
            }
        }
    }

    /// Runs the next batch: of what was asked for first, then of the oldest run. What differed is
    /// compared again at the end of its run.
    fn compare_next(&mut self, fx: &mut Vec<Effect>) {
        let free = |plan: &&Plan| plan.sight.held.is_none();
        let mut runs: Vec<_> = self
            .plans
            .iter()
            .filter(|(_, plan)| free(plan))
            .filter_map(|(target, plan)| Some((target, plan, plan.run.as_ref()?)))
            .collect();
        runs.sort_by_key(|(.., run)| (!run.is_asked, run.began));
        let next = runs.into_iter().find_map(|(target, plan, run)| {
            let batch = |of: &BTreeSet<VbId>| -> BTreeSet<VbId> {
                of.intersection(&plan.sight.ready).copied().take(BATCH_MAX).collect()
            };
            let (first, again) = (batch(&run.left), batch(&run.doubtful));
            let confirms = first.is_empty();
            let vbs = if confirms { again } else { first };
            (!vbs.is_empty()).then(|| (target.clone(), vbs, confirms))
        });
        if let Some((target, vbs, confirms)) = next {
            let running = Running { target, vbs, confirms, is_cancelled: false };
            let (target, vbs) = (running.target.clone(), running.vbs.clone());
            self.running = Some(running);
            fx.push(Effect::Compare { target, vbs, confirms });
        }
    }

    /// Returns when the schedule has something to do by itself, if nothing else happens.
    pub(super) fn next_due(&self) -> Option<Duration> {
        if self.running.is_some() || self.is_over {
            return None;
        }
        let due = |plan: &Plan| match &plan.run {
            Some(run) => Some(run.progress + PATIENCE),
            None => plan.due,
        };
        self.plans.values().filter_map(due).min()
    }
}
