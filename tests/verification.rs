//! The sidecar finds copies that differ at equal seqnos by itself, and makes them anew on request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{
    Config, Damaging, DataNode, Process, Sidecar, converge, nodes, page, post, scrape, until,
};
use mcbp::{VbId, VbState};
use serde_json::Value;
use tempfile::TempDir;

/// Both nodes, a sidecar between them, and a wire that changes what alpha sends first.
struct Pair {
    alpha: DataNode,
    beta: DataNode,
    wire: Damaging,
    sidecar: Sidecar,
    address: String,
    // Dropped last, because the processes use it.
    _folder: TempDir,
}

/// A flipped bit in a value, and one in a key: one document that differs, one that is missing, and
/// one that nobody has written.
const CHANGES: [(&str, &str); 2] =
    [("value-to-be-damaged", "value-to-be-damageD"), ("key-to-be-lost", "key-to-be-losT")];

impl Pair {
    async fn start(verify: &str, changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (alpha, beta) = nodes(&folder).await;
        let wire = Damaging::start(alpha.address(), changes).await;
        let mut producer = alpha.endpoint();
        producer.address = wire.address().to_string();
        let lines = format!("lag_interval_ms = 200\n[verify]\n{verify}");
        let config = Config::new(&beta.endpoint(), &producer, "0-7").limits(&lines);
        let sidecar = Sidecar::start(folder.path(), &config);
        let line = sidecar.process.logs(&["admin API listens", "url="]).await;
        let address = line.split_once("url=http://").unwrap().1.to_owned();
        Self { alpha, beta, wire, sidecar, address, _folder: folder }
    }

    /// Writes documents, and waits until beta has as many changes as alpha.
    async fn fill(&self) {
        let mut documents = self.alpha.documents().await;
        for number in 0..40 {
            documents.set(&format!("key-{number}"), "value").await;
        }
        documents.set("damaged", "value-to-be-damaged").await;
        documents.set("key-to-be-lost", "value").await;
        let (mut left, mut right) = (self.alpha.client().await, self.beta.client().await);
        until("seqnos are equal", async || {
            let seqnos = left.get_all_vb_seqnos().await.unwrap();
            (seqnos == right.get_all_vb_seqnos().await.unwrap()).then_some(())
        })
        .await;
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&page(&self.address, path)).unwrap()
    }

    /// The sample of a metric that has these words.
    fn metric(&self, words: &[&str]) -> Option<f64> {
        let page = scrape(&self.address);
        let mut lines = page.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| words.iter().all(|word| line.contains(word)))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn problem(&self, id: &str) -> Option<Value> {
        let overview = self.json("/api/v1/overview");
        overview["problems"].as_array()?.iter().find(|it| it["id"] == id).cloned()
    }

    async fn ask(&self, arguments: &[&str]) -> (i32, Process) {
        let mut asked = self.sidecar.ask(arguments).await;
        (asked.exit_code().await, asked)
    }

    /// The vBuckets of the documents that are damaged.
    async fn damaged(&self) -> Vec<u64> {
        let documents = self.alpha.documents().await;
        let mut vbs = ["damaged", "key-to-be-lost"].map(|key| u64::from(documents.vb(key).0));
        vbs.sort_unstable();
        vbs.to_vec()
    }
}

#[tokio::test]
async fn the_sidecar_finds_damaged_copies_by_itself_and_a_repair_mends_them() {
    let pair = Pair::start("interval_s = 1", &CHANGES).await;
    pair.fill().await;
    assert!(pair.wire.is_done(), "both texts were damaged on their way");
    until("the scheduled comparison has found them", async || {
        (pair.metric(&["dcp_proxy_verify_differing_vbuckets{"]) == Some(2.0)).then_some(())
    })
    .await;
    for (class, count) in [("value", 1.0), ("missing", 1.0), ("extra", 1.0), ("cas", 0.0)] {
        let label = format!("class=\"{class}\"");
        assert_eq!(pair.metric(&["dcp_proxy_verify_differences{", &label]), Some(count), "{class}");
    }
    let problem = pair.problem("copies-differ").expect("a problem");
    let set = pair.damaged().await.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let contiguous = set.replace(',', "-");
    let vbuckets = problem["vbuckets"].as_str().unwrap();
    assert!(vbuckets == set || vbuckets == contiguous, "{problem}");
    let what = problem["what"].as_str().unwrap();
    assert!(what.contains("between producer alpha and our node beta: 1 missing, 1 extra, 1 value"));
    let remedy = problem["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("dcp-proxy verify --repair default --config "), "{remedy}");
    pair.sidecar.process.logs(&["ERROR", "copies differ from their producer"]).await;
    let (_, events) = pair.ask(&["events", "--kind", "copies-differ"]).await;
    assert!(events.out().contains("2 vBuckets differ from alpha"), "{}", events.out());
    let (_, status) = pair.ask(&["status"]).await;
    assert!(status.out().contains("2 DIFFER"), "{}", status.out());

    let (code, asked) = pair.ask(&["verify", "default", "--repair"]).await;
    assert_eq!(code, 2, "nobody can be asked: {}", asked.log());
    assert!(asked.log().contains("2 vBuckets of default would be emptied"), "{}", asked.log());
    assert!(asked.log().contains("give --yes"), "{}", asked.log());
    let (code, asked) = pair.ask(&["verify", "default", "--repair", "--yes"]).await;
    assert_eq!(code, 0, "{}{}", asked.out(), asked.log());
    assert!(asked.out().contains("2 vBuckets of default: identical"), "{}", asked.out());
    converge(&pair.alpha, &pair.beta).await;
    until("the problem is gone", async || pair.problem("copies-differ").is_none().then_some(()))
        .await;
    let (_, events) = pair.ask(&["events", "--kind", "copies-agree,copies-renewed"]).await;
    assert!(events.out().contains("copies are made anew"), "{}", events.out());
    assert!(events.out().contains("are identical"), "{}", events.out());
    assert_eq!(pair.problem("rolled-back"), None, "the producer lacks nothing");
}

#[tokio::test]
async fn without_an_interval_copies_are_compared_on_request_only() {
    let pair = Pair::start("", &CHANGES).await;
    pair.fill().await;
    let (code, asked) = pair.ask(&["verify", "default", "--in-sidecar", "--json"]).await;
    assert_eq!(code, 1, "{}", asked.log());
    let answer: Value = serde_json::from_str(&asked.out()).unwrap();
    assert_eq!((&answer["compared"], &answer["identical"]), (&"0-7".into(), &false.into()));
    assert_eq!(answer["differences"]["value"], 1, "{answer}");
    let known = pair.json("/api/v1/verify");
    assert_eq!(known["interval_s"], 0);
    assert_eq!(known["targets"][0]["last"]["vbuckets"], 8);
    assert_eq!(known["targets"][0]["next"], Value::Null);
    assert_eq!(pair.metric(&["dcp_proxy_verify_runs_total{", "different"]), Some(1.0));
    let damaged = pair.damaged().await;
    let one = (0..8).find(|vb| !damaged.contains(vb)).unwrap().to_string();
    let (code, asked) = pair.ask(&["verify", "default", "--in-sidecar", "--vb", &one]).await;
    assert_eq!(code, 0, "{} {}", asked.out(), asked.log());
    let (code, asked) = pair.ask(&["verify", "other", "--in-sidecar"]).await;
    assert_eq!(code, 2, "{}", asked.log());
}

#[tokio::test]
async fn writes_during_comparisons_are_no_differences() {
    let pair = Pair::start("interval_s = 1", &[]).await;
    pair.fill().await;
    let mut documents = pair.alpha.documents().await;
    let mut number = 0_u32;
    until("comparisons have ended while documents were written", async || {
        for _ in 0..20 {
            number += 1;
            let key = format!("key-{}", number % 50);
            if number.is_multiple_of(7) {
                _ = documents.try_delete(&key).await
            } else {
                documents.set(&key, "new").await
            }
        }
        (pair.metric(&["dcp_proxy_verify_runs_total{", "identical"]) >= Some(3.0)).then_some(())
    })
    .await;
    assert_eq!(pair.metric(&["dcp_proxy_verify_runs_total{", "different"]), Some(0.0));
    assert_eq!(pair.metric(&["dcp_proxy_verify_differing_vbuckets{"]), Some(0.0));
}

#[tokio::test]
async fn a_comparison_waits_while_its_producer_is_away_and_no_replication_is_disturbed() {
    let mut pair = Pair::start("interval_s = 1", &[]).await;
    pair.fill().await;
    until("one has ended", async || {
        (pair.metric(&["dcp_proxy_verify_runs_total{", "identical"]) >= Some(1.0)).then_some(())
    })
    .await;
    pair.alpha.stop().await;
    until("the next one waits", async || {
        let held = pair.json("/api/v1/verify")["targets"][0]["current"]["held"].clone();
        (held == "a link to the producer is not open").then_some(())
    })
    .await;
    let before = pair.metric(&["dcp_proxy_verify_runs_total{", "identical"]).unwrap();
    pair.alpha.restart().await;
    until("it goes on", async || {
        (pair.metric(&["dcp_proxy_verify_runs_total{", "identical"]) > Some(before)).then_some(())
    })
    .await;
    assert_eq!(pair.metric(&["dcp_proxy_verify_differing_vbuckets{"]), Some(0.0));
    pair.sidecar.stop().await;
    let log = pair.sidecar.process.log();
    assert!(!log.contains("rival"), "its connections are no rivals: {log}");
}

#[tokio::test]
async fn copies_of_vbuckets_that_are_active_here_are_not_made_anew() {
    let pair = Pair::start("", &[]).await;
    pair.fill().await;
    let mut client = pair.beta.client().await;
    client.set_vbucket(VbId(3), VbState::Active).await.unwrap();
    let streams = async || {
        let all = pair.json("/api/v1/replications");
        let streams = all["buckets"][0]["active_here"].clone();
        (streams == "3").then_some(())
    };
    until("the sidecar knows it", streams).await;
    let token = pair.sidecar.token().unwrap();
    let path = "/api/v1/buckets/default/renew";
    let text = post(&pair.address, path, &token, "{\"vbuckets\": \"3\"}");
    assert!(text.contains("vBucket 3 of bucket default is active at beta"), "{text}");
}

#[tokio::test]
async fn a_copy_whose_producer_no_longer_has_the_vbucket_keeps_its_documents() {
    let pair = Pair::start("", &CHANGES).await;
    pair.fill().await;
    let (code, asked) = pair.ask(&["verify", "default", "--in-sidecar"]).await;
    assert_eq!(code, 1, "they differ: {}", asked.log());
    let damaged = pair.damaged().await;
    let mut beta = pair.beta.client().await;
    let before = beta.get_all_vb_seqnos().await.unwrap();
    let mut alpha = pair.alpha.client().await;
    for &vb in &damaged {
        alpha.set_vbucket(VbId(u16::try_from(vb).unwrap()), VbState::Dead).await.unwrap();
    }
    until("their streams have ended", async || {
        let all = pair.json("/api/v1/verify");
        let renewed = pair.json("/api/v1/replications").to_string();
        (all.is_object() && renewed.matches("\"waiting\"").count() >= damaged.len()).then_some(())
    })
    .await;
    let token = pair.sidecar.token().unwrap();
    let body = format!("{{\"vbuckets\": \"{}\"}}", damaged[0]);
    let text = post(&pair.address, "/api/v1/buckets/default/renew", &token, &body);
    assert!(text.contains("no copy was emptied"), "{text}");
    assert_eq!(beta.get_all_vb_seqnos().await.unwrap(), before, "the copies keep what they have");
}
