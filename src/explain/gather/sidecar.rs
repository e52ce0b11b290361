//! Asks the sidecar what it knows of the vBucket.

use std::path::PathBuf;

use serde::Deserialize as _;
use serde_json::Value;
use tokio::sync::oneshot;

use super::What;
use crate::client::{Unanswered, inquire};
use crate::explain::facts::{Sidecar, Told, View};
use crate::session::escaped;

/// Asks on a thread of its own: the client of the admin API blocks.
pub(super) async fn ask(what: &What<'_>) -> Sidecar {
    let (told, tell) = oneshot::channel();
    let (to, file, is_named) = (what.to.clone(), PathBuf::from(what.file), what.is_named);
    let step = what.step;
    let path = format!("/api/v1/buckets/{}/vbuckets/{}", escaped(what.bucket), what.vb.0);
    std::thread::spawn(move || {
        let answer = inquire(&to, &file, is_named, step).and_then(|inquiry| inquiry.get(&path));
        // Once the answer is given up, the process exits, and the thread with it.
        _ = told.send(answer.map_or_else(unanswered, says));
    });
    let late = || Sidecar::Unknown(format!("it does not answer within {step:?}"));
    tokio::time::timeout(step, tell).await.ok().and_then(Result::ok).unwrap_or_else(late)
}

fn says(body: Value) -> Sidecar {
    match View::deserialize(&body) {
        Ok(view) => Sidecar::Says(Box::new(Told { view, body })),
        Err(error) => Sidecar::Unknown(format!("its answer is malformed: {error}")),
    }
}

fn unanswered(why: Unanswered) -> Sidecar {
    match why {
        Unanswered::NotRunning(why) => Sidecar::NotRunning(why),
        Unanswered::Unknown(why) => Sidecar::Unknown(why),
    }
}
