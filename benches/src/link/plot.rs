//! Draws a diagram of one link: throughput and cost by frame size, with a bar for each way.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use bench::svg::{begin, text};

use crate::results::{Cell, Results, size};
use crate::ways::Way;
use crate::{Arguments, Fallible};

/// The size of the diagram, in pixels.
const WIDTH: f64 = 860.0;
const PANEL_HEIGHT: f64 = 190.0;
const PANEL_GAP: f64 = 60.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 90.0;
/// Names per line of the legend.
const LEGEND_COLUMNS: usize = 3;

/// One colour per way, distinguishable with colour blindness.
const fn colour(way: Way) -> &'static str {
    match way {
        Way::Direct => "#bbbbbb",
        Way::Haproxy => "#f0e442",
        Way::HaproxyLarge => "#e69f00",
        Way::HaproxySplice => "#d55e00",
        Way::HaproxyTls => "#009e73",
        Way::HaproxyLargeTls => "#cc79a7",
        Way::DcpProxy => "#0072b2",
        Way::DcpProxyTls => "#56b4e9",
    }
}

/// A function of the results, with its name and its place.
struct Panel<'a> {
    name: &'static str,
    top: f64,
    value: &'a dyn Fn(Cell) -> Option<f64>,
}

/// Draws the smallest number of links that was measured, to the file `path`.
pub(crate) fn write(
    path: &Path,
    results: &Results,
    ways: &[Way],
    arguments: &Arguments,
) -> Fallible<()> {
    let links = arguments.links.iter().copied().min().ok_or("no number of links")?;
    let (speed, cost) = (|cell| results.speed(cell), |cell| results.cost(cell));
    let panels = [
        Panel { name: "GB/s, more is better", top: TOP, value: &speed },
        Panel {
            name: "processor seconds of the proxy for a GB, less is better",
            top: TOP + PANEL_HEIGHT + PANEL_GAP,
            value: &cost,
        },
    ];
    let height = TOP + 2.0 * (PANEL_HEIGHT + PANEL_GAP);
    let mut out = String::new();
    begin(&mut out, (WIDTH, height), 12)?;
    legend(&mut out, ways, links)?;
    for panel in &panels {
        bars(&mut out, panel, ways, &arguments.frames, links)?;
    }
    writeln!(out, "</svg>")?;
    Ok(fs::write(path, out)?)
}

fn legend(out: &mut String, ways: &[Way], links: u16) -> fmt::Result {
    text(out, LEFT, 20.0, &format!("A replication link by frame size (links: {links})"))?;
    let step = (WIDTH - LEFT) / LEGEND_COLUMNS as f64;
    for (at, &way) in ways.iter().enumerate() {
        let x = LEFT + (at % LEGEND_COLUMNS) as f64 * step;
        let y = 32.0 + (at / LEGEND_COLUMNS) as f64 * 18.0;
        rect(out, [x, y, 10.0, 10.0], colour(way))?;
        text(out, x + 14.0, y + 9.0, way.name())?;
    }
    Ok(())
}

fn bars(
    out: &mut String,
    panel: &Panel<'_>,
    ways: &[Way],
    frames: &[usize],
    links: u16,
) -> fmt::Result {
    let value = |way, frame_bytes| (panel.value)(Cell { way, links, frame_bytes });
    let all = ways.iter().flat_map(|&way| frames.iter().filter_map(move |&size| value(way, size)));
    let highest = all.fold(f64::MIN_POSITIVE, f64::max);
    let bottom = panel.top + PANEL_HEIGHT;
    text(out, LEFT, panel.top - 6.0, panel.name)?;
    rect(out, [LEFT, bottom, WIDTH - LEFT, 1.0], "black")?;
    let group = (WIDTH - LEFT) / frames.len().max(1) as f64;
    let bar = group * 0.9 / ways.len().max(1) as f64;
    for (at, &frame_bytes) in frames.iter().enumerate() {
        let left = LEFT + at as f64 * group;
        text(out, left + group * 0.4, bottom + 16.0, &size(frame_bytes))?;
        for (number, &way) in ways.iter().enumerate() {
            let Some(value) = value(way, frame_bytes) else { continue };
            let height = value / highest * (PANEL_HEIGHT - 20.0);
            let x = left + number as f64 * bar;
            rect(out, [x, bottom - height, bar - 2.0, height], colour(way))?;
            let middle = x + bar / 2.0 - 1.0;
            let y = bottom - height - 3.0;
            writeln!(
                out,
                "<text x=\"{middle:.1}\" y=\"{y:.1}\" font-size=\"8\" \
                 text-anchor=\"middle\">{value:.2}</text>"
            )?;
        }
    }
    Ok(())
}

fn rect(out: &mut String, [x, y, width, height]: [f64; 4], fill: &str) -> fmt::Result {
    writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
         fill=\"{fill}\"/>"
    )
}
