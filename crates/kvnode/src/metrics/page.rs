//! The names and help texts of the metrics. Every bucket has a sample of each from its start on.

use std::fmt;

use exposition::{Durations, Format, certificate, process};
use mcbp::VbState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::bucket::Bucket;
use crate::context::Context;
use crate::dcp::{ServedBucket, Totals};
use crate::sync::read;

type Labels = Vec<(&'static str, String)>;

/// Name without `_total`, help, value.
type Metric<T> = (&'static str, &'static str, fn(&T) -> u64);

const NODE_COUNTERS: &[Metric<Context>] = &[
    ("kvnode_connections_accepted", "Connections, also rejected ones", |n| {
        n.counters.connections.get()
    }),
    ("kvnode_connections_rejected", "Connections rejected at the limit", |n| {
        n.counters.rejected_connections.get()
    }),
    ("kvnode_connections_evicted", "Connections without a login closed for newer ones", |n| {
        n.door.evictions.get()
    }),
    ("kvnode_authentication_failures", "Failed authentications", |n| n.counters.auth_errors.get()),
    ("kvnode_error_answers", "Requests answered with an error", |n| n.counters.errors.get()),
];
const NODE_GAUGES: &[Metric<Context>] = &[
    ("kvnode_uptime_seconds", "Seconds since the start", |n| n.started.elapsed().as_secs()),
    ("kvnode_connections", "Open connections", Context::connection_count),
    ("kvnode_connections_max", "Connections that there may be", |n| n.door.limits().total as u64),
    ("kvnode_connections_not_authenticated", "Open connections without a login", |n| {
        n.door.taken().1 as u64
    }),
    ("kvnode_connection_memory_bytes", "Memory of large requests and unread answers", |n| {
        n.account.held_bytes() as u64
    }),
    ("kvnode_config_last_reload_successful", "1 unless the last reload was refused", |n| {
        n.reloads.is_good().into()
    }),
    (
        "kvnode_config_last_reload_success_timestamp_seconds",
        "When the configuration was read successfully last, in seconds since 1970",
        |n| n.reloads.last_success().into(),
    ),
];

const COUNTERS: &[Metric<Bucket>] = &[
    ("kvnode_data_read_failures", "Disk reads that failed: damaged data or a broken disk", |b| {
        b.counters().read_failures.get()
    }),
    ("kvnode_commit_failures", "Batches that failed to be written", |b| {
        b.counters().commit_failures.get()
    }),
    ("kvnode_cas_ahead", "CAS values from elsewhere that were ahead of the clock", |b| {
        b.counters().active_drift.ahead.get() + b.counters().replica_drift.ahead.get()
    }),
    ("kvnode_cas_refused", "CAS values from elsewhere that were too far ahead of the clock", |b| {
        b.counters().invalid_cas.get()
    }),
    ("kvnode_commits", "Batches that were written", |b| b.counters().commits.get()),
    ("kvnode_changes_committed", "Changes that were written", |b| {
        b.counters().rows_committed.get()
    }),
    ("kvnode_changes_lost", "Changes that were acknowledged and could not be written", |b| {
        b.counters().changes_lost.get()
    }),
    ("kvnode_gets", "Documents requested", |b| b.counters().gets.get()),
    ("kvnode_get_hits", "Documents requested and found", |b| b.counters().get_hits.get()),
    ("kvnode_disk_reads", "Documents looked up on the disk, not being in memory", |b| {
        b.counters().disk_reads.get()
    }),
    ("kvnode_sets", "Documents written by clients", |b| b.counters().sets.get()),
    ("kvnode_deletes", "Documents deleted by clients", |b| b.counters().deletes.get()),
    ("kvnode_not_my_vbucket", "Requests for a vBucket that is not active here", |b| {
        b.counters().not_my_vbucket.get()
    }),
    ("kvnode_expirations", "Documents that expired", |b| {
        b.counters().expired_on_access.get() + b.counters().expired_by_pager.get()
    }),
    ("kvnode_deletions_purged", "Old deletions dropped", |b| b.counters().purged.get()),
    ("kvnode_rollbacks", "Rollbacks of vBuckets", |b| b.counters().rollbacks.get()),
];

const GAUGES: &[Metric<Bucket>] = &[
    ("kvnode_ready", "1 once warm-up has succeeded", |b| b.is_ready().into()),
    ("kvnode_writes_refused", "1 while writes are refused because a commit failed", |b| {
        b.write_failure().is_some().into()
    }),
    ("kvnode_quota_bytes", "Memory quota of the bucket", |b| b.options().quota_bytes),
    ("kvnode_memory_used_bytes", "Memory in use, counted towards the quota", Bucket::used_bytes),
    ("kvnode_commit_queue_bytes", "Changes that wait to be written", |b| b.queued_bytes() as u64),
    ("kvnode_memory_log_bytes", "Changes kept in memory for streams", |b| b.logged_bytes() as u64),
    ("kvnode_row_cache_bytes", "Documents kept in memory for readers", Bucket::cached_bytes),
    ("kvnode_store_memory_bytes", "Caches and tables of the store", |b| b.store().memory_bytes()),
    ("kvnode_disk_bytes", "Files of the store", |b| b.store().disk_bytes()),
    ("kvnode_change_history_bytes", "Older versions of documents on the disk", |b| {
        b.change_history().bytes
    }),
];

const DCP_GAUGES: &[Metric<Totals>] = &[
    ("kvnode_dcp_streams", "Streams that this node sends", |t| t.streams as u64),
    ("kvnode_dcp_backfills", "Streams that are being read from disk", |t| t.backfills as u64),
    ("kvnode_dcp_backfills_waiting", "Streams that wait to be read from disk", |t| {
        t.backfills_waiting as u64
    }),
    ("kvnode_dcp_read_ahead_bytes", "Read from disk and not sent yet", |t| {
        t.read_ahead_bytes as u64
    }),
    ("kvnode_dcp_silent_consumers", "Consumers with a full window and no acknowledgement", |t| {
        t.silent as u64
    }),
    ("kvnode_dcp_unacked_bytes", "Sent and not acknowledged", |t| t.unacked_bytes),
];

const STATES: [VbState; 4] = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];

/// Returns the page.
pub(super) fn text(node: &Context, format: Format) -> Result<String, fmt::Error> {
    format.page(Facts::of(node))
}

/// One metric with its samples.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, u64)>,
}

/// All metrics of one page.
#[derive(Default, Debug)]
struct Facts {
    families: Vec<Family>,
    times: Vec<Times>,
}

/// Name, help, and a histogram by labels.
type Times = (&'static str, &'static str, Vec<(Labels, Reading)>);

/// A histogram as [`Durations::read`] returns it.
type Reading = (f64, u64, Vec<(f64, u64)>);

impl Facts {
    fn of(node: &Context) -> Self {
        let mut facts = Self::default();
        let alone = [(Vec::new(), node)];
        facts.add(MetricType::Counter, NODE_COUNTERS, &alone);
        facts.add(MetricType::Gauge, NODE_GAUGES, &alone);
        let label = |served: &ServedBucket| vec![("bucket", served.bucket.name().to_owned())];
        let buckets = node.buckets.iter().map(|served| (label(served), served.bucket.as_ref()));
        let buckets: Vec<_> = buckets.collect();
        facts.add(MetricType::Counter, COUNTERS, &buckets);
        facts.add(MetricType::Gauge, GAUGES, &buckets);
        let free = |(labels, bucket): &(Labels, &Bucket)| {
            Some((labels.clone(), bucket.store().disk_free_bytes()?))
        };
        let help = "Free space on the disk of the store";
        facts.gauge("kvnode_disk_free_bytes", help, buckets.iter().filter_map(free).collect());
        facts.times(&buckets);
        facts.vbuckets(&buckets);
        let totals = node.buckets.iter().map(|served| (label(served), Totals::of(served)));
        let totals: Vec<_> = totals.collect();
        let totals: Vec<_> = totals.iter().map(|(labels, t)| (labels.clone(), t)).collect();
        facts.add(MetricType::Gauge, DCP_GAUGES, &totals);
        let sides = totals.iter().flat_map(|(labels, totals)| {
            let of = |side: &str, count: usize| (with(labels, "side", side), count as u64);
            [of("producer", totals.producers), of("consumer", totals.consumers)]
        });
        let help = "DCP connections, by what this node is on them";
        facts.gauge("kvnode_dcp_connections", help, sides.collect());
        facts.invariants();
        let reloads = [("success", node.reloads.successes()), ("failure", node.reloads.failures())];
        let samples = reloads.map(|(result, count)| (vec![("result", result.to_owned())], count));
        let (name, help) = ("kvnode_config_reloads", "Reloads of the configuration, by result");
        let (kind, samples) = (MetricType::Counter, samples.to_vec());
        facts.families.push(Family { name, help, kind, samples });
        let logins = node.counters.logins.all().map(|(mechanism, outcome, count)| {
            let labels = [("mechanism", mechanism), ("outcome", outcome)];
            (labels.map(|(name, label)| (name, label.to_owned())).to_vec(), count)
        });
        let (name, help) = ("kvnode_logins", "Logins, by SASL mechanism and outcome");
        facts.families.push(Family { name, help, kind, samples: logins.collect() });
        let expiry = read(&node.certificate).as_deref().and_then(certificate::expiry);
        let expiry = expiry.and_then(|at| u64::try_from(at).ok());
        let help = "When the certificate of the listener expires, in seconds since 1970";
        let samples = expiry.into_iter().map(|at| (Vec::new(), at)).collect();
        facts.gauge("kvnode_certificate_expiry_timestamp_seconds", help, samples);
        facts
    }

    fn add<T>(&mut self, kind: MetricType, metrics: &[Metric<T>], of: &[(Labels, &T)]) {
        for (name, help, value) in metrics {
            let samples = of.iter().map(|(labels, of)| (labels.clone(), value(of))).collect();
            self.families.push(Family { name, help, kind, samples });
        }
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) {
        self.families.push(Family { name, help, kind: MetricType::Gauge, samples });
    }

    /// Each opcode has a sample once it was used.
    fn times(&mut self, buckets: &[(Labels, &Bucket)]) {
        let time = |bucket: &Bucket| Durations::read(&bucket.counters().commit_time);
        let commits = buckets.iter().map(|(labels, b)| (labels.clone(), time(b)));
        let help = "Time to write and sync a batch of changes, in seconds";
        self.times.push(("kvnode_commit_seconds", help, commits.collect()));
        let commands = buckets.iter().flat_map(|(labels, bucket)| {
            let timings = &bucket.counters().timings;
            timings.seen().filter_map(move |opcode| {
                Some((with(labels, "opcode", opcode.name()?), timings.of([opcode]).rebinned()))
            })
        });
        let help = "Time to execute a command, until its change is written, in seconds";
        self.times.push(("kvnode_command_seconds", help, commands.collect()));
    }

    /// Those of the whole process. Each place has a sample once its invariant was broken.
    fn invariants(&mut self) {
        let counts = invariant::counts().into_iter();
        let samples = counts.map(|(place, count)| (vec![("place", place.to_string())], count));
        let (name, help) = ("kvnode_invariants_broken", "Internal errors, by their place");
        let (kind, samples) = (MetricType::Counter, samples.collect());
        self.families.push(Family { name, help, kind, samples });
        let lines = logger::left_out().into_iter();
        let samples = lines.map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
        let (name, help) = ("kvnode_log_lines_left_out", logger::LEFT_OUT_HELP);
        self.families.push(Family { name, help, kind, samples: samples.collect() });
    }

    fn vbuckets(&mut self, buckets: &[(Labels, &Bucket)]) {
        let (mut counts, mut documents) = (Vec::new(), Vec::new());
        for ((labels, bucket), state) in buckets.iter().flat_map(|b| STATES.map(|s| (b, s))) {
            let vbs: Vec<_> = bucket.all_vbs().filter(|vb| vb.state() == state).collect();
            // A vBucket that cannot be read is counted in `kvnode_data_read_failures`.
            let items = vbs.iter().filter_map(|vb| vb.item_count().ok()).sum();
            let labels = with(labels, "state", &state.to_string());
            counts.push((labels.clone(), vbs.len() as u64));
            documents.push((labels, items));
        }
        self.gauge("kvnode_vbuckets", "vBuckets, by state", counts);
        self.gauge("kvnode_documents", "Documents, by the state of their vBucket", documents);
    }
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    labels.iter().cloned().chain([(name, value.to_owned())]).collect()
}

impl Collector for Facts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        process::encode(&mut encoder, "kvnode", env!("CARGO_PKG_VERSION"))?;
        for Family { name, help, kind, samples } in &self.families {
            let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in samples {
                if labels.is_empty() {
                    put(&mut metric, *kind, *value)?;
                } else {
                    put(&mut metric.encode_family(labels)?, *kind, *value)?;
                }
            }
        }
        for (name, help, samples) in &self.times {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (labels, (sum, count, buckets)) in samples {
                let mut family = metric.encode_family(labels)?;
                family.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)?;
            }
        }
        Ok(())
    }
}

fn put(sample: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        MetricType::Counter => sample.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ => sample.encode_gauge(&value),
    }
}
