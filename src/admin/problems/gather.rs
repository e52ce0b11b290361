//! Gathers the facts of the running process. The only part of the list that reads anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dcp_actors::BucketStatus;
use desired::{BucketMaps, Why};
use events::{Filter, Kind, Recorded};
use logline::split;
use replica::bucket::MoveKind;
use replica::plan::VbSet;

use super::facts::{Facts, FailedMoves, Growing, MapFacts};
use super::{Problem, list};
use crate::admin::state::State;
use crate::admin::views::Phase;
use crate::clock::time_ms;
use crate::config::{Certificate, Config, MapSource};
use crate::sources::{BucketDropped, Maps};
use crate::verification::Board;

/// How long a move that failed, and a change that was dropped, is shown.
const SHOWN_FOR: Duration = Duration::from_secs(3600);

/// What is wrong by the status of the buckets at `now`.
pub(in crate::admin) fn of(
    state: &State,
    buckets: &[BucketStatus],
    growing: Vec<Growing>,
    certificates: Vec<(Certificate, i64)>,
    now: SystemTime,
) -> Vec<Problem> {
    let (config, maps) = (state.sources.config(), state.sources.maps());
    let has_origin = !matches!(config.source, MapSource::File);
    let lost = logger::left_out().into_iter().find(|(reason, _)| *reason == "unread");
    list(&Facts {
        now,
        phase: Phase::of(state),
        node: &state.node,
        addresses: addresses(&config),
        file: std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone()),
        expected: state.buckets(),
        buckets,
        maps: maps.buckets().iter().map(|(name, map)| map_facts(name, map, &maps, now)).collect(),
        reload: state.sources.last_reload(),
        state_error: state.sources.state_error(),
        etcd: has_origin.then(|| state.sources.origin()),
        certificates,
        broken: invariant::counts()
            .into_iter()
            .map(|(place, count)| (place.to_string(), count))
            .collect(),
        lines_lost: lost.map_or(0, |(_, count)| count),
        failed_moves: failed_moves(state, now),
        growing,
        verified: state
            .running()
            .map_or_else(Board::default, |running| running.verification.read(Board::clone)),
    })
}

fn addresses(config: &Config) -> Vec<(String, String)> {
    let nodes = std::iter::once(&config.node).chain(&config.producers);
    nodes
        .filter_map(|node| Some((node.name().to_owned(), node.remote()?.address.clone())))
        .collect()
}

fn map_facts(name: &str, map: &BucketMaps, maps: &Maps, now: SystemTime) -> MapFacts {
    let of = |it: &BucketDropped| {
        let at = time_ms(it.at_ms)?;
        let is_shown = now.duration_since(at).is_ok_and(|age| age < SHOWN_FOR);
        // What somebody has discarded is no surprise.
        let is_news = is_shown && it.dropped.why != Why::Discarded;
        is_news.then(|| (it.dropped.vbuckets.clone(), it.dropped.why.to_string(), at))
    };
    MapFacts {
        bucket: name.to_owned(),
        wanted: map.wanted_elsewhere().producers().values().map(VbSet::len).sum(),
        paused: map.paused_wanted(),
        drift: map.drift(),
        is_empty: map.source().replicate.producers().is_empty(),
        dropped: maps.dropped(name).filter_map(of).collect(),
    }
}

/// Moves that failed lately, but for those of vBuckets that were moved since.
fn failed_moves(state: &State, now: SystemTime) -> Vec<FailedMoves> {
    let kinds = vec![Kind::MoveFailed, Kind::Moved];
    let events = state.events.last(&Filter { kinds, ..Filter::default() }, usize::MAX);
    failed_of(&events, now)
}

/// The same by these events, the oldest first.
pub(super) fn failed_of(events: &[Arc<Recorded>], now: SystemTime) -> Vec<FailedMoves> {
    let time = |event: &Recorded| {
        u64::try_from(event.time.as_millisecond()).ok().and_then(time_ms).unwrap_or(now)
    };
    let recent =
        |event: &Recorded| now.duration_since(time(event)).map_or(true, |age| age < SHOWN_FOR);
    let mut failed: BTreeMap<(String, String, &str), FailedMoves> = BTreeMap::new();
    for event in events.iter().filter(|event| recent(event)) {
        let (Some(bucket), Some(from)) = (&event.bucket, &event.node) else { continue };
        // Whatever was tried last is what is to be repeated.
        for known in failed.values_mut().filter(|known| known.bucket == *bucket) {
            event.vbuckets.iter().for_each(|vb| _ = known.vbuckets.remove(vb));
        }
        if event.kind == Kind::Moved {
            continue;
        }
        let (_, fields) = split(&event.text);
        let field = |key: &str| fields.iter().find(|field| field.key == key);
        let is_move = field("how").is_some_and(|how| how.value == MoveKind::WithData.name());
        let kind = if is_move { MoveKind::WithData } else { MoveKind::Takeover };
        let why = field("reason").map_or(event.text.as_str(), |reason| &reason.value);
        let new = || FailedMoves {
            bucket: bucket.clone(),
            how: kind.name(),
            from: from.clone(),
            vbuckets: VbSet::default(),
            why: String::new(),
            since: time(event),
        };
        let key = (bucket.clone(), from.clone(), kind.name());
        let known = failed.entry(key).or_insert_with(new);
        event.vbuckets.iter().for_each(|vb| _ = known.vbuckets.insert(vb));
        // It concerns more vBuckets than the one that it begins with.
        let told = why.strip_prefix("vb:").and_then(|rest| rest.split_once(": "));
        known.why = told.map_or(why, |(_, rest)| rest).to_owned();
    }
    failed.into_values().filter(|moves| !moves.vbuckets.is_empty()).collect()
}
