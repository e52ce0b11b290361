//! The metrics for Prometheus.

use mcbp::{Opaque, StreamEndStatus, VbId};

use crate::Served;
use crate::nodes::{brisk, calm};

impl Served {
    async fn metrics(&self) -> String {
        let (head, body) = self.http.text("/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let head = head.to_lowercase();
        assert!(
            head.contains("content-type: application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        body
    }
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|it| it == line), "no line {line} in:\n{text}");
}

#[tokio::test]
async fn mb_47790_a_backfill_that_fails_during_set_up_is_counted() {
    let served = Served::start(calm()).await;
    let put = served.put(r#"{"alpha": "7"}"#);
    let mut link = served.nodes.accept().await;
    let stream = link.request().await;
    link.accept(&stream).await;
    link.end(stream.vb, stream.opaque, StreamEndStatus::BACKFILL_FAIL).await;
    assert_eq!(put.await.unwrap().status, 502);
    let text = served.metrics().await;
    let labels =
        r#"bucket="default",producer="alpha",reason="stream-end",status="BackfillFail (5)""#;
    assert_line(&text, &format!("dcp_proxy_stream_failures_total{{{labels}}} 1"));
    assert_line(&text, r#"dcp_proxy_streams_failed{bucket="default",producer="alpha"} 1"#);
}

#[tokio::test]
async fn an_open_stream_that_ends_and_a_link_that_is_lost_are_counted_apart() {
    let served = Served::start(calm()).await;
    let mut link = served.open([0, 1]).await;
    link.end(VbId(1), Opaque(2_u32.swap_bytes()), StreamEndStatus::STATE_CHANGED).await;
    served.nodes.status_until(|status| status.links[0].open == 1).await;
    drop(link);
    served.nodes.status_until(|status| status.links[0].last_error.is_some()).await;
    let text = served.metrics().await;
    let of_alpha = r#"bucket="default",producer="alpha""#;
    let ended = r#"reason="stream-end",status="StateChanged (2)""#;
    assert_line(&text, &format!("dcp_proxy_stream_failures_total{{{of_alpha},{ended}}} 1"));
    let lost = r#"reason="link-lost",status="""#;
    assert_line(&text, &format!("dcp_proxy_link_failures_total{{{of_alpha},{lost}}} 1"));
    assert_line(&text, &format!("dcp_proxy_links{{{of_alpha},phase=\"waiting\"}} 1"));
    assert_line(&text, &format!("dcp_proxy_links{{{of_alpha},phase=\"up\"}} 0"));
}

#[tokio::test]
async fn every_line_is_a_comment_or_a_sample() {
    let served = Served::start(brisk()).await;
    let _link = served.open([0, 2]).await;
    let text = served.metrics().await;
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("no labels: {line}"));
        assert!(name.starts_with("dcp_proxy_") && name.chars().all(is_in_name), "{line}");
        let (labels, value) = rest.rsplit_once("} ").unwrap_or_else(|| panic!("no value: {line}"));
        for label in labels.split(',') {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("{label}: {line}"));
            assert!(label.chars().all(is_in_name), "{line}");
            assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
        }
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_line(&text, r#"dcp_proxy_streams_wanted{bucket="default",producer="alpha"} 2"#);
    assert_line(&text, r#"dcp_proxy_streams_open{bucket="default",producer="alpha"} 2"#);
    assert_line(&text, r#"dcp_proxy_moves{bucket="default"} 0"#);
    // Nobody was asked for seqnos.
    assert_line(&text, r#"dcp_proxy_lag_unknown{bucket="default",producer="alpha"} 2"#);
    assert!(!text.contains("dcp_proxy_lag_seqnos_max{"), "{text}");
    for name in ["link_bytes_total", "link_frames_total", "node_silent_seconds"] {
        assert!(text.contains(&format!("\ndcp_proxy_{name}{{")), "no {name} in:\n{text}");
    }
}

fn is_in_name(char: char) -> bool {
    char.is_ascii_lowercase() || char == '_'
}
