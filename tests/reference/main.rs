//! The tables of `docs/operations.md` are made from those of the code and from the pages of real
//! processes, and must not be out of date: a metric, an event, a reason, a state or a log line
//! without its row fails here.
//!
//! `UPDATE_REFERENCE=1 cargo test -p dcp-proxy --test reference` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod log_lines;
mod log_rows;
mod metrics;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Cluster, Process, command};
use dcp_proxy::vb_state::VbState;
use events::Kind;
use replica::bucket::{LinkPhase, MovePhase, StreamPhase};
use replica::link::{ReasonCode, Retry};
use replica::loops::LoopKind;
use replica::signs::Sign;

/// A generated part: its name, and its text.
type Part = (&'static str, String);

/// A table; a cell must not hold a bar.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        assert!(row.iter().all(|cell| !cell.contains('|')), "a bar in a cell: {row:?}");
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

fn signs<T: Copy>(all: &[T], sign: impl Fn(T) -> Sign) -> String {
    let rows = all.iter().map(|value| {
        let Sign { word, meaning, remedy } = sign(*value);
        [format!("`{word}`"), meaning.to_owned(), remedy.to_owned()]
    });
    table(["word", "meaning", "what to do"], rows)
}

fn of_the_code() -> Vec<Part> {
    let events = Kind::ALL
        .iter()
        .map(|kind| [format!("`{kind}`"), kind.meaning().to_owned(), kind.remedy().to_owned()]);
    let states = VbState::ALL.iter().map(|state| {
        let severity = serde_json::to_value(state.severity()).unwrap();
        [
            format!("`{}`", state.char()),
            state.word().to_owned(),
            severity.as_str().unwrap().to_owned(),
            state.meaning().to_owned(),
        ]
    });
    let lines = |rows: &[log_rows::Row]| {
        let rows = rows.iter().map(|(level, words, remedy)| {
            [format!("`{words}`"), (*level).to_owned(), (*remedy).to_owned()]
        });
        table(["the line begins with", "level", "what to do"], rows)
    };
    vec![
        ("events", table(["kind", "meaning", "what to do"], events)),
        ("reasons", signs(ReasonCode::ALL, ReasonCode::sign)),
        ("links", signs(LinkPhase::ALL, LinkPhase::sign)),
        ("streams", signs(StreamPhase::ALL, StreamPhase::sign)),
        ("vBuckets", table(["character", "word", "how bad", "meaning"], states)),
        ("moves", signs(MovePhase::ALL, MovePhase::sign)),
        ("loops", signs(LoopKind::ALL, LoopKind::sign)),
        ("retries", signs(Retry::ALL, Retry::sign)),
        ("log of the sidecar", lines(log_rows::SIDECAR)),
        ("log of a data node", lines(log_rows::NODE)),
    ]
}

/// The rows of a page of metrics. `remedies` says what to do about each, and about nothing else.
fn rows(page: &str, remedies: &[metrics::Row]) -> String {
    let comment = |word: &str| {
        let of_it = page.lines().filter_map(|line| {
            line.strip_prefix("# ")?.strip_prefix(word)?.trim_start().split_once(' ')
        });
        of_it.collect::<BTreeMap<_, _>>()
    };
    let (helps, kinds) = (comment("HELP "), comment("TYPE "));
    let mut remedies: BTreeMap<_, _> = remedies.iter().copied().collect();
    let mut missing = Vec::new();
    let mut rows = Vec::new();
    for (name, kind) in &kinds {
        let help = helps.get(name).unwrap_or_else(|| panic!("{name} has no help"));
        match remedies.remove(name) {
            Some(remedy) => rows.push([
                format!("`{name}`"),
                (*kind).to_owned(),
                help.trim_end_matches('.').to_owned(),
                remedy.to_owned(),
            ]),
            None => missing.push(*name),
        }
    }
    assert!(missing.is_empty(), "say in tests/reference/metrics.rs what to do about {missing:?}");
    assert!(remedies.is_empty(), "no page has these metrics: {:?}", remedies.keys());
    table(["metric", "kind", "meaning", "what to do"], rows)
}

fn get(url: &str) -> String {
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// The metrics of a sidecar and of a data node that run.
async fn of_processes() -> Vec<Part> {
    let cluster = Cluster::start().await;
    let line = cluster.sidecar.process.logs(&["admin API listens", "url="]).await;
    let (_, url) = line.split_once("url=").unwrap();
    let sidecar = get(&format!("{url}/metrics"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gamma.password"), "secret").unwrap();
    let mut gamma = command(folder.path(), "gamma", "active", 8, 0);
    gamma.args(["--metrics", "127.0.0.1:0"]);
    let gamma = Process::start("gamma", folder.path(), &mut gamma);
    let line = gamma.logs(&["metrics on http://"]).await;
    let (_, address) = line.split_once("http://").unwrap();
    let node = get(&format!("http://{}", address.trim_end_matches('"')));
    let both = |own: &[metrics::Row]| [own, metrics::PROCESS].concat();
    vec![
        ("metrics of the sidecar", rows(&sidecar, &both(metrics::SIDECAR))),
        ("metrics of a data node", rows(&node, &both(metrics::NODE))),
    ]
}

/// `text` with the parts in their places.
fn with(text: &str, parts: &[Part]) -> String {
    let mut text = text.to_owned();
    for (name, part) in parts {
        let (begin, end) =
            (format!("<!-- {name}: generated -->\n"), "<!-- generated until here -->");
        let from = text.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
        let to = from + text[from..].find(end).unwrap_or_else(|| panic!("no end of {name}"));
        text.replace_range(from..to, &format!("\n{part}\n"));
    }
    let marks = text.matches(": generated -->").count();
    assert_eq!(marks, parts.len(), "each generated part has its table here");
    text
}

#[tokio::test]
async fn the_tables_of_operations_are_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let parts: Vec<_> = of_the_code().into_iter().chain(of_processes().await).collect();
    let current = with(&written, &parts);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, current).unwrap();
        return;
    }
    assert!(
        written == current,
        "docs/operations.md: run UPDATE_REFERENCE=1 cargo test -p dcp-proxy --test reference"
    );
}
