//! Scripts for the schedule: each step is an event at a second, and what it must lead to.

use super::*;

const HOUR: u64 = 3600;

fn target(bucket: &str, producer: &str) -> Target {
    Target { bucket: bucket.to_owned(), producer: producer.to_owned() }
}

fn alpha() -> Target {
    target("default", "alpha")
}

fn vbs(range: std::ops::Range<u16>) -> BTreeSet<VbId> {
    range.map(VbId).collect()
}

fn open(range: std::ops::Range<u16>) -> Sight {
    Sight { wanted: vbs(range.clone()), ready: vbs(range), held: None }
}

/// Only time passes.
fn tick() -> Event {
    Event::Every(Some(Duration::from_secs(HOUR)))
}

fn held(range: std::ops::Range<u16>, why: Held) -> Sight {
    Sight { held: Some(why), ..open(range) }
}

struct Script {
    schedule: Schedule,
    chance: f64,
}

impl Script {
    /// An hourly schedule whose first runs are due after half an hour.
    fn hourly(sights: &[(Target, Sight)]) -> Self {
        let mut script = Self { schedule: Schedule::default(), chance: 0.5 };
        assert_eq!(script.at(0, Event::Every(Some(Duration::from_secs(HOUR)))), []);
        assert_eq!(script.seen(0, sights), [], "nothing is due at the start");
        script
    }

    fn at(&mut self, second: u64, event: Event) -> Vec<Effect> {
        let moment = Moment { now: Duration::from_secs(second), chance: self.chance };
        self.schedule.on(moment, event)
    }

    fn seen(&mut self, second: u64, sights: &[(Target, Sight)]) -> Vec<Effect> {
        self.at(second, Event::Seen(sights.iter().cloned().collect()))
    }

    fn compared(&mut self, second: u64, differing: &[u16]) -> Vec<Effect> {
        let done = self.schedule.running.as_ref().map(|it| it.vbs.clone()).unwrap_or_default();
        self.ended(second, done, differing)
    }

    fn ended(&mut self, second: u64, done: BTreeSet<VbId>, differing: &[u16]) -> Vec<Effect> {
        let differing = differing.iter().copied().map(VbId).collect();
        self.at(second, Event::Ended(End::Compared { done, differing }))
    }

    /// The running batch ends before anything of it was compared.
    fn cancelled(&mut self, second: u64) -> Vec<Effect> {
        self.ended(second, BTreeSet::new(), &[])
    }

    fn due(&self) -> Option<u64> {
        self.schedule.next_due().map(|due| due.as_secs())
    }
}

fn compare(target: Target, vbs: BTreeSet<VbId>) -> Effect {
    Effect::Compare { target, vbs, confirms: false }
}

fn over(target: Target) -> Effect {
    Effect::Over { target, skipped: BTreeSet::new() }
}

#[test]
fn a_run_goes_in_batches_and_the_next_one_is_due_an_interval_after_its_beginning() {
    let mut script = Script::hourly(&[(alpha(), open(0..70))]);
    assert_eq!(script.due(), Some(HOUR / 2));
    assert_eq!(script.at(HOUR / 2 - 1, tick()), []);
    let begun = [Effect::Begun(alpha()), compare(alpha(), vbs(0..64))];
    assert_eq!(script.at(HOUR / 2, tick()), begun);
    assert_eq!(script.due(), None, "the batch ends by itself");
    assert_eq!(script.at(HOUR / 2 + 5, tick()), [], "one at a time");
    assert_eq!(script.schedule.left(&alpha()), Some(70));
    assert_eq!(script.compared(2000, &[]), [compare(alpha(), vbs(64..70))]);
    assert_eq!(script.schedule.left(&alpha()), Some(6));
    assert_eq!(script.compared(2100, &[]), [over(alpha())]);
    assert_eq!(script.due(), Some(HOUR / 2 + HOUR), "by the middle of the jitter");
    assert!(!script.schedule.is_busy());
}

#[test]
fn what_differs_is_compared_again_before_it_is_reported() {
    let mut script = Script::hourly(&[(alpha(), open(0..70))]);
    script.at(1800, tick());
    assert_eq!(script.compared(1900, &[3, 9]), [compare(alpha(), vbs(64..70))]);
    let again = [3, 9].map(VbId).into();
    let confirm = Effect::Compare { target: alpha(), vbs: again, confirms: true };
    assert_eq!(script.compared(1910, &[]), [confirm]);
    assert_eq!(script.compared(1920, &[3]), [over(alpha())], "twice is enough");
}

#[test]
fn a_run_waits_while_it_is_held_and_goes_on_where_it_was() {
    for why in [Held::LinkDown, Held::Moving] {
        let mut script = Script::hourly(&[(alpha(), open(0..70))]);
        script.at(1800, tick());
        script.compared(1850, &[]);
        assert_eq!(script.seen(1860, &[(alpha(), held(0..70, why))]), [Effect::Cancel]);
        assert_eq!(script.seen(1870, &[(alpha(), held(0..70, why))]), [], "cancelled once");
        assert_eq!(script.cancelled(1880), []);
        assert_eq!(script.schedule.outlook(&alpha()), (None, Some(why)));
        assert_eq!(script.at(9000, tick()), [], "it has time");
        let rest = compare(alpha(), vbs(64..70));
        assert_eq!(script.seen(9001, &[(alpha(), open(0..70))]), [rest]);
    }
}

#[test]
fn what_was_compared_before_it_was_cancelled_counts() {
    let mut script = Script::hourly(&[(alpha(), open(0..4))]);
    script.at(1800, tick());
    let away = held(0..4, Held::LinkDown);
    assert_eq!(script.seen(1801, &[(alpha(), away)]), [Effect::Cancel]);
    assert_eq!(script.ended(1802, vbs(0..2), &[1]), []);
    assert_eq!(script.seen(1900, &[(alpha(), open(0..4))]), [compare(alpha(), vbs(2..4))]);
    let confirm = Effect::Compare { target: alpha(), vbs: vbs(1..2), confirms: true };
    assert_eq!(script.compared(1901, &[]), [confirm]);
}

#[test]
fn a_run_that_is_due_while_it_is_held_begins_and_waits() {
    let mut script = Script::hourly(&[(alpha(), held(0..4, Held::LinkDown))]);
    assert_eq!(script.at(1800, tick()), [Effect::Begun(alpha())]);
    assert_eq!(script.seen(9000, &[(alpha(), open(0..4))]), [compare(alpha(), vbs(0..4))]);
}

#[test]
fn streams_that_do_not_open_are_skipped_after_a_while() {
    let sight = Sight { ready: vbs(0..2), ..open(0..4) };
    let mut script = Script::hourly(&[(alpha(), sight)]);
    let begun = [Effect::Begun(alpha()), compare(alpha(), vbs(0..2))];
    assert_eq!(script.at(1800, tick()), begun);
    assert_eq!(script.compared(1850, &[]), []);
    assert_eq!(script.due(), Some(1850 + PATIENCE.as_secs()));
    let skipped = Effect::Over { target: alpha(), skipped: vbs(2..4) };
    assert_eq!(script.at(1850 + PATIENCE.as_secs(), tick()), [skipped]);
}

#[test]
fn a_stream_that_opens_meanwhile_is_compared() {
    let sight = Sight { ready: vbs(0..2), ..open(0..4) };
    let mut script = Script::hourly(&[(alpha(), sight)]);
    script.at(1800, tick());
    script.compared(1850, &[]);
    assert_eq!(script.seen(1851, &[(alpha(), open(0..4))]), [compare(alpha(), vbs(2..4))]);
}

#[test]
fn a_batch_of_which_no_stream_is_open_any_more_is_cancelled() {
    let mut script = Script::hourly(&[(alpha(), open(0..4))]);
    script.at(1800, tick());
    let closed = Sight { ready: BTreeSet::new(), ..open(0..4) };
    assert_eq!(script.seen(1801, &[(alpha(), closed)]), [Effect::Cancel]);
}

#[test]
fn a_failed_run_is_tried_again_at_the_next_interval() {
    let mut script = Script::hourly(&[(alpha(), open(0..4))]);
    script.at(1800, tick());
    assert_eq!(script.at(1810, Event::Ended(End::Failed)), [Effect::Failed(alpha())]);
    assert_eq!(script.due(), Some(1800 + HOUR));
    let begun = [Effect::Begun(alpha()), compare(alpha(), vbs(0..4))];
    assert_eq!(script.at(1800 + HOUR, tick()), begun);
}

#[test]
fn runs_do_not_overlap_and_the_oldest_comes_first() {
    let beta = target("default", "gamma");
    let sights = [(alpha(), open(0..70)), (beta.clone(), open(70..80))];
    let mut script = Script::hourly(&sights);
    let both = [Effect::Begun(alpha()), Effect::Begun(beta.clone()), compare(alpha(), vbs(0..64))];
    assert_eq!(script.at(1800, tick()), both);
    assert_eq!(script.compared(1810, &[]), [compare(alpha(), vbs(64..70))]);
    assert_eq!(script.compared(1820, &[]), [over(alpha()), compare(beta.clone(), vbs(70..80))]);
    assert_eq!(script.compared(1830, &[]), [over(beta)]);
}

#[test]
fn a_target_that_is_held_does_not_hold_up_another() {
    let gamma = target("default", "gamma");
    let sights = [(alpha(), held(0..4, Held::LinkDown)), (gamma.clone(), open(4..8))];
    let mut script = Script::hourly(&sights);
    let effects = script.at(1800, tick());
    assert_eq!(effects.last(), Some(&compare(gamma, vbs(4..8))));
}

#[test]
fn what_is_asked_for_comes_before_the_schedule_and_leaves_it_as_it_is() {
    let gamma = target("default", "gamma");
    let sights = [(alpha(), open(0..70)), (gamma.clone(), open(70..80))];
    let mut script = Script::hourly(&sights);
    script.at(1800, tick());
    let begun = Effect::Begun(gamma.clone());
    let mut asked = Script { schedule: script.schedule.clone(), chance: 0.5 };
    // Its own run has begun already, and comes first now.
    assert_eq!(asked.at(1801, Event::Asked(gamma.clone(), vbs(70..71))), []);
    assert_eq!(asked.compared(1802, &[]), [compare(gamma.clone(), vbs(70..80))]);
    // Before anything is due.
    let mut early = Script::hourly(&sights);
    let asked = Event::Asked(gamma.clone(), vbs(70..999));
    assert_eq!(early.at(10, asked), [begun, compare(gamma.clone(), vbs(70..80))]);
    assert_eq!(early.compared(20, &[]), [over(gamma)]);
    assert_eq!(early.due(), Some(1800));
}

#[test]
fn what_is_asked_for_is_compared_without_an_interval_and_once() {
    let mut script = Script { schedule: Schedule::default(), chance: 0.5 };
    script.seen(0, &[(alpha(), open(0..4))]);
    assert_eq!(script.due(), None, "nothing is scheduled");
    let begun = [Effect::Begun(alpha()), compare(alpha(), vbs(1..3))];
    assert_eq!(script.at(1, Event::Asked(alpha(), vbs(1..3))), begun);
    assert_eq!(script.compared(2, &[]), [over(alpha())]);
    assert_eq!(script.due(), None);
    assert_eq!(
        script.at(3, Event::Asked(target("other", "alpha"), vbs(0..1))),
        [],
        "no such target"
    );
}

#[test]
fn what_is_not_replicated_any_more_is_left_out() {
    let mut script = Script::hourly(&[(alpha(), open(0..70))]);
    script.at(1800, tick());
    assert_eq!(script.seen(1801, &[(alpha(), open(0..10))]), []);
    assert_eq!(script.schedule.left(&alpha()), Some(10));
    assert_eq!(script.compared(1802, &[]), [over(alpha())]);
    script.at(1800 + HOUR, tick());
    assert_eq!(script.seen(1801 + HOUR, &[]), [Effect::Cancel], "the whole target is gone");
    assert_eq!(script.cancelled(1802 + HOUR), [over(alpha())]);
    assert_eq!(script.seen(1803 + HOUR, &[]), []);
    assert_eq!(script.due(), None);
}

#[test]
fn a_reload_takes_the_interval_over() {
    let mut script = Script::hourly(&[(alpha(), open(0..4))]);
    script.at(100, Event::Every(Some(Duration::from_secs(60))));
    assert_eq!(script.due(), Some(130));
    script.at(110, Event::Every(None));
    assert_eq!(script.due(), None);
    script.at(120, Event::Every(None));
    script.at(200, Event::Every(Some(Duration::from_secs(60))));
    assert_eq!(script.due(), Some(230));
}

#[test]
fn the_first_run_comes_at_any_time_of_an_interval_and_later_ones_drift_apart() {
    for (chance, first, second) in [(0.0, 0, 3240), (0.25, 900, 4320), (0.99, 3564, 7516)] {
        let mut script = Script { schedule: Schedule::default(), chance };
        script.at(0, Event::Every(Some(Duration::from_secs(HOUR))));
        script.seen(0, &[(alpha(), open(0..4))]);
        script.at(first, tick());
        assert_eq!(script.compared(first, &[]), [over(alpha())], "{chance}");
        assert_eq!(script.due(), Some(second), "{chance}");
    }
}

#[test]
fn a_run_longer_than_the_interval_is_followed_by_a_pause() {
    let mut script = Script::hourly(&[(alpha(), open(0..4))]);
    script.at(1800, tick());
    let end = 1800 + 5 * HOUR;
    assert_eq!(script.compared(end, &[]), [over(alpha())]);
    assert_eq!(script.due(), Some(end + HOUR / 10));
}

#[test]
fn a_stop_cancels_what_runs_and_begins_nothing() {
    let mut script = Script::hourly(&[(alpha(), open(0..70))]);
    script.at(1800, tick());
    assert_eq!(script.at(1801, Event::Stop), [Effect::Cancel]);
    assert_eq!(script.cancelled(1802), []);
    assert_eq!(script.at(99_999, Event::Asked(alpha(), vbs(0..1))), []);
    assert_eq!(script.due(), None);
}
