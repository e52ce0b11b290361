//! `dcp-proxy config save`: writes what was changed at run time into the configuration file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::answer::Answer;
use super::caller::Caller;
use super::config_diff;
use super::edit::{self, Contents, EditError};
use super::error::{AskError, Exit};
use super::page::Page;
use super::reload;
use super::replace_file;
use super::show;
use super::views::{BucketMaps, DesiredMaps, Drift, Entry, Status};

pub(super) fn save(caller: &Caller<'_>, yes: bool) -> Result<Answer, AskError> {
    let http = &caller.http;
    let maps = http.get("/api/v1/desired").map_err(AskError::or_older)?;
    let maps: DesiredMaps = http.read(&maps)?;
    if maps.source.kind != "file" {
        let source = show::source_name(&maps.source);
        return Err(AskError::Usage(format!(
            "the desired maps come from {source}, not from the configuration file: nothing was \
             saved; change them there"
        )));
    }
    let wanted = to_save(&maps.buckets);
    if wanted.is_empty() {
        let text = format!("nothing to save\n{}", notes(&maps.buckets));
        return Ok(Answer::done(json!({ "saved": [] }), text));
    }
    let file = caller.config;
    let old = std::fs::read_to_string(file).map_err(|error| not_there(file, &maps, &error))?;
    let contents = edit::contents(&old).map_err(|error| invalid(file, &error))?;
    let status: Status = http.read(&http.get("/api/v1/status")?)?;
    same_node(file, contents.node.as_deref(), &status.node.name)?;
    if !yes {
        same_entries(file, &contents, &maps.buckets)?;
    }
    let new = edit::edited(&old, &wanted).map_err(|error| invalid(file, &error))?;
    replace_file::replace(file, &old, &new).map_err(|error| {
        AskError::Failed(format!("could not write {}: {error}: nothing was saved", file.display()))
    })?;
    let name = file.display().to_string();
    let diff = config_diff::unified(&old, &new, &name, &name);
    let Answer { exit, json: reloaded, page } = reload::reload(http).unwrap_or_else(|error| {
        let text = format!("not reloaded: {error}; once the sidecar runs: dcp-proxy reload");
        Answer { exit: Exit::Failed, json: json!({ "error": text }), page: text.into() }
    });
    let left = left(caller).unwrap_or_default();
    let json = json!({
        "file": name, "saved": wanted.keys().collect::<Vec<_>>(), "diff": diff, "reload": reloaded,
    });
    let page = Page::default().diff(diff).text(format!("saved to {name}\n")).page(page);
    let page = if page.ends_line() { page } else { page.text("\n") };
    Ok(Answer { exit, json, page: page.text(notes(&maps.buckets)).text(left) })
}

/// The buckets whose entry differs from their source.
fn to_save(buckets: &[BucketMaps]) -> BTreeMap<String, Entry> {
    let pairs = buckets.iter().map(|it| (it, it.wanted()));
    let differing = pairs.filter(|(it, wanted)| it.source != *wanted);
    differing.map(|(it, wanted)| (it.bucket.clone(), wanted)).collect()
}

/// What a file cannot hold, or holds now because of a takeover.
fn notes(buckets: &[BucketMaps]) -> String {
    let mut text = String::new();
    for bucket in buckets {
        let name = &bucket.bucket;
        for drift in Drift::grouped(&bucket.drift) {
            let set = &drift.vbuckets;
            _ = match drift.what.as_str() {
                "pause" => writeln!(text, "{name}: {set} stay paused; a pause is not saved"),
                "takeover" => writeln!(text, "{name}: {set} are active here, not in the map"),
                _ => Ok(()),
            };
        }
    }
    text
}

/// What differs all the same after the reload: it was changed while the file was written.
fn left(caller: &Caller<'_>) -> Option<String> {
    let maps = caller.http.get("/api/v1/desired").ok()?;
    let maps: DesiredMaps = caller.http.read(&maps).ok()?;
    let names: Vec<_> = to_save(&maps.buckets).into_keys().collect();
    let why = "changed in the meantime or not reloaded, see dcp-proxy config diff";
    (!names.is_empty()).then(|| format!("not saved of {}: {why}\n", names.join(", ")))
}

/// Refuses the file of another sidecar.
fn same_node(file: &Path, named: Option<&str>, node: &str) -> Result<(), AskError> {
    if named == Some(node) {
        return Ok(());
    }
    let named = named.map_or("no [node]".to_owned(), |named| format!("[node] name {named:?}"));
    Err(AskError::Usage(format!(
        "{} has {named}, and the sidecar serves {node:?}: nothing was saved; give the file of this \
         sidecar with --config",
        file.display()
    )))
}

/// Refuses a file that says something else than the sidecar has loaded.
fn same_entries(file: &Path, contents: &Contents, loaded: &[BucketMaps]) -> Result<(), AskError> {
    let mut differing: Vec<_> = contents.entries.keys().collect();
    differing.retain(|name| !loaded.iter().any(|it| it.bucket == **name));
    differing.extend(
        loaded
            .iter()
            .filter(|it| contents.entries.get(&it.bucket) != Some(&it.source))
            .map(|it| &it.bucket),
    );
    if differing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = differing.iter().map(|name| format!("{name:?}")).collect();
    let text = format!(
        "{} says something else of bucket {} than the sidecar has loaded: nothing was saved; have \
         it loaded first (dcp-proxy reload), or give --yes to overwrite it",
        file.display(),
        names.join(", ")
    );
    Err(AskError::Unconfirmed { body: json!({ "error": text, "differing": differing }), text })
}

fn invalid(file: &Path, error: &EditError) -> AskError {
    AskError::Usage(format!("{}: {error}", file.display()))
}

fn not_there(file: &Path, maps: &DesiredMaps, error: &std::io::Error) -> AskError {
    let of_sidecar = maps.source.file.as_deref().unwrap_or("unknown");
    AskError::Usage(format!(
        "could not read {}: {error}; give the file of the sidecar with --config, on its own \
         machine: the sidecar has loaded {of_sidecar}",
        file.display()
    ))
}
