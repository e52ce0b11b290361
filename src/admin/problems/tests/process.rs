//! The process itself.

use dcp_actors::{LinkPhase, StreamPhase};

use super::*;
use crate::admin::fixtures::{all, bucket, link};
use crate::config::Certificate;
use crate::sources::LastReload;

#[test]
fn while_it_starts_or_stops_nothing_of_replication_is_a_problem() {
    let buckets = [bucket(vec![link(LinkPhase::Waiting, None, all(8, StreamPhase::Due))])];
    for (phase, id) in [(Phase::Starting, "starting"), (Phase::Stopping, "stopping")] {
        let mut facts = facts(&buckets);
        facts.phase = phase;
        let problem = only(&facts);
        assert_eq!((problem.id, problem.severity), (id, Severity::Warning));
        facts.lines_lost = 7;
        assert_eq!(list(&facts)[0].id, id, "it comes first");
    }
}

fn reloaded(error: Option<&str>, restart_needed: &[&str]) -> Option<LastReload> {
    Some(LastReload {
        at: UNIX_EPOCH,
        by: "SIGHUP".to_owned(),
        error: error.map(str::to_owned),
        restart_needed: restart_needed.iter().map(|key| (*key).to_owned()).collect(),
    })
}

#[test]
fn a_reload_that_failed_or_is_not_complete_is_told() {
    let mut facts = facts(&[]);
    facts.reload = reloaded(None, &[]);
    assert_eq!(told(&facts), []);
    facts.reload = reloaded(Some("proxy.toml:3:1: unknown key\nmore"), &[]);
    let problem = only(&facts);
    assert_eq!((problem.id, problem.severity), ("reload-failed", Severity::Warning));
    assert_eq!(
        problem.what,
        "the configuration file is invalid, the old one is in force: proxy.toml:3:1: unknown key"
    );
    assert_eq!(problem.since.as_deref(), Some("1970-01-01T00:00:00.000Z"));
    facts.reload = reloaded(None, &["admin: listen"]);
    assert_eq!((only(&facts).id, only(&facts).severity), ("restart-needed", Severity::Notice));
}

#[test]
fn state_log_and_defects_are_told() {
    let mut facts = facts(&[]);
    facts.state_error = Some("no space".to_owned());
    facts.lines_lost = 1200;
    facts.broken = vec![("src/x.rs:7".to_owned(), 2)];
    let ids: Vec<_> = told(&facts).into_iter().map(|(severity, id, ..)| (severity, id)).collect();
    assert_eq!(
        ids,
        [
            (Severity::Error, "invariant-broken"),
            (Severity::Error, "state-not-written"),
            (Severity::Warning, "log-lines-lost"),
        ]
    );
}

#[test]
fn a_certificate_is_told_in_the_last_month_and_once_it_has_expired() {
    let file = Certificate { node: "alpha".to_owned(), key: "ca", path: "ca.pem".into() };
    let of = |days: i64| {
        let mut facts = facts(&[]);
        // It is the end of the first day.
        facts.certificates = vec![(file.clone(), (days + 1) * 24 * 3600)];
        list(&facts)
    };
    assert_eq!(of(31), []);
    let soon = &of(30)[0];
    assert_eq!((soon.id, soon.severity), ("certificate-expires", Severity::Warning));
    assert_eq!(soon.what, "the certificate in ca.pem (ca of node alpha) expires in 30 days");
    let gone = &of(-1)[0];
    assert_eq!((gone.id, gone.severity), ("certificate-expired", Severity::Error));
    assert_eq!(gone.since.as_deref(), Some("1970-01-01T00:00:00.000Z"));
}
