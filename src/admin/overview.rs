//! `GET /api/v1/overview`: everything that the dashboard and `dcp-proxy top` show, in one compact
//! answer that is made to be read once a second.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query, ReqData};
use events::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Rights;
use super::contract as api;
use super::desired::SourceView;
use super::error::ApiError;
use super::look::{Look, Watched};
use super::overview_rows::{self, BucketRow, DriftRow, EmbeddedRow, LinkRow, MoveRow};
use super::problems::{self, Problem};
use super::reload::ConfigView;
use super::state::State;
use super::views::{NodeView, Phase, StatusView};
use super::words;
use crate::clock::utc;
use crate::vb_state::{self, LegendEntry};

/// Everything at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(super) struct OverviewView {
    /// When it was read, in UTC; up to half a second ago.
    #[schema(format = DateTime)]
    at: String,
    /// The version of the sidecar.
    version: &'static str,
    /// Milliseconds since the start of the process.
    uptime_ms: u64,
    /// The phase of the process.
    phase: Phase,
    /// As in `GET /ready`.
    ready: bool,
    /// Why it is not ready; empty when it is.
    not_ready: Vec<String>,
    /// What is wrong, the worst first; empty where all is well.
    problems: Vec<Problem>,
    /// The first problem in a sentence, or that all is well.
    headline: String,
    /// The data node that this sidecar serves.
    node: NodeView,
    /// The data nodes that it replicates from.
    producers: Vec<NodeView>,
    /// Each bucket, with the states of its vBuckets.
    buckets: Vec<BucketRow>,
    /// Each link.
    links: Vec<LinkRow>,
    /// The moves that run, and those that wait.
    moves: Vec<MoveRow>,
    /// The data nodes inside this process.
    embedded: Vec<EmbeddedRow>,
    /// The buckets that differ from what their source says.
    drift: Vec<DriftRow>,
    /// The configuration, and how its last reload went.
    config: ConfigView,
    /// Where the desired maps come from.
    source: SourceView,
    /// The id of the newest event, to ask for later ones.
    #[schema(value_type = String, examples("19ac3f0b2d1-43"))]
    events_newest: Cursor,
    /// The token that requests that change something need.
    token: TokenView,
    /// What the characters of `states` mean; only with `?legend=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    legend: Option<Vec<LegendEntry>>,
}

/// The token that changes need.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = OverviewToken)]
pub(super) struct TokenView {
    /// Where it comes from.
    kind: TokenKind,
    /// Whether this request has it.
    accepted: bool,
}

/// Where the token comes from.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TokenKind {
    /// It is in the configuration.
    Configured,
    /// It is new at each start, and in `session.json`.
    Session,
}

/// The query of a request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Whether the answer is to say what the characters of `states` mean.
    #[serde(default)]
    legend: bool,
}

/// `GET /api/v1/overview`: everything at a glance. It is made to be read once a second.
#[utoipa::path(get, path = "/api/v1/overview", tag = "reading", params(Asked),
    responses((status = 200, description = "Everything at a glance", body = OverviewView),
        api::Always, api::Request))]
pub(super) async fn overview(
    state: Data<State>,
    watched: Data<Watched>,
    rights: ReqData<Rights>,
    request: HttpRequest,
) -> Result<Json<OverviewView>, ApiError> {
    let asked = Query::<Asked>::from_query(request.query_string());
    let wrong = |error: String| ApiError::Wrong(words::query(&error, "give legend=true"));
    let Query(Asked { legend }) = asked.map_err(|error| wrong(error.to_string()))?;
    let look = watched.look(&state).await?;
    let mut view = OverviewView::of(&state, &watched, &look, *rights);
    view.legend = legend.then(vb_state::legend);
    Ok(Json(view))
}

impl OverviewView {
    fn of(state: &State, watched: &Watched, look: &Look, rights: Rights) -> Self {
        let status = StatusView::of(state, &look.buckets);
        let maps = state.sources.maps();
        let memory = watched.memory();
        let links = || look.buckets.iter().flat_map(|b| b.links.iter().map(move |link| (b, link)));
        let rows = status.buckets.into_iter().zip(&look.buckets);
        let buckets: Vec<_> =
            rows.map(|(view, bucket)| BucketRow::of(view, bucket, &maps, &memory)).collect();
        let kind = match state.sources.config().admin.token {
            Some(_) => TokenKind::Configured,
            None => TokenKind::Session,
        };
        Self {
            at: utc(look.time),
            version: status.version,
            uptime_ms: status.uptime_ms,
            phase: status.phase,
            ready: status.ready,
            not_ready: status.not_ready,
            headline: problems::headline(&look.problems),
            problems: look.problems.clone(),
            node: status.node,
            producers: status.producers,
            links: links().map(|(bucket, link)| LinkRow::of(bucket, link, &memory)).collect(),
            moves: look
                .buckets
                .iter()
                .flat_map(|bucket| &bucket.moves)
                .map(|moving| MoveRow::of(moving, &memory))
                .collect(),
            embedded: overview_rows::embedded(state, watched),
            drift: overview_rows::drift(&buckets),
            buckets,
            config: status.config,
            source: status.source,
            events_newest: state.events.newest_id(),
            token: TokenView { kind, accepted: rights.may_change },
            legend: None,
        }
    }
}
