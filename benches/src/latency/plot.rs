//! Draws the latencies: a panel for each kind of request and rate, with the percentiles of each
//! server on a logarithmic scale.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::Path;

use bench::svg::{begin, text};

use super::{PERCENTILES, Row};

/// Sizes in pixels.
const PANEL_WIDTH: f64 = 280.0;
const PANEL_HEIGHT: f64 = 180.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 60.0;
const GAP: f64 = 50.0;
/// The scale in milliseconds.
const LEAST: f64 = 0.01;
const DECADES: i32 = 5;
/// One colour for each server, distinguishable with colour blindness.
const COLOURS: [&str; 5] = ["#0072b2", "#e69f00", "#d55e00", "#009e73", "#999999"];

/// Draws all rows to the file `path`.
pub(super) fn write(path: &Path, rows: &[Row]) -> io::Result<()> {
    let mut servers: Vec<&str> = Vec::new();
    let mut panels: Vec<String> = Vec::new();
    for row in rows {
        if !servers.contains(&row.server.as_str()) {
            servers.push(&row.server);
        }
        if !panels.contains(&name(row)) {
            panels.push(name(row));
        }
    }
    let out = draw(rows, &servers, &panels).map_err(io::Error::other)?;
    fs::write(path, out)
}

fn name(row: &Row) -> String {
    format!("{}, {}/s", row.kind, row.rate)
}

fn draw(rows: &[Row], servers: &[&str], panels: &[String]) -> Result<String, fmt::Error> {
    // One line of panels for each kind.
    let columns = panels.len().div_ceil(2).max(1);
    let width = LEFT + columns as f64 * (PANEL_WIDTH + GAP);
    let height = TOP + panels.len().div_ceil(columns) as f64 * (PANEL_HEIGHT + GAP);
    let mut out = String::new();
    begin(&mut out, (width, height), 11)?;
    text(&mut out, LEFT, 16.0, "Latency in ms at fixed rates, from when a request was due")?;
    for (at, (server, colour)) in servers.iter().zip(COLOURS).enumerate() {
        let x = LEFT + at as f64 * 130.0;
        writeln!(out, "<rect x=\"{x}\" y=\"24\" width=\"10\" height=\"10\" fill=\"{colour}\"/>")?;
        text(&mut out, x + 14.0, 33.0, server)?;
    }
    for (at, panel) in panels.iter().enumerate() {
        let left = LEFT + (at % columns) as f64 * (PANEL_WIDTH + GAP);
        let top = TOP + (at / columns) as f64 * (PANEL_HEIGHT + GAP);
        axes(&mut out, left, top, panel)?;
        for row in rows.iter().filter(|row| name(row) == *panel) {
            let colour = servers.iter().position(|it| *it == row.server);
            let colour = colour.and_then(|at| COLOURS.get(at)).unwrap_or(&"black");
            line(&mut out, left, top, row, colour)?;
        }
    }
    writeln!(out, "</svg>")?;
    Ok(out)
}

fn axes(out: &mut String, left: f64, top: f64, name: &str) -> fmt::Result {
    text(out, left, top - 6.0, name)?;
    for decade in 0..=DECADES {
        let ms = LEAST * 10_f64.powi(decade);
        let y = height_of(ms, top);
        writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>",
            left + PANEL_WIDTH
        )?;
        text(out, left - 34.0, y + 4.0, &format!("{ms}"))?;
    }
    for (at, quantile) in PERCENTILES.iter().enumerate() {
        let percent = format!("p{}", quantile * 100.0);
        text(out, across(at, left) - 12.0, top + PANEL_HEIGHT + 14.0, &percent)?;
    }
    Ok(())
}

fn line(out: &mut String, left: f64, top: f64, row: &Row, colour: &str) -> fmt::Result {
    let place = |(at, quantile): (usize, &f64)| {
        let ms = row.took.percentile(*quantile)?;
        Some(format!("{:.1},{:.1}", across(at, left), height_of(ms, top)))
    };
    let places: Vec<_> = PERCENTILES.iter().enumerate().filter_map(place).collect();
    writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        places.join(" ")
    )
}

fn across(at: usize, left: f64) -> f64 {
    left + (at as f64 + 0.5) * PANEL_WIDTH / PERCENTILES.len() as f64
}

fn height_of(ms: f64, top: f64) -> f64 {
    let part = (ms.max(LEAST) / LEAST).log10() / f64::from(DECADES);
    top + PANEL_HEIGHT * (1.0 - part.min(1.0))
}
