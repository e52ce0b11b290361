//! The results as tables, written to their place in the documents.

use std::fmt::{self, Write as _};

use crate::results::{Cell, Results, size};
use crate::ways::{Way, haproxy_version};
use crate::{Arguments, SET_UP_STREAMS};

/// The results as Markdown.
pub(crate) fn markdown(results: &Results, ways: &[Way], arguments: &Arguments) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = tables(&mut out, results, ways, arguments);
    out
}

fn tables(out: &mut String, results: &Results, ways: &[Way], arguments: &Arguments) -> fmt::Result {
    let Arguments { rounds, seconds, .. } = arguments;
    writeln!(out, "`cargo xtask bench --rounds {rounds} --seconds {seconds}`")?;
    write!(out, "on {}", bench::machine())?;
    let haproxy = haproxy_version().map(|version| format!(", haproxy {version}"));
    writeln!(out, "{}.\n", haproxy.unwrap_or_default())?;
    for &links in &arguments.links {
        throughput(out, results, ways, arguments, links)?;
    }
    memory(out, results, ways, arguments)?;
    round_trips(out, results, ways)?;
    streams(out, results, ways)
}

fn throughput(
    out: &mut String,
    results: &Results,
    ways: &[Way],
    arguments: &Arguments,
    links: u16,
) -> fmt::Result {
    let plural = if links == 1 { "link" } else { "links" };
    writeln!(out, "{links} {plural}: GB/s (processor seconds of the proxy for a GB)\n")?;
    heading(out, &arguments.frames.iter().map(|&bytes| size(bytes)).collect::<Vec<_>>())?;
    for &way in ways {
        write!(out, "| {} |", way.name())?;
        for &frame_bytes in &arguments.frames {
            let cell = Cell { way, links, frame_bytes };
            write!(out, " {}{} |", figure(results.speed(cell)), aside(results.cost(cell)))?;
        }
        writeln!(out)?;
    }
    let pairs = ways.iter().filter_map(|&way| Some((way, way.rival()?)));
    for (way, other) in pairs.filter(|(_, other)| ways.contains(other)) {
        write!(out, "| {} over {} |", way.name(), other.name())?;
        for &frame_bytes in &arguments.frames {
            let (speed, cost) = results.ratios(Cell { way, links, frame_bytes }, other);
            write!(out, " {}{} |", figure(speed), aside(cost))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn memory(out: &mut String, results: &Results, ways: &[Way], arguments: &Arguments) -> fmt::Result {
    writeln!(
        out,
        "Peak memory (RSS) of the proxy in MiB, at whichever frame size it is largest\n"
    )?;
    let columns = arguments.links.iter().map(|links| match links {
        1 => "1 link".to_owned(),
        links => format!("{links} links"),
    });
    heading(out, &columns.collect::<Vec<_>>())?;
    for &way in ways.iter().filter(|way| **way != Way::Direct) {
        write!(out, "| {} |", way.name())?;
        for &links in &arguments.links {
            let mib = results.memory(way, links).map_or("-".to_owned(), |mib| format!("{mib:.1}"));
            write!(out, " {mib} |")?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn round_trips(out: &mut String, results: &Results, ways: &[Way]) -> fmt::Result {
    writeln!(out, "Round trip of a NOOP on an idle link, in microseconds\n")?;
    heading(out, &["p50", "p99"])?;
    for &way in ways {
        if let Some((p50, p99)) = results.round_trip(way) {
            writeln!(out, "| {} | {p50:.1} | {p99:.1} |", way.name())?;
        }
    }
    writeln!(out)
}

fn streams(out: &mut String, results: &Results, ways: &[Way]) -> fmt::Result {
    writeln!(out, "Set-up of {SET_UP_STREAMS} streams with peers that answer at once, in ms\n")?;
    heading(out, &["until the last answer", "of the sidecar's own time"])?;
    for &way in ways {
        if let Some((wall, processor)) = results.streams(way) {
            writeln!(out, "| {} | {wall:.1} | {processor:.1} |", way.name())?;
        }
    }
    Ok(())
}

fn heading(out: &mut String, columns: &[impl AsRef<str>]) -> fmt::Result {
    let names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    writeln!(out, "| | {} |", names.join(" | "))?;
    writeln!(out, "|---|{}", "---:|".repeat(names.len()))
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

fn aside(value: Option<f64>) -> String {
    value.map(|value| format!(" ({value:.2})")).unwrap_or_default()
}
