//! The subcommand `events`: one line for each event, and on from there where it follows.
//!
//! A sidecar that has started again, or that was away, is asked again from the last event on. What
//! is said about that goes to standard error, so that standard output has events alone.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::error::{AskError, Exit};
use super::event_args::EventsArgs;
use super::event_lines::Printer;
use super::event_stream::{Frame, Frames};
use super::http::Http;
use super::plain::plain;
use crate::session::escaped;

/// How long nothing may arrive: the sidecar sends something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// The pause before the sidecar is asked again; a second, so that a restart is seen at once.
const AGAIN: Duration = Duration::from_secs(1);
/// Events that wait to be printed.
const WAITING_MAX: usize = 64;
/// The longest line of a stream: an event takes a few KiB.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Prints the events.
pub(super) fn run(args: &EventsArgs, http: &Http) -> Result<Exit, AskError> {
    let mut printer = Printer { out: io::stdout().lock(), json: args.to.json };
    if !args.follow {
        let answer = http.get_list(&path(args, args.since.map(|id| id.to_string()).as_deref()))?;
        return Ok(ended(printer.list(&answer)));
    }
    let (told, inputs) = sync_channel(WAITING_MAX);
    interrupts(&told);
    let last = args.since.map(|id| id.to_string());
    let mut follow = Follow { args, http, last, number: 0, lost: false };
    loop {
        match follow.once(&told, &inputs, &mut printer)? {
            ControlFlow::Break(exit) => return Ok(exit),
            ControlFlow::Continue(()) => {}
        }
    }
}

/// The path and query of a request.
fn path(args: &EventsArgs, after: Option<&str>) -> String {
    let kinds = args.kind.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",");
    let mut parts = vec![format!("follow={}", args.follow)];
    parts.extend(after.map(|id| format!("after={}", escaped(id))));
    parts.extend(args.bucket.as_deref().map(|name| format!("bucket={}", escaped(name))));
    parts.extend((!kinds.is_empty()).then(|| format!("kind={kinds}")));
    parts.extend(args.level.map(|level| format!("level={}", level.name())));
    format!("/api/v1/events?{}", parts.join("&"))
}

/// What happens while events are followed.
enum Input {
    /// The sidecar answers on the connection with this number.
    Open(u64),
    /// Of that connection: something to print, or a sign of life.
    Frame(u64, Frame),
    /// That connection has ended, or could not be opened.
    Over(u64, Result<String, AskError>),
    /// Ctrl-C.
    Interrupted,
}

/// Following, over as many connections as it takes.
struct Follow<'a> {
    args: &'a EventsArgs,
    http: &'a Http,
    last: Option<String>,
    /// The number of the present connection.
    number: u64,
    /// Whether it was said that the sidecar is away.
    lost: bool,
}

impl Follow<'_> {
    /// Follows one connection to its end. Fails where the sidecar refuses, or did not answer at the
    /// first time.
    fn once(
        &mut self,
        told: &SyncSender<Input>,
        inputs: &Receiver<Input>,
        printer: &mut Printer<impl Write>,
    ) -> Result<ControlFlow<Exit>, AskError> {
        self.number += 1;
        read(self.number, self.http.clone(), path(self.args, self.last.as_deref()), told.clone());
        let why = match self.print(inputs, printer) {
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
            ControlFlow::Continue(Ok(why)) => why,
            // A sidecar that starts, stops, or has too many followers may take this one later.
            ControlFlow::Continue(Err(error)) if self.number > 1 && error.may_pass() => {
                error.to_string()
            }
            ControlFlow::Continue(Err(error)) => return Err(error),
        };
        if !std::mem::replace(&mut self.lost, true) {
            eprintln!("{}; it is asked again until Ctrl-C", plain(&why));
        }
        match inputs.recv_timeout(AGAIN) {
            Ok(Input::Interrupted) => Ok(ControlFlow::Break(Exit::Done)),
            // Of a connection that is over.
            Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// Prints what arrives. Continues with the reason why the connection is over.
    fn print(
        &mut self,
        inputs: &Receiver<Input>,
        printer: &mut Printer<impl Write>,
    ) -> ControlFlow<Exit, Result<String, AskError>> {
        loop {
            match inputs.recv_timeout(SILENCE_MAX) {
                Ok(Input::Interrupted) => return ControlFlow::Break(Exit::Done),
                Ok(Input::Over(of, why)) if of == self.number => return ControlFlow::Continue(why),
                Ok(Input::Open(of)) if of == self.number => {
                    if std::mem::take(&mut self.lost) {
                        eprintln!("the sidecar at {} answers again", self.http.url());
                    }
                }
                Ok(Input::Frame(of, frame)) if of == self.number => {
                    self.last = frame.id.or(self.last.take());
                    if let Some(data) = frame.data
                        && let Err(error) = printer.event(&data)
                    {
                        return ControlFlow::Break(ended(Err(error)));
                    }
                }
                // Of an earlier connection.
                Ok(Input::Open(_) | Input::Frame(..) | Input::Over(..)) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let url = self.http.url();
                    let why =
                        format!("nothing arrived from the sidecar at {url} for {SILENCE_MAX:?}");
                    return ControlFlow::Continue(Ok(why));
                }
            }
        }
    }
}

/// Opens a connection and reads it to its end, on a thread of its own.
fn read(number: u64, http: Http, path: String, told: SyncSender<Input>) {
    std::thread::spawn(move || {
        let over = match http.stream(&path) {
            Ok(body) => {
                // An error means that the process ends; here and below.
                _ = told.send(Input::Open(number));
                let why = read_frames(body, |frame| told.send(Input::Frame(number, frame)).is_ok());
                Ok(format!("the sidecar at {} has ended the stream: {why}", http.url()))
            }
            Err(error) => Err(error),
        };
        _ = told.send(Input::Over(number, over));
    });
}

/// Reads frames until `take` returns false. Returns why there are no more.
fn read_frames(body: impl Read, take: impl Fn(Frame) -> bool) -> String {
    let (mut reader, mut frames) = (BufReader::new(body), Frames::default());
    loop {
        let mut line = String::new();
        match reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
            Err(error) => return error.to_string(),
            Ok(0) => return "it stops, or starts again".to_owned(),
            Ok(_) if !line.ends_with('\n') => return "a line is cut off or too long".to_owned(),
            Ok(_) => {}
        }
        if let Some(frame) = frames.line(line.trim_end_matches(['\r', '\n']))
            && !take(frame)
        {
            return "nobody listens".to_owned();
        }
    }
}

/// Tells Ctrl-C. Where that cannot be had, Ctrl-C ends the process as it always does.
fn interrupts(told: &SyncSender<Input>) {
    let told = told.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            // An error means that the process ends.
            _ = told.send(Input::Interrupted);
        }
    });
}

/// How printing has ended: a reader that has closed the pipe, as `head` does, is no failure.
fn ended(printed: io::Result<()>) -> Exit {
    match printed {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("standard output takes no more: {error}");
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use events::{Kind, Level};

    use super::*;
    use crate::client::To;

    #[test]
    fn frames_are_read_to_their_end_within_bounds() {
        let read = |text: &str| {
            let ids = std::cell::RefCell::new(Vec::new());
            let why = read_frames(text.as_bytes(), |frame| {
                ids.borrow_mut().extend(frame.id);
                ids.borrow().len() < 3
            });
            (ids.into_inner().join(" "), why)
        };
        let over = "it stops, or starts again".to_owned();
        assert_eq!(read("id: 1\r\ndata: x\r\n\r\nid: 2\n\nid: lost\n"), ("1 2".to_owned(), over));
        assert_eq!(read("id: 1\n\nid: 2\n\nid: 3\n\nid: 4\n\n").1, "nobody listens");
        let long = format!("id: 1\n\ndata: {}", "x".repeat(2_000_000));
        assert_eq!(read(&long), ("1".to_owned(), "a line is cut off or too long".to_owned()));
    }

    #[test]
    fn a_request_names_what_is_asked_for() {
        let to = To { admin: None, token: None, json: false };
        let args = EventsArgs {
            follow: true,
            bucket: Some("a b".to_owned()),
            kind: vec![Kind::LinkUp, Kind::LinkDown],
            level: Some(Level::Warn),
            since: None,
            to,
        };
        assert_eq!(
            path(&args, Some("19ac-4")),
            "/api/v1/events?follow=true&after=19ac-4&bucket=a%20b&kind=link-up,link-down&level=warn"
        );
    }
}
