//! Progress and result of `dcp-proxy verify`, on standard error.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::ProgressStyle;
use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget};
use serde_json::json;

use crate::verify::{Class, Done, Verified, Verify};

/// How often the progress is printed as a plain line, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is said of one pair of nodes.
pub(super) struct Report {
    nodes: String,
    started: Instant,
    bar: ProgressBar,
    last_line: Cell<Instant>,
}

impl Report {
    /// Says what is compared.
    pub(super) fn new(what: &Verify, before: &Verified) -> Self {
        let nodes = format!("{} and {}", what.producer.name, what.consumer.name);
        let count = count_of(what.vbs.len() as u64, "vBucket");
        eprintln!("Comparing {count} of {} on {nodes}.", what.bucket);
        if before.vbuckets > 0 {
            let done = count_of(before.vbuckets as u64, "vBucket");
            let differences = count_of(before.differences(), "difference");
            eprintln!("Compared before: {done}, with {differences}.");
        }
        let target = ProgressDrawTarget::stderr_with_hz(4);
        let bar = ProgressBar::with_draw_target(Some(what.vbs.len() as u64), target);
        let style = "[{bar:30}] {human_pos}/{human_len} vBuckets, {msg}";
        // The template is a literal. If it is invalid, a plain bar is better than none.
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { nodes, started: Instant::now(), bar, last_line: Cell::new(Instant::now()) }
    }

    /// Shows how far it is.
    pub(super) fn show(&self, done: Done) {
        let words = words(done, self.started.elapsed());
        self.bar.set_position(done.vbuckets);
        if self.bar.is_hidden() && self.last_line.get().elapsed() >= LINE_EVERY {
            let (position, wanted) = (HumanCount(done.vbuckets), HumanCount(done.wanted));
            eprintln!("{position} of {wanted} vBuckets, {words}");
            self.last_line.set(Instant::now());
        }
        self.bar.set_message(words);
    }

    /// Says how it ended.
    pub(super) fn ended(&self, verified: &Verified, error: Option<&str>) {
        self.bar.finish_and_clear();
        eprintln!("{}", result(&self.nodes, verified, error, self.started.elapsed()));
    }
}

/// A number of things in words.
fn count_of(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// Rates, and an estimate of what is left.
fn words(done: Done, elapsed: Duration) -> String {
    let Done { vbuckets, wanted, rows, bytes } = done;
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = (bytes as f64 / seconds) as u64;
    let mut words = format!("{} rows read, {}/s", HumanCount(rows), DecimalBytes(rate));
    if vbuckets > 0 {
        let left = wanted.saturating_sub(vbuckets) as f64;
        let left = Duration::from_secs_f64(seconds * left / vbuckets as f64);
        // Writing to a string does not fail.
        _ = write!(words, ", {} left", HumanDuration(left));
    }
    words
}

/// The result in one line, and one for each class of differences.
fn result(nodes: &str, verified: &Verified, error: Option<&str>, elapsed: Duration) -> String {
    let (vbuckets, wanted) =
        (HumanCount(verified.vbuckets as u64), HumanCount(verified.wanted as u64));
    let mut text = match error {
        Some(error) => format!("Failed: {error}. {vbuckets} of {wanted} vBuckets compared"),
        None if verified.is_interrupted() => {
            format!("Interrupted: {vbuckets} of {wanted} vBuckets compared")
        }
        None => format!(
            "Compared {} on {nodes} in {elapsed:.1?}",
            count_of(verified.vbuckets as u64, "vBucket")
        ),
    };
    let (rows, deletions) = (HumanCount(verified.rows), HumanCount(verified.deletions));
    if verified.differences() == 0 {
        let what = if error.is_none() && verified.is_identical() {
            "identical"
        } else {
            "no difference among them"
        };
        _ = write!(text, ": {what}, {rows} keys, {deletions} of them deleted.");
        return text;
    }
    let count = count_of(verified.differences(), "difference");
    let differing = &verified.differing;
    _ = write!(text, ": {count} among {rows} keys, in vBuckets {differing}:");
    for (class, count) in &verified.by_class {
        let meaning = class.meaning();
        _ = write!(text, "\n  {:10} {:>10}  {meaning}", class.as_str(), HumanCount(*count));
    }
    text
}

/// The summary as a line of JSON; `errors` say why some of it was not compared.
pub(super) fn summary(verified: &Verified, is_identical: bool, errors: &[String]) -> String {
    let Verified { wanted, vbuckets, rows, deletions, by_class, differing } = verified;
    let by_class: serde_json::Map<_, _> = by_class
        .iter()
        .map(|(class, count)| (Class::as_str(*class).to_owned(), json!(count)))
        .collect();
    json!({
        "summary": {
            "identical": is_identical,
            "wanted": wanted,
            "vbuckets": vbuckets,
            "rows": rows,
            "deletions": deletions,
            "differences": by_class,
            "differing": differing.to_string(),
            "errors": errors,
        }
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_result_says_identical_only_where_everything_is() {
        let second = Duration::from_secs(1);
        let mut verified =
            Verified { wanted: 2, vbuckets: 2, rows: 1000, deletions: 3, ..Verified::default() };
        let say = |verified: &Verified, error| result("alpha and beta", verified, error, second);
        assert_eq!(
            say(&verified, None),
            "Compared 2 vBuckets on alpha and beta in 1.0s: identical, 1,000 keys, 3 of them \
             deleted."
        );
        assert!(!say(&verified, Some("cut off")).contains("identical"));
        verified.by_class = BTreeMap::from([(Class::Missing, 1), (Class::Value, 2)]);
        verified.differing.insert(mcbp::VbId(7));
        assert_eq!(
            say(&verified, None),
            "Compared 2 vBuckets on alpha and beta in 1.0s: 3 differences among 1,000 keys, in \
             vBuckets 7:\n  missing    1  B lacks a change of A\n  value      2  the values differ"
        );
        verified.vbuckets = 1;
        assert!(say(&verified, None).starts_with("Interrupted: 1 of 2 vBuckets compared: 3 diff"));
        assert_eq!(
            summary(&verified, false, &["refused".to_owned()]),
            concat!(
                r#"{"summary":{"deletions":3,"differences":{"missing":1,"value":2},"#,
                r#""differing":"7","errors":["refused"],"identical":false,"rows":1000,"#,
                r#""vbuckets":1,"wanted":2}}"#
            )
        );
    }

    #[test]
    fn the_estimate_follows_from_the_vbuckets_that_are_done() {
        let done = Done { vbuckets: 256, wanted: 1024, rows: 1000, bytes: 4_000_000 };
        assert_eq!(
            words(done, Duration::from_secs(2)),
            "1,000 rows read, 2.00 MB/s, 6 seconds left"
        );
        let none = Done { vbuckets: 0, ..done };
        assert_eq!(words(none, Duration::from_secs(2)), "1,000 rows read, 2.00 MB/s");
    }
}
