//! Collects names and values for STAT, under one prefix.

use std::fmt::{Display, Write as _};

/// Collects statistics whose names have a common prefix.
pub struct Stats<'a> {
    prefix: &'a str,
    out: &'a mut Vec<(String, String)>,
}

impl<'a> Stats<'a> {
    /// A collector that puts `prefix` in front of every name.
    pub const fn new(prefix: &'a str, out: &'a mut Vec<(String, String)>) -> Self {
        Self { prefix, out }
    }

    /// Adds one statistic.
    pub fn put(&mut self, name: impl Display, value: impl Display) {
        let mut full = self.prefix.to_owned();
        let _infallible = write!(full, "{name}");
        self.out.push((full, value.to_string()));
    }
}
