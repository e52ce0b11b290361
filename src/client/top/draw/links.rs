//! The links with their rates and lags, and their last minutes.

use ratatui_core::text::{Line, Span};

use super::theme::Theme;
use super::{Row, note, title};
use crate::client::top::answers::{ErrorText, Link};
use crate::client::top::keys::Panel;
use crate::client::top::links::{is_up, name};
use crate::client::top::state::{State, View};
use crate::client::top::text::{
    LEVELS, bytes_rate, count, cut, lag, left, ms, plain, rate, right, width, wrap,
};

/// The columns of a name at least.
const NAME_MIN: usize = 12;
const NAME_MAX: usize = 40;

/// A column: its name, its width, and from which width of the panel on it is shown.
struct Column {
    name: &'static str,
    width: usize,
    from: usize,
    text: fn(&State, &Link, usize) -> String,
}

const COLUMNS: [Column; 8] = [
    Column { name: "phase", width: 11, from: 28, text: |_, link, _| plain(&link.phase) },
    Column { name: "open", width: 12, from: 36, text: |_, link, _| open(link) },
    Column { name: "bytes", width: 12, from: 60, text: |_, link, _| bytes_rate(link.bytes_per_s) },
    Column { name: "frames", width: 10, from: 92, text: |_, link, _| rate(link.frames_per_s) },
    Column { name: "lag", width: 12, from: 48, text: |_, link, _| time_lag(link) },
    Column { name: "changes", width: 9, from: 104, text: |_, link, _| seqno_lag(link) },
    Column {
        name: "bytes, 2 min",
        width: 24,
        from: 88,
        text: |state, link, width| past(state, link, width, |past| &past.bytes_per_s),
    },
    Column {
        name: "lag, 2 min",
        width: 24,
        from: 132,
        text: |state, link, width| past(state, link, width, |past| &past.lag_ms),
    },
];

/// The panel of the links.
pub(super) fn links(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let View { sort, is_reversed, filter, panel, .. } = &state.view;
    let shown = state.links();
    let all = state.overview.as_ref().map_or(0, |overview| overview.links.len());
    let mut text = format!("links: {} of {all} by {}", shown.len(), sort.name());
    text += if *is_reversed { ", reversed" } else { "" };
    if !filter.is_empty() {
        text += &format!(", filter {:?}", plain(filter));
    }
    if let Some(error) = &state.history_error {
        text += &format!(", no past: {}", plain(error));
    }
    let mut lines = vec![title(&text, columns, *panel == Panel::Links, theme)];
    if shown.is_empty() {
        let why = if all == 0 { "no link is known" } else { "the filter hides all links" };
        lines.push(note(&cut(why, columns), theme));
        return lines;
    }
    let name_width = shown.iter().map(|link| width(&name(link))).max().unwrap_or(0);
    let name_width = name_width.clamp(NAME_MIN, NAME_MAX).min(columns);
    lines.push(heading(name_width, columns, theme));
    let at = state.link_at(&shown);
    let error = shown.get(at).map(|link| error(link, columns)).unwrap_or_default();
    let room = rows.saturating_sub(2 + error.len()).max(1);
    // The chosen one is on the screen.
    let first = (at + 1).saturating_sub(room);
    for (number, link) in shown.iter().enumerate().skip(first).take(room) {
        let is_chosen = number == at && *panel == Panel::Links;
        lines.push(row(state, link, name_width, columns, is_chosen, theme));
    }
    lines.extend(error.into_iter().map(|line| Line::styled(line, theme.severity("warning"))));
    lines.truncate(rows);
    lines
}

fn heading(name_width: usize, columns: usize, theme: Theme) -> Row {
    let mut text = left("  link", name_width + 2);
    for column in fitting(columns) {
        text += &right(column.name, column.width + 1);
    }
    Line::styled(cut(&text, columns), theme.faint())
}

fn fitting(columns: usize) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |column| columns >= column.from)
}

fn row(
    state: &State,
    link: &Link,
    name_width: usize,
    columns: usize,
    is_chosen: bool,
    theme: Theme,
) -> Row {
    let mark = if is_up(link) { "  " } else { "! " };
    let mut text = mark.to_owned() + &left(&plain(&name(link)), name_width);
    for column in fitting(columns) {
        let cell = (column.text)(state, link, column.width);
        text += &right(&cell, column.width + 1);
    }
    let style = match (is_chosen, is_up(link)) {
        (true, _) => theme.focus(),
        (false, true) => ratatui_core::style::Style::new(),
        (false, false) => theme.severity("error"),
    };
    Line::from(Span::styled(left(&text, columns), style))
}

/// The last error of the chosen link.
fn error(link: &Link, columns: usize) -> Vec<String> {
    let Some(error) = link.last_error.as_ref().map(ErrorText::text) else { return Vec::new() };
    let text = format!("  last error of {}: {}", plain(&name(link)), plain(error));
    wrap(&text, columns).into_iter().take(2).collect()
}

fn open(link: &Link) -> String {
    format!("{}/{}", count(link.open), count(link.wanted))
}

fn time_lag(link: &Link) -> String {
    lag(link.lag_ms.map(|it| ms(Some(it))), link.lag_unknown)
}

fn seqno_lag(link: &Link) -> String {
    lag(link.lag_seqnos.map(|it| count(Some(it))), link.lag_unknown)
}

type Values = Vec<Option<f64>>;

fn past(
    state: &State,
    link: &Link,
    columns: usize,
    of: fn(&crate::client::top::answers::Samples) -> &Values,
) -> String {
    state.past(link).map(|past| spark(of(&past.samples), columns)).unwrap_or_default()
}

/// The last samples as levels of the largest of them; one that is not known is no level.
fn spark(values: &[Option<f64>], columns: usize) -> String {
    let last = values.get(values.len().saturating_sub(columns)..).unwrap_or_default();
    let max = last.iter().flatten().copied().fold(0.0_f64, f64::max);
    let sign = |value: &Option<f64>| match value {
        None => "?",
        Some(value) => level(*value, max),
    };
    last.iter().map(sign).collect()
}

/// Nothing is the lowest level, and whatever is more is a higher one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in the range")]
fn level(value: f64, max: f64) -> &'static str {
    let is_none = value.is_nan() || value <= 0.0;
    let at = if is_none { 0 } else { ((value / max) * 7.0).ceil().clamp(1.0, 7.0) as usize };
    LEVELS.get(at).copied().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_levels_and_unknown_ones_are_not() {
        for (values, columns, text) in [
            (vec![Some(0.0), Some(1.0), Some(50.0), Some(100.0)], 9, "0147"),
            (vec![Some(5.0), None, Some(0.0), Some(5.0)], 3, "?07"),
            (vec![Some(0.0), Some(0.0)], 9, "00"),
            (vec![None, Some(f64::NAN)], 9, "?0"),
            (vec![], 9, ""),
            (vec![Some(1.0)], 0, ""),
        ] {
            let mut levels = spark(&values, columns);
            for (number, level) in LEVELS.iter().enumerate() {
                levels = levels.replace(level, &number.to_string());
            }
            assert_eq!(levels, text, "{values:?}");
        }
    }
}
