//! Makes a long list short: what is equally wrong with several buckets is one problem, and what is
//! beyond the limit is counted. Pure.

use std::collections::BTreeMap;

use super::Problem;
use super::thousands;

/// So many problems are listed, the last of which may say how many more there are.
pub(super) const LISTED_MAX: usize = 50;
/// So many buckets are named in one problem.
const NAMED_MAX: usize = 8;

/// Makes one problem of those that differ by nothing but their bucket and its numbers.
pub(super) fn alike(problems: Vec<Problem>) -> Vec<Problem> {
    let mut groups: BTreeMap<_, (usize, Vec<Problem>)> = BTreeMap::new();
    for (at, problem) in problems.into_iter().enumerate() {
        // What is not of one bucket stays alone.
        let alone = problem.bucket.is_none().then_some(at);
        let key = (alone, problem.severity, problem.id, problem.node.clone(), shape(&problem));
        groups.entry(key).or_insert_with(|| (at, Vec::new())).1.push(problem);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(at, _)| *at);
    groups.into_iter().filter_map(|(_, group)| merged(group)).collect()
}

/// What is said, without the bucket and without numbers.
fn shape(problem: &Problem) -> String {
    let bucket = problem.bucket.as_deref().filter(|bucket| !bucket.is_empty());
    let what = match bucket {
        Some(bucket) => problem.what.replace(bucket, "*"),
        None => problem.what.clone(),
    };
    what.replace("vBuckets", "vBucket").replace(|c: char| c.is_ascii_digit() || c == ',', "")
}

/// The first one, which names the buckets of the others.
fn merged(group: Vec<Problem>) -> Option<Problem> {
    let count = group.iter().map(|problem| problem.count).sum();
    let since = group.iter().filter_map(|problem| problem.since.clone()).min();
    let mut group = group.into_iter();
    let first = group.next()?;
    let others: Vec<String> = group.filter_map(|problem| problem.bucket).collect();
    if others.is_empty() {
        return Some(first);
    }
    let named: Vec<_> = others.iter().take(NAMED_MAX - 1).map(String::as_str).collect();
    let more = match others.len() - named.len() {
        0 => String::new(),
        more => format!(" and {} more", thousands(more)),
    };
    let buckets = if others.len() == 1 { "bucket" } else { "buckets" };
    let of = format!("{} more {buckets}: {}{more}", thousands(others.len()), named.join(", "));
    let what = format!("{}; the same is wrong with {of}", first.what);
    let remedy = format!("{}; likewise for each of these buckets", first.remedy);
    let (bucket, link, vbuckets) = (None, None, None);
    Some(Problem { bucket, link, vbuckets, count, since, what, remedy, ..first })
}

/// The first ones of a list whose worst come first, and how many more there are.
pub(super) fn capped(mut problems: Vec<Problem>, streams: &str) -> Vec<Problem> {
    if problems.len() <= LISTED_MAX {
        return problems;
    }
    let rest = problems.split_off(LISTED_MAX - 1);
    if let Some(worst) = rest.first() {
        let what = format!("{} more problems are not listed", thousands(rest.len()));
        let remedy = format!("see to those above first; {streams} lists all streams that failed");
        problems.push(Problem::new(worst.severity, "more", what, remedy));
    }
    problems
}
