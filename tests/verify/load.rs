//! Nodes that are written to, expire, delete and compact while they are compared again and again.

use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, VbId};
use relay::{Endpoint, Fault, LinkError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::common::{Cluster, DataNode, Documents, connect};
use super::{compare, number_of};

const VBUCKETS: u16 = 8;
/// Few, so that a comparison meets changes of keys that it compares.
const KEYS: u32 = 300;
/// How often deletions are dropped.
const COMPACT_EVERY: Duration = Duration::from_millis(300);

/// `VERIFY_LOAD_SECONDS=3600` for an hour.
#[tokio::test(flavor = "multi_thread")]
async fn constant_writes_expiry_deletions_and_compaction_lead_to_no_difference() {
    let lasts = Duration::from_secs(number_of("VERIFY_LOAD_SECONDS", 4));
    let cluster = Cluster::with(VBUCKETS).await;
    cluster.fill().await;
    cluster.converge().await;
    let stop = CancellationToken::new();
    let mut tasks = Vec::new();
    for seed in 0..3 {
        tasks.push(tokio::spawn(write(cluster.alpha.endpoint(), seed, stop.clone())));
    }
    for node in [&cluster.alpha, &cluster.beta] {
        tasks.push(tokio::spawn(compact(node.client().await, stop.clone())));
    }
    let tasks: Vec<_> = tasks.into_iter().map(AbortOnDropHandle::new).collect();
    let (started, mut rounds, mut rows) = (Instant::now(), 0, 0);
    while started.elapsed() < lasts || rounds < 3 {
        let (verified, found) = compare(&cluster.alpha, &cluster.beta).await;
        assert!(verified.is_identical(), "in round {rounds}: {verified:?} {found:#?}");
        assert!(!tasks.iter().any(|task| task.is_finished()), "nothing writes in round {rounds}");
        (rounds, rows) = (rounds + 1, rows + verified.rows);
    }
    stop.cancel();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    assert!(rows > 0 && done > 100, "{rounds} comparisons of {rows} keys beside {done} changes");
    println!("{rounds} comparisons of {rows} keys beside {done} changes");
}

/// Overwrites, deletes, and writes what expires at once, until it is stopped.
async fn write(node: Endpoint, seed: u64, stop: CancellationToken) -> u64 {
    let (mut random, mut count) = (fastrand::Rng::with_seed(seed), 0);
    let mut connection = None;
    while !stop.is_cancelled() {
        let done = match &mut connection {
            Some(documents) => change(documents, &mut random).await,
            none => connect(&node).await.map(|it| *none = Some(Documents::new(it, VBUCKETS))),
        };
        match done {
            Ok(()) => count += 1,
            Err(LinkError { fault: Fault::Refused { .. }, .. }) => {}
            // A machine that is busy with other things may be too slow for an answer, which then
            // comes when nobody waits for it.
            Err(LinkError { fault: Fault::TimedOut { .. }, .. }) => connection = None,
            Err(error) => panic!("{error}"),
        }
    }
    count
}

async fn change(documents: &mut Documents, random: &mut fastrand::Rng) -> Result<(), LinkError> {
    let key = format!("hot-{}", random.u32(..KEYS));
    match random.u8(..10) {
        0..6 => documents.try_set(&key, &random.u64(..).to_string()).await,
        6 => documents.try_set_for(&key, "short", 1).await,
        // Reading it expires what is over.
        7 => documents.read(&key).await,
        _ => documents.try_delete(&key).await,
    }
}

async fn compact(mut client: relay::Client, stop: CancellationToken) -> u64 {
    let mut tick = tokio::time::interval(COMPACT_EVERY);
    let mut count = 0;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        for vb in (0..VBUCKETS).map(VbId) {
            let mut extras = [0; 24];
            extras[16] = 1;
            let request = FrameBuilder::request(Opcode::COMPACT_DB).vbucket(vb).extras(&extras);
            count += u64::from(client.ask(request).await.is_ok());
        }
    }
    count
}

#[tokio::test]
async fn a_node_that_gets_nothing_any_more_is_behind() {
    let mut cluster = Cluster::with(VBUCKETS).await;
    cluster.fill().await;
    cluster.converge().await;
    cluster.sidecar.process.signal("TERM");
    assert_eq!(cluster.sidecar.process.exit_code().await, 0);
    cluster.alpha.documents().await.set("late", "1").await;
    let vb = cluster.alpha.documents().await.vb("late");
    let found = behind(&cluster.alpha, &cluster.beta).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("{vb}: beta is behind: it has seqno ")), "{found:?}");
}

async fn behind(a: &DataNode, b: &DataNode) -> Vec<String> {
    use dcp_proxy::verify::{Class, Difference, Progress, Verify, verify};
    let vbs = (0..a.vbuckets).map(VbId).collect();
    let what = Verify {
        patience: Duration::from_millis(300),
        ..Verify::new(a.endpoint(), b.endpoint(), "default".to_owned(), vbs, "test".to_owned())
    };
    let (mut found, stop) = (Vec::new(), CancellationToken::new());
    let mut each = |difference: Difference| {
        assert_eq!(difference.class, Class::Behind, "{difference}");
        found.push(difference.to_string());
    };
    let verified = verify(&what, &Progress::default(), &mut each, &stop).await.unwrap();
    assert!(!verified.is_identical() && !verified.is_interrupted());
    found
}
