//! `dcp-proxy map put`: writes the maps of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use etcdmaps::{
    Batch, CLUSTER_BYTES_MAX, Change, Cluster, EtcdConfig, EtcdError, Keys, Present, Store,
    Written, batches, changes,
};
use serde_json::json;

use super::failure::Failure;
use super::{output, show};

/// How maps are written.
#[derive(Clone, Copy, Default)]
pub(super) struct How {
    /// Only show what changes.
    pub(super) dry_run: bool,
    /// Delete maps that the file does not name.
    pub(super) prune: bool,
    /// Only if no map is newer.
    pub(super) if_revision: Option<i64>,
}

/// Writes the maps of `file`; `-` is standard input.
pub(super) async fn put(
    etcd: &EtcdConfig,
    file: &Path,
    how: How,
    json: bool,
) -> Result<(), Failure> {
    let name =
        if file == Path::new("-") { "standard input".into() } else { file.to_string_lossy() };
    let text = read(file).map_err(|error| Failure::Wrong(format!("{name}: {error}")))?;
    let wanted = parsed(&name, &text)?;
    let warnings = wanted.warnings();
    if !json {
        warnings.iter().try_for_each(|it| output::note(&format!("warning: {it}")))?;
    }
    let (store, present) = Store::open(etcd).await?;
    if let Some(limit) = how.if_revision {
        not_newer(&present, limit)?;
    }
    let planned = changes(&wanted, &present, store.keys(), how.prune);
    let others = if how.prune { Vec::new() } else { others(&wanted, &present, store.keys()) };
    if !json {
        planned.iter().try_for_each(|it| output::text(&show::change(it)))?;
        for (node, bucket) in &others {
            let text = "is in etcd and not in the file: stays (--prune deletes it)";
            output::text(&format!("{node}/{bucket}: {text}"))?;
        }
    }
    let count = planned.len();
    let shown: Vec<_> = planned.iter().map(show::change_json).collect();
    let revision = match how.dry_run {
        true => present.revision,
        false => write(&store, planned).await?.unwrap_or(present.revision),
    };
    if json {
        let stays = others.iter().map(|it| json!({ "node": it.0, "bucket": it.1 }));
        return Ok(output::json(&json!({
            "dry_run": how.dry_run, "revision": revision, "changes": shown, "warnings": warnings,
            "stays": stays.collect::<Vec<_>>(),
        }))?);
    }
    let text = match (count, how.dry_run) {
        (0, _) => format!("nothing to change at revision {revision}"),
        (_, true) => format!("{} would be written over revision {revision}", show::count(count)),
        (_, false) => format!("{} written at revision {revision}", show::count(count)),
    };
    Ok(output::text(&text)?)
}

/// The nodes and buckets whose maps the file does not name.
fn others(wanted: &Cluster, present: &Present, keys: &Keys) -> Vec<(String, String)> {
    let (kept, _) = present.read(keys);
    kept.maps.into_keys().filter(|name| !wanted.maps.contains_key(name)).collect()
}

/// Reads a whole file, which is not longer than a cluster needs.
fn read(file: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut text = Vec::new();
    // One byte more, so that a file that is too long is refused and not cut.
    let limit = u64::try_from(CLUSTER_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut text)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Checks the text of a file; each problem is a line.
pub(super) fn parsed(name: &str, text: &[u8]) -> Result<Cluster, Failure> {
    Cluster::parse(text).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("{name}: {problem}")).collect();
        Failure::Wrong(lines.join("\n"))
    })
}

fn not_newer(present: &Present, limit: i64) -> Result<(), Failure> {
    let newer = present.stored.iter().find(|(_, stored)| stored.revision > limit);
    let Some((key, stored)) = newer else { return Ok(()) };
    let key = logline::value(String::from_utf8_lossy(key));
    Err(Failure::Failed(format!(
        "{key} was changed at revision {}, after --if-revision {limit}: nothing was written; look \
         at it with map get",
        stored.revision
    )))
}

/// Writes changes, and returns the last revision, if there is any. Where a key was changed in the
/// meantime, the transactions before it have been written.
pub(super) async fn write(store: &Store, planned: Vec<Change>) -> Result<Option<i64>, Failure> {
    let all = batches(planned);
    let count = all.len();
    if count > 1 {
        let keys: usize = all.iter().map(|batch| batch.changes.len()).sum();
        output::note(&format!(
            "{keys} maps are too many for one transaction of etcd: written in {count}, one after \
             the other"
        ))?;
    }
    let mut last = None;
    for (at, batch) in all.iter().enumerate() {
        match store.write(batch).await {
            Ok(Written::At(revision)) => last = Some(revision),
            Ok(Written::Conflict) => return Err(conflict(at, count, batch)),
            Err(error) => return Err(unclear(at, count, &error)),
        }
    }
    Ok(last)
}

fn conflict(at: usize, count: usize, batch: &Batch) -> Failure {
    let first = batch.changes.first().map(|it| it.key.as_str()).unwrap_or_default();
    let before = written_before(at, count);
    Failure::Failed(format!(
        "{first} or another key of the same transaction was changed in the meantime: {before}; \
         look at the maps with map get, then repeat the command"
    ))
}

fn unclear(at: usize, count: usize, error: &EtcdError) -> Failure {
    let before = written_before(at, count);
    Failure::Failed(format!("{error}\n{before}, and the one that failed may be written: repeat"))
}

fn written_before(at: usize, count: usize) -> String {
    match (at, count) {
        (0, _) => "nothing was written".to_owned(),
        (at, count) => format!("{at} of {count} transactions were written"),
    }
}
