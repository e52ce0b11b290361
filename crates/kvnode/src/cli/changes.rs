//! What a new configuration changes: which settings a running node takes, and which need a
//! restart. Pure.

use std::fmt::Debug;

use super::log::Log;
use crate::bucket::BucketOptions;
use crate::config::{Credentials, Limits, NodeConfig, User};

/// Settings that differ, as the file names them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Changes {
    /// Those that are applied.
    pub(super) applied: Vec<String>,
    /// Those that need a restart.
    pub(super) restart: Vec<String>,
}

impl Changes {
    /// Compares what is in force with what was read.
    pub(super) fn between(
        (old, old_log): (&NodeConfig, Log),
        (new, log): (&NodeConfig, Log),
    ) -> Self {
        let mut changes = Self::default();
        changes.restart("listen", &old.listen, &new.listen);
        changes.restart("metrics", &old.metrics, &new.metrics);
        changes.restart("data", &old.data, &new.data);
        if old.tls.is_some() == new.tls.is_some() {
            changes.applied("tls: certificate", &old.certificate, &new.certificate);
        } else {
            changes.restart.push("tls".to_owned());
        }
        changes.buckets(&old.buckets, &new.buckets);
        changes.users(old, new);
        changes.limits(&old.limits, &new.limits);
        changes.applied("log: level", &old_log.level, &log.level);
        changes.applied("log: format", &old_log.format, &log.format);
        changes
    }

    fn applied<T: Debug + PartialEq>(&mut self, name: impl Into<String>, old: &T, new: &T) {
        if old != new {
            self.applied.push(name.into());
        }
    }

    fn restart<T: Debug + PartialEq>(&mut self, name: impl Into<String>, old: &T, new: &T) {
        if old != new {
            self.restart.push(name.into());
        }
    }

    fn buckets(&mut self, old: &[BucketOptions], new: &[BucketOptions]) {
        let named = |all: &[BucketOptions], name: &str| {
            all.iter().find(|bucket| bucket.name == name).cloned()
        };
        for before in old {
            match named(new, &before.name) {
                Some(after) => self.bucket(before, &after),
                None => self.restart.push(format!("bucket {}: removed", before.name)),
            }
        }
        let added = new.iter().filter(|bucket| named(old, &bucket.name).is_none());
        self.restart.extend(added.map(|bucket| format!("bucket {}: added", bucket.name)));
    }

    fn bucket(&mut self, old: &BucketOptions, new: &BucketOptions) {
        let name = |key: &str| format!("bucket {}: {key}", old.name);
        self.restart(name("vbuckets"), &old.vbuckets, &new.vbuckets);
        self.restart(name("state"), &old.initial_state, &new.initial_state);
        self.restart(name("durability"), &old.acknowledges(), &new.acknowledges());
        self.restart(name("quota_mib"), &old.quota_bytes, &new.quota_bytes);
        let (before, after) = (old.expiry_pager_interval, new.expiry_pager_interval);
        self.restart(name("expiry_interval_s"), &before, &after);
        self.restart(name("deletions_kept_h"), &old.deletions_kept, &new.deletions_kept);
        self.restart(name("hlc_drift_ahead_ms"), &old.drift.ahead, &new.drift.ahead);
        self.restart(name("hlc_max_future_s"), &old.drift.future_max, &new.drift.future_max);
        let (old, new) = (old.retention, new.retention);
        self.restart(name("history_retention_bytes"), &old.bytes, &new.bytes);
        self.restart(name("history_retention_seconds"), &old.seconds, &new.seconds);
    }

    fn users(&mut self, old: &NodeConfig, new: &NodeConfig) {
        let named = |config: &NodeConfig, name: &str| {
            config.users.all.iter().find(|user| user.name == name).cloned()
        };
        for before @ User { name, .. } in &old.users.all {
            match named(new, name) {
                None => self.applied.push(format!("user {name}: removed")),
                Some(after) => {
                    let (from, to) =
                        (Known::of(&before.credentials), Known::of(&after.credentials));
                    if from != to {
                        self.applied.push(format!("user {name}: password"));
                    }
                    let (from, to) = (&before.grant, &after.grant);
                    self.applied(format!("user {name}: role"), &from.role, &to.role);
                    self.applied(format!("user {name}: buckets"), &from.buckets, &to.buckets);
                }
            }
        }
        let added = new.users.all.iter().filter(|user| named(old, &user.name).is_none());
        self.applied.extend(added.map(|user| format!("user {}: added", user.name)));
    }

    fn limits(&mut self, old: &Limits, new: &Limits) {
        self.applied("limits: authentication_s", &old.authentication, &new.authentication);
        self.applied("limits: shutdown_s", &old.shutdown, &new.shutdown);
        self.restart("limits: connections_max", &old.connections_max, &new.connections_max);
        self.restart("limits: worker_threads", &old.worker_threads, &new.worker_threads);
    }
}

/// What is known of a password. It is compared, and never shown.
#[derive(PartialEq)]
enum Known {
    Password(String),
    Verifiers(Vec<String>),
}

impl Known {
    fn of(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Password(secret) => Self::Password(secret.expose()),
            Credentials::Verifiers(all) => {
                Self::Verifiers(all.iter().map(ToString::to_string).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relay::Secret;

    use super::*;
    use crate::config::Role;

    fn config() -> NodeConfig {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        NodeConfig::new(listen, "d", BucketOptions::new("b"), "u", Secret::new("p"))
    }

    /// The changes that `edit` makes.
    fn changes(edit: impl FnOnce(&mut NodeConfig, &mut Log)) -> (Vec<String>, Vec<String>) {
        let (mut new, mut log) = (config(), Log::default());
        edit(&mut new, &mut log);
        let Changes { applied, restart } =
            Changes::between((&config(), Log::default()), (&new, log));
        (applied, restart)
    }

    #[test]
    fn every_setting_is_named_once() {
        type Edit = fn(&mut NodeConfig, &mut Log);
        assert_eq!(changes(|_, _| {}), (vec![], vec![]));
        let applied: [(&str, Edit); 9] = [
            ("user u: password", |c, _| c.users.all[0] = User::admin("u", Secret::new("q"))),
            ("user u: role", |c, _| c.users.all[0].grant.role = Role::ReadOnly),
            ("user u: buckets", |c, _| c.users.all[0].grant.buckets = vec!["b".to_owned()]),
            ("user v: added", |c, _| c.users.all.push(User::admin("v", Secret::new("q")))),
            ("tls: certificate", |c, _| c.certificate = Some("a.pem".into())),
            ("limits: authentication_s", |c, _| c.limits.authentication *= 2),
            ("limits: shutdown_s", |c, _| c.limits.shutdown *= 2),
            ("log: level", |_, log| log.level = Some(::log::LevelFilter::Debug)),
            ("log: format", |_, log| log.format = Some(logger::Format::Json)),
        ];
        for (name, edit) in applied {
            assert_eq!(changes(edit), (vec![name.to_owned()], vec![]));
        }
        let restart: [(&str, Edit); 16] = [
            ("listen", |c, _| c.listen.set_port(2)),
            ("metrics", |c, _| c.metrics = Some(c.listen)),
            ("data", |c, _| c.data = "e".into()),
            ("bucket b: vbuckets", |c, _| c.buckets[0].vbuckets = 1),
            ("bucket b: state", |c, _| c.buckets[0].initial_state = None),
            ("bucket b: durability", |c, _| c.buckets[0].durability = crate::Durability::Buffered),
            ("bucket b: quota_mib", |c, _| c.buckets[0].set_quota(1 << 30)),
            ("bucket b: expiry_interval_s", |c, _| c.buckets[0].expiry_pager_interval *= 2),
            ("bucket b: deletions_kept_h", |c, _| c.buckets[0].deletions_kept *= 2),
            ("bucket b: hlc_drift_ahead_ms", |c, _| c.buckets[0].drift.ahead *= 2),
            ("bucket b: hlc_max_future_s", |c, _| c.buckets[0].drift.future_max *= 2),
            ("bucket b: history_retention_bytes", |c, _| c.buckets[0].retention.bytes = 1),
            ("bucket b: history_retention_seconds", |c, _| c.buckets[0].retention.seconds = 1),
            ("bucket c: added", |c, _| c.buckets.push(BucketOptions::new("c"))),
            ("limits: connections_max", |c, _| c.limits.connections_max = 9),
            ("limits: worker_threads", |c, _| c.limits.worker_threads = 61),
        ];
        for (name, edit) in restart {
            assert_eq!(changes(edit), (vec![], vec![name.to_owned()]));
        }
        let both = changes(|c, _| {
            c.users.all[0].name = "w".to_owned();
            c.buckets[0].name = "c".to_owned();
            c.limits.shutdown += Duration::from_secs(1);
        });
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let applied = list(&["user u: removed", "user w: added", "limits: shutdown_s"]);
        assert_eq!(both, (applied, list(&["bucket b: removed", "bucket c: added"])));
    }
}
