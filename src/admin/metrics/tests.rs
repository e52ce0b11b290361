//! How the links of one producer are combined. The rest is tested over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

use dcp_actors::{
    BrokenLinkStatus, BucketStatus, LinkPhase, LinkStatus, StreamPhase, StreamStatus,
};
use replica::loops::LoopKind;

use exposition::Durations;
use invariant::Place;

use super::{Format, Snapshot, text};

fn stream(vbucket: u16, lag_seqnos: Option<u64>, lag_ms: Option<u64>) -> StreamStatus {
    StreamStatus {
        rollbacks_before: None,
        complete_to: None,
        vbucket,
        phase: StreamPhase::Open,
        opaque: None,
        failures: 0,
        last_error: None,
        retry_in_ms: None,
        seqno: None,
        producer_seqno: None,
        lag_seqnos,
        lag_ms,
        lag_age_ms: None,
        not_open_ms: None,
        progress_ms: None,
        passed_seqno: None,
        passed_bytes: 0,
        passed_frames: 0,
    }
}

fn link(producer: &str, connection: u8, streams: Vec<StreamStatus>) -> LinkStatus {
    LinkStatus {
        producer: producer.to_owned(),
        connection,
        name: format!("{producer} {connection}"),
        phase: LinkPhase::Up,
        failures: 0,
        broken: None,
        last_error: None,
        retry_in_ms: None,
        stall: (connection == 1).then(|| "silent".to_owned()),
        wanted: streams.len(),
        open: streams.len(),
        bytes: 7,
        frames: 3,
        bytes_total: 1007,
        frames_total: 103,
        window_bytes: None,
        unacked_bytes: None,
        prepare_ack_us: None,
        prepare_waiting_ms: None,
        producer_silent_ms: None,
        consumer_silent_ms: None,
        streams,
    }
}

fn samples(links: Vec<LinkStatus>, metric: &str) -> Vec<String> {
    let bucket = BucketStatus {
        bucket: "default".to_owned(),
        connections: 2,
        links,
        moves: Vec::new(),
        moves_done: dcp_actors::MovesDone::default(),
        active_here: None,
        nodes: Vec::new(),
        broken: Vec::new(),
        stream_failures: Vec::new(),
        link_failures: Vec::new(),
        rolled_back: Vec::new(),
    };
    samples_of(Snapshot { buckets: vec![bucket], ..Snapshot::default() }, metric)
}

fn samples_of(page: Snapshot, metric: &str) -> Vec<String> {
    let (text, start) = (text(page, Format::OpenMetrics).unwrap(), format!("dcp_proxy_{metric}{{"));
    text.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

#[test]
fn the_lag_of_a_producer_is_that_of_all_its_links() {
    let links = || {
        let first = vec![stream(0, Some(5), Some(1500)), stream(1, None, None)];
        vec![link("alpha", 0, first), link("alpha", 1, vec![stream(2, Some(40), Some(20))])]
    };
    let alpha = |value: &str| vec![format!(r#"bucket="default",producer="alpha"}} {value}"#)];
    assert_eq!(samples(links(), "lag_seqnos"), alpha("45"));
    assert_eq!(samples(links(), "lag_seqnos_max"), alpha("40"));
    assert_eq!(samples(links(), "lag_seconds_max"), alpha("1.5"));
    assert_eq!(samples(links(), "lag_unknown"), alpha("1"));
    assert_eq!(samples(links(), "streams_open"), alpha("3"));
    assert_eq!(samples(links(), "links_stalled"), alpha("1"));
}

/// Both kinds have a sample from the start, so that an alert can be written.
#[test]
fn links_in_a_loop_are_counted_by_kind() {
    let detail = "has an open connection of this name".to_owned();
    let broken = BrokenLinkStatus { kind: LoopKind::Rival, failures: 5, since_ms: 7, detail };
    let in_loop = LinkStatus { broken: Some(broken), ..link("alpha", 1, Vec::new()) };
    let of = |kind, count| format!(r#"bucket="default",producer="alpha",kind="{kind}"}} {count}"#);
    let links = vec![link("alpha", 0, Vec::new()), in_loop];
    assert_eq!(samples(links, "links_broken"), [of("flapping", 0), of("rival", 1)]);
}

#[test]
fn a_lag_that_is_not_known_has_no_sample() {
    for metric in ["lag_seqnos", "lag_seqnos_max", "lag_seconds_max"] {
        let links = vec![link("alpha", 0, vec![stream(0, None, None)])];
        assert_eq!(samples(links, metric), Vec::<String>::new(), "{metric}");
    }
    let links = vec![link("alpha", 0, vec![stream(0, None, None), stream(1, None, None)])];
    assert_eq!(samples(links, "lag_unknown"), [r#"bucket="default",producer="alpha"} 2"#]);
}

#[test]
fn each_link_has_its_own_traffic_since_the_start() {
    let links = vec![link("alpha", 0, Vec::new()), link("gamma", 0, Vec::new())];
    let of =
        |producer| format!(r#"bucket="default",producer="{producer}",link="{producer} 0"}} 1007"#);
    assert_eq!(samples(links, "link_bytes_total"), [of("alpha"), of("gamma")]);
}

#[test]
fn a_broken_invariant_is_counted_by_its_place() {
    let place = Place { file: "src/a.rs", line: 7 };
    let page = Snapshot { broken: vec![(place, 3)], ..Snapshot::default() };
    assert_eq!(samples_of(page, "invariants_broken_total"), [r#"place="src/a.rs:7"} 3"#]);
}

/// The page of a sidecar that has just started.
fn first_page(format: Format) -> String {
    let timings = Durations::default().read();
    let page = Snapshot {
        expected: vec![("default".to_owned(), "alpha".to_owned())],
        timings: vec![("default".to_owned(), std::array::from_fn(|_| timings.clone()))],
        ..Snapshot::default()
    };
    text(page, format).unwrap()
}

#[test]
fn series_exist_from_the_start_with_0() {
    let page = first_page(Format::Classic);
    let of_alpha = r#"bucket="default",producer="alpha""#;
    for line in [
        "dcp_proxy_ready 0".to_owned(),
        format!("dcp_proxy_streams_open{{{of_alpha}}} 0"),
        format!("dcp_proxy_links{{{of_alpha},phase=\"up\"}} 0"),
        format!(
            "dcp_proxy_stream_failures_total{{{of_alpha},reason=\"stream-end\",\
             status=\"BackfillFail (5)\"}} 0"
        ),
        format!(
            "dcp_proxy_link_failures_total{{{of_alpha},reason=\"refused\",side=\"producer\",\
             status=\"AuthError (0x20)\"}} 0"
        ),
        format!(
            "dcp_proxy_link_failures_total{{{of_alpha},reason=\"link-lost\",side=\"consumer\",\
             status=\"\"}} 0"
        ),
        "dcp_proxy_takeover_seconds_count{bucket=\"default\"} 0".to_owned(),
    ] {
        assert!(page.lines().any(|it| it == line), "no {line} in:\n{page}");
    }
}

#[test]
fn names_and_comments_keep_the_rules_of_prometheus() {
    let page = first_page(Format::Classic);
    let mut kinds = std::collections::BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# ")) {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        let (name, kind) = (words[1], words[2]);
        if words[0] == "TYPE" {
            assert!(kinds.insert(name, kind).is_none(), "twice: {name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} {kind}");
            let reserved = ["_count", "_sum", "_bucket", "_info"];
            let is_info = name.ends_with("_build_info");
            assert!(is_info || !reserved.iter().any(|end| name.ends_with(end)), "{name}");
            for word in ["gauge", "counter", "histogram", "milliseconds", "ms", "kib"] {
                assert!(!name.split('_').any(|part| part == word), "{name}");
            }
        } else {
            assert!(words[0] == "HELP" && !kind.is_empty(), "{line}");
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series.to_owned()), "twice: {series}");
        let name = series.split('{').next().unwrap();
        let ends = ["_count", "_sum", "_bucket"];
        let family = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(kinds.contains_key(name) || kinds.contains_key(family), "{name}");
    }
}

/// Who watches a sidecar finds there what each metric shows when its source is silent.
#[test]
fn every_metric_is_in_the_table_of_silent_sources() {
    let table = include_str!("../../../docs/operations.md");
    let page = first_page(Format::Classic);
    let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in names.filter_map(|line| line.split(' ').next()) {
        let is_there = name.starts_with("process_") || table.contains(&format!("`{name}`"));
        assert!(is_there, "{name} is not in docs/operations.md");
    }
}
