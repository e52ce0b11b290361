//! The reader: one record a line, and errors that name the line.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use mcbp::{Frame, FrameError, HEADER_BYTES, MAX_BODY_BYTES};
use serde::Deserialize;

use crate::{About, Line};

/// The longest line that is read: the hex digits of the largest frame, and 64 KiB for the rest.
pub const MAX_LINE_BYTES: usize = 2 * (HEADER_BYTES + MAX_BODY_BYTES as usize) + 64 * 1024;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// One frame of a recording, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The line of the file, from 1.
    pub line: u64,
    /// As in [`Line`].
    pub n: u64,
    /// As in [`Line`].
    pub t: Duration,
    /// As in [`Line`].
    pub from: String,
    /// As in [`Line`].
    pub to: String,
    /// As in [`Line`].
    pub what: String,
    /// As in [`Line`].
    pub note: Option<String>,
    /// As in [`Line`]; it parses, and nothing follows it.
    pub frame: Vec<u8>,
}

impl Recorded {
    /// What is written for it.
    #[must_use]
    pub fn as_line(&self) -> Line<'_> {
        Line {
            n: self.n,
            t: self.t,
            from: &self.from,
            to: &self.to,
            what: self.what.clone(),
            note: self.note.as_deref(),
            frame: &self.frame,
        }
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// What made the file.
    About(About),
    /// A frame.
    Frame(Recorded),
    /// A peer closed its connection.
    Eof {
        /// The line of the file, from 1.
        line: u64,
        /// The number of the last frame before.
        n: u64,
        /// Time since the recording began.
        t: Duration,
        /// The connection that was closed.
        from: String,
    },
    /// Frames are missing here.
    Dropped {
        /// The line of the file, from 1.
        line: u64,
        /// How many.
        frames: u64,
    },
    /// Of the data frames before this nothing was kept.
    Unkept {
        /// The line of the file, from 1.
        line: u64,
        /// The number of the last frame before.
        n: u64,
    },
    /// The recording ends here.
    End {
        /// The line of the file, from 1.
        line: u64,
        /// Why.
        why: String,
    },
}

/// A line that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ReadError {
    /// The line of the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// The line is too long.
    #[error("longer than {MAX_LINE_BYTES} bytes, the longest line of a recording")]
    TooLong,
    /// It is no JSON object with the members of a line.
    #[error("not a line of a recording: {0}")]
    Json(serde_json::Error),
    /// A member is missing.
    #[error("a frame without `{0}`; a line with `hex` has n, t, from, to, what and hex")]
    Missing(&'static str),
    /// `t` is no time.
    #[error("`t` is {0}; expected seconds since the recording began, 0 or more")]
    Time(f64),
    /// `hex` is cut off.
    #[error("`hex` has {0} digits; expected two for each byte")]
    OddHex(usize),
    /// `hex` has another character.
    #[error("`hex` has {found:?} at digit {at}; expected 0 to 9 and a to f")]
    Hex {
        /// The byte that was found.
        found: char,
        /// Its place within `hex`, from 1.
        at: usize,
    },
    /// The bytes are no frame.
    #[error("`hex` is no frame: {0}")]
    Frame(#[from] FrameError),
    /// More bytes than the frame has.
    #[error("`hex` has {0} bytes after the end of its frame; expected one frame a line")]
    Trailing(usize),
}

/// Reads a file; an iterator of its records that ends after the first error.
///
/// A line that is empty or of an unknown kind without `hex` is passed over. A last line without its
/// end, as whoever is killed leaves it, is the end of the file.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: u64,
    buffer: Vec<u8>,
    is_over: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader from the first line.
    #[must_use]
    pub const fn new(input: R) -> Self {
        Self { input, line: 0, buffer: Vec::new(), is_over: false }
    }

    /// Whether the line has no end, and is not all that there is.
    fn is_cut_off(&self) -> bool {
        self.line > 1 && !self.buffer.ends_with(b"\n")
    }

    /// The next line that is a record; `None` at the end of the file.
    fn record(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            self.line += 1;
            self.buffer.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let mut input = self.input.by_ref().take(limit);
            input.read_until(b'\n', &mut self.buffer).map_err(Fault::Io)?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(Fault::TooLong);
            }
            let mark = if self.line == 1 { &BYTE_ORDER_MARK[..] } else { &[] };
            let text = self.buffer.strip_prefix(mark).unwrap_or(&self.buffer);
            if text.trim_ascii().is_empty() {
                continue;
            }
            match record(self.line, text) {
                Err(Fault::Json(error)) if error.is_eof() && self.is_cut_off() => return Ok(None),
                Ok(None) => {}
                other => return other,
            }
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.record();
        self.is_over = !matches!(read, Ok(Some(_)));
        read.map_err(|fault| ReadError { line: self.line, fault }).transpose()
    }
}

/// A line as it is written, every member of every kind.
#[derive(Deserialize)]
struct Members<'a> {
    n: Option<u64>,
    t: Option<f64>,
    from: Option<String>,
    to: Option<String>,
    what: Option<String>,
    note: Option<String>,
    #[serde(borrow)]
    hex: Option<Cow<'a, str>>,
    #[serde(default)]
    frames: u64,
}

fn record(line: u64, bytes: &[u8]) -> Result<Option<Record>, Fault> {
    let members: Members<'_> = serde_json::from_slice(bytes).map_err(Fault::Json)?;
    let time = |t: Option<f64>| {
        let t = t.ok_or(Fault::Missing("t"))?;
        Duration::try_from_secs_f64(t).map_err(|_| Fault::Time(t))
    };
    let Some(hex) = members.hex else {
        return match members.what.as_deref() {
            Some("CAPTURE") => serde_json::from_slice(bytes)
                .map(|about| Some(Record::About(about)))
                .map_err(Fault::Json),
            Some("EOF") => {
                let from = members.from.ok_or(Fault::Missing("from"))?;
                let n = members.n.unwrap_or_default();
                Ok(Some(Record::Eof { line, n, t: time(members.t)?, from }))
            }
            Some("DROPPED") => Ok(Some(Record::Dropped { line, frames: members.frames })),
            Some("UNKEPT") => Ok(Some(Record::Unkept { line, n: members.n.unwrap_or_default() })),
            Some("END") => Ok(Some(Record::End { line, why: members.note.unwrap_or_default() })),
            _ => Ok(None),
        };
    };
    let frame = bytes_of(&hex)?;
    let parsed = Frame::parse(&frame)?;
    match frame.len() - parsed.header.frame_bytes() {
        0 => {}
        more => return Err(Fault::Trailing(more)),
    }
    Ok(Some(Record::Frame(Recorded {
        line,
        n: members.n.ok_or(Fault::Missing("n"))?,
        t: time(members.t)?,
        from: members.from.ok_or(Fault::Missing("from"))?,
        to: members.to.ok_or(Fault::Missing("to"))?,
        what: members.what.ok_or(Fault::Missing("what"))?,
        note: members.note,
        frame,
    })))
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, Fault> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::OddHex(hex.len()));
    }
    let nibble =
        |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.ok_or_else(|| {
        let bad = hex.chars().enumerate().find(|(_, digit)| !digit.is_ascii_hexdigit());
        let (at, found) = bad.unwrap_or_default();
        Fault::Hex { found, at: at + 1 }
    })
}
