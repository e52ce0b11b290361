//! The grid of the vBuckets of a bucket: a letter for the state of each.

use ratatui_core::text::{Line, Span};

use super::theme::Theme;
use super::{Row, note, title};
use crate::client::top::keys::Panel;
use crate::client::top::layout::{GRID_LABEL, grid_row};
use crate::client::top::state::State;
use crate::client::top::text::{UNKNOWN, cut, plain, width};

/// The most rows of the legend.
const LEGEND_MAX: usize = 4;

/// The panel of the grid.
pub(super) fn grid(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let is_focus = state.view.panel == Panel::Grid;
    let bucket = state.bucket();
    let name = bucket.map_or(UNKNOWN.to_owned(), |bucket| plain(&bucket.bucket));
    let Some(states) = state.states() else {
        let title = title(&format!("vBuckets of {name}"), columns, is_focus, theme);
        return vec![title, note(&cut("their states are not known", columns), theme)];
    };
    let states: Vec<_> = states.chars().collect();
    let at = usize::from(state.view.cursor);
    let text = format!("vBuckets of {name}: vb:{at} {}", word(state, states.get(at)));
    let mut lines = vec![title(&text, columns, is_focus, theme)];
    let legend = legend(state, &states, columns);
    // Where there is little room, the grid matters more.
    let legend_rows = legend.len().min(LEGEND_MAX).min(rows.saturating_sub(1) / 3);
    let room = rows.saturating_sub(1 + legend_rows);
    let row = usize::from(grid_row(state.size));
    let all = states.len().div_ceil(row);
    let first = (at / row).saturating_sub(room / 2).min(all.saturating_sub(room));
    for number in (first..all).take(room) {
        lines.push(cells(state, &states, number * row, row, theme));
    }
    lines.extend(legend.into_iter().take(legend_rows).map(Line::raw));
    lines
}

fn word(state: &State, found: Option<&char>) -> String {
    let Some(c) = found else { return UNKNOWN.to_owned() };
    let word = state.meaning(*c).map(|legend| plain(&legend.word));
    format!("{} {}", printed(*c), word.unwrap_or(UNKNOWN.to_owned()))
}

/// A letter of a peer as one that has one cell.
fn printed(c: char) -> char {
    if c.is_ascii_graphic() { c } else { '?' }
}

/// A row of the grid; cells of one style are one span.
fn cells(state: &State, states: &[char], from: usize, count: usize, theme: Theme) -> Row {
    let label = format!("{from:>width$} ", width = usize::from(GRID_LABEL) - 1);
    let mut spans = vec![Span::styled(label, theme.faint())];
    for (number, c) in states.iter().enumerate().skip(from).take(count) {
        let mut style = state
            .meaning(*c)
            .map_or(theme.severity("warning"), |legend| theme.severity(&legend.severity));
        if number == usize::from(state.view.cursor) {
            style = style.patch(theme.focus());
        }
        match spans.last_mut() {
            Some(last) if number > from && last.style == style => {
                last.content.to_mut().push(printed(*c));
            }
            _ => spans.push(Span::styled(printed(*c).to_string(), style)),
        }
    }
    Line::from(spans)
}

/// The states that there are, with their counts: those in trouble first.
fn legend(state: &State, states: &[char], columns: usize) -> Vec<String> {
    let mut counts: Vec<(char, usize)> = Vec::new();
    for c in states {
        match counts.iter_mut().find(|(found, _)| found == c) {
            Some((_, count)) => *count += 1,
            None => counts.push((*c, 1)),
        }
    }
    counts.sort_by_key(|(c, count)| (!state.is_trouble(*c), std::cmp::Reverse(*count)));
    let mut lines: Vec<String> = Vec::new();
    for (c, count) in counts {
        let word = state.meaning(c).map_or(UNKNOWN.to_owned(), |legend| plain(&legend.word));
        let part = format!("{}={word}:{count}", printed(c));
        match lines.last_mut() {
            Some(line) if width(line) + 2 + width(&part) <= columns => {
                line.push_str("  ");
                line.push_str(&part);
            }
            _ => lines.push(cut(&part, columns)),
        }
    }
    lines
}
