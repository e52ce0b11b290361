//! Tells how runs ended: one log line and at most one event each.

use events::{Event, Events, Kind, Level};
use logline::value;
use replica::plan::VbSet;

use super::record::{Run, in_words};
use super::words::Target;

/// Tells how a run came to its end.
pub(super) fn over(events: &Events, target: &Target, run: &Run) {
    let Target { bucket, producer } = target;
    let Run { vbuckets, rows, skipped, differing, unclear, agree, .. } = run;
    let ms = run.took.as_millis();
    let numbers = format!("bucket={bucket} producer={producer} vbuckets={vbuckets} rows={rows}");
    if !differing.is_empty() {
        let found = in_words(&run.by_class);
        log::error!(
            "copies differ from their producer {numbers} vbs={} differences={} elapsed_ms={ms}",
            value(differing),
            value(&found)
        );
        let text = format!("{} vBuckets differ from {producer}: {found}", differing.len());
        push(events, Level::Error, Kind::CopiesDiffer, target, differing, text);
    }
    if !unclear.is_empty() {
        let found = in_words(&run.by_class);
        let set = value(unclear);
        log::warn!("vBuckets could not be compared {numbers} vbs={set} reason={}", value(&found));
        let text = format!("{} vBuckets could not be compared: {found}", unclear.len());
        push(events, Level::Warn, Kind::VerifyFailed, target, unclear, text);
    }
    if differing.is_empty() && unclear.is_empty() {
        let skipped = skipped.len();
        log::info!("copies are identical {numbers} skipped={skipped} elapsed_ms={ms}");
    }
    if !agree.is_empty() {
        let text = format!("{} vBuckets that differed from {producer} are identical", agree.len());
        push(events, Level::Info, Kind::CopiesAgree, target, agree, text);
    }
}

/// Tells that a run has failed.
pub(super) fn failed(events: &Events, target: &Target, why: &str) {
    let Target { bucket, producer } = target;
    log::warn!("comparison failed bucket={bucket} producer={producer} error={}", value(why));
    push(events, Level::Warn, Kind::VerifyFailed, target, &VbSet::default(), why.to_owned());
}

fn push(events: &Events, level: Level, kind: Kind, target: &Target, vbs: &VbSet, text: String) {
    let Target { bucket, producer } = target;
    let event = Event::new(level, kind, text).of_bucket(bucket).of_node(producer);
    events.push(event.of_vbuckets(vbs.clone()));
}
