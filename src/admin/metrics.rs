//! `GET /metrics`: the state of replication as OpenMetrics text, for Prometheus.
//!
//! Each response is built from one status, and nothing is kept between requests: failures are
//! counted where they are handled. Labels are names of the configuration, words of the protocol,
//! and lines of the source.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use dcp_actors::{BucketStatus, FailureCount, LinkPhase, LinkStatus, StreamPhase};
use invariant::{Broken, Place, broken};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::error::ApiError;
use super::state::State;
use super::views;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Every phase has a sample, even with no link in it: of a gauge that vanishes, a graph shows the
/// last value.
const PHASES: [(LinkPhase, &str); 5] = [
    (LinkPhase::Connecting, "connecting"),
    (LinkPhase::Up, "up"),
    (LinkPhase::Waiting, "waiting"),
    (LinkPhase::Closing, "closing"),
    (LinkPhase::Stopped, "stopped"),
];

/// `GET /metrics`. Before replication has started, its metrics have no samples.
pub(super) async fn metrics(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let page = Page { buckets: state.status().await?, broken: invariant::counts() };
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text(page)?))
}

fn text(page: Page) -> Result<String, Broken> {
    let (mut registry, mut text) = (Registry::default(), String::new());
    registry.register_collector(Box::new(page));
    encode(&mut text, &registry).map_err(|_| broken!("metrics could not be encoded"))?;
    Ok(text)
}

/// The content of one response.
#[derive(Debug, Default)]
struct Page {
    buckets: Vec<BucketStatus>,
    /// Broken invariants of the whole process, by place.
    broken: Vec<(Place, u64)>,
}

impl Collector for Page {
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

impl Page {
    /// One sample for each bucket and producer for which `value` returns one.
    fn by_producer<V>(
        &self,
        value: impl Fn(&[&LinkStatus]) -> Option<V>,
    ) -> impl Iterator<Item = Sample<'_, 2, V>> {
        let mut producers: BTreeMap<_, Vec<&LinkStatus>> = BTreeMap::new();
        for (bucket, link) in self.all_links() {
            let labels = [("bucket", bucket), ("producer", link.producer.as_str())];
            producers.entry(labels).or_default().push(link);
        }
        producers.into_iter().filter_map(move |(labels, links)| Some((labels, value(&links)?)))
    }

    fn by_link(
        &self,
        value: impl Fn(&LinkStatus) -> u64,
    ) -> impl Iterator<Item = Sample<'_, 3, u64>> {
        self.all_links().map(move |(bucket, link)| {
            let (producer, name) = (link.producer.as_str(), link.name.as_str());
            ([("bucket", bucket), ("producer", producer), ("link", name)], value(link))
        })
    }

    fn all_links(&self) -> impl Iterator<Item = (&str, &LinkStatus)> {
        self.buckets
            .iter()
            .flat_map(|status| status.links.iter().map(|link| (status.bucket.as_str(), link)))
    }

    fn links(&self, out: &mut Out<'_>) -> fmt::Result {
        let mut phases = Vec::new();
        for (phase, name) in PHASES {
            let count =
                |links: &[&LinkStatus]| Some(links.iter().filter(|l| l.phase == phase).count());
            let samples = self.by_producer(count);
            phases.extend(samples.map(|([b, p], count)| ([b, p, ("phase", name)], count)));
        }
        let stalled = self
            .by_producer(|links| Some(links.iter().filter(|link| link.stall.is_some()).count()));
        out.gauge("dcp_proxy_links", "Links by phase", phases)?;
        out.gauge(
            "dcp_proxy_links_stalled",
            "Links that were restarted because data stalled, and without data since",
            stalled,
        )?;
        let (bytes, frames) = (self.by_link(|link| link.bytes), self.by_link(|link| link.frames));
        out.counter(
            "dcp_proxy_link_bytes",
            "Bytes from the producer since the link was opened",
            bytes,
        )?;
        out.counter(
            "dcp_proxy_link_frames",
            "Frames from the producer since the link was opened",
            frames,
        )
    }

    fn streams(&self, out: &mut Out<'_>) -> fmt::Result {
        let sum = |count: fn(&LinkStatus) -> usize| {
            self.by_producer(move |links| Some(links.iter().map(|link| count(link)).sum::<usize>()))
        };
        let failed = sum(views::failed);
        out.gauge("dcp_proxy_streams_wanted", "Streams that should be open", sum(|l| l.wanted))?;
        out.gauge("dcp_proxy_streams_open", "Streams that are open", sum(|l| l.open))?;
        out.gauge(
            "dcp_proxy_streams_failed",
            "Streams that are not open because of an error",
            failed,
        )?;
        let rolling =
            sum(|link| link.streams.iter().filter(|s| s.phase == StreamPhase::RollingBack).count());
        out.gauge(
            "dcp_proxy_streams_rolling_back",
            "Streams that wait for a rollback of their copy",
            rolling,
        )?;
        let gaps = sum(|link| link.streams.iter().filter(|s| s.complete_to.is_some()).count());
        out.gauge("dcp_proxy_copies_incomplete", "Copies that may miss rows", gaps)
    }

    /// An unknown lag has no sample. Sums and maxima are of the known ones; `lag_unknown` counts
    /// the vBuckets that they do not cover.
    fn lag(&self, out: &mut Out<'_>) -> fmt::Result {
        let all = self.by_producer(|links| seqnos(links).reduce(u64::saturating_add));
        let max = self.by_producer(|links| seqnos(links).max());
        let time = self.by_producer(|links| {
            let streams = links.iter().flat_map(|link| &link.streams);
            streams.filter_map(|stream| stream.lag_ms).max().map(seconds)
        });
        let unknown = self.by_producer(|links| {
            Some(links.iter().map(|link| views::lag_unknown(link)).sum::<usize>())
        });
        out.gauge("dcp_proxy_lag_seqnos", "Lag in seqnos, sum of the known ones", all)?;
        out.gauge("dcp_proxy_lag_seqnos_max", "Lag in seqnos, largest known", max)?;
        out.gauge("dcp_proxy_lag_seconds_max", "Lag in seconds, largest known", time)?;
        out.gauge("dcp_proxy_lag_unknown", "vBuckets whose lag is unknown", unknown)
    }

    fn nodes(&self, out: &mut Out<'_>) -> fmt::Result {
        let silent = self.buckets.iter().flat_map(|status| {
            status.nodes.iter().filter_map(|node| {
                let labels = [("bucket", status.bucket.as_str()), ("node", node.node.as_str())];
                Some((labels, seconds(node.silent_ms?)))
            })
        });
        let moves = self.buckets.iter();
        let moves = moves.map(|status| ([("bucket", status.bucket.as_str())], status.moves.len()));
        out.gauge(
            "dcp_proxy_node_silent_seconds",
            "Time since the node last sent anything",
            silent,
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

fn seqnos(links: &[&LinkStatus]) -> impl Iterator<Item = u64> {
    links.iter().flat_map(|link| &link.streams).filter_map(|stream| stream.lag_seqnos)
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

#[cfg(test)]
mod tests;
