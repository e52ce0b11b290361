//! Figures by step: a row for each figure, a column for each step.

use crate::paced::Latencies;

/// See the module.
#[derive(Default)]
pub(super) struct Table {
    steps: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// Begins a column.
    pub(super) fn step(&mut self, name: String) {
        eprintln!("{name}");
        self.steps.push(name);
    }

    /// Adds a figure to the last column.
    pub(super) fn add(&mut self, name: &str, figure: f64) {
        let decimals = if figure >= 100.0 { 0 } else { 2 };
        self.put(name, format!("{figure:.decimals$}"));
    }

    /// The same of latencies, in ms: half of them, and all but one of a hundred and of a thousand.
    pub(super) fn latencies(&mut self, name: &str, took: &Latencies) {
        let told = [0.5, 0.99, 0.999, 1.0].map(|at| took.percentile(at).unwrap_or_default());
        let [p50, p99, p999, most] = told.map(|ms| format!("{ms:.2}"));
        let name = format!("{name}: p50, p99, p99.9, most, ms");
        self.put(&name, format!("{p50}, {p99}, {p999}, {most}"));
    }

    fn put(&mut self, name: &str, figure: String) {
        eprintln!("  {name}: {figure}");
        let at = self.rows.iter().position(|(known, _)| known == name);
        let column = self.steps.len().saturating_sub(1);
        match at.and_then(|at| self.rows.get_mut(at)) {
            Some((_, figures)) => {
                figures.resize(column, String::new());
                figures.push(figure);
            }
            None => {
                let mut figures = vec![String::new(); column];
                figures.push(figure);
                self.rows.push((name.to_owned(), figures));
            }
        }
    }

    /// In Markdown.
    pub(super) fn text(&self) -> String {
        let mut out = format!("| | {} |\n", self.steps.join(" | "));
        out.push_str(&format!("|---|{}\n", "---:|".repeat(self.steps.len())));
        for (name, figures) in &self.rows {
            let cells: Vec<_> = figures.iter().map(String::as_str).collect();
            let missing = " |".repeat(self.steps.len() - figures.len());
            out.push_str(&format!("| {name} | {} |{missing}\n", cells.join(" | ")));
        }
        out
    }
}
