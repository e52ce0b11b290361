//! Log lines for operators, and the log of a panic before it ends the process.

use std::io::{self, IsTerminal as _, Write as _};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target, WriteStyle};
use log::{LevelFilter, Record};

use crate::screen::Screen;

/// The environment variable of log filters, such as `info,kvnode=debug`.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// The packages of the sidecar.
const SIDECAR: [&str; 3] = ["dcp_proxy", "dcp_actors", "relay"];
/// The packages of the embedded nodes, which log warnings only by default.
const EMBEDDED: [&str; 2] = ["kvnode", "store"];

/// Starts logging to standard error through `screen`.
///
/// `level` takes precedence over RUST_LOG, and RUST_LOG over the default: `info` for the sidecar,
/// `warn` for everything else. Must be called once.
pub fn start(level: Option<LevelFilter>, screen: Screen) {
    let in_color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if in_color { WriteStyle::Always } else { WriteStyle::Never };
    let mut builder = Builder::new();
    builder.target(Target::Pipe(Box::new(screen))).write_style(style).format(write_line);
    match (level, std::env::var(FILTER_VARIABLE)) {
        (None, Ok(filters)) => builder.parse_filters(&filters).init(),
        (level, _) => {
            filter(&mut builder, level).init();
            // The filter cannot be changed later, the maximum level can: see `set_level`.
            set_level(level.unwrap_or(LevelFilter::Info));
        }
    }
}

fn filter(builder: &mut Builder, level: Option<LevelFilter>) -> &mut Builder {
    let others = LevelFilter::Warn;
    builder.filter_level(level.map_or(others, |level| level.min(others)));
    // It logs an error when a client sends something that is not HTTP.
    builder.filter_module("actix_http", LevelFilter::Off);
    for package in SIDECAR {
        builder.filter_module(package, LevelFilter::Trace);
    }
    for package in EMBEDDED {
        builder.filter_module(package, level.unwrap_or(others));
    }
    builder
}

/// Changes the log level of the sidecar. The filters of RUST_LOG, where set, remain an upper bound.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// `2026-11-21T22:00:00.123Z WARN  relay       peer closed the connection ...`
fn write_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let package = record.target().split("::").next().unwrap_or_default();
    let style = out.default_level_style(record.level());
    let (time, level, words) = (out.timestamp_millis(), record.level(), record.args());
    writeln!(out, "{time} {style}{level:5}{style:#} {package:10} {words}")
}

/// Makes every panic, on any thread, log and abort the process. After a panic replication may stand
/// still; the supervisor sees the exit and restarts the process.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        log::error!("panic, aborting: {panic}");
        log::error!("backtrace:\n{}", std::backtrace::Backtrace::capture());
        log::logger().flush();
        std::process::abort();
    }));
}
