//! What differs between two configurations, by key.

use super::Config;

/// The keys whose values differ.
#[must_use]
pub fn changed(before: &Config, after: &Config) -> Vec<String> {
    let lines = |config: &Config| -> Vec<String> {
        config.to_string().lines().map(str::to_owned).collect()
    };
    let old = lines(before);
    lines(after).into_iter().filter(|line| !old.contains(line)).collect()
}

/// Those of them that need a restart.
#[must_use]
pub fn restart_needed(before: &Config, after: &Config) -> Vec<String> {
    changed(before, after)
        .into_iter()
        .filter(|line| ["node ", "limits ", "embedded "].iter().any(|it| line.starts_with(it)))
        .collect()
}
