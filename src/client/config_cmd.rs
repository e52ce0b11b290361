//! `dcp-proxy config diff|save|discard`: what was changed at run time, against the source.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::json;

use super::answer::Answer;
use super::caller::Caller;
use super::config_diff;
use super::config_save;
use super::confirm::{self, Plan};
use super::error::AskError;
use super::http::{Call, Reply};
use super::parts::To;
use super::views::{BucketMaps, DesiredMaps, Preview};

/// What to do with changes that were made at run time.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum ConfigAsk {
    /// Show what was changed at run time: the map of each bucket against its source, and who
    /// changed what, and when.
    Diff {
        /// Show only this bucket.
        bucket: Option<String>,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Write what was changed at run time into the configuration file, and have the sidecar reload
    /// it. Comments, order and style of the file stay.
    ///
    /// It writes connections and replicate of each bucket. vBuckets that were taken over leave the
    /// map. Pauses are not written, they stay as they are. Run it on the machine of the sidecar:
    /// the file is proxy.toml, or that of --config.
    Save {
        /// Save also where the file says something else of a bucket than the sidecar has loaded,
        /// which is lost then.
        #[arg(long)]
        yes: bool,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Drop what was changed at run time: the source counts again, and what is paused is resumed.
    /// Asks before it does.
    Discard {
        /// Only of this bucket.
        bucket: Option<String>,
        /// Discard without asking; needed where nobody can be asked.
        #[arg(long)]
        yes: bool,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
}

impl ConfigAsk {
    /// The sidecar to ask, and the format of the output.
    #[must_use]
    pub const fn to(&self) -> &To {
        match self {
            Self::Diff { to, .. } | Self::Save { to, .. } | Self::Discard { to, .. } => to,
        }
    }
}

pub(super) fn ask(ask: &ConfigAsk, caller: &Caller<'_>) -> Result<Answer, AskError> {
    match ask {
        ConfigAsk::Diff { bucket, .. } => diff(caller, bucket.as_deref()),
        ConfigAsk::Save { yes, .. } => config_save::save(caller, *yes),
        ConfigAsk::Discard { bucket, yes, .. } => discard(caller, bucket.as_deref(), *yes),
    }
}

fn diff(caller: &Caller<'_>, bucket: Option<&str>) -> Result<Answer, AskError> {
    let mut answer = caller.http.get("/api/v1/desired").map_err(AskError::or_older)?;
    if let Some(name) = bucket
        && !super::parts::StreamsFilter::only_bucket(&mut answer, name)
    {
        return Err(AskError::no_bucket(name));
    }
    let page = config_diff::page(&caller.http.read(&answer)?);
    Ok(Answer::done(answer, page))
}

fn discard(caller: &Caller<'_>, bucket: Option<&str>, yes: bool) -> Result<Answer, AskError> {
    let http = &caller.http;
    let answer = http.get("/api/v1/desired").map_err(AskError::or_older)?;
    let mut maps: DesiredMaps = http.read(&answer)?;
    if let Some(name) = bucket {
        maps.buckets.retain(|it| it.bucket == name);
        if maps.buckets.is_empty() {
            return Err(AskError::no_bucket(name));
        }
    }
    let changes = maps.buckets.iter().flat_map(|it| &it.drift);
    let changes = match changes.filter(|it| it.what != "takeover").count() {
        0 => {
            let text = "nothing to discard: nothing was changed at run time".to_owned();
            return Ok(Answer::done(answer, text));
        }
        1 => "1 change of run time was discarded".to_owned(),
        many => format!("{many} changes of run time were discarded"),
    };
    confirm::confirm(&plan(&maps.buckets), yes)?;
    let body = bucket.map_or_else(|| json!({}), |name| json!({ "bucket": name }));
    let call = Call::new("POST", "/api/v1/desired/discard").body(body);
    let changed = bucket.unwrap_or_default();
    let Reply { body, .. } = super::wait::change(http, call, changed)?;
    Ok(Answer::done(body, changes))
}

/// What would be lost: changes, and streams that close.
fn plan(buckets: &[BucketMaps]) -> Plan {
    let lost = |it: &&BucketMaps| it.drift.iter().any(|drift| drift.what != "takeover");
    let previews: BTreeMap<_, _> = buckets.iter().filter(lost).map(preview).collect();
    let changes = buckets.iter().flat_map(|it| &it.drift).filter(|it| it.what != "takeover");
    let changes = changes.count();
    let Plan { page, json, .. } = confirm::plan(&previews);
    let closes: usize = previews.values().map(Preview::closes).sum();
    let opens: usize = previews.values().map(Preview::opens).sum();
    let word = if changes == 1 { "change" } else { "changes" };
    let list: String = buckets.iter().flat_map(config_diff::changes).collect();
    Plan {
        sentence: format!(
            "{changes} {word} of run time would be dropped, {closes} streams would close and \
             {opens} open"
        ),
        page: page.text(list),
        json,
        is_harmless: changes == 0,
    }
}

/// What the source alone would open and close. What was taken over stays as it is.
fn preview(maps: &BucketMaps) -> (String, Preview) {
    let mut after = maps.source.replicate.clone();
    for drift in maps.drift.iter().filter(|drift| drift.what == "takeover") {
        drift.vbuckets.iter().for_each(|vb| after.assign(vb, None));
    }
    (maps.bucket.clone(), Preview::between(&maps.in_force.replicate, &after))
}
