//! What `top` does: reads keys, sends requests, draws. What is to be done says the machine.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::asking::Request;
use super::draw::{Theme, draw};
use super::keys::Key;
use super::machine::{Effect, Event, Failure, Machine};
use super::screen::{self, Screen};
use super::state::Moment;
use crate::client::error::{AskError, Exit};
use crate::client::http::Http;
use crate::client::output;
use crate::clock;

/// How long a request may take. It is shown long before that it takes long.
const ASK_WAIT: Duration = Duration::from_secs(5);
/// What waits for the machine at most: a key that is held down must not outrun the drawing.
const WAITING_MAX: usize = 64;
/// How long after a signal the program may go on, as while the terminal takes no output.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What comes from the other threads.
enum Input {
    Key(Key),
    /// The terminal may have another size.
    Size,
    Answer(Result<serde_json::Value, Failure>),
    Stop,
    /// No key can be read any more.
    Deaf(io::Error),
}

/// Shows the sidecar until it is told to stop.
pub(super) fn show(http: &Http, every: Duration) -> Exit {
    give_back_on_panic();
    let ended = Shell::start(http, every).and_then(Shell::run);
    match ended {
        Ok((exit, why)) => {
            if let Some(why) = why {
                output::say(why);
            }
            exit
        }
        Err(error) => {
            screen::give_back();
            output::say(format_args!("the terminal cannot be used: {error}"));
            Exit::Failed
        }
    }
}

struct Shell {
    started: Instant,
    machine: Machine,
    screen: Screen,
    theme: Theme,
    size: (u16, u16),
    requests: SyncSender<Request>,
    inputs: Receiver<Input>,
}

impl Shell {
    fn start(http: &Http, every: Duration) -> io::Result<Self> {
        let (told, inputs) = sync_channel(WAITING_MAX);
        let (requests, asked) = sync_channel(1);
        let size = screen::size()?;
        // Before the terminal is taken, so that a signal cannot leave it so.
        signals(told.clone())?;
        let screen = Screen::take()?;
        keys(told.clone());
        answers(http.clone(), asked, told);
        let now = Moment { up: Duration::ZERO, wall_ms: clock::now_ms() };
        let machine = Machine::new(http.url().to_owned(), size, every, now);
        let theme = Theme { has_colour: console::colors_enabled() };
        Ok(Self { started: Instant::now(), machine, screen, theme, size, requests, inputs })
    }

    fn run(mut self) -> io::Result<(Exit, Option<String>)> {
        let mut event = Event::Tick;
        loop {
            let now = self.now();
            for effect in self.machine.step(now, event) {
                match effect {
                    // The thread that sends takes one at a time, and one is asked for at a time.
                    Effect::Ask(request) => self.requests.send(request).map_err(|_| gone())?,
                    Effect::Clear => self.screen.forget(),
                    Effect::Draw => {
                        assert!(!failpoint::is_on("top-panics"), "a test asked for it");
                        self.screen.draw(draw(self.machine.state(), self.theme))?;
                    }
                    Effect::Quit { exit, why } => return Ok((exit, why)),
                }
            }
            event = self.next()?;
        }
    }

    fn next(&mut self) -> io::Result<Event> {
        let wake = self.machine.wake(self.now().up);
        match self.inputs.recv_timeout(wake) {
            Ok(Input::Key(key)) => Ok(Event::Key(key)),
            Ok(Input::Answer(answer)) => Ok(Event::Answer(answer)),
            Ok(Input::Stop) => Ok(Event::Stop),
            Ok(Input::Deaf(error)) => Err(error),
            // Where no signal tells the size, the clock does. It fails where the terminal is gone.
            Ok(Input::Size) | Err(RecvTimeoutError::Timeout) => {
                let size = screen::size()?;
                let is_new = std::mem::replace(&mut self.size, size) != size;
                Ok(if is_new { Event::Size(size.0, size.1) } else { Event::Tick })
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    fn now(&self) -> Moment {
        Moment { up: self.started.elapsed(), wall_ms: clock::now_ms() }
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread of top has ended")
}

/// Reads keys, on a thread of its own, which ends with the process.
fn keys(told: SyncSender<Input>) {
    std::thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(event::Event::Key(key)) => match key_of(key) {
                    Some(key) => Input::Key(key),
                    None => continue,
                },
                Ok(event::Event::Resize(..)) => Input::Size,
                Ok(_) => continue,
                Err(error) => Input::Deaf(error),
            };
            let is_last = matches!(input, Input::Deaf(_));
            if told.send(input).is_err() || is_last {
                return;
            }
        }
    });
}

fn key_of(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char('c') if is_control => Key::Interrupt,
        KeyCode::Char('l') if is_control => Key::Redraw,
        KeyCode::Char(_) if is_control || event.modifiers.contains(KeyModifiers::ALT) => {
            return None;
        }
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

/// Sends requests, one at a time, on a thread of its own.
fn answers(http: Http, asked: Receiver<Request>, told: SyncSender<Input>) {
    std::thread::spawn(move || {
        for request in asked {
            let answer = http.list_within(&request.path(), ASK_WAIT).map_err(failure);
            if told.send(Input::Answer(answer)).is_err() {
                return;
            }
        }
    });
}

fn failure(error: AskError) -> Failure {
    let is_older = error.is_no_such_path();
    let error = error.or_older();
    let exit = error.exit();
    let lasting = (is_older || exit == Exit::Wrong).then_some(exit);
    Failure { text: error.to_string(), lasting }
}

/// Tells SIGINT, SIGTERM and SIGHUP, and ends the program where it cannot end by itself.
fn signals(told: SyncSender<Input>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let caught = {
        let _inside = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
    };
    let [interrupt, terminate, hangup] = caught;
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        // Where its queue is full, the program does not read it.
        _ = told.try_send(Input::Stop);
        std::thread::sleep(STOP_WAIT);
        screen::give_back_at_once();
        std::process::exit(1);
    });
    Ok(())
}

/// Has a panic of any thread give the terminal back before its text is written, and end the
/// process.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        screen::give_back_at_once();
        before(panic);
        std::process::abort();
    }));
}
