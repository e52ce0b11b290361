//! The logger of the process.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::format::{Format, Head, MESSAGE_BYTES_MAX, line};
use crate::levels::{self, set_level};
use crate::limits::Limits;
use crate::queue::Queue;
use crate::settings::{Settings, style};
use crate::streams::{Sink, Stream};

/// How often suppressed lines are reported, at most.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long the exit of the process waits for a log that nobody reads.
const EXIT_STUCK: Duration = Duration::from_millis(300);
/// How long it waits for one that is read slowly.
const EXIT_MOST: Duration = Duration::from_secs(3);

static GLOBAL: OnceLock<Global> = OnceLock::new();
/// Whether lines are JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

struct Global {
    queue: Queue,
    limits: Limits,
    suppressed: AtomicU64,
    /// Decides which lines are written.
    filter: Logger,
    /// Writes lines, whatever their level.
    out: Logger,
    /// The filters of RUST_LOG, where they decide.
    rust_log: Option<String>,
}

/// Starts the log of the process: every line from now on goes to `sink`, on a thread of its own.
/// Only the first call has an effect.
///
/// # Errors
/// The OS error where there is no thread left.
pub fn start(settings: Settings, sink: Sink) -> io::Result<()> {
    let (filter, level, rust_log) = settings.filter();
    let mut builder = Builder::new();
    builder.target(Target::Pipe(Box::new(Pipe))).write_style(style()).format(write_line);
    let out = builder.filter_level(LevelFilter::Trace).build();
    let (queue, limits, suppressed) = (Queue::default(), Limits::new(), AtomicU64::new(0));
    let global = Global { queue, limits, suppressed, filter, out, rust_log };
    if GLOBAL.set(global).is_err() {
        return Ok(());
    }
    let Some(global) = GLOBAL.get() else { return Ok(()) };
    set_format(settings.format);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || global.write(sink))?;
    // It fails where a test has set another logger.
    if log::set_logger(global).is_ok() {
        set_level(level);
    }
    Ok(())
}

/// Changes the format of the lines from now on.
pub fn set_format(format: Format) {
    IS_JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Whether RUST_LOG decides about levels, so that the level of a configuration file does not.
#[must_use]
pub fn is_filtered() -> bool {
    rust_log().is_some()
}

/// Returns the filters of RUST_LOG where they decide; they remain an upper bound of what is changed
/// at run time.
#[must_use]
pub fn rust_log() -> Option<&'static str> {
    GLOBAL.get()?.rust_log.as_deref()
}

/// Writes a line of text that is no log line, in its order among them.
pub fn say(stream: Stream, text: &str) {
    match (GLOBAL.get(), stream) {
        (Some(global), _) => global.queue.push(stream, format!("{text}\n").as_bytes()),
        // Whoever does not read it does not want it.
        (None, Stream::Output) => _ = writeln!(io::stdout(), "{text}"),
        (None, Stream::Error) => _ = writeln!(io::stderr(), "{text}"),
    }
}

/// Logs why the process ends, whatever the level: no program ends without a word.
pub fn fatal(target: &str, message: impl Display) {
    match GLOBAL.get() {
        Some(global) => global.write_always(Level::Error, target, message),
        None => say(Stream::Error, &logline::capped(message, MESSAGE_BYTES_MAX)),
    }
}

/// Writes what is left, before the process ends: for 0.3 s where nobody reads it, and for 3 s at
/// most.
pub fn finish() {
    if let Some(global) = GLOBAL.get() {
        global.report(true);
        global.queue.flush(EXIT_STUCK, EXIT_MOST);
    }
}

/// Whether standard output has taken everything that was said there.
#[must_use]
pub fn is_said() -> bool {
    GLOBAL.get().is_none_or(|global| global.queue.is_said())
}

/// The last lines that were written, the newest last, for the report of a panic. Nothing where the
/// log is busy: whoever panics may hold its lock.
#[must_use]
pub fn recent() -> Vec<String> {
    GLOBAL.get().map(|global| global.queue.recent()).unwrap_or_default()
}

/// What [`left_out`] counts, for metrics.
pub const LEFT_OUT_HELP: &str = "Lines not written: unread, nobody read the log; repeated, too \
     many of one event; output, for people, nobody read standard output";

/// How many lines were not written since the start, by reason: `unread` ones were dropped because
/// nobody read the log; `repeated` ones were suppressed, and count once that is reported; `output`
/// ones are no log lines but for people, and nobody read standard output.
#[must_use]
pub fn left_out() -> [(&'static str, u64); 3] {
    let (unread, repeated, output) = GLOBAL.get().map_or((0, 0, 0), |global| {
        let repeated = global.suppressed.load(Ordering::Relaxed);
        (global.queue.dropped_total(), repeated, global.queue.unsaid())
    });
    [("unread", unread), ("repeated", repeated), ("output", output)]
}

impl Global {
    /// Writes the queue, for as long as the process lives.
    fn write(&self, mut sink: Sink) {
        let mut reported = Instant::now();
        loop {
            if let Some(batch) = self.queue.take(REPORT_EVERY) {
                let lost = match sink(batch.stream, &batch.bytes) {
                    Ok(()) => 0,
                    // The reader has closed its end; there is nobody to tell.
                    Err(_) => batch.lines,
                };
                self.queue.written(batch.stream, lost);
                if lost == 0 {
                    self.tell_dropped();
                }
            }
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                self.report(false);
            }
        }
    }

    fn tell_dropped(&self) {
        let count = self.queue.take_dropped();
        if count > 0 {
            let total = self.queue.dropped_total();
            let text = format!(
                "log lines dropped, the log is not read fast enough count={count} total={total}"
            );
            self.write_always(Level::Warn, env!("CARGO_PKG_NAME"), text);
        }
    }

    fn report(&self, all: bool) {
        for (level, count, text) in self.limits.report(all) {
            self.suppressed.fetch_add(count, Ordering::Relaxed);
            self.write_always(level, env!("CARGO_PKG_NAME"), text);
        }
    }

    fn write_always(&self, level: Level, target: &str, message: impl Display) {
        let args = format_args!("{message}");
        self.out.log(&Record::builder().level(level).target(target).args(args).build());
    }
}

impl Log for Global {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        levels::allow(metadata, self.rust_log.is_some(), || self.filter.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let base = || self.filter.matches(record);
        if levels::allow(record.metadata(), self.rust_log.is_some(), base) {
            let message = logline::capped(record.args(), MESSAGE_BYTES_MAX);
            if self.limits.allow(record.level(), &message) {
                self.write_always(record.level(), record.target(), message);
            }
        }
    }

    fn flush(&self) {}
}

/// The way from `env_logger` to the queue.
struct Pipe;

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(global) = GLOBAL.get()
            && !bytes.is_empty()
        {
            global.queue.push(Stream::Error, bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let target = record.target().split("::").next().unwrap_or_default();
    let (level, time) = (record.level(), out.timestamp_millis());
    let style = out.default_level_style(level);
    let color = (format!("{style}"), format!("{style:#}"));
    let format = if IS_JSON.load(Ordering::Relaxed) { Format::Json } else { Format::Logfmt };
    let message = logline::capped(record.args(), MESSAGE_BYTES_MAX);
    let text = line(format, &Head { time: &time, level, target, color }, &message);
    out.write_all(text.as_bytes())
}
