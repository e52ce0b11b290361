//! What a change of the desired map would open, close and keep, before it is made.

use std::collections::BTreeMap;

use replica::plan::{Desired, VbSet};
use serde_json::{Value, json};

use super::error::AskError;
use super::http::{Call, Http, Reply};
use super::views::{DesiredMaps, Preview, Replications};
use crate::session::escaped;

/// A change of the desired map of a bucket.
pub(super) enum Edit {
    Add(BTreeMap<String, VbSet>),
    Remove(BTreeMap<String, VbSet>),
    Replace(BTreeMap<String, VbSet>),
}

/// What a change would do.
pub(super) struct Seen {
    pub(super) preview: Preview,
    /// The revision of the bucket that this is true for; an older sidecar has none.
    pub(super) revision: Option<String>,
    /// For programs.
    pub(super) body: Value,
}

impl Edit {
    /// The request that makes the change.
    pub(super) fn call(&self, bucket: &str) -> Call {
        self.request(bucket, "")
    }

    fn request(&self, bucket: &str, query: &str) -> Call {
        let (method, path, map) = match self {
            Self::Add(map) => ("PATCH", "replications", map),
            Self::Remove(map) => ("POST", "replications/remove", map),
            Self::Replace(map) => ("PUT", "replications", map),
        };
        let path = format!("/api/v1/buckets/{}/{path}{query}", escaped(bucket));
        Call::new(method, path).body(json!(map))
    }

    /// The map that the change would make of `before`.
    fn of(&self, before: &Desired) -> Result<Desired, AskError> {
        let wrong = |error: replica::plan::PlanError| AskError::Usage(error.to_string());
        let (Self::Add(map) | Self::Remove(map) | Self::Replace(map)) = self;
        let named = Desired::new(map.clone()).map_err(wrong)?;
        let mut after = match self {
            Self::Replace(_) => return Ok(named),
            Self::Add(_) | Self::Remove(_) => before.clone(),
        };
        for (producer, set) in named.producers() {
            let to = matches!(self, Self::Add(_)).then_some(producer.as_str());
            set.iter().for_each(|vb| after.assign(vb, to));
        }
        Ok(after)
    }
}

/// Asks what a change would do.
pub(super) fn preview(http: &Http, bucket: &str, edit: &Edit) -> Result<Seen, AskError> {
    // A sidecar that does not know dry runs would make the change.
    let revision = match http.get("/api/v1/desired") {
        Ok(maps) => {
            let maps: DesiredMaps = http.read(&maps)?;
            maps.buckets.iter().find(|it| it.bucket == bucket).and_then(|it| it.revision)
        }
        Err(error) if error.is_no_such_path() => return of_older(http, bucket, edit),
        Err(error) => return Err(error),
    };
    let Reply { body, revision: tag } = http.quick(&edit.request(bucket, "?dry_run=true"))?;
    let revision = tag.or_else(|| revision.map(|revision| format!("\"{revision}\"")));
    Ok(Seen { preview: http.read(&body)?, revision, body })
}

/// The same for a sidecar that has no dry run: compared here, with what it replicates.
fn of_older(http: &Http, bucket: &str, edit: &Edit) -> Result<Seen, AskError> {
    let now: Replications = http.read(&http.get("/api/v1/replications")?)?;
    let found = now.buckets.into_iter().find(|it| it.bucket == bucket);
    let map = found.map(|it| it.desired).unwrap_or_default();
    let before = Desired::new(map).map_err(|error| http.unexpected(error.to_string()))?;
    let preview = Preview::between(&before, &edit.of(&before)?);
    let mut body = json!(preview);
    if let Some(body) = body.as_object_mut() {
        body.insert("dry_run".to_owned(), Value::Bool(true));
    }
    Ok(Seen { preview, revision: None, body })
}
