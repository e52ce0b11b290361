//! The lists: buckets, moves, events, nodes.

use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use super::theme::Theme;
use super::{Row, listed, note, title};
use crate::client::top::answers::{Bucket, Embedded, Happened, Move, Node};
use crate::client::top::keys::Panel;
use crate::client::top::state::State;
use crate::client::top::text::{
    UNKNOWN, bytes, bytes_rate, count, cut, lag, left, ms, plain, rate, right, time, width,
};

/// The columns of the name of a bucket at most.
const NAME_MAX: usize = 24;
/// The figures of a bucket with their widths, those that matter most first.
const BUCKET_COLUMNS: [(&str, usize); 9] = [
    ("open", 13),
    ("failed", 8),
    ("lag", 14),
    ("bytes", 13),
    ("moving", 8),
    ("paused", 8),
    ("drift", 7),
    ("frames", 12),
    ("lag, changes", 14),
];

/// The table of the buckets; the one in the grid has a mark.
pub(super) fn buckets(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let Some(overview) = &state.overview else {
        return vec![note(&cut("no bucket is known yet", columns), theme)];
    };
    let names = overview.buckets.iter().map(|it| width(&it.bucket)).max().unwrap_or(0);
    let names = names.clamp("bucket".len(), NAME_MAX);
    let row = |name: &str, cells: [String; 9]| {
        let mut text = left(name, names + 2);
        for (cell, (_, width)) in cells.iter().zip(BUCKET_COLUMNS) {
            // A column is shown as a whole or not at all.
            if self::width(&text) + width > columns {
                break;
            }
            text += &right(cell, width);
        }
        cut(&text, columns)
    };
    let heading = row("  bucket", BUCKET_COLUMNS.map(|(name, _)| name.to_owned()));
    let title = Line::styled(left(&heading, columns), theme.faint());
    let chosen = state.bucket().map(|bucket| &bucket.bucket);
    let lines = overview.buckets.iter().map(|bucket| {
        let mark = if Some(&bucket.bucket) == chosen { "> " } else { "  " };
        let text = row(&(mark.to_owned() + &plain(&bucket.bucket)), figures(bucket));
        Line::styled(text, bucket_style(bucket, theme))
    });
    let lines: Vec<_> = lines.collect();
    let at = overview.buckets.iter().position(|bucket| Some(&bucket.bucket) == chosen);
    // The chosen one is on the screen.
    let skipped = (at.unwrap_or_default() + 2).saturating_sub(rows);
    listed(title, lines, skipped, rows)
}

fn figures(bucket: &Bucket) -> [String; 9] {
    [
        format!("{}/{}", count(bucket.open), count(bucket.wanted)),
        count(bucket.failed),
        lag(bucket.lag_ms_max.map(|it| ms(Some(it))), bucket.lag_unknown),
        bytes_rate(bucket.bytes_per_s),
        count(bucket.moving),
        count(bucket.paused),
        count(bucket.drift),
        rate(bucket.frames_per_s),
        lag(bucket.lag_seqnos_max.map(|it| count(Some(it))), bucket.lag_unknown),
    ]
}

fn bucket_style(bucket: &Bucket, theme: Theme) -> Style {
    let is_well = bucket.failed == Some(0) && bucket.open.is_some() && bucket.open == bucket.wanted;
    if is_well { Style::new() } else { theme.severity("warning") }
}

/// The panel of the moves.
pub(super) fn moves(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let moves = state.overview.as_ref().map(|overview| overview.moves.as_slice());
    let count = moves.map_or(UNKNOWN.to_owned(), |moves| moves.len().to_string());
    let is_focus = state.view.panel == Panel::Moves;
    let title = title(&format!("moves: {count}"), columns, is_focus, theme);
    let lines: Vec<_> = moves.unwrap_or_default().iter().map(|it| moving(it, columns)).collect();
    if lines.is_empty() {
        return vec![title, note(&cut("no vBucket is being moved", columns), theme)];
    }
    listed(title, lines, if is_focus { state.view.skipped } else { 0 }, rows)
}

fn moving(moving: &Move, columns: usize) -> Row {
    Line::raw(cut(&move_text(moving), columns))
}

/// A move in words, with how much of the first estimate is done.
pub(super) fn move_text(moving: &Move) -> String {
    let Move { bucket, vbucket, from, phase, estimate, estimate_first, since_ms } = moving;
    let share =
        estimate.zip(*estimate_first).filter(|(_, first)| *first > 0).map(|(left, first)| {
            let done = first.saturating_sub(left).saturating_mul(100) / first;
            format!(" ({done} %)")
        });
    let (left, share) = (count(*estimate), share.unwrap_or_default());
    plain(&format!(
        "vb:{vbucket} of {bucket} from {from}: {phase}, {left} changes left{share}, for {}",
        ms(*since_ms)
    ))
}

/// The panel of the events, the newest at the bottom.
pub(super) fn events(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let is_focus = state.view.panel == Panel::Events;
    let skipped = if is_focus { state.view.skipped } else { 0 };
    let mut text = format!("events: {}", state.events.len());
    if skipped > 0 {
        text += &format!(", {skipped} newer below");
    }
    if let Some(error) = &state.events_error {
        text += &format!(", cannot be read: {}", plain(error));
    }
    let mut lines = vec![title(&text, columns, is_focus, theme)];
    if state.events.is_empty() {
        lines.push(note(&cut("no event is known", columns), theme));
    }
    let today = state.overview.as_ref().and_then(|overview| overview.at.as_deref());
    let end = state.events.len().saturating_sub(skipped);
    let first = end.saturating_sub(rows.saturating_sub(1));
    let shown = state.events.iter().take(end).skip(first);
    lines.extend(shown.map(|event| happened(event, today, columns, theme)));
    lines
}

/// An event: its time, a sign for its level, kind, whom it concerns, text.
pub(super) fn happened(event: &Happened, today: Option<&str>, columns: usize, theme: Theme) -> Row {
    let Happened { time: at, level, kind, bucket, link, node, vbuckets, more, text } = event;
    let sign = match level.as_str() {
        "error" | "warn" | "warning" => super::theme::sign(level),
        _ => "  ",
    };
    // The name of a link has the bucket in it.
    let whom = [link, if link.is_none() { bucket } else { &None }, node];
    let whom: Vec<_> = whom.into_iter().flatten().map(String::as_str).collect();
    let set = vbuckets.as_ref().map(|set| format!(" vb {set}")).unwrap_or_default();
    let more = if *more > 0 { format!(" ({more} more)") } else { String::new() };
    let line = format!(" {kind} {}{set}{more}: {text}", whom.join(" "));
    let at = if at.is_empty() { "--".to_owned() } else { time(at, today) };
    let before = format!("{at} {sign}");
    let line = cut(&plain(&line), columns.saturating_sub(width(&before)));
    Line::from(vec![
        Span::styled(before, theme.severity(level)),
        Span::styled(line, if sign.trim().is_empty() { Style::new() } else { theme.strong() }),
    ])
}

/// The panel of the nodes: the own one, the producers, and what is embedded.
pub(super) fn nodes(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let is_focus = state.view.panel == Panel::Nodes;
    let title = title("nodes", columns, is_focus, theme);
    let Some(overview) = &state.overview else {
        return vec![title, note(&cut("no node is known yet", columns), theme)];
    };
    let all = std::iter::once(("node", &overview.node));
    let all = all.chain(overview.producers.iter().map(|node| ("producer", node)));
    let mut lines: Vec<_> = all.flat_map(|(side, it)| node(side, it, columns, theme)).collect();
    lines.extend(overview.embedded.iter().flat_map(|it| embedded(it, columns, theme)));
    listed(title, lines, if is_focus { state.view.skipped } else { 0 }, rows)
}

fn node(side: &str, node: &Node, columns: usize, theme: Theme) -> Vec<Row> {
    let Node { name, silent_ms, unresponsive, error, warning } = node;
    let heard =
        silent_ms.map_or("not heard".to_owned(), |it| format!("heard {} ago", ms(Some(it))));
    let state = match unresponsive {
        Some(true) => ", UNRESPONSIVE",
        Some(false) => "",
        None => ", answers: ?",
    };
    let style = if *unresponsive == Some(true) { theme.severity("error") } else { Style::new() };
    let first = plain(&format!("{side} {name}: {heard}{state}"));
    let mut lines = vec![Line::styled(cut(&first, columns), style)];
    for (what, text) in [("error", error), ("warning", warning)] {
        let text = text.iter().map(|text| plain(&format!("  {what}: {text}")));
        lines.extend(text.map(|text| Line::styled(cut(&text, columns), theme.severity(what))));
    }
    lines
}

fn embedded(node: &Embedded, columns: usize, theme: Theme) -> Vec<Row> {
    let Embedded { name, address, durability, .. } = node;
    let first = plain(&format!("embedded {name} at {address}, {durability}"));
    let second = format!(
        "  {} documents, disk {}, memory {} of {}, {} connections",
        count(node.documents),
        bytes(node.disk_bytes),
        bytes(node.memory_bytes),
        bytes(node.quota_bytes),
        count(node.connections),
    );
    let third = format!(
        "  sets {}, gets {}, commits {}",
        count(node.sets_total),
        count(node.gets_total),
        count(node.commits_total)
    );
    vec![
        Line::styled(cut(&first, columns), theme.strong()),
        Line::raw(cut(&second, columns)),
        Line::raw(cut(&third, columns)),
    ]
}
