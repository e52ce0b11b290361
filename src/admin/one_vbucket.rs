//! `GET /api/v1/buckets/{bucket}/vbuckets/{vb}`: everything that is known of one vBucket.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path};
use dcp_actors::{BucketStatus, LinkStatus, StreamStatus};
use desired::BucketMaps;
use events::{Filter, Recorded};
use mcbp::VbId;
use serde::Serialize;
use utoipa::ToSchema;

use super::commands;
use super::contract::{self as api, EventFields, InVbucket};
use super::error::ApiError;
use super::look::Watched;
use super::overview_rows::{LinkRow, MoveRow};
use super::state::State;
use crate::vb_state;

/// The events that are shown.
const EVENTS: usize = 10;

/// One vBucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vbucket)]
pub(super) struct VbucketView {
    /// The bucket.
    bucket: String,
    /// The vBucket.
    vbucket: u16,
    /// Its state in a word or two.
    state: &'static str,
    /// The same as a character, as in `states` of the overview.
    char: char,
    /// What that means.
    meaning: &'static str,
    /// The producer that it is to come from; null where it is not wanted.
    producer: Option<String>,
    /// The name of its link; null where it has none.
    link: Option<String>,
    /// The number of the connection of its link.
    connection: Option<u8>,
    /// That link, as in `GET /api/v1/overview`.
    link_status: Option<LinkRow>,
    /// Its stream, as in `GET /api/v1/replications`; null where it is not replicated.
    stream: Option<StreamStatus>,
    /// Whether somebody has paused it.
    paused: bool,
    /// Its move, if one runs or waits.
    #[serde(rename = "move")]
    moving: Option<MoveRow>,
    /// Whether it is active at our node; null where that is not known.
    active_here: Option<bool>,
    /// The last events that name it, the newest last.
    #[schema(value_type = Vec<EventFields>)]
    events: Vec<EventRow>,
}

/// An event, as in `GET /api/v1/events`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct EventRow(#[serde(serialize_with = "shared")] Arc<Recorded>);

fn shared<S: serde::Serializer>(event: &Arc<Recorded>, serializer: S) -> Result<S::Ok, S::Error> {
    event.serialize(serializer)
}

/// `GET /api/v1/buckets/{bucket}/vbuckets/{vb}`: everything that is known of one vBucket.
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/vbuckets/{vb}", tag = "reading",
    params(InVbucket),
    responses((status = 200, description = "What is known of it", body = VbucketView),
        api::Always, api::Request, api::Bucket))]
pub(super) async fn vbucket(
    state: Data<State>,
    watched: Data<Watched>,
    path: Path<(String, String)>,
) -> Result<Json<VbucketView>, ApiError> {
    let (bucket, vb) = commands::vbucket(&state, path)?;
    let look = watched.look(&state).await?;
    let status = look.buckets.iter().find(|status| status.bucket == bucket);
    Ok(Json(VbucketView::of(&state, &watched, bucket, vb, status)))
}

impl VbucketView {
    fn of(
        state: &State,
        watched: &Watched,
        bucket: String,
        vb: VbId,
        status: Option<&BucketStatus>,
    ) -> Self {
        let maps = state.sources.maps();
        let maps = maps.bucket(&bucket);
        let paused = maps.map(BucketMaps::paused_wanted).unwrap_or_default();
        let found = status.and_then(|status| stream(status, vb));
        // What was taken over is wanted from nobody any more.
        let wanted = || Some(maps?.wanted_elsewhere().source(vb)?.to_owned());
        let moving =
            status.and_then(|status| status.moves.iter().find(|moving| moving.vbucket == vb.0));
        let is_active = |status: &BucketStatus| {
            status.active_here.as_ref().map(|active| active.as_set().contains(&vb))
        };
        let shown = status.map(|status| vb_state::of_bucket(status, &paused));
        let shown = shown.and_then(|states| states.get(usize::from(vb.0)).copied());
        let shown = shown.unwrap_or(vb_state::VbState::NotWanted);
        let of_vb = Filter { bucket: Some(bucket.clone()), vbucket: Some(vb), ..Filter::default() };
        let memory = watched.memory();
        Self {
            bucket,
            vbucket: vb.0,
            state: shown.word(),
            char: shown.char(),
            meaning: shown.meaning(),
            producer: found.map(|(link, _)| link.producer.clone()).or_else(wanted),
            link: found.map(|(link, _)| link.name.clone()),
            connection: found.map(|(link, _)| link.connection),
            link_status: found.zip(status).map(|((link, _), of)| LinkRow::of(of, link, &memory)),
            stream: found.map(|(_, stream)| stream.clone()),
            paused: paused.as_set().contains(&vb),
            moving: moving.map(|moving| MoveRow::of(moving, &memory)),
            active_here: status.and_then(is_active),
            events: state.events.last(&of_vb, EVENTS).into_iter().map(EventRow).collect(),
        }
    }
}

/// The stream of a vBucket, and its link.
fn stream(status: &BucketStatus, vb: VbId) -> Option<(&LinkStatus, &StreamStatus)> {
    status.links.iter().find_map(|link| {
        let stream = link.streams.iter().find(|stream| stream.vbucket == vb.0)?;
        Some((link, stream))
    })
}
