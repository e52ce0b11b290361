//! `dcp-proxy map watch`: prints the maps, what sidecars report, and every change of both.

use std::collections::BTreeMap;
use std::pin::pin;

use etcdmaps::{Cluster, EtcdConfig, EtcdError, Item, Key, Keys, News, Present, Report, Store};
use replica::backoff::Backoff;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::{output, show};

/// Prints until Ctrl-C. That etcd does not answer at first is a failure; later it is waited for.
pub(super) async fn watch(
    etcd: &EtcdConfig,
    node: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let mut printer =
        Printer { keys: Keys::new(&etcd.prefix), node, json, printed: BTreeMap::new() };
    let mut stop = pin!(tokio::signal::ctrl_c());
    let (backoff, mut failures, mut has_worked) = (Backoff::default(), 0, false);
    loop {
        let begin = Instant::now();
        let failure = tokio::select! {
            _ = &mut stop => return Ok(()),
            failure = follow(etcd, &mut printer, &mut has_worked) => failure,
        };
        let Failure::Etcd(error) = failure else { return Err(failure) };
        if !has_worked {
            return Err(error.into());
        }
        if begin.elapsed() >= backoff.lasting(failures) {
            failures = 0;
        }
        output::note(&format!("{error}: trying again"))?;
        tokio::select! {
            _ = &mut stop => return Ok(()),
            () = sleep(backoff.delay(failures, fastrand::f64())) => failures += 1,
        }
    }
}

/// Prints until something fails. After a compaction it reads everything again.
async fn follow(etcd: &EtcdConfig, printer: &mut Printer<'_>, has_worked: &mut bool) -> Failure {
    let done: Result<(), Failure> = async {
        let (store, _) = Store::open(etcd).await?;
        loop {
            let present = store.everything().await?;
            let from = present.revision.saturating_add(1);
            printer.all(present)?;
            *has_worked = true;
            let mut watch = store.watch(from).await?;
            while let News::Changed(items) = watch.next().await? {
                items.into_iter().try_for_each(|item| printer.item(item))?;
            }
        }
    }
    .await;
    done.err().unwrap_or_else(|| EtcdError::All("the watch has ended".to_owned()).into())
}

/// Prints what was not printed yet.
struct Printer<'a> {
    keys: Keys,
    node: Option<&'a str>,
    json: bool,
    /// The revision that was printed last, by key; as many as etcd has.
    printed: BTreeMap<Vec<u8>, i64>,
}

impl Printer<'_> {
    fn all(&mut self, present: Present) -> Result<(), Failure> {
        let gone: Vec<_> =
            self.printed.keys().filter(|key| !present.stored.contains_key(*key)).cloned().collect();
        for key in gone {
            self.item(Item { key, value: None, revision: present.revision })?;
        }
        for (key, stored) in present.stored {
            let (value, revision) = (Some(stored.value), stored.revision);
            self.item(Item { key, value, revision })?;
        }
        Ok(())
    }

    fn item(&mut self, item: Item) -> Result<(), Failure> {
        let Item { key, value, revision } = item;
        if value.is_some() && self.printed.get(&key) == Some(&revision) {
            return Ok(());
        }
        let parsed = self.keys.parse(&key);
        match &value {
            Some(_) => _ = self.printed.insert(key.clone(), revision),
            None => _ = self.printed.remove(&key),
        }
        let of = match &parsed {
            Some(Key::Map { node, .. } | Key::Status { node, .. }) => Some(node.as_str()),
            None => None,
        };
        if self.node.is_some() && self.node != of {
            return Ok(());
        }
        let (text, json) = match parsed {
            Some(Key::Map { node, bucket }) => map(&node, &bucket, value.as_deref(), revision),
            Some(Key::Status { node, bucket }) => {
                status(&node, &bucket, value.as_deref(), revision)
            }
            None => {
                let key = String::from_utf8_lossy(&key).into_owned();
                let shown = logline::value(&key);
                let json = json!({ "kind": "unknown", "key": key, "revision": revision });
                (format!("{shown}: neither a map nor a status (revision {revision})"), json)
            }
        };
        Ok(output::text(&if self.json { json.to_string() } else { text })?)
    }
}

fn map(node: &str, bucket: &str, value: Option<&[u8]>, revision: i64) -> (String, Value) {
    let parsed = value.map(Cluster::parse_map);
    let text = match &parsed {
        None => "deleted".to_owned(),
        Some(Ok(entry)) => show::map(entry),
        Some(Err(reason)) => format!("no map: {reason}"),
    };
    let (map, reason) = match parsed {
        Some(Ok(entry)) => (Some(entry), None),
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, None),
    };
    let json = json!({
        "kind": "map", "node": node, "bucket": bucket, "revision": revision, "map": map,
        "reason": reason,
    });
    (format!("map {node}/{bucket}: {text} (revision {revision})"), json)
}

fn status(node: &str, bucket: &str, value: Option<&[u8]>, revision: i64) -> (String, Value) {
    let report = value.map(serde_json::from_slice::<Report>);
    let text = match &report {
        None => "gone: its sidecar has stopped, or cannot reach etcd".to_owned(),
        Some(Ok(report)) => show::report(report),
        Some(Err(error)) => format!("no report: {}", logline::capped(error, 200)),
    };
    let report = report.and_then(Result::ok);
    let json = json!({
        "kind": "status", "node": node, "bucket": bucket, "revision": revision, "status": report,
    });
    (format!("status {node}/{bucket}: {text}"), json)
}
