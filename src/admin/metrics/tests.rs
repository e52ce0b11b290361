//! How the links of one producer are combined. The rest is tested over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, StreamPhase, StreamStatus};

use invariant::Place;

use super::{Snapshot, text};

fn stream(vbucket: u16, lag_seqnos: Option<u64>, lag_ms: Option<u64>) -> StreamStatus {
    StreamStatus {
        rollbacks_before: None,
        complete_to: None,
        vbucket,
        phase: StreamPhase::Open,
        opaque: None,
        failures: 0,
        last_error: None,
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
        last_error: None,
        stall: (connection == 1).then(|| "silent".to_owned()),
        wanted: streams.len(),
        open: streams.len(),
        bytes: 7,
        frames: 3,
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
        nodes: Vec::new(),
        broken: Vec::new(),
        stream_failures: Vec::new(),
        link_failures: Vec::new(),
    };
    samples_of(Snapshot { buckets: vec![bucket], ..Snapshot::default() }, metric)
}

fn samples_of(page: Snapshot, metric: &str) -> Vec<String> {
    let (text, start) = (text(page).unwrap(), format!("dcp_proxy_{metric}{{"));
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
fn each_link_has_its_own_traffic() {
    let links = vec![link("alpha", 0, Vec::new()), link("gamma", 0, Vec::new())];
    let of =
        |producer| format!(r#"bucket="default",producer="{producer}",link="{producer} 0"}} 7"#);
    assert_eq!(samples(links, "link_bytes_total"), [of("alpha"), of("gamma")]);
}

#[test]
fn a_broken_invariant_is_counted_by_its_place() {
    let place = Place { file: "src/a.rs", line: 7 };
    let page = Snapshot { broken: vec![(place, 3)], ..Snapshot::default() };
    assert_eq!(samples_of(page, "invariants_broken_total"), [r#"place="src/a.rs:7"} 3"#]);
}
