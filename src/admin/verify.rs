//! The verification of copies: what is known, a comparison on request, and copies made anew.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, Responder};
use dcp_actors::schema::VbSetText;
use dcp_actors::{BucketStatus, Restart};
use desired::BucketMaps;
use events::{Event, Kind, Level};
use mcbp::VbId;
use replica::plan::VbSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, Copies, Select};
use super::commands::{client, to_its_end};
use super::contract::{self as api, InBucket};
use super::error::ApiError;
use super::preconditions;
use super::state::State;
use super::verify_views::VerifyView;
use crate::verification::Target;

/// `GET /api/v1/verify`: what is known of the copies: the last comparison of each bucket and
/// producer, the one that runs, and what differs.
#[utoipa::path(get, path = "/api/v1/verify", tag = "reading",
    responses((status = 200, description = "Each bucket and producer", body = VerifyView),
        api::Always))]
pub(super) async fn read(state: Data<State>) -> Result<Json<VerifyView>, ApiError> {
    let verification = state.verification()?;
    // First, so that what begins meanwhile is seen as the one or the other.
    let asked = verification.asked();
    Ok(Json(verification.read(|board| VerifyView::of(board, &asked))))
}

/// A comparison that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyAsked)]
pub(super) struct AskedView {
    /// The vBuckets that are to be compared.
    #[schema(value_type = VbSetText)]
    vbuckets: VbSet,
}

/// `POST /api/v1/buckets/{bucket}/verify`: compares copies with their producers, all or those of
/// the body, as soon as possible. `GET /api/v1/verify` shows the result.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/verify", tag = "process",
    params(InBucket), request_body = Select,
    responses((status = 202, description = "They will be compared", body = AskedView),
        api::Always, api::Body, api::Bucket))]
pub(super) async fn ask(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<impl Responder, ApiError> {
    preconditions::none(&request)?;
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let selection = body::json::<Select>(payload).await?.selection(&state.producers())?;
    let verification = state.verification()?;
    let buckets = state.status().await?;
    let mut all = VbSet::default();
    let mut asked = Vec::new();
    for (producer, vbs) in wanted(&buckets, &bucket) {
        let is_meant = |vb: &VbId| {
            selection.vbuckets.as_ref().is_none_or(|vbuckets| vbuckets.as_set().contains(vb))
        };
        let vbs: BTreeSet<VbId> = vbs.into_iter().filter(is_meant).collect();
        if selection.producer.as_ref().is_none_or(|name| *name == producer) && !vbs.is_empty() {
            vbs.iter().for_each(|&vb| _ = all.insert(vb));
            asked.push((Target { bucket: bucket.clone(), producer }, vbs));
        }
    }
    if all.is_empty() {
        let maps = state.sources.maps();
        let paused = maps.bucket(&bucket).map(BucketMaps::paused_wanted).unwrap_or_default();
        let is_paused = |vb: VbId| paused.as_set().contains(&vb);
        let text = match &selection.vbuckets {
            Some(vbs) if !vbs.as_set().is_empty() && vbs.iter().all(is_paused) => {
                format!(
                    "vBuckets {vbs} of bucket {bucket} are paused, not compared: dcp-proxy resume \
                     replicates them again"
                )
            }
            _ => format!("bucket {bucket} replicates none of these vBuckets: see its streams"),
        };
        return Err(ApiError::Wrong(text));
    }
    log::info!("comparison asked for bucket={bucket} vbs={all} client={}", client(&request));
    verification.ask(asked);
    Ok((Json(AskedView { vbuckets: all }), StatusCode::ACCEPTED))
}

/// The producers of a bucket, with what is replicated from each.
fn wanted<'a>(
    buckets: &'a [BucketStatus],
    bucket: &'a str,
) -> impl Iterator<Item = (String, BTreeSet<VbId>)> {
    let links = buckets.iter().filter(move |it| it.bucket == bucket).flat_map(|it| &it.links);
    links.map(|link| {
        let vbs = link.streams.iter().map(|stream| VbId(stream.vbucket)).collect();
        (link.producer.clone(), vbs)
    })
}

/// Copies that were made anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Renewed)]
pub(super) struct RenewedView {
    /// Open streams of the bucket.
    open: usize,
}

/// `POST /api/v1/buckets/{bucket}/renew`: rolls the copies of these vBuckets back to zero, and has
/// their producer send everything again. Answers when their streams are open; they may not have
/// everything then. What only the copy has is lost. Copies without an open stream are refused:
/// nobody could fill them again.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/renew", tag = "changes",
    params(InBucket), request_body = Copies,
    responses((status = 200, description = "Their streams are open", body = RenewedView),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn renew(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<RenewedView>, ApiError> {
    preconditions::none(&request)?;
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let Copies { vbuckets } = body::json(payload).await?;
    let (replication, verification) = (state.replication()?, state.verification()?);
    let client = client(&request);
    let what = format!("renew copies bucket={bucket} vbs={vbuckets} client={client}");
    let text = format!("{} copies are made anew, by {client}", vbuckets.len());
    let event = Event::new(Level::Info, Kind::CopiesRenewed, text).of_bucket(&bucket);
    state.events.push(event.of_vbuckets(vbuckets.clone()));
    let open = to_its_end(what, async move {
        let done = replication.restart(&bucket, Restart::Copies(vbuckets.clone())).await;
        // Also where one of them has failed: it is retried, and compared once its stream is open.
        verification.ask_again(&bucket, &vbuckets);
        done
    });
    Ok(Json(RenewedView { open: open.await? }))
}
