//! What is drawn, as text, at several sizes.

use std::fmt::Write as _;

use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier};
use serde_json::Value;

use super::{Theme, draw};
use crate::client::top::keys::Panel;
use crate::client::top::sample::{bare, broken, detail, healthy, state, unknown};
use crate::client::top::state::{Chosen, Input, Lost, Moment, State};

const THEME: Theme = Theme { has_colour: false };

/// The cells as lines, without what a line ends with.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area().height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area().width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(super::width(symbol)).unwrap().max(1);
        }
        _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn shown(state: &State) -> String {
    text(&draw(state, THEME))
}

fn with_panel(overview: &Value, size: (u16, u16), panel: Panel) -> State {
    let mut state = state(overview, size);
    state.view.panel = panel;
    state
}

fn lost(overview: &Value, size: (u16, u16)) -> State {
    let mut state = state(overview, size);
    state.lost = Some(Lost {
        since: Moment { wall_ms: state.now.wall_ms - 12_000, ..Moment::default() },
        was_heard: true,
        why: "the sidecar at http://127.0.0.1:4870 does not answer: refused".to_owned(),
    });
    state
}

#[test]
fn a_screen_of_each_size() {
    for (name, (columns, rows)) in [
        ("tiny", (9, 3)),
        ("small", (40, 12)),
        ("usual", (80, 24)),
        ("large", (120, 40)),
        ("huge", (200, 60)),
    ] {
        let size = (columns, rows);
        insta::assert_snapshot!(format!("healthy-{name}"), shown(&state(&healthy(), size)));
        insta::assert_snapshot!(format!("broken-{name}"), shown(&state(&broken(), size)));
        insta::assert_snapshot!(format!("unknown-{name}"), shown(&state(&unknown(), size)));
        insta::assert_snapshot!(format!("lost-{name}"), shown(&lost(&healthy(), size)));
    }
}

#[test]
fn each_panel_alone() {
    for panel in Panel::ALL {
        let state = with_panel(&broken(), (80, 24), panel);
        insta::assert_snapshot!(format!("panel-{}", panel.name()), shown(&state));
    }
}

#[test]
fn what_is_open() {
    let mut state = with_panel(&broken(), (80, 24), Panel::Grid);
    state.view.cursor = 700;
    state.view.detail = true;
    let body = serde_json::from_value(detail(700)).unwrap();
    state.chosen = Some(Chosen { bucket: "default".to_owned(), vbucket: 700, detail: Ok(body) });
    insta::assert_snapshot!("details", shown(&state));
    state.size = (120, 40);
    insta::assert_snapshot!("details-large", shown(&state));
    state.view.cursor = 701;
    assert!(shown(&state).contains("not read yet"), "those of another one are not shown");
    state.view.help = true;
    state.size = (80, 24);
    insta::assert_snapshot!("help", shown(&state));
    state.view.help = false;
    state.view.detail = false;
    state.view.input = Some(Input::GoTo("70".to_owned()));
    assert!(shown(&state).contains("go to vBucket: 70_"), "{}", shown(&state));
    state.view.paused = Some(state.now);
    assert!(shown(&state).contains("PAUSED at "), "{}", shown(&state));
}

#[test]
fn before_the_first_answer_nothing_is_claimed() {
    let mut state = bare((80, 24));
    let text = shown(&state);
    assert!(text.contains("waiting for the first answer"), "{text}");
    state.lost = Some(Lost {
        since: state.now,
        was_heard: false,
        why: "the sidecar at http://127.0.0.1:4870 does not answer".to_owned(),
    });
    let text = shown(&state);
    for words in ["NO ANSWER", "it is asked again", "no link is known"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("as it was then"), "{text}");
}

/// All that a peer sends is in some cell; none of it acts on the terminal.
#[test]
fn no_cell_has_a_control_character() {
    for panel in Panel::ALL {
        for size in [(40, 12), (80, 24), (120, 40), (200, 60)] {
            let mut state = with_panel(&broken(), size, panel);
            state.view.detail = size.0 == 120;
            let body = serde_json::from_value(detail(0)).unwrap();
            state.chosen =
                Some(Chosen { bucket: "default".to_owned(), vbucket: 0, detail: Ok(body) });
            let text = shown(&state);
            let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(acts), "{text:?}");
        }
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for columns in (0..=20).chain([39, 40, 80, 104, 121, 190, 500]) {
        for rows in (0..=8).chain([12, 24, 28, 41, 100]) {
            let (size, cells) = ((columns, rows), u32::from(columns) * u32::from(rows));
            let panel = Panel::ALL[usize::from(columns + rows) % Panel::ALL.len()];
            let mut all = [with_panel(&broken(), size, panel), lost(&unknown(), size)];
            for state in &mut all {
                assert_eq!(draw(state, THEME).area().area(), cells);
                state.view.help = true;
                assert_eq!(draw(state, THEME).area().area(), cells);
            }
        }
    }
}

#[test]
fn colour_says_nothing_alone() {
    let state = with_panel(&broken(), (120, 40), Panel::Grid);
    let (plain, coloured) = (draw(&state, THEME), draw(&state, Theme { has_colour: true }));
    assert_eq!(text(&plain), text(&coloured));
    assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset), "NO_COLOR");
    assert!(coloured.content().iter().any(|cell| cell.fg == Color::Red), "the error is red");
    // The chosen vBucket is told without colour too.
    let chosen = |cell: &&ratatui_core::buffer::Cell| cell.modifier.contains(Modifier::REVERSED);
    let letters: String = plain.content().iter().filter(chosen).map(|cell| cell.symbol()).collect();
    assert!(letters.contains('u'), "{letters}");
}

/// A list that is scrolled to its end shows its last row.
#[test]
fn lists_reach_their_end() {
    let mut state = with_panel(&broken(), (40, 12), Panel::Problems);
    state.view.skipped = state.rows() - 1;
    assert!(shown(&state).contains("one vBucket is moved"), "{}", shown(&state));
    state.view.panel = Panel::Nodes;
    state.view.skipped = state.rows() - 1;
    assert!(shown(&state).contains("commits 2,000"), "{}", shown(&state));
    state.view.panel = Panel::Events;
    state.view.skipped = state.rows() - 1;
    assert!(shown(&state).contains("29 newer below"), "{}", shown(&state));
}
