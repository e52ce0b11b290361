//! The first lines: which sidecar, whether it answers, what is wrong; and the last line, the keys.

use ratatui_core::text::{Line, Span};

use super::theme::{Theme, sign};
use super::{Row, listed, title};
use crate::client::top::answers::Problem;
use crate::client::top::keys::Panel;
use crate::client::top::state::{Input, Lost, Moment, State};
use crate::client::top::text::{UNKNOWN, cut, left, ms, plain, since, time, width, wrap};
use crate::clock;

/// How far what belongs to a problem is indented.
const INDENT: usize = 3;

/// Which sidecar it is, its state and its time.
pub(super) fn head(state: &State, theme: Theme, columns: usize) -> Vec<Row> {
    let Some(overview) = &state.overview else {
        return vec![Line::raw(cut(&format!("dcp-proxy top  {}", plain(&state.url)), columns))];
    };
    let (word, style) = match (&state.lost, overview.ready) {
        (Some(_), _) => ("NO ANSWER", theme.severity("error")),
        (None, Some(true)) => ("ready", theme.severity("ok")),
        (None, Some(false)) => ("NOT READY", theme.severity("error")),
        (None, None) => (UNKNOWN, theme.strong()),
    };
    let before = plain(&format!("dcp-proxy {}  {}  ", overview.version, overview.node.name));
    let after = plain(&format!("  {} for {}", overview.phase, ms(overview.uptime_ms)));
    let at = overview.at.as_deref().map_or(UNKNOWN.to_owned(), |at| time(at, Some(at)));
    let right = plain(&format!("{}  {at} UTC", state.url));
    let used = width(&before) + width(word) + width(&after);
    let gap = columns.saturating_sub(used + width(&right));
    let right = if gap >= 2 { " ".repeat(gap) + &right } else { String::new() };
    vec![Line::from(vec![
        Span::styled(before, theme.strong()),
        Span::styled(word, style),
        Span::raw(after),
        Span::styled(right, theme.faint()),
    ])]
}

/// What is wrong, with since when and the remedy; the worst first.
pub(super) fn problems(state: &State, theme: Theme, columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(Moment { wall_ms, .. }) = state.view.paused {
        let text = format!("PAUSED at {}: this is as it was then; p continues", utc(wall_ms));
        rows.extend(block("i ", &text, theme.focus(), columns));
    }
    if let Some(lost) = &state.lost {
        rows.extend(silence(state, lost, theme, columns));
        return rows;
    }
    let Some(overview) = &state.overview else {
        rows.extend(block("? ", "waiting for the first answer", theme.strong(), columns));
        return rows;
    };
    let now = overview.at.as_deref();
    match &overview.problems {
        Some(problems) if problems.is_empty() => {
            let headline = plain(overview.headline.as_deref().unwrap_or("no problem is known"));
            let is_well = overview.ready == Some(true);
            let style = if is_well { theme.severity("ok") } else { theme.strong() };
            let sign = if is_well { "ok" } else { "? " };
            rows.extend(block(sign, &headline, style, columns));
        }
        Some(problems) => {
            rows.extend(problems.iter().flat_map(|it| problem(it, now, theme, columns)));
        }
        None => {
            let text = "the sidecar does not say what is wrong: its state is not known";
            rows.extend(block("? ", text, theme.severity("warning"), columns));
        }
    }
    rows
}

fn silence(state: &State, lost: &Lost, theme: Theme, columns: usize) -> Vec<Row> {
    let now = clock::utc_ms(state.now.wall_ms);
    let since = since(Some(&clock::utc_ms(lost.since.wall_ms)), Some(&now));
    let what = format!("NO ANSWER from the sidecar {since}");
    let shown = if lost.was_heard { "what is below is as it was then; " } else { "" };
    let why = plain(&format!("{}: {shown}it is asked again every second", lost.why));
    let mut rows = block("!!", &what, theme.severity("error"), columns);
    rows.extend(block("  ", &why, theme.strong(), columns));
    rows
}

fn problem(problem: &Problem, now: Option<&str>, theme: Theme, columns: usize) -> Vec<Row> {
    let Problem { severity, what, since: at, remedy } = problem;
    let what = format!("{}, {}", plain(what), since(at.as_deref(), now));
    let mut rows = block(sign(severity), &what, theme.severity(severity), columns);
    if let Some(remedy) = remedy.as_ref().filter(|remedy| !remedy.is_empty()) {
        rows.extend(block("  ", &format!("-> {}", plain(remedy)), theme.strong(), columns));
    }
    rows
}

/// Wrapped text behind a sign.
fn block(sign: &str, text: &str, style: ratatui_core::style::Style, columns: usize) -> Vec<Row> {
    let lines = wrap(text, columns.saturating_sub(INDENT));
    let row = |(at, line): (usize, String)| {
        let sign = left(if at == 0 { sign } else { "" }, INDENT.min(columns));
        Line::from(vec![Span::styled(sign, style), Span::styled(line, style)])
    };
    lines.into_iter().enumerate().map(row).collect()
}

/// As many rows of what is wrong as fit; where some do not, the last one says so.
pub(super) fn shortened(rows: &[Row], max: usize, theme: Theme, columns: usize) -> Vec<Row> {
    if rows.len() <= max || max < 2 {
        return rows.iter().take(max).cloned().collect();
    }
    let mut shown: Vec<_> = rows.iter().take(max - 1).cloned().collect();
    let left_out = rows.len() - shown.len();
    let text = cut(&format!("   {left_out} more lines: 6 shows them all"), columns);
    shown.push(Line::styled(text, theme.strong()));
    shown
}

/// The panel of all problems.
pub(super) fn all_problems(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let is_focus = state.view.panel == Panel::Problems;
    let skipped = if is_focus { state.view.skipped } else { 0 };
    let count = state.overview.as_ref().and_then(|overview| overview.problems.as_ref());
    let count = count.map_or(UNKNOWN.to_owned(), |problems| problems.len().to_string());
    let title = title(&format!("problems: {count}"), columns, is_focus, theme);
    listed(title, problems(state, theme, columns), skipped, rows)
}

/// What is typed, or the keys.
pub(super) fn foot(state: &State, theme: Theme, columns: usize) -> Row {
    let view = &state.view;
    let text = match &view.input {
        Some(Input::Filter) => format!("filter: {}_  (Enter keeps it, Esc drops it)", view.filter),
        Some(Input::GoTo(text)) => format!("go to vBucket: {text}_  (Enter goes, Esc does not)"),
        None if view.help => "? or Esc closes the help".to_owned(),
        None => {
            let name = |(at, panel): (usize, Panel)| {
                let mark = if panel == view.panel { "*" } else { "" };
                format!("{}{mark}{}", at + 1, panel.name())
            };
            let panels: Vec<_> = Panel::ALL.into_iter().enumerate().map(name).collect();
            let keys = format!("? help  q quit  {}", panels.join(" "));
            let more = "  s sort  r reverse  / filter  Enter details  n trouble  p pause";
            let fits = width(&keys) + width(more) <= columns;
            keys + if fits { more } else { "" }
        }
    };
    Line::styled(left(&plain(&text), columns), theme.focus())
}

fn utc(wall_ms: u64) -> String {
    let text = clock::utc_ms(wall_ms);
    time(&text, Some(&text)) + " UTC"
}
