//! What a comparison in the sidecar has found, in words; and the question before a repair. Pure.

use std::collections::BTreeMap;

use replica::plan::VbSet;
use serde_json::json;

use crate::client::answer::Answer;
use crate::client::confirm::Plan;
use crate::client::error::Exit;
use crate::client::page::Page;
use crate::client::table::{Cell, Table};
use crate::client::views::VerifiedTarget;

/// Classes of what our node has in another version, or alone: a repair drops it.
const ONLY_HERE: [&str; 3] = ["extra", "newer", "existence"];

/// The vBuckets that are known to differ.
pub(super) fn differing(targets: &[VerifiedTarget]) -> VbSet {
    targets.iter().flat_map(|target| target.differing.iter()).collect()
}

/// The vBuckets that the comparisons which have ended since `before` found to differ. What was
/// skipped, could not be compared or was found earlier is no reason to empty a copy.
pub(super) fn confirmed(before: &[VerifiedTarget], now: &[VerifiedTarget]) -> VbSet {
    let is_of_now = |target: &&VerifiedTarget| {
        let mut old = before.iter().filter(|old| old.producer == target.producer);
        target.failure.is_none() && old.all(|old| old.last != target.last)
    };
    let last = now.iter().filter(is_of_now).filter_map(|target| target.last.as_ref());
    let found = last
        .flat_map(|last| last.differing.iter().filter(|vb| !last.skipped.as_set().contains(vb)));
    let known = differing(now);
    within(&found.collect(), &known)
}

/// Those that are in both sets.
pub(super) fn within(vbs: &VbSet, of: &VbSet) -> VbSet {
    vbs.iter().filter(|vb| of.as_set().contains(vb)).collect()
}

/// What a repair does, for the person who has to decide.
pub(super) fn plan(bucket: &str, vbs: &VbSet, targets: &[VerifiedTarget]) -> Plan {
    let last = || targets.iter().filter_map(|target| target.last.as_ref());
    let only_here: u64 = last()
        .flat_map(|last| &last.differences)
        .filter(|(class, _)| ONLY_HERE.contains(&class.as_str()))
        .map(|(_, count)| count)
        .sum();
    // The comparison may have had others too, which were asked for by somebody else.
    let is_exact =
        last().flat_map(|last| last.differing.iter()).all(|vb| vbs.as_set().contains(&vb));
    let most = if is_exact { "" } else { "up to " };
    let keys = if only_here == 1 { "key" } else { "keys" };
    let lost = match only_here {
        0 => String::new(),
        many => format!(
            "; {most}{many} {keys} that the producer lacks, or has in an older version or as a \
             deletion, would be lost"
        ),
    };
    Plan {
        sentence: format!(
            "{} would be emptied and copied again from their producer, and be no full copies until \
             then{lost}",
            copies(vbs.len(), bucket)
        ),
        page: Page::default().table(table(targets, vbs)),
        json: json!({
            "bucket": bucket, "vbuckets": vbs, "differences": by_class(targets),
            "lost_at_most": only_here,
        }),
        is_harmless: false,
    }
}

/// So many copies, in words.
pub(super) fn copies(count: usize, bucket: &str) -> String {
    let things = if count == 1 { "vBucket" } else { "vBuckets" };
    format!("{count} {things} of {bucket}")
}

/// What the last comparisons have found; what is known of other vBuckets is no part of it.
fn by_class(targets: &[VerifiedTarget]) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    let last = targets.iter().filter_map(|target| target.last.as_ref());
    for (class, count) in last.flat_map(|last| &last.differences) {
        *all.entry(class.as_str()).or_default() += count;
    }
    all
}

/// The result of a comparison of these vBuckets.
pub(super) fn answer(bucket: &str, compared: &VbSet, targets: &[VerifiedTarget]) -> Answer {
    let differ = within(&differing(targets), compared);
    let unclear: VbSet = targets.iter().flat_map(|target| target.unclear.iter()).collect();
    let skipped: VbSet =
        targets.iter().filter_map(|it| it.last.as_ref()).flat_map(|it| it.skipped.iter()).collect();
    let (unclear, skipped) = (within(&unclear, compared), within(&skipped, compared));
    let failures: Vec<_> =
        targets.iter().filter_map(|target| Some((target, target.failure.as_ref()?))).collect();
    let mut page = Page::default();
    if !differ.is_empty() || !unclear.is_empty() {
        page = page.table(table(targets, compared)).text("\n");
    }
    for (target, sample) in
        targets.iter().flat_map(|target| target.samples.iter().map(move |it| (target, it)))
    {
        if compared.as_set().contains(&mcbp::VbId(sample.vbucket)) {
            let of = &target.producer;
            page = page.text(format!("vb:{} from {of}: {}\n", sample.vbucket, sample.what));
        }
    }
    for (target, failure) in &failures {
        page = page
            .text(format!("the comparison with {} failed: {}\n", target.producer, failure.error));
    }
    let is_good =
        differ.is_empty() && unclear.is_empty() && skipped.is_empty() && failures.is_empty();
    let sum = if is_good {
        format!("{}: identical with their producers\n", copies(compared.len(), bucket))
    } else {
        format!(
            "{}: {} differ, {} could not be compared, {} were not open\n",
            copies(compared.len(), bucket),
            differ.len(),
            unclear.len(),
            skipped.len()
        )
    };
    let json = json!({
        "bucket": bucket, "compared": compared, "identical": is_good, "differing": differ,
        "unclear": unclear, "skipped": skipped, "differences": by_class(targets),
        "errors": failures.iter().map(|(_, failure)| failure.error.as_str()).collect::<Vec<_>>(),
    });
    let exit = if is_good { Exit::Done } else { Exit::Failed };
    Answer { exit, json, page: page.text(sum) }
}

fn table(targets: &[VerifiedTarget], of: &VbSet) -> Table {
    let mut table = Table::new(["PRODUCER", "DIFFER", "VBUCKETS", "NOT COMPARED", "DIFFERENCES"]);
    for target in targets {
        let (differ, unclear) = (within(&target.differing, of), within(&target.unclear, of));
        if differ.is_empty() && unclear.is_empty() {
            continue;
        }
        let found = target.last.iter().flat_map(|last| &last.differences);
        let found: Vec<_> = found.map(|(class, count)| format!("{count} {class}")).collect();
        table.push([
            target.producer.as_str().into(),
            Cell::from(u64::try_from(differ.len()).unwrap_or(u64::MAX)),
            differ.to_string().as_str().into(),
            unclear.to_string().as_str().into(),
            found.join(", ").as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn target(differing: &str, unclear: &str, differences: &Value) -> VerifiedTarget {
        let target = json!({
            "bucket": "default", "producer": "alpha", "compared": 8, "differing": differing,
            "unclear": unclear, "differences": differences,
            "samples": [{ "vbucket": 3, "what": "key \"a\" is on alpha and not on beta" }],
            "current": null, "failure": null,
            "last": { "skipped": "", "differing": differing, "differences": differences },
        });
        serde_json::from_value(target).unwrap()
    }

    fn set(text: &str) -> VbSet {
        serde_json::from_value(json!(text)).unwrap()
    }

    #[test]
    fn identical_copies_are_said_to_be_so_and_only_those() {
        let good = answer("default", &set("0-7"), &[target("", "", &json!({}))]);
        assert_eq!(good.exit, Exit::Done);
        assert_eq!(good.json["identical"], true);
        let text = good.page.render(None);
        assert!(
            text.ends_with("8 vBuckets of default: identical with their producers\n"),
            "{text}"
        );
        for (differing, unclear) in [("3", ""), ("", "3")] {
            let bad = answer("default", &set("0-7"), &[target(differing, unclear, &json!({}))]);
            assert_eq!((bad.exit, &bad.json["identical"]), (Exit::Failed, &json!(false)));
        }
        let other = answer("default", &set("0-2"), &[target("3", "", &json!({ "value": 1 }))]);
        assert_eq!(other.exit, Exit::Done, "3 was not asked for");
    }

    #[test]
    fn only_what_this_comparison_has_found_is_made_anew() {
        let with = |last: Value, failure: Value| {
            let mut it = json!({
                "bucket": "default", "producer": "alpha", "compared": 8, "differing": "3,5",
                "unclear": "", "differences": {}, "current": null,
            });
            (it["last"], it["failure"]) = (last, failure);
            vec![serde_json::from_value::<VerifiedTarget>(it).unwrap()]
        };
        let last = |ended: &str, differing: &str, skipped: &str| {
            let (e, d, s) = (ended, differing, skipped);
            json!({ "ended": e, "differing": d, "skipped": s })
        };
        let old = || with(last("10:00", "3,5", ""), Value::Null);
        let say = |now: &[VerifiedTarget]| confirmed(&old(), now).to_string();
        assert_eq!(say(&with(last("10:01", "3", "5"), Value::Null)), "3", "5 was skipped");
        assert_eq!(say(&with(last("10:01", "", "3,5"), Value::Null)), "");
        assert_eq!(say(&old()), "", "no comparison has ended");
        let failed = json!({ "error": "refused" });
        assert_eq!(say(&with(last("10:01", "3", ""), failed)), "", "it failed");
        assert_eq!(say(&with(last("10:01", "3,7", ""), Value::Null)), "3", "7 agrees by now");
    }

    #[test]
    fn the_question_says_what_is_lost() {
        let found = json!({ "missing": 2, "extra": 3, "newer": 1 });
        let plan = plan("default", &set("3"), &[target("3", "", &found)]);
        assert!(!plan.is_harmless);
        assert_eq!(
            plan.sentence,
            "1 vBucket of default would be emptied and copied again from their producer, and be no \
             full copies until then; 4 keys that the producer lacks, or has in an older version or \
             as a deletion, would be lost"
        );
    }
}
