//! The metrics for Prometheus.

use mcbp::{Opaque, StreamEndStatus, VbId};

use crate::Served;
use crate::nodes::{brisk, calm};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

impl Served {
    async fn metrics(&self) -> String {
        let (head, body) = self.http.text_as("/metrics", &[("Accept", OPEN_METRICS)]).await;
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
    // Both connections are lost at once; the side is the one that was noticed first.
    let lost = ["producer", "consumer"].map(|side| {
        let reason = format!("reason=\"link-lost\",side=\"{side}\",status=\"\"");
        format!("dcp_proxy_link_failures_total{{{of_alpha},{reason}}} 1")
    });
    assert!(text.lines().any(|line| lost.iter().any(|lost| lost == line)), "{text}");
    assert_line(&text, &format!("dcp_proxy_links{{{of_alpha},phase=\"waiting\"}} 1"));
    assert_line(&text, &format!("dcp_proxy_links{{{of_alpha},phase=\"up\"}} 0"));
}

#[tokio::test]
async fn every_line_is_a_comment_or_a_sample() {
    let served = Served::start(brisk()).await;
    let _link = served.open([0, 2]).await;
    let text = served.metrics().await;
    let alone = [
        "process_",
        "dcp_proxy_ready ",
        "dcp_proxy_event_followers ",
        "dcp_proxy_config_last_reload_success",
        "dcp_proxy_desired_source_connected ",
        "dcp_proxy_state_written ",
        "dcp_proxy_verify_interval_seconds ",
    ];
    let of_process = |line: &str| alone.iter().any(|name| line.starts_with(name));
    for line in text.lines().filter(|line| !line.starts_with("# ") && !of_process(line)) {
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

#[tokio::test]
async fn the_page_comes_in_the_format_that_was_asked_for() {
    let served = Served::start(calm()).await;
    for accept in ["*/*", "text/plain;version=0.0.4", "application/json"] {
        let (head, page) = served.http.text_as("/metrics", &[("Accept", accept)]).await;
        let head = head.to_lowercase();
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{accept}: {head}");
        assert!(page.contains("\n# TYPE dcp_proxy_link_failures_total counter\n"), "{page}");
        assert!(!page.contains("# EOF"), "{page}");
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is() {
    let served = Served::start(calm()).await;
    for path in ["/live", "/ready", "/metrics", "/config", "/api/v1/status", "/log-level"] {
        let head = served.http.head(path).await;
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head}");
        assert!(head.contains("content-length: ") && !head.contains("content-length: 0"), "{head}");
    }
    assert!(served.http.head("/nothing").await.starts_with("http/1.1 404 "));
    assert!(served.http.head("/shutdown").await.starts_with("http/1.1 405 "));
    assert!(!served.stop.is_cancelled());
}

/// What `promtool check metrics` says of the page of a sidecar with an open link.
#[tokio::test]
async fn promtool_finds_nothing() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let served = Served::start(brisk()).await;
    let _link = served.open([0, 2]).await;
    let (_, page) = served.http.text("/metrics").await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = promtool.stderr(Stdio::piped()).spawn() else {
        eprintln!("skipped: promtool is not installed (apt-get install prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// The value of the only sample of a metric.
#[track_caller]
fn value(page: &str, name: &str) -> u64 {
    let mut lines = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let line = lines.next().unwrap_or_else(|| panic!("no {name} in:\n{page}"));
    line.rsplit_once("} ").unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn bytes_go_on_over_reconnects_and_each_set_up_is_timed() {
    let served = Served::start(brisk()).await;
    let link = served.open([0, 1]).await;
    let before = served.metrics().await;
    let bytes = value(&before, "dcp_proxy_link_bytes_total");
    assert!(bytes > 0, "the answers to two STREAM_REQs");
    drop(link);
    let mut link = served.nodes.accept().await;
    for stream in link.requests::<2>().await {
        link.open(&stream).await;
    }
    served.nodes.status_until(|status| status.links[0].open == 2).await;
    let after = served.metrics().await;
    assert!(value(&after, "dcp_proxy_link_bytes_total") >= 2 * bytes, "{after}");
    let frames = |page: &str| value(page, "dcp_proxy_link_frames_total");
    assert!(frames(&after) > frames(&before), "{after}");
    for name in ["dcp_proxy_link_setup_seconds_count", "dcp_proxy_stream_setup_seconds_count"] {
        assert_eq!((value(&before, name), value(&after, name)), (1, 2), "{name}");
    }
}
