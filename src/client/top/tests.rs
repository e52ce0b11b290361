//! The machine, event by event.

use std::time::Duration;

use serde_json::Value;

use super::asking::Request;
use super::keys::{Key, Panel};
use super::links::Sort;
use super::machine::{Effect, Event, Failure, Machine};
use super::sample::{broken, detail, events, healthy, history, unknown};
use super::state::{Input, Moment};
use crate::client::error::Exit;

/// A machine and its clock.
struct Play {
    machine: Machine,
    ms: u64,
}

impl Play {
    fn new() -> Self {
        let machine = Machine::new(
            "http://127.0.0.1:1".to_owned(),
            (80, 24),
            Duration::from_secs(1),
            Moment::default(),
        );
        Self { machine, ms: 0 }
    }

    /// One that has read everything.
    fn read(overview: &Value) -> Self {
        let mut play = Self::new();
        let mut request = asked(&play.at(0, Event::Tick));
        while let Some(of) = request {
            let body = match of {
                Request::Overview { .. } => overview.clone(),
                Request::History => history(),
                Request::Events { .. } => events(1, 2),
                Request::Detail { vbucket, .. } => detail(vbucket),
            };
            request = asked(&play.at(1, Event::Answer(Ok(body))));
        }
        play
    }

    /// An event so many milliseconds after the last one.
    fn at(&mut self, after: u64, event: Event) -> Vec<Effect> {
        self.ms += after;
        let up = Duration::from_millis(self.ms);
        self.machine.step(Moment { up, wall_ms: 1_796_000_000_000 + self.ms }, event)
    }

    /// Keys, one after the other; a word between `<` and `>` is one key.
    fn keys(&mut self, text: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (key, length) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (Key::Char(c), c.len_utf8()),
            };
            rest = &rest[length..];
            effects.extend(self.at(1, Event::Key(key)));
        }
        effects
    }
}

fn named(name: &str) -> Key {
    match name {
        "enter" => Key::Enter,
        "esc" => Key::Escape,
        "tab" => Key::Tab,
        "back" => Key::BackTab,
        "del" => Key::Backspace,
        "up" => Key::Up,
        "down" => Key::Down,
        "left" => Key::Left,
        "right" => Key::Right,
        "pgup" => Key::PageUp,
        "pgdn" => Key::PageDown,
        "home" => Key::Home,
        "end" => Key::End,
        "^c" => Key::Interrupt,
        "^l" => Key::Redraw,
        other => panic!("no key {other}"),
    }
}

fn asked(effects: &[Effect]) -> Option<Request> {
    let requests: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask(request) => Some(request.clone()),
            _ => None,
        })
        .collect();
    assert!(requests.len() <= 1, "{requests:?}");
    requests.into_iter().next()
}

fn refused(text: &str, lasting: Option<Exit>) -> Event {
    Event::Answer(Err(Failure { text: text.to_owned(), lasting }))
}

fn done() -> Vec<Effect> {
    vec![Effect::Quit { exit: Exit::Done, why: None }]
}

#[test]
fn the_first_answers_fill_the_screen() {
    let mut play = Play::new();
    let effects = play.at(0, Event::Tick);
    assert_eq!(effects, [Effect::Ask(Request::Overview { legend: true }), Effect::Draw]);
    let effects = play.at(300, Event::Answer(Ok(healthy())));
    assert_eq!(effects, [Effect::Ask(Request::Events { after: None }), Effect::Draw]);
    let effects = play.at(10, Event::Answer(Ok(events(1, 2))));
    assert_eq!(effects, [Effect::Ask(Request::History)], "drawn a moment ago");
    let effects = play.at(300, Event::Answer(Ok(history())));
    assert_eq!(effects, [Effect::Draw]);
    // Nothing is new: neither the legend nor the events are read again.
    let effects = play.at(390, Event::Tick);
    assert_eq!(effects, [Effect::Ask(Request::Overview { legend: false })]);
    assert_eq!(asked(&play.at(1, Event::Answer(Ok(healthy())))), None);
    let state = play.machine.state();
    assert_eq!((state.events.len(), state.legend.len(), &state.lost), (2, 5, &None));
}

#[test]
fn a_sidecar_that_hangs_is_shown_within_three_seconds() {
    let mut play = Play::read(&healthy());
    let heard = play.ms;
    // It hangs from the next request on.
    let mut shown_at = None;
    while play.ms < heard + 5000 && shown_at.is_none() {
        let wait = play.machine.wake(Duration::from_millis(play.ms));
        let wait = u64::try_from(wait.as_millis()).unwrap().max(1);
        let effects = play.at(wait, Event::Tick);
        let is_drawn = effects.contains(&Effect::Draw);
        shown_at = (is_drawn && play.machine.state().lost.is_some()).then_some(play.ms - heard);
    }
    assert!(shown_at.is_some_and(|at| at <= 3000), "{shown_at:?}");
    let lost = play.machine.state().lost.clone().unwrap();
    assert!(lost.was_heard && lost.why.contains("no answer within 1 s"), "{lost:?}");
    assert!(lost.since.wall_ms <= 1_796_000_000_000 + heard, "since its last answer");
    // What is known stays on the screen, and an answer that is late is one.
    assert!(play.machine.state().overview.is_some());
    play.at(1000, Event::Answer(Ok(healthy())));
    assert_eq!(play.machine.state().lost, None);
}

#[test]
fn a_sidecar_that_is_gone_is_asked_until_it_answers() {
    let mut play = Play::read(&healthy());
    assert!(asked(&play.at(1000, Event::Tick)).is_some());
    for _ in 0..5 {
        assert_eq!(asked(&play.at(1, refused("refused", Some(Exit::Wrong)))), None);
        let lost = play.machine.state().lost.clone().unwrap();
        assert_eq!(lost.why, "refused");
        // Only the overview is asked for, each second, and the age that is shown grows.
        let mut effects = play.at(900, Event::Tick);
        assert_eq!(asked(&effects), None);
        effects.extend(play.at(100, Event::Tick));
        assert_eq!(asked(&effects), Some(Request::Overview { legend: false }));
        assert!(effects.contains(&Effect::Draw), "{effects:?}");
    }
    play.at(1, Event::Answer(Ok(healthy())));
    assert_eq!(play.machine.state().lost, None);
}

#[test]
fn the_first_answer_decides_whether_waiting_is_in_vain() {
    for (lasting, effect) in [
        (Some(Exit::Wrong), Some(Effect::Quit { exit: Exit::Wrong, why: Some("no".to_owned()) })),
        (Some(Exit::Failed), Some(Effect::Quit { exit: Exit::Failed, why: Some("no".to_owned()) })),
        (None, None),
    ] {
        let mut play = Play::new();
        play.at(0, Event::Tick);
        let effects = play.at(5, refused("no", lasting));
        let quit = effects.into_iter().find(|effect| matches!(effect, Effect::Quit { .. }));
        assert_eq!(quit, effect, "{lasting:?}");
    }
    // What is no overview is a failure in words, not an empty screen.
    let mut play = Play::new();
    play.at(0, Event::Tick);
    play.at(1, Event::Answer(Ok(Value::from("text"))));
    let lost = play.machine.state().lost.clone().unwrap();
    assert!(lost.why.starts_with("unexpected answer of the sidecar: "), "{lost:?}");
}

#[test]
fn whatever_happens_it_draws_four_times_a_second_at_most() {
    let mut play = Play::read(&broken());
    let (begin, mut draws) = (play.ms, 0);
    while play.ms < begin + 10_000 {
        let effects = play.at(7, Event::Key(Key::Down));
        draws += effects.iter().filter(|effect| **effect == Effect::Draw).count();
        if asked(&effects).is_some() {
            let effects = play.at(1, Event::Answer(Ok(broken())));
            draws += effects.iter().filter(|effect| **effect == Effect::Draw).count();
        }
    }
    assert!((30..=41).contains(&draws), "{draws}");
}

#[test]
fn a_paused_display_stands_still_and_asks_nothing() {
    let mut play = Play::read(&healthy());
    assert!(asked(&play.at(1000, Event::Tick)).is_some());
    play.keys("p");
    // What was asked before comes too late.
    assert_eq!(asked(&play.at(500, Event::Answer(Ok(broken())))), None);
    assert_eq!(asked(&play.at(9000, Event::Tick)), None);
    let state = play.machine.state();
    assert_eq!(state.overview.as_ref().unwrap().ready, Some(true));
    assert_eq!(state.lost, None);
    let effects = play.keys("p");
    assert!(matches!(asked(&effects), Some(Request::Overview { .. })), "{effects:?}");
    play.at(1, Event::Answer(Ok(broken())));
    assert_eq!(play.machine.state().overview.as_ref().unwrap().ready, Some(false));
}

#[test]
fn keys_choose() {
    for (keys, panel, cursor, sort, reversed, filter) in [
        ("", Panel::Links, 0, Sort::Name, false, ""),
        ("s", Panel::Links, 0, Sort::Trouble, false, ""),
        ("sssssr", Panel::Links, 0, Sort::Name, true, ""),
        ("/al pha<enter>r", Panel::Links, 0, Sort::Name, true, "al pha"),
        ("4/alx<del><esc>", Panel::Links, 0, Sort::Name, false, ""),
        ("<tab>", Panel::Grid, 0, Sort::Name, false, ""),
        ("<back>", Panel::Problems, 0, Sort::Name, false, ""),
        ("2<right><right><down>", Panel::Grid, 66, Sort::Name, false, ""),
        ("2lljjhk", Panel::Grid, 65, Sort::Name, false, ""),
        ("2<end><down><right>", Panel::Grid, 1023, Sort::Name, false, ""),
        ("2<end><pgup>", Panel::Grid, 511, Sort::Name, false, ""),
        ("2<left><up>", Panel::Grid, 0, Sort::Name, false, ""),
        ("g70x0<enter>", Panel::Grid, 700, Sort::Name, false, ""),
        ("g99999<enter>", Panel::Grid, 1023, Sort::Name, false, ""),
        ("g9999<enter>", Panel::Grid, 1023, Sort::Name, false, ""),
        ("g7<esc>", Panel::Links, 0, Sort::Name, false, ""),
        ("g<enter>", Panel::Links, 0, Sort::Name, false, ""),
        ("g300<enter>n", Panel::Grid, 700, Sort::Name, false, ""),
        ("g701<enter>n", Panel::Grid, 702, Sort::Name, false, ""),
        ("g702<enter>n", Panel::Grid, 0, Sort::Name, false, ""),
        ("N", Panel::Grid, 702, Sort::Name, false, ""),
    ] {
        let mut play = Play::read(&broken());
        play.keys(keys);
        let view = &play.machine.state().view;
        let found = (view.panel, view.cursor, view.sort, view.is_reversed, view.filter.as_str());
        assert_eq!(found, (panel, cursor, sort, reversed, filter), "{keys}");
        assert_eq!(view.input, None, "{keys}");
    }
}

#[test]
fn escape_closes_what_is_open_and_then_quits() {
    let mut play = Play::read(&broken());
    let effects = play.keys("<enter>?");
    let detail = Request::Detail { bucket: "default".to_owned(), vbucket: 0 };
    assert_eq!(asked(&effects), Some(detail));
    let view = |play: &Play| {
        let view = &play.machine.state().view;
        (view.help, view.detail)
    };
    assert_eq!(view(&play), (true, true));
    play.keys("<esc>");
    assert_eq!(view(&play), (false, true));
    play.keys("<esc>");
    assert_eq!(view(&play), (false, false));
    assert_eq!(play.keys("<esc>"), done());
}

#[test]
fn it_quits_by_its_keys_and_by_signals() {
    for keys in ["q", "<^c>", "/<^c>", "g<^c>", "?q", "pq"] {
        let mut play = Play::read(&broken());
        assert_eq!(play.keys(keys).last(), done().first(), "{keys}");
    }
    assert_eq!(Play::new().at(0, Event::Stop), done());
    // A q that is typed is a letter.
    let mut play = Play::read(&broken());
    play.keys("/q");
    let view = &play.machine.state().view;
    assert_eq!((view.filter.as_str(), &view.input), ("q", &Some(Input::Filter)));
}

#[test]
fn another_size_is_drawn_from_nothing() {
    let mut play = Play::read(&broken());
    let effects = play.at(1000, Event::Size(120, 40));
    assert!(effects.contains(&Effect::Clear) && effects.contains(&Effect::Draw), "{effects:?}");
    assert_eq!(play.machine.state().size, (120, 40));
    assert!(play.keys("<^l>").contains(&Effect::Clear));
}

#[test]
fn events_are_kept_within_a_bound_and_scrolled_ones_stay() {
    let mut play = Play::read(&healthy());
    play.keys("4<up>");
    let mut more = healthy();
    more["events_newest"] = "e-900".into();
    assert!(asked(&play.at(1000, Event::Tick)).is_some());
    let effects = play.at(1, Event::Answer(Ok(more)));
    assert_eq!(asked(&effects), Some(Request::Events { after: Some("e-2".to_owned()) }));
    let mut answer = events(3, 900);
    answer["gap"] = serde_json::json!({ "missed": 7, "text": "7 events were missed" });
    play.at(1, Event::Answer(Ok(answer)));
    let state = play.machine.state();
    assert_eq!((state.events.len(), state.events_next.as_deref()), (500, Some("e-900")));
    assert_eq!(state.view.skipped, 499, "as far up as there is anything");
    play.keys("<end>");
    assert_eq!(play.machine.state().view.skipped, 0);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_shown() {
    let mut play = Play::new();
    play.at(0, Event::Tick);
    play.keys("<enter>");
    assert!(matches!(
        asked(&play.at(1, Event::Answer(Ok(unknown())))),
        Some(Request::Detail { .. })
    ));
    let next = asked(&play.at(1, refused("no details", None)));
    assert_eq!(next, Some(Request::Events { after: None }));
    assert_eq!(asked(&play.at(1, refused("no events", None))), Some(Request::History));
    play.at(1, refused("no past", Some(Exit::Failed)));
    let state = play.machine.state();
    assert_eq!(state.events_error.as_deref(), Some("no events"));
    assert_eq!(state.history_error.as_deref(), Some("no past"));
    assert_eq!(state.chosen.as_ref().unwrap().detail.as_ref().unwrap_err(), "no details");
    assert_eq!(state.lost, None);
}

/// Whatever is pressed and answered in whatever order, it draws.
#[test]
fn no_order_of_events_is_too_much() {
    let mut random = fastrand::Rng::with_seed(15);
    let mut play = Play::new();
    let names = ["enter", "tab", "up", "down", "left", "right", "pgup", "pgdn", "home", "end"];
    for _ in 0..2000 {
        let event = match random.u8(0..10) {
            0 => Event::Tick,
            1 => Event::Size(random.u16(0..130), random.u16(0..50)),
            2 => Event::Answer(Ok(healthy())),
            3 => Event::Answer(Ok(events(1, 9))),
            4 => Event::Answer(Ok(unknown())),
            5 => refused("no", None),
            6 | 7 => Event::Key(named(names[random.usize(0..names.len())])),
            _ => Event::Key(Key::Char(char::from(b"123456srbBnNg/p?7"[random.usize(0..17)]))),
        };
        let effects = play.at(random.u64(0..700), event);
        if effects.contains(&Effect::Draw) {
            super::draw::draw(play.machine.state(), super::draw::Theme { has_colour: true });
        }
    }
}
