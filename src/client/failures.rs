//! What failed, for people. vBuckets that failed alike share a row: a thousand equal errors are one
//! fact. `--json` has each.

use std::collections::BTreeMap;

use mcbp::VbId;
use replica::plan::VbSet;
use serde::Deserialize as _;

use super::alike;
use super::error::AskError;
use super::page::Page;
use super::show::ms;
use super::table::{Cell, Table};
use super::views::{Failure, Failures, Moved};

/// How many rows are shown.
const ROWS_MAX: usize = 20;

/// The page of an error: its text, or the table of what failed.
pub(super) fn page(error: &AskError) -> Page {
    let failures = error.body().and_then(|body| Failures::deserialize(body).ok());
    let Some(Failures { errors, moved: others }) = failures.filter(|f| !f.errors.is_empty()) else {
        return error.to_string().into();
    };
    let page = match others.as_deref() {
        Some(others @ [first, ..]) => moved(&first.bucket, &first.from, others).text("\n"),
        Some([]) | None => Page::default(),
    };
    let things = if errors.len() == 1 { "vBucket" } else { "vBuckets" };
    let groups = groups(&errors);
    let mut table = Table::new(["VB", "PRODUCER", "REASON", "STATUS", "RETRY", "DETAIL"]);
    for group in groups.iter().take(ROWS_MAX) {
        table.push(row(group));
    }
    let more = match groups.len().saturating_sub(ROWS_MAX) {
        0 => String::new(),
        more => format!("and {more} more rows; --json lists all\n"),
    };
    page.text(format!("{} {things} failed:\n", errors.len())).table(table).text(more)
}

/// Failures that are equal but for their vBucket, each list with at least one.
fn groups(errors: &[Failure]) -> Vec<Vec<&Failure>> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<Vec<&Failure>> = Vec::new();
    for failure in errors {
        let Failure { producer, reason, status, retry, .. } = failure;
        let next = groups.len();
        let place =
            *places.entry((producer, reason, status, retry, without_vb(failure))).or_insert(next);
        match groups.get_mut(place) {
            Some(group) => group.push(failure),
            None => groups.push(vec![failure]),
        }
    }
    groups
}

fn without_vb(failure: &Failure) -> String {
    alike::without_vb(&failure.detail, failure.vbucket)
}

fn row(group: &[&Failure]) -> [Cell; 6] {
    let Some(first) = group.first() else { return std::array::from_fn(|_| "".into()) };
    let (vbs, detail) = match group {
        [one] => (Cell::from(one.vbucket), one.detail.clone()),
        all => {
            let ids = all.iter().filter_map(|failure| u16::try_from(failure.vbucket).ok());
            let set: VbSet = ids.map(VbId).collect();
            let detail = format!("{} vBuckets: {}", all.len(), without_vb(first));
            (Cell::from(set.to_string().as_str()), detail)
        }
    };
    [
        vbs,
        first.producer.as_str().into(),
        first.reason.as_str().into(),
        first.status.as_deref().unwrap_or("-").into(),
        first.retry.as_str().into(),
        detail.as_str().into(),
    ]
}

/// vBuckets that were moved, in one line without a line end.
pub(super) fn moved(bucket: &str, from: &str, moved: &[Moved]) -> Page {
    let (count, set) = (moved.len(), moved.iter().map(|m| VbId(m.vbucket)).collect::<VbSet>());
    let things = if count == 1 { "vBucket is" } else { "vBuckets are" };
    let took = ms(moved.iter().map(|moved| moved.elapsed_ms).max().unwrap_or(0));
    format!("{bucket}: {count} {things} active here, dead at {from}, in {took}: {set}").into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use ureq::http::StatusCode;

    use super::*;

    fn failure(vb: u16, detail: &str) -> Value {
        json!({
            "bucket": "default", "producer": "alpha", "vbucket": vb, "side": "producer",
            "reason": "refused", "status": "NotMyVbucket (0x07)", "detail": detail,
            "retry": "after-new-topology",
        })
    }

    fn text(errors: &[Value], moved: Option<&Value>) -> String {
        let body = json!({ "error": "failed", "errors": errors, "moved": moved });
        let text = "failed".to_owned();
        page(&AskError::Refused { status: StatusCode::BAD_GATEWAY, text, body }).render(None)
    }

    #[test]
    fn equal_failures_share_a_row_whatever_their_vbucket() {
        let mut errors: Vec<_> =
            (0..1000).map(|vb| failure(vb, &format!("vb:{vb}: the producer refused"))).collect();
        errors.push(failure(1000, "vb:1000: disk"));
        let moved = json!([{
            "bucket": "default", "vbucket": 1001, "from": "alpha", "elapsed_ms": 12
        }]);
        let shown = text(&errors, Some(&moved));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 5, "{shown}");
        assert_eq!(lines[0], "default: 1 vBucket is active here, dead at alpha, in 12 ms: 1001");
        assert_eq!(lines[1], "1001 vBuckets failed:");
        assert!(lines[3].contains("0-999  alpha") && lines[3].contains("1000 vBuckets: the pro"));
        assert!(lines[4].ends_with("vb:1000: disk"), "{shown}");
    }

    #[test]
    fn different_failures_are_bounded() {
        let errors: Vec<_> = (0..30).map(|vb| failure(vb, &format!("reason {vb}"))).collect();
        assert!(text(&errors, None).ends_with("\nand 10 more rows; --json lists all\n"));
        assert_eq!(text(&[], None), "failed");
    }
}
