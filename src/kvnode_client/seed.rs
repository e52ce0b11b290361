//! `seed`: writes sample documents, with progress and rate.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};
use mcbp::kv::StoreExtras;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status};
use serde_json::json;

use super::answer::Answer;
use super::connect::Node;
use super::failure::Failure;
use super::refusal::Refusal;
use crate::load::{SEED, rate};
use crate::sample::{self, Sample};

/// Unanswered requests: enough to keep the node's commits full.
const WINDOW: usize = 256;
/// Bytes of unanswered requests.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How often the progress is a line, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Which documents to write.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) count: u64,
    /// The number of the first one.
    pub(super) first: u64,
    /// Bytes of each value; `None` for many sizes.
    pub(super) size: Option<u32>,
}

impl Plan {
    fn sample(self, number: u64) -> Sample {
        sample::sized(SEED, number, self.size.map(|size| size as usize))
    }

    /// What to do after the connection was lost with so many documents written: the node answers in
    /// order, so they are the first ones.
    fn cut_off(self, mut failure: Failure, written: u64) -> Failure {
        let (count, next) = (HumanCount(self.count), self.first + written);
        let rest = self.count - written;
        let to_do = format!("go on with seed {rest} --first {next}");
        failure.text += &format!(" ({} of {count} were written; {to_do})", HumanCount(written));
        if let Some(details) = failure.details.as_object_mut() {
            details.extend([
                ("written".to_owned(), written.into()),
                ("first".to_owned(), next.into()),
            ]);
        }
        failure
    }

    /// How many requests may be unanswered.
    fn window(self) -> usize {
        let size = self.size.map_or(1, |size| size as usize);
        WINDOW.min(WINDOW_BYTES / size).max(1)
    }
}

/// What was written, and the first refusal.
#[derive(Default)]
struct State {
    documents: u64,
    bytes: u64,
    refused: Option<(u64, Status, Vec<u8>)>,
}

pub(super) async fn run(node: &mut Node, plan: Plan) -> Result<Answer, Failure> {
    let vbuckets = node.vbuckets().await?;
    let (started, state) = (Instant::now(), RefCell::new(State::default()));
    let mut progress = Progress::new(plan.count);
    let mut numbers = plan.first..plan.first + plan.count;
    let next = |opaque: Opaque, out: &mut BytesMut| {
        // The first refusal ends it: the others would be refused alike.
        let go_on = state.borrow().refused.is_none();
        let Some(number) = numbers.next().filter(|_| go_on) else { return false };
        let sample = plan.sample(number);
        let vb = sample::vbucket_of(sample.key.as_bytes(), vbuckets);
        let extras = StoreExtras { flags: sample.flags, expiry: 0 }.encode();
        let request = FrameBuilder::request(Opcode::SET).vbucket(vb).opaque(opaque);
        request.extras(&extras).key(sample.key.as_bytes()).value(&sample.value).write(out);
        state.borrow_mut().bytes += sample.value.len() as u64;
        true
    };
    let each = |at: u64, answer: &Frame<'_>| {
        let mut state = state.borrow_mut();
        let status = answer.header.status();
        if status.is_success() {
            state.documents += 1;
            progress.show(state.documents, state.bytes, started.elapsed());
        } else {
            let first = (plan.first + at, status, answer.value.to_vec());
            state.refused.get_or_insert(first);
        }
    };
    let done = node.client.pipeline(plan.window(), next, each).await;
    progress.end();
    let (state, elapsed) = (state.into_inner(), started.elapsed());
    if let Err(error) = done {
        return Err(plan.cut_off(error.into(), state.documents));
    }
    if let Some((number, status, context)) = &state.refused {
        let key = plan.sample(*number).key;
        let vb = sample::vbucket_of(key.as_bytes(), vbuckets);
        let there = if *status == Status::NOT_MY_VBUCKET { node.state(vb).await } else { None };
        let (address, bucket) = (&node.address, &node.bucket);
        let (key, state_there) = (Some(key.as_bytes()), there);
        let refusal =
            Refusal { address, bucket, key, vb, status: *status, context, state: state_there };
        let mut failure = refusal.failure();
        let written = HumanCount(state.documents);
        failure.text += &format!(" ({written} of {} were written)", HumanCount(plan.count));
        return Err(failure);
    }
    Ok(told(node, plan, &state, elapsed))
}

fn told(node: &Node, plan: Plan, state: &State, elapsed: Duration) -> Answer {
    let State { documents, bytes, .. } = *state;
    let [first, last] = [plan.first, plan.first + plan.count - 1].map(|n| plan.sample(n).key);
    let (address, bucket) = (&node.address, &node.bucket);
    let per_second = u128::from(documents) * 1000 / elapsed.as_millis().max(1);
    let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
    let json = json!({
        "node": address, "bucket": bucket, "documents": documents, "bytes": bytes,
        "elapsed_ms": elapsed.as_millis() as u64, "documents_per_s": per_second,
        "first_key": first, "last_key": last,
    });
    let text = format!(
        "node {address}, bucket {bucket}: {} sample documents written, {}, {first} to {last}, \
         in {:.1} s: {} documents/s, {}",
        HumanCount(documents),
        DecimalBytes(bytes),
        elapsed.as_secs_f64(),
        HumanCount(per_second),
        rate(bytes, elapsed),
    );
    Answer::text(text, json)
}

/// A bar on a terminal, else a line now and then; on standard error.
struct Progress {
    bar: ProgressBar,
    total: u64,
    last_line: Instant,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let style = "seeding [{bar:30}] {human_pos}/{human_len} {msg}, {eta} left";
        // The template is a literal. If it is invalid, a plain bar is better than none.
        let style = ProgressStyle::with_template(style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, total, last_line: Instant::now() }
    }

    fn show(&mut self, documents: u64, bytes: u64, elapsed: Duration) {
        self.bar.set_position(documents);
        if !self.bar.is_hidden() {
            self.bar.set_message(rate(bytes, elapsed));
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let line = format!("seed: {documents} of {}, {}", self.total, rate(bytes, elapsed));
            _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_was_cut_off_says_how_to_go_on() {
        let plan = Plan { count: 5000, first: 100, size: None };
        let failure = plan.cut_off(Failure::failed("it closed", json!({})), 1200);
        let text = "it closed (1,200 of 5,000 were written; go on with seed 3800 --first 1300)";
        assert_eq!(failure.text, text);
        assert_eq!(failure.details, json!({ "written": 1200, "first": 1300 }));
    }

    #[test]
    fn large_values_have_a_small_window() {
        for (size, window) in
            [(None, 256), (Some(64), 256), (Some(1 << 20), 32), (Some(20 << 20), 1)]
        {
            assert_eq!(Plan { count: 1, first: 0, size }.window(), window);
        }
    }
}
