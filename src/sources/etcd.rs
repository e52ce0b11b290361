//! Follows the maps in etcd, and reports there what became of them.

use std::time::Duration;

use dcp_actors::{BucketStatus, LinkStatus, StreamPhase};
use etcdmaps::{Connection as Seen, EtcdMaps, Failing, Known, Refused, Report, Update};
use events::{Kind, Level};
use logline::value;
use mcbp::VbId;
use replica::plan::VbSet;
use tokio_util::sync::CancellationToken;

use super::maps::producers;
use super::origin::{Connection, OriginOfBucket, RefusedMap};
use super::{Running, Sources};
use crate::config::{Config, Etcd};
use crate::map::etcd_config;

/// How often the state of replication is looked at for the reports, which are written more rarely.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Sources {
    /// Follows the maps of this node until `stop` is cancelled.
    pub(super) async fn follow_etcd(&self, etcd: &Etcd, stop: &CancellationToken) {
        let Some(running) = self.0.running.get() else { return };
        let config = self.config();
        let (maps, mut updates) =
            EtcdMaps::start(etcd_config(etcd), config.node.name(), known(&config));
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                update = updates.recv() => match update {
                    Some(update) => {
                        stop.run_until_cancelled(self.take(update)).await;
                    }
                    None => break,
                },
                _ = ticks.tick() => {
                    maps.set_known(known(&self.config()));
                    self.report(running, &maps).await;
                }
            }
        }
        maps.stop().await;
    }

    async fn take(&self, update: Update) {
        match update {
            Update::Map { bucket, entry, revision } => {
                self.follow_source(&bucket, entry).await;
                log::info!("map from etcd taken bucket={bucket} revision={revision}");
                let now = OriginOfBucket { revision: Some(revision), ..Default::default() };
                self.origin_of(&bucket, |known| *known = now);
            }
            Update::Refused { bucket, key, value: found, reason, revision } => {
                let (said, shown) = (value(&reason), value(&found));
                log::error!(
                    "map from etcd refused, the last good one stays bucket={bucket} key={key} \
                     value={shown} reason={said}"
                );
                let text = format!("the map at {key} is refused: {reason}");
                self.0.events.note(Level::Error, Kind::DesiredChanged, Some(&bucket), text);
                let refused = RefusedMap { key, value: found, reason, revision };
                self.origin_of(&bucket, |known| known.refused = Some(refused));
            }
            Update::Missing { bucket, key } => {
                log::warn!("etcd has no map, the last good one stays bucket={bucket} key={key}");
                self.origin_of(&bucket, |known| {
                    (known.missing, known.refused) = (true, None);
                });
            }
            Update::Connection(seen) => self.connection(seen),
        }
    }

    fn connection(&self, seen: Seen) {
        let (level, kind, text, now) = match seen {
            Seen::Connected { endpoint } => {
                log::info!("maps are followed from etcd endpoint={endpoint}");
                let text = format!("the maps are followed at {endpoint}");
                (Level::Info, Kind::SourceBack, text, Connection::Connected { endpoint })
            }
            Seen::Away { since_ms, error } => {
                let said = value(&error);
                log::warn!("etcd is away, replication goes on as it was error={said}");
                let text = format!("etcd is away, replication goes on as it was: {error}");
                (Level::Warn, Kind::SourceLost, text, Connection::away(since_ms, error))
            }
        };
        self.0.events.note(level, kind, None, text);
        self.change_origin(|origin| origin.connection = Some(now));
    }

    async fn report(&self, running: &Running, to: &EtcdMaps) {
        let (maps, origin) = (self.maps(), self.origin());
        for status in running.replication.status().await {
            let drift = maps.bucket(&status.bucket).map_or(0, |maps| maps.drift());
            let known = origin.buckets.get(&status.bucket).cloned().unwrap_or_default();
            to.report(&status.bucket, report(&status, known, drift));
        }
    }
}

fn known(config: &Config) -> Known {
    let buckets = config.buckets.iter().map(|it| (it.name.clone(), it.connections));
    Known { buckets: buckets.collect(), producers: producers(config) }
}

/// What is open, failing and how far behind.
fn report(status: &BucketStatus, known: OriginOfBucket, drift: usize) -> Report {
    let mut report = Report {
        revision: known.revision.unwrap_or_default(),
        drift: u64::try_from(drift).unwrap_or(u64::MAX),
        lag: Some(0),
        ..Report::default()
    };
    report.refused = known.refused.map(|it| Refused { revision: it.revision, reason: it.reason });
    for link in &status.links {
        for stream in &link.streams {
            let vb = VbId(stream.vbucket);
            report.lag = report.lag.zip(stream.lag_seqnos).map(|(sum, lag)| sum + lag);
            if stream.phase == StreamPhase::Open {
                report.open.entry(link.producer.clone()).or_default().insert(vb);
            } else {
                let error = stream.last_error.as_ref().map(ToString::to_string);
                fails(&mut report, link, vb, error);
            }
        }
    }
    report
}

fn fails(report: &mut Report, link: &LinkStatus, vb: VbId, error: Option<String>) {
    let of_link = || link.last_error.as_ref().map(ToString::to_string);
    let reason = error.or_else(of_link).unwrap_or_else(|| "not open yet".to_owned());
    let is_same =
        |it: &&mut Failing| it.producer.as_ref() == Some(&link.producer) && it.reason == reason;
    match report.failing.iter_mut().find(is_same) {
        Some(known) => _ = known.vbuckets.insert(vb),
        None => {
            let vbuckets = VbSet::from_iter([vb]);
            report.failing.push(Failing {
                producer: Some(link.producer.clone()),
                vbuckets,
                reason,
            });
        }
    }
}
