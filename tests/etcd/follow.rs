//! Maps are followed through nonsense, kills, compactions and frozen members.

use std::time::Duration;

use etcdmaps::{Connection, News, Store, Update};
use tokio::time::timeout;

use super::common::Etcd;
use super::{KEY, Sidecar, config, known};

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_followed_and_nonsense_is_refused() {
    let Some(etcd) = Etcd::start().await else { return };
    let first = etcd.put(KEY, r#"{"alpha":"0-5"}"#);
    etcd.put("/t/maps/beta2/default", r#"{"alpha":"9"}"#);
    let mut sidecar = Sidecar::start(config(&[etcd.endpoint()]));
    assert!(matches!(&sidecar.next().await, Update::Map { revision, .. } if *revision == first));
    let connected = Update::Connection(Connection::Connected { endpoint: etcd.endpoint() });
    assert_eq!(sidecar.next().await, connected);
    let at = etcd.put(KEY, r#"{"replicate":{"alpha":"0-6"},"connections":4}"#);
    assert_eq!(sidecar.until_map(at).await, "0-6");
    for (value, why) in [
        (r#"{"gamma":"1"}"#, "unknown producer \"gamma\": give one of alpha"),
        ("no json", "expected ident"),
        (r#"{"alpha":"1024"}"#, "producer \"alpha\": vbucket 1024 is out of range"),
        (r#"{"alpha":"1,1"}"#, "producer \"alpha\": vbucket 1 is named twice"),
        (&"x".repeat(70_000), "70000 bytes are too many"),
    ] {
        let written = etcd.put(KEY, value);
        match sidecar.next().await {
            Update::Refused { bucket, key, value, reason, revision } => {
                assert_eq!((bucket.as_str(), key.as_str(), revision), ("default", KEY, written));
                assert!(reason.starts_with(why), "{reason}");
                assert!(value.len() < 200, "{value}");
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    etcd.put("/t/maps/beta/nobody", "{}");
    let refused = sidecar.next().await;
    assert!(matches!(&refused, Update::Refused { bucket, .. } if bucket == "nobody"));
    etcd.delete(KEY);
    let missing = Update::Missing { bucket: "default".to_owned(), key: KEY.to_owned() };
    assert_eq!(sidecar.next().await, missing);
    sidecar.maps.set_known(known(&["default", "nobody"]));
    assert!(matches!(&sidecar.next().await, Update::Map { bucket, .. } if bucket == "nobody"));
    sidecar.maps.stop().await;
    assert!(sidecar.updates.recv().await.is_none(), "it has stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_missed_where_etcd_is_killed_restarted_and_compacted() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let mut sidecar = Sidecar::start(config(&[etcd.endpoint()]));
    sidecar.until_connected().await;
    let mut since = 0;
    for round in 0..5 {
        let at = etcd.put(KEY, &format!(r#"{{"alpha":"{round}"}}"#));
        assert_eq!(sidecar.until_map(at).await, round.to_string());
        etcd.kill();
        let (since_ms, error) = sidecar.until_away().await;
        assert!(since_ms > since, "it says since when");
        assert!(error.contains(&etcd.endpoint()), "the error names the member: {error}");
        since = since_ms;
        etcd.restart().await;
        // Changed and compacted before the sidecar is back, or just after.
        let mut last = 0;
        for step in 0..20 {
            last = etcd.put(KEY, &format!(r#"{{"alpha":"{}"}}"#, 100 * round + step));
        }
        etcd.compact(last);
        assert_eq!(sidecar.until_map(last).await, (100 * round + 19).to_string());
    }
    sidecar.maps.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_a_compaction_overtakes_goes_on_without_a_gap() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut sidecar = Sidecar::start(config(&[etcd.endpoint()]));
    sidecar.until_connected().await;
    let mut last = 0;
    for round in 0..300 {
        last = etcd.put(KEY, &format!(r#"{{"alpha":"{}"}}"#, round % 1024));
        etcd.compact(last);
    }
    assert_eq!(sidecar.until_map(last).await, "299");
    sidecar.maps.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_frozen_is_left_for_another() {
    let Some(first) = Etcd::start().await else { return };
    let Some(second) = Etcd::start().await else { return };
    // Two clusters stand for two members, so that the values say which one is in use.
    let there = [first.put(KEY, r#"{"alpha":"1"}"#), second.put(KEY, r#"{"alpha":"2"}"#)];
    let mut sidecar = Sidecar::start(config(&[first.endpoint(), second.endpoint()]));
    let seen = sidecar.until_connected().await;
    let Some(Update::Connection(Connection::Connected { endpoint })) = seen.last() else {
        panic!("not connected: {seen:?}")
    };
    let is_first = *endpoint == first.endpoint();
    let (used, other) = if is_first { (&first, "2") } else { (&second, "1") };
    used.freeze();
    let (_, error) = sidecar.until_away().await;
    assert!(error.contains(&used.endpoint()), "{error}");
    let seen = sidecar.until_connected().await;
    let map = |it: &Update| match it {
        Update::Map { entry, .. } => Some(entry.replicate.producers()["alpha"].to_string()),
        _ => None,
    };
    assert_eq!(seen.iter().rev().find_map(map).as_deref(), Some(other), "{there:?} {seen:?}");
    used.thaw();
    sidecar.maps.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_none_is_an_error_that_names_it() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), closed] {
        let mut sidecar = Sidecar::start(config(&[address.to_string()]));
        let (_, error) = sidecar.until_away().await;
        assert!(error.contains(&address.to_string()), "{error}");
        timeout(Duration::from_secs(4), sidecar.maps.stop()).await.expect("it stops soon");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_before_a_compaction_says_so() {
    let Some(etcd) = Etcd::start().await else { return };
    let first = etcd.put(KEY, "{}");
    let last = etcd.put(KEY, "{}");
    let (store, present) = Store::open(&config(&[etcd.endpoint()])).await.unwrap();
    assert_eq!(present.revision, last);
    let mut watch = store.watch(first).await.unwrap();
    assert!(matches!(watch.next().await.unwrap(), News::Changed(_)));
    etcd.compact(last);
    let mut watch = store.watch(first).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), News::Compacted);
    let mut watch = store.watch(last).await.unwrap();
    assert!(matches!(watch.next().await.unwrap(), News::Changed(_)));
}
