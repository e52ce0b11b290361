//! The metrics of links and their streams: most are of one producer, over all of its links.

use std::collections::BTreeMap;
use std::fmt;

use dcp_actors::{LinkPhase, LinkStatus, StreamPhase};
use replica::loops::LoopKind;

use super::{Out, Sample, Snapshot, seconds};
use crate::admin::views;

/// Every phase has a sample, even with no link in it: of a gauge that vanishes, a graph shows the
/// last value.
const PHASES: [(LinkPhase, &str); 6] = [
    (LinkPhase::Connecting, "connecting"),
    (LinkPhase::Up, "up"),
    (LinkPhase::Unresponsive, "unresponsive"),
    (LinkPhase::Waiting, "waiting"),
    (LinkPhase::Closing, "closing"),
    (LinkPhase::Stopped, "stopped"),
];

/// The kinds of retry loops of a link, each with a sample.
const LOOPS: [LoopKind; 2] = [LoopKind::Flapping, LoopKind::Rival];

impl Snapshot {
    /// One sample for each bucket and producer for which `value` returns one.
    fn by_producer<V>(
        &self,
        value: impl Fn(&[&LinkStatus]) -> Option<V>,
    ) -> impl Iterator<Item = Sample<'_, 2, V>> {
        let expected = self.expected.iter().map(|(bucket, producer)| {
            ([("bucket", bucket.as_str()), ("producer", producer.as_str())], Vec::new())
        });
        let mut producers: BTreeMap<_, Vec<&LinkStatus>> = expected.collect();
        for (bucket, link) in self.all_links() {
            let labels = [("bucket", bucket), ("producer", link.producer.as_str())];
            producers.entry(labels).or_default().push(link);
        }
        producers.into_iter().filter_map(move |(labels, links)| Some((labels, value(&links)?)))
    }

    fn by_link(
        &self,
        value: impl Fn(&LinkStatus) -> Option<u64>,
    ) -> impl Iterator<Item = Sample<'_, 3, u64>> {
        self.all_links().filter_map(move |(bucket, link)| {
            let (producer, name) = (link.producer.as_str(), link.name.as_str());
            Some(([("bucket", bucket), ("producer", producer), ("link", name)], value(link)?))
        })
    }

    fn all_links(&self) -> impl Iterator<Item = (&str, &LinkStatus)> {
        self.buckets
            .iter()
            .flat_map(|status| status.links.iter().map(|link| (status.bucket.as_str(), link)))
    }

    pub(super) fn links(&self, out: &mut Out<'_>) -> fmt::Result {
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
        let mut broken = Vec::new();
        for kind in LOOPS {
            let is_it = |link: &&LinkStatus| link.broken.as_ref().is_some_and(|b| b.kind == kind);
            let samples =
                self.by_producer(|links| Some(links.iter().copied().filter(|l| is_it(l)).count()));
            broken.extend(samples.map(|([b, p], count)| ([b, p, ("kind", kind.name())], count)));
        }
        out.gauge(
            "dcp_proxy_links_broken",
            "Links in a retry loop: they come up and fall, or a rival uses their name",
            broken,
        )?;
        let bytes = self.by_link(|link| Some(link.bytes_total));
        let frames = self.by_link(|link| Some(link.frames_total));
        out.counter("dcp_proxy_link_bytes", "Bytes from producer to consumer", bytes)?;
        out.counter("dcp_proxy_link_frames", "Frames from producer to consumer", frames)?;
        let window = self.by_link(|link| link.window_bytes);
        let unacked = self.by_link(|link| link.unacked_bytes);
        let help = "The flow-control window that the consumer asked for";
        out.gauge("dcp_proxy_link_window_bytes", help, window)?;
        let help = "Bytes that the consumer has not acknowledged, at most the window; an estimate";
        out.gauge("dcp_proxy_link_unacked_bytes", help, unacked)?;
        let waiting = self.by_link(|link| link.prepare_waiting_ms);
        let waiting = waiting.map(|(labels, ms)| (labels, seconds(ms)));
        let help = "How long a prepare has waited for the consumer's acknowledgement, the longest";
        out.gauge("dcp_proxy_link_prepare_waiting_seconds", help, waiting)
    }

    pub(super) fn streams(&self, out: &mut Out<'_>) -> fmt::Result {
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
        out.gauge(
            "dcp_proxy_streams_unresponsive",
            "Open streams with an unresponsive node",
            sum(views::unresponsive),
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

    /// An unknown lag in seqnos has no sample. Sums and maxima are of the known ones; `lag_unknown`
    /// counts the vBuckets that they do not cover. The lag in seconds grows by the clock while it
    /// is unknown, and `lag_age_seconds` says how old it is.
    pub(super) fn lag(&self, out: &mut Out<'_>) -> fmt::Result {
        let all = self.by_producer(|links| seqnos(links).reduce(u64::saturating_add));
        let max = self.by_producer(|links| seqnos(links).max());
        let time = self.by_producer(|links| {
            let streams = links.iter().flat_map(|link| &link.streams);
            streams.filter_map(|stream| stream.lag_ms).max().map(seconds)
        });
        let age = self.by_producer(|links| {
            let streams = links.iter().flat_map(|link| &link.streams);
            // What was never reported is as old as its lag.
            streams.filter_map(|stream| stream.lag_age_ms.or(stream.lag_ms)).max().map(seconds)
        });
        let unknown = self.by_producer(|links| {
            Some(links.iter().map(|link| views::lag_unknown(link)).sum::<usize>())
        });
        out.gauge("dcp_proxy_lag_seqnos", "Lag in seqnos, sum of the known ones", all)?;
        out.gauge("dcp_proxy_lag_seqnos_max", "Lag in seqnos, largest known", max)?;
        out.gauge(
            "dcp_proxy_lag_seconds_max",
            "Lag in seconds, largest; grows by the clock while it is unknown",
            time,
        )?;
        out.gauge("dcp_proxy_lag_age_seconds", "Age of the oldest report behind the lag", age)?;
        out.gauge("dcp_proxy_lag_unknown", "vBuckets whose lag is unknown", unknown)
    }
}

fn seqnos(links: &[&LinkStatus]) -> impl Iterator<Item = u64> {
    links.iter().flat_map(|link| &link.streams).filter_map(|stream| stream.lag_seqnos)
}
