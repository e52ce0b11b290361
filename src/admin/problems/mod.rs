//! What is wrong, the worst first: each in words, with since when, and what to do. Pure: facts in,
//! problems out; `gather` alone reads the state of the process.
//!
//! One cause is one problem. `nodes` judges the data nodes; whatever follows from that is counted
//! there. `streams` groups what is left by its reason, `words` tells it. `wanted` has what is to be
//! replicated, and `process` the process itself. `rolled_back` has copies that lost changes,
//! `verified` those that differ, and `merge` keeps the list short.

mod facts;
mod gather;
#[cfg(test)]
mod ids;
mod merge;
mod nodes;
mod process;
mod rolled_back;
mod streams;
mod verified;
mod wanted;
mod words;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::time::SystemTime;

use replica::plan::VbSet;
use serde::Serialize;
use utoipa::ToSchema;

use self::facts::Facts;
use super::ready::thousands;
use crate::clock::utc;
use crate::vb_state::Severity;

pub(super) use self::facts::Growing;
pub(super) use self::gather::of;

/// A problem.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// How bad it is: `error`, `warning` or `notice`.
    pub(super) severity: Severity,
    /// What kind of problem it is, as a word for programs.
    pub(super) id: &'static str,
    /// The bucket; null where it concerns several, or the whole process.
    pub(super) bucket: Option<String>,
    /// The data node at fault, if one is.
    pub(super) node: Option<String>,
    /// The name of the link, if one is concerned.
    pub(super) link: Option<String>,
    /// The vBuckets of `bucket` that it concerns, such as `0-511`; null where there are none.
    pub(super) vbuckets: Option<String>,
    /// How many vBuckets it concerns, of all buckets.
    pub(super) count: usize,
    /// What is wrong, in a sentence for people.
    pub(super) what: String,
    /// Since when, in UTC; where that is not known, when it was first seen.
    pub(super) since: Option<String>,
    /// What to do.
    pub(super) remedy: String,
}

impl Problem {
    fn new(
        severity: Severity,
        id: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        let (bucket, node, link, vbuckets, since) = (None, None, None, None, None);
        Self { severity, id, bucket, node, link, vbuckets, count: 0, what, since, remedy }
    }

    /// The same of this bucket.
    fn of_bucket(self, bucket: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..self }
    }

    /// The same at this data node.
    fn at(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// The same since then.
    fn since(self, since: Option<SystemTime>) -> Self {
        Self { since: since.map(utc), ..self }
    }

    /// The same about the vBuckets of one bucket.
    fn about(self, bucket: &str, vbs: &VbSet) -> Self {
        let vbuckets = (!vbs.is_empty()).then(|| vbs.to_string());
        Self { vbuckets, count: vbs.len(), ..self.of_bucket(bucket) }
    }

    /// What is the same problem at the next look, whatever its numbers.
    pub(super) fn key(&self) -> [String; 4] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [self.id.to_owned(), text(&self.bucket), text(&self.node), text(&self.link)]
    }
}

/// What is wrong, the worst first.
fn list(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems = process::phase(facts);
    if facts.is_running() {
        let troubles = nodes::troubles(facts);
        problems.extend(streams::problems(facts, &troubles));
        problems.extend(nodes::problems(facts, &troubles));
        problems.extend(rolled_back::problems(facts));
        problems.extend(verified::problems(facts));
        problems.extend(wanted::problems(facts));
    }
    problems.extend(process::problems(facts));
    let mut problems = merge::alike(problems);
    // Of equal ones, those that are found first are the worse ones.
    problems.sort_by_key(|problem| {
        let comes_first = process::PHASES.contains(&problem.id) || is_notice_of_less(problem);
        (problem.severity, !comes_first, Reverse(problem.count))
    });
    merge::capped(problems, &facts.command(&["streams", "--failed"]))
}

/// Whether it is a notice that something wanted gets no changes; other notices leave that open.
fn is_notice_of_less(problem: &Problem) -> bool {
    problem.severity == Severity::Notice && problem.id == wanted::PAUSED
}

/// The first problem in a sentence, or that all is well. That all is replicated is said only where
/// no problem says otherwise.
pub(super) fn headline(problems: &[Problem]) -> String {
    match problems.first() {
        Some(first) if first.severity != Severity::Notice || is_notice_of_less(first) => {
            first.what.clone()
        }
        Some(notice) => format!("what is wanted is replicated; {}", notice.what),
        None => "everything is replicated".to_owned(),
    }
}

/// So many vBuckets of a bucket, in words.
fn vbuckets(count: usize, of: &str) -> String {
    let things = if count == 1 { "vBucket" } else { "vBuckets" };
    format!("{} {things} of {of}", thousands(count))
}
