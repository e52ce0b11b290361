//! The words for links and streams that are not as they should be.

use super::Problem;
use super::facts::Facts;
use crate::vb_state::Severity;

/// What is wrong with a stream, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Rival,
    Login,
    NoBucket,
    NoPrivilege,
    LinkLoop,
    LinkDown,
    StreamLoop,
    Incomplete,
    Waiting,
    RollingBack,
    HeldBack,
    SetUp,
}

/// What the words are about.
pub(super) struct Told<'a> {
    /// The bucket.
    pub(super) name: &'a str,
    /// How many vBuckets of it.
    pub(super) some: String,
    /// The node at fault, with its role.
    pub(super) role: String,
    /// Why.
    pub(super) why: &'a str,
}

/// What is wrong with a link, or with its login.
pub(super) fn of_link(facts: &Facts<'_>, kind: Kind, told: &Told<'_>) -> Option<Problem> {
    let Told { some, role, why, .. } = told;
    Some(match kind {
        Kind::Rival => Problem::new(
            Severity::Error,
            "rival",
            format!(
                "another sidecar takes the connections of ours; {some} are not replicated: {why}"
            ),
            format!("stop the other sidecar, or give each its own [node] name in {}", facts.file()),
        ),
        Kind::Login => Problem::new(
            Severity::Error,
            "login-refused",
            format!("{role} {why}; {some} are not replicated"),
            format!(
                "correct username and password of this node in {}, then run {}",
                facts.file(),
                facts.command(&["reload"])
            ),
        ),
        Kind::NoBucket => Problem::new(
            Severity::Error,
            "no-bucket",
            format!("{role} {why}; {some} are not replicated"),
            "create the bucket at this node, correct its name, or give the user access to it"
                .to_owned(),
        ),
        Kind::NoPrivilege => Problem::new(
            Severity::Error,
            "no-privilege",
            format!("{role}: the user lacks a privilege: {why}; {some} are not replicated"),
            format!("give the user the privilege that {} names", facts.command(&["doctor"])),
        ),
        Kind::LinkLoop => Problem::new(
            Severity::Error,
            "link-loop",
            format!("the link to {role} comes up and falls again and again: {why}; {some} wait"),
            format!(
                "it is tried at the longest pause only; {} may tell why",
                facts.command(&["doctor"])
            ),
        ),
        Kind::LinkDown => Problem::new(
            Severity::Error,
            "link-down",
            format!("a link is down, at {role}: {why}; {some} get no changes"),
            format!("it is opened again by itself; {} checks the node", facts.command(&["doctor"])),
        ),
        _ => return None,
    })
}

/// What is wrong with streams.
pub(super) fn of_streams(facts: &Facts<'_>, kind: Kind, told: &Told<'_>) -> Option<Problem> {
    let Told { name, some, role, why } = told;
    let failed = facts.command_of(&["streams", "--failed"], &[name]);
    Some(match kind {
        Kind::StreamLoop => Problem::new(
            Severity::Error,
            "stream-loop",
            format!("{some} fail again and again, at {role}: {why}"),
            format!("they are retried at the longest pause only; {failed} lists them"),
        ),
        Kind::Incomplete => Problem::new(
            Severity::Error,
            "copy-incomplete",
            format!("the copies of {some} may miss changes: {role} rolls them back"),
            format!(
                "nothing where they are made anew on request; else find out why {role} refused \
                 rows ({failed}): often its disk or memory is full"
            ),
        ),
        Kind::Waiting => Problem::new(
            Severity::Error,
            "stream-waiting",
            format!("{some} get no changes, because of {role}: {why}"),
            format!("they are retried by themselves; {failed} lists them"),
        ),
        _ => return None,
    })
}

/// What is being done about streams, or waits for an operator's decision; `share` names the
/// vBuckets as an argument of `replicate`.
pub(super) fn of_what_is_done(
    facts: &Facts<'_>,
    kind: Kind,
    told: &Told<'_>,
    share: &str,
) -> Problem {
    let Told { name, some, role, .. } = told;
    match kind {
        Kind::RollingBack => Problem::new(
            Severity::Warning,
            "rolling-back",
            format!("{some} roll back at {role}: they had changes that the producer lacks"),
            "nothing: they are replicated from there on once that is done".to_owned(),
        ),
        Kind::HeldBack => Problem::new(
            Severity::Warning,
            "held-back",
            format!("{some} are to be replicated, but active at {role}: they are not asked for"),
            format!(
                "if another node is to serve them, set them replica here with SET_VBUCKET; else {}",
                facts.command_of(&["replicate", "--remove"], &[name, share])
            ),
        ),
        _ => Problem::new(
            Severity::Warning,
            "setting-up",
            format!("{some} are being set up, from {role}"),
            format!("wait a moment; if it lasts, {} tells why", facts.command(&["doctor"])),
        ),
    }
}
