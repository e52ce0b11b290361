//! Log lines that an operator can read, and a last word before a panic ends the process.

use std::io::{self, IsTerminal as _, Write as _};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target, WriteStyle};
use log::{LevelFilter, Record};

use crate::screen::Screen;

/// The environment variable with filters such as `info,kvnode=debug`.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// Our own packages; what libraries log is of interest from `warn` on only.
const OURS: [&str; 5] = ["dcp_proxy", "dcp_actors", "kvnode", "relay", "store"];

/// Starts logging to standard error through `screen`.
///
/// `level` rules over RUST_LOG, which rules over `info`. Call it once.
pub fn start(level: Option<LevelFilter>, screen: Screen) {
    let style = if io::stderr().is_terminal() { WriteStyle::Auto } else { WriteStyle::Never };
    let mut builder = Builder::new();
    builder.target(Target::Pipe(Box::new(screen))).write_style(style).format(write_line);
    match (level, std::env::var(FILTER_VARIABLE)) {
        (None, Ok(filters)) => builder.parse_filters(&filters),
        (level, _) => defaults(&mut builder, level.unwrap_or(LevelFilter::Info)),
    };
    builder.init();
}

fn defaults(builder: &mut Builder, level: LevelFilter) -> &mut Builder {
    builder.filter_level(level.min(LevelFilter::Warn));
    OURS.iter().fold(builder, |builder, package| builder.filter_module(package, level))
}

/// `2026-11-21T22:00:00.123Z WARN  relay       peer closed the connection ...`
fn write_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let package = record.target().split("::").next().unwrap_or_default();
    let style = out.default_level_style(record.level());
    let (time, level, words) = (out.timestamp_millis(), record.level(), record.args());
    writeln!(out, "{time} {style}{level:5}{style:#} {package:10} {words}")
}

/// Makes a panic a log line and the end of the process, whichever thread it was in: a program that
/// lost a part of itself does not replicate any more, and its supervisor must know.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        log::error!("panicked, the process ends here: {panic}");
        log::error!("backtrace:\n{}", std::backtrace::Backtrace::capture());
        log::logger().flush();
        std::process::abort();
    }));
}
