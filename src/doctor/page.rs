//! The report as text for a terminal, as lines for a pipe, and as JSON. Pure.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::{Value, json};

use super::finding::{Finding, Level, Place, Report};

/// The text of findings is not wrapped to less than this, however narrow the terminal is.
const TEXT_COLUMNS_MIN: u16 = 30;

/// Sections with wrapped text, for a terminal of this width.
pub(super) fn sections(report: &Report, width: u16) -> String {
    let mut text = String::new();
    for section in report.findings.chunk_by(|a, b| a.place.node == b.place.node) {
        let title = section.first().map(|finding| of_node(&finding.place)).unwrap_or_default();
        text += &format!("{}\n{}\n\n", clean(&title), table(section, width));
    }
    text + &summary(report)
}

fn table(section: &[Finding], width: u16) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    for finding in section {
        let Finding { level, check, place, what, remedy } = finding;
        let mut text = clean(&format!("{}{what}", within(place)));
        if let Some(remedy) = remedy {
            text += &format!("\n-> {}", clean(remedy));
        }
        // Wide enough for every level and check, so that the sections are aligned.
        table.add_row([format!("  {:7}", level.name()), format!("{:13}", check.name()), text]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding(if at == 2 { (0, 0) } else { (0, 2) });
        column.set_constraint(if at == 2 {
            ColumnConstraint::LowerBoundary(Width::Fixed(TEXT_COLUMNS_MIN))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    table.trim_fmt()
}

/// One line for each finding, without wrapping, and one for the summary.
pub(super) fn lines(report: &Report) -> String {
    let line = |finding: &Finding| {
        let Finding { level, check, place, what, remedy } = finding;
        let remedy = remedy.as_ref().map(|it| format!("; remedy: {it}")).unwrap_or_default();
        let place = format!("{}{}", of_node(place), comma(&of_bucket(place)));
        clean(&format!("{}: {place}: {}: {what}{remedy}", level.name(), check.name())) + "\n"
    };
    report.findings.iter().map(line).collect::<String>() + &summary(report)
}

/// The report for programs. `docs/doctor.md` describes it.
pub(super) fn json(report: &Report, passes: bool) -> Value {
    let counts = Level::ALL.map(|level| (level.name().to_owned(), json!(report.count(level))));
    let findings = report.findings.iter().map(|finding| {
        let Finding { level, check, place, what, remedy } = finding;
        json!({
            "level": level,
            "check": check,
            "side": place.side.map(|side| side.to_string()),
            "node": place.node,
            "bucket": place.bucket,
            "vbuckets": place.vbuckets,
            "what": what,
            "remedy": remedy,
        })
    });
    json!({
        "passes": passes,
        "counts": counts.into_iter().collect::<serde_json::Map<_, _>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn summary(report: &Report) -> String {
    let plural = |count: usize, name: &str| match (count, name) {
        (1, _) | (_, "ok") => format!("{count} {name}"),
        _ => format!("{count} {name}s"),
    };
    let counts = Level::ALL.map(|level| plural(report.count(level), level.name()));
    format!("summary: {}", counts.join(", "))
}

fn of_node(place: &Place) -> String {
    match (place.side, &place.node) {
        (Some(side), Some(node)) => format!("{side} {node}"),
        _ => "this machine".to_owned(),
    }
}

fn of_bucket(place: &Place) -> String {
    let bucket = place.bucket.as_ref().map(|name| format!("bucket {name}"));
    let vbs = place.vbuckets.as_ref().map(|vbs| format!("vb {vbs}"));
    [bucket, vbs].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn within(place: &Place) -> String {
    let bucket = of_bucket(place);
    if bucket.is_empty() { bucket } else { bucket + ": " }
}

fn comma(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", {text}") }
}

/// Text of a node may have control characters; none reaches the terminal.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
