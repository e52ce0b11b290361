//! `GET /metrics`: the state of replication as OpenMetrics text, for Prometheus.
//!
//! Each response is built from one status, and nothing is kept between requests: failures are
//! counted where they are handled. Labels are names of the configuration, words of the protocol,
//! and lines of the source. The metrics of links are in `links`, all others here.

mod links;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use dcp_actors::{BucketStatus, FailureCount};
use invariant::{Broken, Place, broken};
use mcbp::Side;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::error::ApiError;
use super::state::State;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`. Before replication has started, its metrics have no samples.
pub(super) async fn metrics(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let page = Snapshot { buckets: state.status().await?, broken: invariant::counts() };
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text(page)?))
}

fn text(page: Snapshot) -> Result<String, Broken> {
    let (mut registry, mut text) = (Registry::default(), String::new());
    registry.register_collector(Box::new(page));
    encode(&mut text, &registry).map_err(|_| broken!("metrics could not be encoded"))?;
    Ok(text)
}

/// The content of one response.
#[derive(Debug, Default)]
struct Snapshot {
    buckets: Vec<BucketStatus>,
    /// Broken invariants of the whole process, by place.
    broken: Vec<(Place, u64)>,
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.links(&mut out)?;
        self.streams(&mut out)?;
        self.lag(&mut out)?;
        self.nodes(&mut out)?;
        self.failures(&mut out)?;
        self.broken_invariants(&mut out)
    }
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

    fn failures(&self, out: &mut Out<'_>) -> fmt::Result {
        let of = |kinds: fn(&BucketStatus) -> &[FailureCount]| {
            self.buckets.iter().flat_map(move |status| {
                kinds(status).iter().map(|kind| {
                    let labels = [
                        ("bucket", Cow::from(&status.bucket)),
                        ("producer", Cow::from(&kind.producer)),
                        ("reason", kind.reason.name().into()),
                        // No label is an empty one.
                        (
                            "status",
                            kind.status.as_ref().map_or("".into(), |s| s.to_string().into()),
                        ),
                    ];
                    (labels, kind.count)
                })
            })
        };
        let (streams, links) = (of(|s| &s.stream_failures), of(|s| &s.link_failures));
        out.counter("dcp_proxy_stream_failures", "Streams that failed or ended", streams)?;
        out.counter("dcp_proxy_link_failures", "Links that were lost or could not be opened", links)
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
            metric.encode_family(&labels)?.encode_gauge(&value)?;
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
