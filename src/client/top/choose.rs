//! What a key changes in what is chosen. Pure.

use super::keys::{self, Action, Key, Motion, Panel};
use super::layout;
use super::links;
use super::state::{Input, State};

/// The longest filter.
const FILTER_CHARS_MAX: usize = 60;
/// The digits of the largest vBucket there can be.
const NUMBER_CHARS_MAX: usize = 5;
/// The rows of a page of a list, and of the grid.
const PAGE: usize = 10;
const GRID_PAGE: i32 = 8;

/// What follows from a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Draw,
    /// The screen is to be drawn from nothing.
    Clear,
    /// What is shown is to be read at once.
    Ask,
    Quit,
}

/// Takes a key.
pub(super) fn key(state: &mut State, key: Key) -> Next {
    if key != Key::Interrupt && state.view.input.is_some() {
        typed(state, key);
        return Next::Draw;
    }
    keys::action(key).map_or(Next::Draw, |action| act(state, action))
}

fn act(state: &mut State, action: Action) -> Next {
    let view = &mut state.view;
    match action {
        Action::Quit => return Next::Quit,
        Action::Redraw => return Next::Clear,
        Action::Back if view.help => view.help = false,
        Action::Back if view.detail => view.detail = false,
        Action::Back => return Next::Quit,
        Action::Help => view.help = !view.help,
        Action::Pause if view.paused.take().is_some() => return Next::Ask,
        Action::Pause => view.paused = Some(state.now),
        Action::Focus(panel) => focus(state, panel),
        Action::Beside { is_next } => {
            let panel = view.panel.beside(is_next);
            focus(state, panel);
        }
        Action::Move(motion) => moved(state, motion),
        Action::Bucket { is_next } => bucket(state, is_next),
        Action::Sort => view.sort = view.sort.next(),
        Action::Reverse => view.is_reversed = !view.is_reversed,
        Action::Filter => {
            focus(state, Panel::Links);
            state.view.input = Some(Input::Filter);
        }
        Action::GoTo => view.input = Some(Input::GoTo(String::new())),
        Action::Trouble { is_next } => trouble(state, is_next),
        Action::Open => view.detail = !view.detail,
    }
    Next::Draw
}

/// Shows a panel, which hides the details where there is room for one alone.
fn focus(state: &mut State, panel: Panel) {
    let is_wide = layout::is_wide(state.size);
    let view = &mut state.view;
    if view.panel != panel {
        view.skipped = 0;
    }
    view.panel = panel;
    let has_place = is_wide && matches!(panel, Panel::Links | Panel::Grid | Panel::Events);
    view.detail &= has_place;
}

fn typed(state: &mut State, key: Key) {
    let view = &mut state.view;
    match (&mut view.input, key) {
        (Some(Input::Filter), Key::Char(c))
            if view.filter.chars().count() < FILTER_CHARS_MAX && !c.is_control() =>
        {
            view.filter.push(c);
        }
        (Some(Input::Filter), Key::Backspace) => _ = view.filter.pop(),
        (Some(Input::Filter), Key::Escape) => {
            view.filter.clear();
            view.input = None;
        }
        (Some(Input::GoTo(text)), Key::Char(c))
            if c.is_ascii_digit() && text.len() < NUMBER_CHARS_MAX =>
        {
            text.push(c);
        }
        (Some(Input::GoTo(text)), Key::Backspace) => _ = text.pop(),
        (Some(Input::GoTo(text)), Key::Enter) => {
            let number = text.parse::<u32>().ok();
            view.input = None;
            if let Some(number) = number {
                view.cursor = u16::try_from(number).unwrap_or(u16::MAX);
                show_grid(state);
            }
        }
        (_, Key::Enter | Key::Escape) => view.input = None,
        _ => {}
    }
    within(state);
}

/// The grid has the keys, and the details stay.
fn show_grid(state: &mut State) {
    let is_detail = state.view.detail;
    focus(state, Panel::Grid);
    state.view.detail = is_detail;
    within(state);
}

fn moved(state: &mut State, motion: Motion) {
    match state.view.panel {
        Panel::Grid => grid(state, motion),
        Panel::Links => {
            let shown: Vec<_> = state.links().iter().map(|link| links::name(link)).collect();
            let at = state.link_at(&state.links());
            let at = stepped(at, motion, shown.len());
            state.view.link = shown.get(at).cloned();
        }
        Panel::Events => {
            // Counted from the newest, which is at the bottom.
            let motion = match motion {
                Motion::Up => Motion::Down,
                Motion::Down => Motion::Up,
                Motion::PageUp => Motion::PageDown,
                Motion::PageDown => Motion::PageUp,
                Motion::First => Motion::Last,
                Motion::Last => Motion::First,
                other => other,
            };
            state.view.skipped = stepped(state.view.skipped, motion, state.rows());
        }
        Panel::Moves | Panel::Nodes | Panel::Problems => {
            state.view.skipped = stepped(state.view.skipped, motion, state.rows());
        }
    }
}

fn stepped(at: usize, motion: Motion, count: usize) -> usize {
    let last = count.saturating_sub(1);
    let at = match motion {
        Motion::Up => at.saturating_sub(1),
        Motion::Down => at + 1,
        Motion::PageUp => at.saturating_sub(PAGE),
        Motion::PageDown => at + PAGE,
        Motion::First => 0,
        Motion::Last => last,
        Motion::Left | Motion::Right => at,
    };
    at.min(last)
}

fn grid(state: &mut State, motion: Motion) {
    let row = i32::from(layout::grid_row(state.size));
    let by = match motion {
        Motion::Left => -1,
        Motion::Right => 1,
        Motion::Up => -row,
        Motion::Down => row,
        Motion::PageUp => -row * GRID_PAGE,
        Motion::PageDown => row * GRID_PAGE,
        Motion::First => i32::from(u16::MIN) - i32::from(u16::MAX),
        Motion::Last => i32::from(u16::MAX),
    };
    let to = i32::from(state.view.cursor) + by;
    let last = i32::from(last(state));
    // A step over the first or the last row is none.
    let is_step = matches!(motion, Motion::Up | Motion::Down | Motion::Left | Motion::Right);
    if !is_step || (0..=last).contains(&to) {
        state.view.cursor = u16::try_from(to.clamp(0, last)).unwrap_or_default();
    }
}

/// The last vBucket of the bucket in the grid.
fn last(state: &State) -> u16 {
    let count = state.states().map_or(0, |states| states.chars().count());
    u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX)
}

fn bucket(state: &mut State, is_next: bool) {
    let Some(overview) = &state.overview else { return };
    let names: Vec<_> = overview.buckets.iter().map(|bucket| &bucket.bucket).collect();
    let at = state.bucket().and_then(|it| names.iter().position(|name| **name == it.bucket));
    let by = if is_next { 1 } else { names.len().saturating_sub(1) };
    let to = names.iter().cycle().nth(at.unwrap_or_default() + by);
    state.view.bucket = to.map(|name| (*name).clone());
    within(state);
}

fn trouble(state: &mut State, is_next: bool) {
    let states = state.states().unwrap_or_default();
    let numbers = (0..=u16::MAX).zip(states.chars());
    let found: Vec<_> = numbers.filter(|(_, c)| state.is_trouble(*c)).map(|(vb, _)| vb).collect();
    let at = state.view.cursor;
    let to = if is_next {
        found.iter().find(|vb| **vb > at).or(found.first())
    } else {
        found.iter().rev().find(|vb| **vb < at).or(found.last())
    };
    if let Some(to) = to {
        state.view.cursor = *to;
        show_grid(state);
    }
}

/// What is chosen stays within what there is.
pub(super) fn within(state: &mut State) {
    // A bucket whose states are not known has none to choose, and may have them again.
    if state.states().is_some() {
        state.view.cursor = state.view.cursor.min(last(state));
    }
    if !matches!(state.view.panel, Panel::Links | Panel::Grid) {
        state.view.skipped = state.view.skipped.min(state.rows().saturating_sub(1));
    }
}
