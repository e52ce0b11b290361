//! The figures of all rounds, and their medians as a Markdown table.

use std::fmt;

use bench::median;

/// The server that the others are compared with.
const BASE: &str = "memcached";

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

    /// The servers in the order in which they were measured.
    fn servers(&self) -> Vec<&str> {
        let mut servers: Vec<&str> = Vec::new();
        for (_, server, _) in &self.figures {
            if !servers.contains(&server.as_str()) {
                servers.push(server);
            }
        }
        servers
    }

    /// The medians of the data nodes and their ratios to memcached, one line per figure.
    pub(crate) fn table(&self) -> String {
        let servers: Vec<&str> = self.servers().into_iter().filter(|it| *it != BASE).collect();
        let heads: Vec<_> = servers.iter().map(|it| format!("{it} | to {BASE}")).collect();
        let mut out = format!("| | {} |\n", heads.join(" | "));
        out.push_str(&format!("|---|{}\n", "---:|---:|".repeat(servers.len())));
        let mut told: Vec<&str> = Vec::new();
        for (what, _, _) in &self.figures {
            if told.contains(&what.as_str()) {
                continue;
            }
            told.push(what);
            let cell = |server: &&str| {
                let Some(median) = self.median(what, server) else { return " | ".to_owned() };
                let ratio = self.median(what, BASE).map(|base| format!("{:.2}", median / base));
                format!("{} | {}", figure(median), ratio.unwrap_or_default())
            };
            let cells: Vec<_> = servers.iter().map(cell).collect();
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
