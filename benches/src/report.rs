//! The figures of all rounds, and their medians as a table of Markdown.

use std::fmt;

use bench::median;

/// The server that others are put in relation to.
const BASE: &str = "memcached";

/// See the module.
#[derive(Default)]
pub(crate) struct Report {
    /// What was measured, of which server, in every round.
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
