//! The lines of a copy and of the sidecar.

use mcbp::VbState;

use super::answer;
use crate::client::ms;
use crate::explain::facts::{Facts, Node, VbCopy, View};
use crate::explain::told::Link;

/// An unknown figure.
const UNKNOWN: &str = "?";
/// One that does not apply.
const NONE: &str = "-";

pub(super) fn state(state: Option<VbState>) -> String {
    state.map_or(UNKNOWN, VbState::name).to_owned()
}

/// What a node says, by name; always the same lines, so that nodes stand side by side.
pub(super) fn copy_fields(facts: &Facts, node: &Node) -> Vec<(&'static str, String)> {
    let none = VbCopy::default();
    let copy = node.copy();
    let (is_known, of) = (copy.is_some(), copy.unwrap_or(&none));
    let unknown = if is_known { UNKNOWN } else { NONE };
    let number = |number: Option<u64>| number.map_or(unknown.to_owned(), |n| n.to_string());
    let snapshot = of.snapshot.map(|(start, end)| format!("{start} to {end}"));
    let unread = of.unread.iter().map(|(group, why)| format!("{group}: {why}"));
    let unread: Vec<_> = unread.collect();
    vec![
        ("address", if node.address.is_empty() { NONE.to_owned() } else { node.address.clone() }),
        ("version", of.version.clone().unwrap_or_else(|| unknown.to_owned())),
        ("state", answer(node)),
        ("uuid", number(of.uuid)),
        ("high seqno", number(of.high)),
        ("persisted seqno", number(of.persisted)),
        ("snapshot", snapshot.unwrap_or_else(|| unknown.to_owned())),
        ("purge seqno", number(of.purge)),
        ("max CAS", number(of.max_cas)),
        ("documents", number(of.documents)),
        ("deletions kept", number(of.deletions)),
        ("prepared seqno", number(of.high_prepared)),
        ("completed seqno", number(of.high_completed)),
        ("pending writes", number(of.pending_prepares)),
        ("topology", if is_known { topology(of) } else { NONE.to_owned() }),
        ("names our node", if is_known { names(of, &facts.our_name) } else { NONE.to_owned() }),
        ("not read", if unread.is_empty() { NONE.to_owned() } else { unread.join("; ") }),
    ]
}

/// The chains, such as `n1 > n2`; a name that is missing is `?`.
fn topology(copy: &VbCopy) -> String {
    match &copy.topology {
        None => UNKNOWN.to_owned(),
        Some(chains) if chains.is_empty() => "none".to_owned(),
        Some(chains) => {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "(none)".to_owned());
            let chain = |chain: &Vec<Option<String>>| {
                chain.iter().map(name).collect::<Vec<_>>().join(" > ")
            };
            chains.iter().map(chain).collect::<Vec<_>>().join("; ")
        }
    }
}

fn names(copy: &VbCopy, ours: &str) -> String {
    let Some(chains) = &copy.topology else { return UNKNOWN.to_owned() };
    if chains.is_empty() {
        return NONE.to_owned();
    }
    let is_named = chains.iter().flatten().any(|name| name.as_deref() == Some(ours));
    if is_named { "yes" } else { "no" }.to_owned()
}

/// What the sidecar says. What does not apply is left out.
pub(super) fn sidecar_fields(view: &View) -> Vec<(&'static str, String)> {
    let mut fields = vec![("state", format!("{}: {}", view.state, view.meaning))];
    if view.paused {
        fields.push(("paused", "yes".to_owned()));
    }
    if let Some(moving) = &view.moving {
        let left = moving.estimate.map_or(UNKNOWN.to_owned(), |left| left.to_string());
        let since = ms(moving.since_ms);
        let text =
            format!("{} from {}, {left} changes left, for {since}", moving.phase, moving.from);
        fields.push(("move", text));
    }
    fields.extend(link_fields(view));
    fields.extend(stream_fields(view));
    fields
}

fn link_fields(view: &View) -> Vec<(&'static str, String)> {
    let Some(name) = &view.link else { return Vec::new() };
    let mut fields = vec![("link", name.clone())];
    let Some(link) = &view.link_status else { return fields };
    let since = link.phase_since.as_ref().map(|at| format!(" since {at}")).unwrap_or_default();
    fields.push(("link phase", format!("{}{since}", link.phase)));
    if let Some((bytes, frames)) = link.bytes_per_s.zip(link.frames_per_s) {
        fields.push(("link rate", format!("{bytes} bytes/s, {frames} frames/s")));
    }
    let heard =
        [("producer heard", link.producer_silent_ms), ("our node heard", link.consumer_silent_ms)];
    let heard =
        heard.into_iter().filter_map(|(name, age)| Some((name, format!("{} ago", ms(age?)))));
    fields.extend(heard);
    if let Some((unacked, window)) = link.unacked_bytes.zip(link.window_bytes) {
        fields.push(("unacknowledged", format!("{unacked} of {window} bytes")));
    }
    fields.extend(durable_fields(link));
    fields.extend(link.last_error.iter().map(|error| ("link error", error.clone())));
    fields.extend(link.retry_in_ms.map(|left| ("link opened again", format!("in {}", ms(left)))));
    fields
}

/// How long our node takes to acknowledge prepares of durable writes.
fn durable_fields(link: &Link) -> impl Iterator<Item = (&'static str, String)> {
    let took = link.prepare_ack_us.map(|us| format!("{}.{:03} ms, the last", us / 1000, us % 1000));
    let waiting = link.prepare_waiting_ms.map(|waits| format!("one waits for {}", ms(waits)));
    took.map(|text| ("prepares acknowledged in", text))
        .into_iter()
        .chain(waiting.map(|text| ("prepares not acknowledged", text)))
}

fn stream_fields(view: &View) -> Vec<(&'static str, String)> {
    let Some(stream) = &view.stream else { return Vec::new() };
    let mut fields = vec![("stream phase", stream.phase.clone())];
    let age = |name, age: Option<u64>| age.map(|age| (name, format!("{} ago", ms(age))));
    let lag = stream.lag_seqnos.map_or(UNKNOWN.to_owned(), |lag| lag.to_string());
    let lag_ms = stream.lag_ms.map_or(UNKNOWN.to_owned(), ms);
    let measured = stream
        .lag_age_ms
        .map_or("never measured".to_owned(), |age| format!("measured {} ago", ms(age)));
    fields.push(("lag", format!("{lag} seqnos, {lag_ms}, {measured}")));
    fields.extend(age("our seqno changed", stream.progress_ms));
    fields.extend(stream.not_open_ms.map(|lasts| ("not open for", ms(lasts))));
    // A sample of the runs of frames that pass, of which it may have missed all.
    if stream.passed_frames > 0 {
        let (frames, bytes) = (stream.passed_frames, stream.passed_bytes);
        let last = stream.passed_seqno.map(|seqno| format!(", up to seqno {seqno}"));
        let passed = format!("{frames} frames, {bytes} bytes{}", last.unwrap_or_default());
        fields.push(("passed, sampled", passed));
    }
    fields.extend(stream.complete_to.map(|seqno| ("complete only to", seqno.to_string())));
    let before = stream.rollbacks_before;
    fields.extend(before.map(|before| ("rollbacks before it", before.to_string())));
    let error = stream.last_error.as_ref();
    fields.extend(error.map(|error| ("stream error", error.detail.clone())));
    if stream.failures > 0 {
        fields.push(("failures in a row", stream.failures.to_string()));
    }
    fields.extend(stream.retry_in_ms.map(|left| ("tried again", format!("in {}", ms(left)))));
    fields
}
