//! Draws the state onto a buffer of cells. Pure: nothing but the state is read.

mod detail;
mod grid;
mod head;
mod links;
mod lists;
mod theme;

#[cfg(test)]
mod tests;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use super::keys::{ACTS, HELP, Panel};
use super::layout::{Amounts, Place, places};
use super::state::State;
use super::text::{RULE, cut, left, width, wrap};

pub(super) use self::theme::Theme;

/// A line of a place.
type Row = Line<'static>;

/// The columns of the keys in the help.
const HELP_KEYS: usize = 14;

/// Draws the whole screen.
pub(super) fn draw(state: &State, theme: Theme) -> Buffer {
    let (columns, rows) = state.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    let problems = head::problems(state, theme, columns.into());
    let overview = state.overview.as_ref();
    let amounts = Amounts {
        problems: len(problems.len()),
        buckets: len(overview.map_or(0, |it| it.buckets.len())),
        links: len(state.links().len()),
        vbuckets: len(state.states().map_or(0, |states| states.chars().count())),
    };
    for (place, area) in places(state.size, state.view.panel, state.view.detail, amounts) {
        let (columns, rows) = (usize::from(area.width), usize::from(area.height));
        let lines = match place {
            Place::Head => head::head(state, theme, columns),
            Place::Problems => head::shortened(&problems, rows, theme, columns),
            Place::Buckets => lists::buckets(state, theme, columns, rows),
            Place::Panel(_) | Place::Detail if state.view.help => continue,
            Place::Panel(Panel::Links) => links::links(state, theme, columns, rows),
            Place::Panel(Panel::Grid) => grid::grid(state, theme, columns, rows),
            Place::Panel(Panel::Moves) => lists::moves(state, theme, columns, rows),
            Place::Panel(Panel::Events) => lists::events(state, theme, columns, rows),
            Place::Panel(Panel::Nodes) => lists::nodes(state, theme, columns, rows),
            Place::Panel(Panel::Problems) => head::all_problems(state, theme, columns, rows),
            Place::Detail => detail::detail(state, theme, columns, rows),
            Place::Foot => vec![head::foot(state, theme, columns)],
        };
        put(&mut buffer, area, &lines);
    }
    if state.view.help {
        put_help(&mut buffer, theme);
    }
    buffer
}

fn len(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Puts lines into an area; what does not fit is left out.
fn put(buffer: &mut Buffer, area: Rect, lines: &[Row]) {
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// Puts the help between the first and the last line.
fn put_help(buffer: &mut Buffer, theme: Theme) {
    let Rect { width, height, .. } = *buffer.area();
    let area = Rect::new(0, 1.min(height), width, height.saturating_sub(2));
    for y in area.y..area.bottom() {
        let row = " ".repeat(width.into());
        buffer.set_stringn(area.x, y, row, width.into(), Style::reset());
    }
    let columns = usize::from(width);
    let mut lines = vec![title("help", columns, true, theme)];
    for (keys, what) in HELP {
        let room = columns.saturating_sub(HELP_KEYS);
        for (at, part) in wrap(what, room).into_iter().enumerate() {
            let keys = if at == 0 { keys } else { "" };
            lines.push(Line::from(vec![
                Span::styled(left(keys, HELP_KEYS), theme.strong()),
                Span::raw(part),
            ]));
        }
    }
    lines.push(Line::default());
    lines.extend(wrap(ACTS, columns).into_iter().map(Line::raw));
    put(buffer, area, &lines);
}

/// The first line of a panel.
fn title(text: &str, columns: usize, is_focus: bool, theme: Theme) -> Row {
    let text = cut(text, columns);
    let rule = RULE.repeat(columns.saturating_sub(width(&text) + 1));
    let style = if is_focus { theme.focus() } else { theme.strong() };
    Line::from(vec![Span::styled(text, style), Span::raw(" "), Span::styled(rule, theme.faint())])
}

/// The title with the rows below it, from one on, so that the last ones can be reached.
fn listed(title: Row, rows: Vec<Row>, skipped: usize, height: usize) -> Vec<Row> {
    let room = height.saturating_sub(1);
    let skipped = skipped.min(rows.len().saturating_sub(room));
    std::iter::once(title).chain(rows.into_iter().skip(skipped).take(room)).collect()
}

/// A line with nothing to show but this.
fn note(text: &str, theme: Theme) -> Row {
    Line::styled(text.to_owned(), theme.faint())
}
