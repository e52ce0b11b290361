//! `dcp-proxy map edit`: opens the maps in an editor, and writes what was changed.

use std::fs::OpenOptions;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use etcdmaps::{CLUSTER_BYTES_MAX, Change, Cluster, EtcdConfig, Store, changes};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::put::{parsed, write};
use super::{output, show};

/// Edits all maps. Where they cannot be written, the text is kept, and its file is named.
pub(super) async fn edit(etcd: &EtcdConfig, json: bool) -> Result<(), Failure> {
    let (store, present) = Store::open(etcd).await?;
    let (before, bad) = present.read(store.keys());
    for (key, reason) in &bad {
        output::note(&format!("not shown, and left as it is: {key}: {reason}"))?;
    }
    let file = written(&before.text())?;
    // While the editor is open, Ctrl-C is for the editor.
    let _interrupts = signal(SignalKind::interrupt())?;
    let path = file.clone();
    // On a thread of its own, so that the connection answers etcd meanwhile.
    let ended = tokio::task::spawn_blocking(move || edited(&path)).await;
    let edited = ended.map_err(|error| Failure::Failed(error.to_string()))??;
    warn(&edited)?;
    let all = changes(&edited, &present, store.keys(), true);
    // What was not shown was not deleted.
    let was_shown = |it: &Change| it.after.is_some() || !matches!(it.before, Some(Err(_)));
    let planned: Vec<_> = all.into_iter().filter(was_shown).collect();
    let count = planned.len();
    let shown: Vec<_> = planned.iter().map(show::change_json).collect();
    if !json {
        planned.iter().try_for_each(|it| output::text(&show::change(it)))?;
    }
    let revision = write(&store, planned).await.map_err(|failure| kept(&failure, &file))?;
    std::fs::remove_file(&file)?;
    let revision = revision.unwrap_or(present.revision);
    if json {
        return Ok(output::json(&json!({ "revision": revision, "changes": shown }))?);
    }
    let text = match count {
        0 => format!("nothing to change at revision {revision}"),
        count => format!("{} written at revision {revision}", show::count(count)),
    };
    Ok(output::text(&text)?)
}

/// A new file with this text, which only its owner can read.
fn written(text: &str) -> Result<PathBuf, Failure> {
    let name = format!("dcp-proxy-maps-{:016x}.json", fastrand::u64(..));
    let path = std::env::temp_dir().join(name);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let done = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    let failed = |error| Failure::Failed(format!("{} not written: {error}", path.display()));
    done.map_err(failed)?;
    Ok(path)
}

/// Opens the editor until the text is good, or the person gives up.
fn edited(file: &Path) -> Result<Cluster, Failure> {
    let name = file.to_string_lossy();
    loop {
        open(file)?;
        let mut text = Vec::new();
        let limit = u64::try_from(CLUSTER_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(file)?.take(limit).read_to_end(&mut text)?;
        match parsed(&name, &text) {
            Ok(cluster) => return Ok(cluster),
            Err(failure) if std::io::stdin().is_terminal() => {
                output::note(&format!("{failure}\nedit again? [Y/n]"))?;
                if is_no()? {
                    return Err(kept(&failure, file));
                }
            }
            Err(failure) => return Err(kept(&failure, file)),
        }
    }
}

fn is_no() -> Result<bool, Failure> {
    let mut answer = String::new();
    let length = std::io::stdin().lock().take(100).read_line(&mut answer)?;
    Ok(length == 0 || answer.trim().eq_ignore_ascii_case("n"))
}

/// Runs $VISUAL, $EDITOR or vi; either may have arguments, so a shell reads it.
fn open(file: &Path) -> Result<(), Failure> {
    let set = |name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let line = format!("{editor} \"$1\"");
    let ended = Command::new("sh").arg("-c").arg(line).arg("sh").arg(file).status();
    let why = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let editor = logline::value(editor);
    let failure = Failure::Failed(format!("the editor {editor} failed ({why}): set EDITOR"));
    Err(kept(&failure, file))
}

fn warn(cluster: &Cluster) -> Result<(), Failure> {
    let warnings = cluster.warnings();
    Ok(warnings.iter().try_for_each(|it| output::note(&format!("warning: {it}")))?)
}

/// The same failure, with where the text is.
fn kept(failure: &Failure, file: &Path) -> Failure {
    let file = file.display();
    let text = format!("{failure}\nthe text is kept in {file}: dcp-proxy map put {file} writes it");
    match failure {
        Failure::Wrong(_) => Failure::Wrong(text),
        Failure::Failed(_) | Failure::Etcd(_) | Failure::Output(_) => Failure::Failed(text),
    }
}
