//! `GET /metrics`: the state of replication for Prometheus, in the text format that is asked for.
//!
//! Each response is built from one status, and nothing is kept between requests: failures are
//! counted where they are handled. Labels are names of the configuration, words of the protocol,
//! and lines of the source. The metrics of links are in `links`, failures in `failures`,
//! what is wanted in `sources`, comparisons in `verify`, all others here.

mod failures;
mod links;
mod sources;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use dcp_actors::{BucketStatus, Timings};
use events::Kind;
use exposition::{Durations, Format, certificate, process};
use invariant::{Broken, Place, broken};
use mcbp::Side;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::contract as api;
use super::error::ApiError;
use super::state::State;
use super::views::StatusView;
use crate::config::Certificate;

/// `GET /metrics`: for Prometheus, in the classic text format or as OpenMetrics, by `Accept`. Every
/// metric exists from the start, also before replication has started.
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, description = "The metrics of `docs/admin-api.md`",
        content((String = "text/plain; version=0.0.4"),
            (String = "application/openmetrics-text; version=1.0.0"))), api::Always, api::Defect))]
pub(super) async fn metrics(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let accept = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let buckets = state.status().await?;
    let (names, producers) = (state.buckets(), state.producers());
    let pairs = names
        .iter()
        .flat_map(|bucket| producers.iter().map(|producer| (bucket.clone(), producer.clone())));
    let page = Snapshot {
        is_ready: StatusView::of(&state, &buckets).is_ready(),
        expected: pairs.collect(),
        timings: timings(&state),
        certificates: certificates(&state.sources.config().certificates),
        buckets,
        broken: invariant::counts(),
        sources: sources::Reading::of(&state.sources),
        verify: verify::Reading::of(&state),
        events: state.events.counts(),
        followers: state.followers.load(Ordering::Relaxed) as u64,
    };
    Ok(HttpResponse::Ok().content_type(format.content_type()).body(text(page, format)?))
}

/// Reads the files anew: they are renewed while the process runs.
pub(super) fn certificates(files: &[Certificate]) -> Vec<(Certificate, i64)> {
    let expiry = |file: &Certificate| Some((file.clone(), certificate::expiry(&file.path)?));
    files.iter().filter_map(expiry).collect()
}

/// How long the steps of each bucket took; nothing before replication has started.
fn timings(state: &State) -> Vec<(String, [Reading; 4])> {
    let read = |timings: &Timings| {
        let steps = [&timings.link_setup, &timings.stream_setup, &timings.takeover];
        let [setup, streams, takeover] = steps.map(Durations::read);
        [setup, streams, takeover, timings.acknowledgement.read()]
    };
    match state.running() {
        Some(running) => running
            .replication
            .timings()
            .into_iter()
            .map(|(bucket, timings)| (bucket, read(&timings)))
            .collect(),
        None => {
            let none = read(&Timings::default());
            state.buckets().into_iter().map(|bucket| (bucket, none.clone())).collect()
        }
    }
}

fn text(page: Snapshot, format: Format) -> Result<String, Broken> {
    format.page(page).map_err(|_| broken!("metrics could not be encoded"))
}

/// A histogram as [`Durations::read`] returns it.
type Reading = (f64, u64, Vec<(f64, u64)>);

/// The content of one response.
#[derive(Debug, Default)]
struct Snapshot {
    /// As in `GET /ready`.
    is_ready: bool,
    /// Every bucket and producer of the configuration.
    expected: Vec<(String, String)>,
    buckets: Vec<BucketStatus>,
    /// Set-up of a link, set-up of its streams, takeover, acknowledgement; by bucket.
    timings: Vec<(String, [Reading; 4])>,
    /// When the first certificate of each file expires.
    certificates: Vec<(Certificate, i64)>,
    /// What is wanted.
    sources: sources::Reading,
    /// What comparisons of copies have found.
    verify: verify::Reading,
    /// Broken invariants of the whole process, by place.
    broken: Vec<(Place, u64)>,
    /// Events since the start, by kind.
    events: BTreeMap<Kind, u64>,
    /// Clients that follow the events.
    followers: u64,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        process::encode(&mut encoder, "dcp_proxy", env!("CARGO_PKG_VERSION"))?;
        let mut out = Out(encoder);
        let ready = [([], u64::from(self.is_ready))];
        out.gauge("dcp_proxy_ready", "1 while GET /ready answers with 200", ready)?;
        self.links(&mut out)?;
        self.streams(&mut out)?;
        self.lag(&mut out)?;
        self.nodes(&mut out)?;
        self.failures(&mut out)?;
        self.durations(&mut out)?;
        self.expiry(&mut out)?;
        self.sources(&mut out)?;
        self.verify(&mut out)?;
        self.broken_invariants(&mut out)?;
        self.events(&mut out)?;
        log_lines(&mut out)
    }
}

/// What the log of the process has left out.
fn log_lines(out: &mut Out<'_>) -> fmt::Result {
    let samples = logger::left_out().map(|(reason, count)| ([("reason", reason)], count));
    out.counter("dcp_proxy_log_lines_left_out", logger::LEFT_OUT_HELP, samples)
}

impl Snapshot {
    fn nodes(&self, out: &mut Out<'_>) -> fmt::Result {
        let silent = self.buckets.iter().flat_map(|status| {
            status.nodes.iter().filter_map(|node| {
                let labels = [("bucket", status.bucket.as_str()), ("node", node.node.as_str())];
                // A node that was never heard is silent since it is asked.
                Some((labels, seconds(node.silent_ms.or(node.unheard_ms)?)))
            })
        });
        let unresponsive = self.buckets.iter().flat_map(|status| {
            status.nodes.iter().map(|node| {
                let side = if node.side == Side::Consumer { "consumer" } else { "producer" };
                let (bucket, name) = (status.bucket.as_str(), node.node.as_str());
                let labels = [("bucket", bucket), ("node", name), ("side", side)];
                (labels, u64::from(node.unresponsive))
            })
        });
        let moves = self.buckets.iter();
        let moves = moves.map(|status| ([("bucket", status.bucket.as_str())], status.moves.len()));
        out.gauge(
            "dcp_proxy_node_silent_seconds",
            "Time since the node last sent anything",
            silent,
        )?;
        out.gauge(
            "dcp_proxy_node_unresponsive",
            "1 while the node is heard on no connection for longer than stall_ms",
            unresponsive,
        )?;
        out.gauge("dcp_proxy_moves", "vBuckets that are being moved here", moves)
    }

    fn expiry(&self, out: &mut Out<'_>) -> fmt::Result {
        let samples = self.certificates.iter().map(|(file, expiry)| {
            ([("node", file.node.as_str()), ("certificate", file.key)], *expiry)
        });
        let help = "When the first certificate of a file expires, in seconds since 1970";
        out.gauge("dcp_proxy_certificate_expiry_timestamp_seconds", help, samples)
    }

    fn durations(&self, out: &mut Out<'_>) -> fmt::Result {
        let names = [
            ("dcp_proxy_link_setup_seconds", "Time to connect and log in at both nodes of a link"),
            (
                "dcp_proxy_stream_setup_seconds",
                "Time from ADD_STREAM to the outcome of all streams",
            ),
            (
                "dcp_proxy_takeover_seconds",
                "Time from the first request of a takeover to its outcome",
            ),
            (
                "dcp_proxy_prepare_ack_seconds",
                "Time from a prepare of a durable write to the consumer's acknowledgement, sampled",
            ),
        ];
        for (at, (name, help)) in names.into_iter().enumerate() {
            let of = |(bucket, all): &'_ (String, [Reading; 4])| {
                all.get(at).cloned().map(|reading| (bucket.clone(), reading))
            };
            out.histogram(name, help, self.timings.iter().filter_map(of))?;
        }
        Ok(())
    }

    fn events(&self, out: &mut Out<'_>) -> fmt::Result {
        let counts = self.events.iter().map(|(kind, count)| ([("kind", kind.name())], *count));
        out.counter("dcp_proxy_events", "Events of GET /api/v1/events, by kind", counts)?;
        let help = "Clients that follow GET /api/v1/events";
        out.gauge("dcp_proxy_event_followers", help, [([], self.followers)])
    }

    fn broken_invariants(&self, out: &mut Out<'_>) -> fmt::Result {
        let places: Vec<_> =
            self.broken.iter().map(|(place, count)| (place.to_string(), *count)).collect();
        let samples = places.iter().map(|(place, count)| ([("place", place.as_str())], *count));
        let help = "Broken invariants, defects of this program, by place in the source";
        out.counter("dcp_proxy_invariants_broken", help, samples)
    }
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

/// Labels, and the value.
type Sample<'a, const N: usize, V> = ([(&'static str, &'a str); N], V);

/// The encoder of metrics.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge<'a, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a, N, V>>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                metric.encode_gauge(&value)?;
            } else {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// One histogram for each bucket.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, Reading)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (bucket, (sum, count, buckets)) in samples {
            let labels = [("bucket", bucket)];
            let mut family = metric.encode_family(&labels)?;
            family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    /// The encoder appends `_total` to the name.
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (impl EncodeLabelSet, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}
