//! What arrives of a capture, line by line, to its end.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::capture_file::{Lines, Target, What};
use super::http::{Call, Http};
use super::interrupt;

/// How long nothing may arrive: the sidecar sends something every 2 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The same after Ctrl-C.
const END_WAIT: Duration = Duration::from_secs(5);
/// How long the end is waited for where it cannot be asked for.
const UNASKED_WAIT: Duration = Duration::from_secs(1);
/// Parts of the answer that wait to be written.
const WAITING_MAX: usize = 64;
/// The longest line: the largest frame, two digits a byte.
const LINE_BYTES_MAX: u64 = wirelog::MAX_LINE_BYTES as u64;

/// How a capture ended.
#[derive(Debug)]
pub(super) enum Over {
    /// The sidecar has said why.
    Said(String),
    /// Ctrl-C, and the sidecar has not said that it has ended.
    Interrupted(String),
    /// The answer was cut off.
    CutOff(String),
}

/// What happens while a capture runs.
enum Input {
    Line(Vec<u8>),
    Interrupted,
    /// The sidecar cannot be asked to end it.
    Unasked(String),
    Over(String),
}

/// A line, as far as it matters here.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow)]
    what: std::borrow::Cow<'a, str>,
    #[serde(default)]
    hex: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    frames: u64,
    #[serde(default)]
    note: Option<String>,
}

impl Known<'_> {
    fn what(&self) -> What {
        match &*self.what {
            _ if self.hex.is_some() => What::Frame,
            "DROPPED" => What::Dropped(self.frames),
            _ => What::Other,
        }
    }
}

/// How the sidecar is asked to end the capture.
pub(super) struct Asking<'a> {
    pub(super) http: &'a Http,
    /// The path of the capture.
    pub(super) place: Option<String>,
}

impl Asking<'_> {
    /// Asks for the end, on another thread: what waits at the sidecar is read meanwhile.
    fn end(&self, told: SyncSender<Input>) {
        let http = self.http.clone();
        let place = self.place.clone();
        std::thread::spawn(move || {
            let asked = match place {
                Some(place) => http.quick(&Call::new("DELETE", place)).map_err(|it| it.to_string()),
                None => Err("the sidecar is older than this program".to_owned()),
            };
            if let Err(why) = asked {
                // Nobody listens once the capture is over.
                _ = told.send(Input::Unasked(why));
            }
        });
    }
}

/// Writes whole lines until the end. Fails where they cannot be written.
pub(super) fn copy(
    body: impl Read + Send + 'static,
    out: &mut Lines<impl Target>,
    asking: &Asking<'_>,
) -> io::Result<Over> {
    let (told, inputs) = sync_channel(WAITING_MAX);
    on_interrupt(told.clone());
    let of_body = told.clone();
    std::thread::spawn(move || {
        let why = read(body, &of_body);
        _ = of_body.send(Input::Over(why));
    });
    let over = write(&inputs, out, || asking.end(told.clone()));
    // What is left.
    over.and_then(|over| out.flush().map(|()| over))
}

/// Passes the first two Ctrl-C on: after the second one, nobody waits for the sidecar.
fn on_interrupt(told: SyncSender<Input>) {
    interrupt::then(move || {
        let again = told.clone();
        interrupt::then(move || _ = again.send(Input::Interrupted));
        // Nobody listens once the capture is over.
        _ = told.send(Input::Interrupted);
    });
}

fn write(
    inputs: &Receiver<Input>,
    out: &mut Lines<impl Target>,
    mut end: impl FnMut(),
) -> io::Result<Over> {
    let (mut is_ending, mut until) = (false, None::<(Instant, String)>);
    loop {
        if let Some((_, why)) = until.take_if(|(until, _)| *until <= Instant::now()) {
            return Ok(Over::Interrupted(why));
        }
        let next = match inputs.try_recv() {
            Ok(next) => Ok(next),
            // Whoever looks at the file sees all that has arrived.
            Err(_) => {
                out.flush()?;
                let silence = if is_ending { END_WAIT } else { SILENCE_MAX };
                let left =
                    until.as_ref().map(|(it, _)| it.saturating_duration_since(Instant::now()));
                inputs.recv_timeout(left.unwrap_or(silence))
            }
        };
        let line = match next {
            Ok(Input::Line(line)) => line,
            Ok(Input::Interrupted) if !is_ending => {
                is_ending = true;
                end();
                continue;
            }
            Ok(Input::Interrupted) => return Ok(Over::Interrupted("Ctrl-C again".to_owned())),
            Ok(Input::Unasked(why)) => {
                // It may have ended by itself: then the rest of it is on its way.
                until = Some((Instant::now() + UNASKED_WAIT, why));
                continue;
            }
            Ok(Input::Over(why)) => return Ok(Over::CutOff(why)),
            Err(_) if until.is_some() => continue,
            Err(RecvTimeoutError::Timeout) if is_ending => {
                let why = format!("nothing arrived for {END_WAIT:?} after Ctrl-C");
                return Ok(Over::Interrupted(why));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Ok(Over::CutOff(format!("nothing arrived for {SILENCE_MAX:?}")));
            }
        };
        // Not of this version, but a line: the file has it.
        let known = serde_json::from_slice::<Known<'_>>(&line).ok();
        out.add(&line, known.as_ref().map_or(What::Other, Known::what))?;
        if let Some(Known { what, hex: None, note: Some(note), .. }) = known
            && what == "END"
        {
            return Ok(Over::Said(note));
        }
    }
}

/// Reads lines until there are no more; returns why.
fn read(body: impl Read, told: &SyncSender<Input>) -> String {
    let mut reader = BufReader::new(body);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Err(error) => return error.to_string(),
            Ok(0) => return "the connection was closed".to_owned(),
            Ok(_) if !line.ends_with(b"\n") => return "a line is cut off or too long".to_owned(),
            // A sign of life.
            Ok(1) => {}
            Ok(_) => {
                if told.send(Input::Line(line)).is_err() {
                    return "nobody listens".to_owned();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what `send` sends; returns the file, what is counted, the end, and how often the
    /// sidecar was asked for it.
    fn run(send: impl FnOnce(&SyncSender<Input>)) -> (String, [u64; 3], Over, u32) {
        let (told, inputs) = sync_channel(10);
        send(&told);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut out = Lines::new(file.reopen().unwrap());
        let mut asked = 0;
        let over = write(&inputs, &mut out, || asked += 1).unwrap();
        out.flush().unwrap();
        let written = out.written();
        let counts = [written.frames, written.missing, written.bytes];
        (std::fs::read_to_string(file.path()).unwrap(), counts, over, asked)
    }

    const FRAME: &str = "{\"n\":1,\"what\":\"NOOP\",\"hex\":\"80\"}\n";
    const DROPPED: &str = "{\"what\":\"DROPPED\",\"frames\":3}\n";
    const END: &str = "{\"what\":\"END\",\"note\":\"the time is over\"}\n";

    #[test]
    fn lines_are_written_whole_to_their_end() {
        let run = |text: &str| {
            run(|told| {
                let why = read(text.as_bytes(), told);
                told.send(Input::Over(why)).unwrap();
            })
        };
        let (out, counts, over, _) = run(&format!("{FRAME}\n{DROPPED}{FRAME}{END}"));
        assert_eq!(out, format!("{FRAME}{DROPPED}{FRAME}{END}"), "without the sign of life");
        assert_eq!(counts, [2, 3, out.len() as u64]);
        assert!(matches!(over, Over::Said(why) if why == "the time is over"));
        let (out, _, over, _) = run(&format!("{FRAME}{{\"n\":2,\"wh"));
        assert_eq!(out, FRAME, "no half line");
        assert!(matches!(over, Over::CutOff(why) if why.contains("cut off")));
    }

    /// What waited at the sidecar was lost, and nobody was told.
    #[test]
    fn after_ctrl_c_all_that_waits_is_written_to_its_end() {
        let line = |text: &str| Input::Line(text.as_bytes().to_vec());
        let (out, counts, over, asked) = run(|told| {
            for input in [line(FRAME), Input::Interrupted, line(DROPPED), line(FRAME), line(END)] {
                told.send(input).unwrap();
            }
        });
        assert_eq!(out, format!("{FRAME}{DROPPED}{FRAME}{END}"));
        assert!(asked == 1 && counts[..2] == [2, 3] && matches!(over, Over::Said(_)));
        let (out, _, over, asked) = run(|told| {
            for input in [line(FRAME), Input::Interrupted, Input::Interrupted, line(FRAME)] {
                told.send(input).unwrap();
            }
        });
        assert!(out == FRAME && asked == 1);
        assert!(matches!(over, Over::Interrupted(why) if why.contains("again")));
    }

    #[test]
    fn where_the_end_cannot_be_asked_for_nobody_waits_long() {
        let (told, inputs) = sync_channel(10);
        let file = tempfile::tempfile().unwrap();
        told.send(Input::Interrupted).unwrap();
        told.send(Input::Unasked("no answer".to_owned())).unwrap();
        let over = write(&inputs, &mut Lines::new(file), || {}).unwrap();
        assert!(matches!(over, Over::Interrupted(why) if why == "no answer"));
    }
}
