//! Damage on the disk of a data node: whichever bytes of whichever file change, streams and reads
//! return an error or the right data. Never wrong or missing data, never a crash of the node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "../dcp/client.rs"]
#[allow(dead_code, reason = "shared with the tests of DCP")]
mod client;

#[path = "../support/folder.rs"]
mod folder;

#[path = "../support/scrape.rs"]
#[allow(dead_code, reason = "shared with the tests of a node")]
mod scrape;

mod flip;
mod metrics;
mod reading;
mod template;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use fastrand::Rng;
use kvnode::Node;

use crate::flip::{copy, flip};
use crate::folder::folder;
use crate::reading::Reading;
use crate::template::{Template, config};

/// Both can be set by an environment variable of this name, for a longer campaign.
const DAMAGE_SEED: u64 = 20_261_121;
const DAMAGE_TRIALS: u64 = 300;

/// The outcome of one trial.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    /// The node did not start, and named the damaged file.
    RefusedNamingTheFile,
    /// Started, but warm-up failed: nothing is served.
    WarmupFailed,
    /// Some stream ended with BackfillFail or some read failed; everything else was right.
    ReadingFailed,
    RightData,
    Bad(String),
}

/// The panics of all threads since it was last emptied.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn trial(folder: &Path, damaged: &str, template: &Template) -> Outcome {
    let node = match Node::start(config(folder)) {
        Ok(node) => node,
        Err(error) => {
            let text = error.to_string();
            return match text.contains(damaged) {
                true => Outcome::RefusedNamingTheFile,
                false => Outcome::Bad(format!("refused without naming the file: {text}")),
            };
        }
    };
    let bucket = &node.buckets()[0];
    client::wait_for("warm-up", || bucket.warmup() != kvnode::bucket::Warmup::Loading);
    if !bucket.is_ready() {
        return Outcome::WarmupFailed;
    }
    match reading::all(&node, template) {
        Reading::Right => Outcome::RightData,
        Reading::Failed => Outcome::ReadingFailed,
        Reading::Wrong(what) => Outcome::Bad(what),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn mb_47790_flipped_bytes_are_errors_and_never_wrong_data() {
    let base = folder();
    let template = Template::build(base.path());
    let whole = folder();
    copy(base.path(), whole.path());
    assert_eq!(trial(whole.path(), "", &template), Outcome::RightData);
    std::panic::set_hook(Box::new(|info| PANICS.lock().unwrap().push(info.to_string())));

    let seed = setting("DAMAGE_SEED", DAMAGE_SEED);
    let trials = setting("DAMAGE_TRIALS", DAMAGE_TRIALS);
    let mut rng = Rng::with_seed(seed);
    let mut counts = BTreeMap::<Outcome, u64>::new();
    let mut bad = Vec::new();
    for number in 0..trials {
        let folder = folder();
        copy(base.path(), folder.path());
        let (file, how) = flip(folder.path(), &mut rng);
        let outcome = catch_unwind(AssertUnwindSafe(|| trial(folder.path(), &file, &template)));
        let panics = std::mem::take(&mut *PANICS.lock().unwrap());
        let outcome = match outcome {
            Ok(outcome) if panics.is_empty() => outcome,
            _ => Outcome::Bad(format!("panics: {panics:?}")),
        };
        if setting("DAMAGE_VERBOSE", 0) > 0 {
            println!("{number}: {how} of {file}: {outcome:?}");
        }
        match outcome {
            Outcome::Bad(what) => bad.push(format!("trial {number}, {how} of {file}: {what}")),
            outcome => *counts.entry(outcome).or_default() += 1,
        }
    }
    let _own = std::panic::take_hook();
    println!("seed {seed}, {trials} trials: {counts:?}, bad: {}", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    for outcome in [Outcome::RefusedNamingTheFile, Outcome::ReadingFailed, Outcome::RightData] {
        assert!(counts.contains_key(&outcome), "no trial ended with {outcome:?}");
    }
}
