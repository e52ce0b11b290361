//! The figures of all rounds, and their medians as a Markdown table.

use std::fmt;

use bench::median;

/// The server that the others are compared with.
const BASE: &str = "memcached";
/// The data node, relaxed and synced, as it is named in the figures.
const NODES: [&str; 2] = ["relaxed", "synced"];

/// See the module.
#[derive(Default)]
pub(crate) struct Report {
    /// The figures of every round, by name and server.
    figures: Vec<(String, String, Vec<f64>)>,
}

impl Report {
    /// Adds the figure of one round.
    pub(crate) fn add(&mut self, what: &str, server: &str, figure: f64) {
        let same = |(w, s, _): &&mut (String, String, Vec<f64>)| w == what && s == server;
        match self.figures.iter_mut().find(same) {
            Some((_, _, all)) => all.push(figure),
            None => self.figures.push((what.to_owned(), server.to_owned(), vec![figure])),
        }
    }

    fn median(&self, what: &str, server: &str) -> Option<f64> {
        let of = self.figures.iter().find(|(w, s, _)| w == what && s == server);
        of.and_then(|(_, _, all)| median(all.iter().copied()))
    }

    /// The medians of the data node and their ratios to the other server, one line per figure.
    pub(crate) fn table(&self) -> String {
        let mut out =
            format!("| | {} |\n", NODES.map(|node| format!("{node} | to {BASE}")).join(" | "));
        out.push_str("|---|---:|---:|---:|---:|\n");
        let mut told: Vec<&str> = Vec::new();
        for (what, _, _) in &self.figures {
            if told.contains(&what.as_str()) {
                continue;
            }
            told.push(what);
            let cells = NODES.map(|node| {
                let Some(median) = self.median(what, node) else { return " | ".to_owned() };
                let ratio = self.median(what, BASE).map(|base| format!("{:.2}", median / base));
                format!("{} | {}", figure(median), ratio.unwrap_or_default())
            });
            out.push_str(&format!("| {what} | {} |\n", cells.join(" | ")));
        }
        out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | server | median | least to most | to memcached |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for (what, server, all) in &self.figures {
            let median = median(all.iter().copied()).unwrap_or_default();
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            let most = all.iter().copied().fold(0.0, f64::max);
            let base = self.median(what, BASE).filter(|_| server != BASE);
            let ratio = base.map(|base| format!("{:.2}", median / base)).unwrap_or_default();
            let [median, least, most] = [median, least, most].map(figure);
            writeln!(f, "| {what} | {server} | {median} | {least} to {most} | {ratio} |")?;
        }
        Ok(())
    }
}

fn figure(number: f64) -> String {
    if number < 100.0 { format!("{number:.2}") } else { format!("{number:.0}") }
}
