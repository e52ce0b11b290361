//! Named places at which a test ends the process the way a crash would.
//!
//! Without the feature `enabled`, which only dev-dependencies switch on, both functions are empty
//! and the environment is never read. With it the variable `FAILPOINTS` is read once:
//! `flush-stored=3,no-early-commit` ends the process when it comes to `flush-stored` for the third
//! time, and turns the switch `no-early-commit` on.

/// The variable that says what is to fail: `NAME=COUNT` or `NAME`, separated by commas.
pub const VARIABLE: &str = "FAILPOINTS";

/// Ends the process here, without any clean-up, when the test asked for that.
#[inline]
pub fn reach(name: &str) {
    #[cfg(feature = "enabled")]
    enabled::reach(name);
    #[cfg(not(feature = "enabled"))]
    let _ = name;
}

/// Whether the test turned this switch on: a rule is broken on purpose, to see that a test finds
/// out.
#[inline]
#[must_use]
pub fn is_on(name: &str) -> bool {
    #[cfg(feature = "enabled")]
    return enabled::is_on(name);
    #[cfg(not(feature = "enabled"))]
    {
        let _ = name;
        false
    }
}

#[cfg(feature = "enabled")]
mod enabled {
    //! What the variable says, and how often each place was come to.

    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Point {
        name: String,
        /// How often the process still comes past alive; `None` for a switch.
        left: Option<AtomicU64>,
    }

    static POINTS: LazyLock<Vec<Point>> =
        LazyLock::new(|| parse(&std::env::var(super::VARIABLE).unwrap_or_default()));

    fn parse(text: &str) -> Vec<Point> {
        let words = text.split(',').filter(|word| !word.is_empty());
        let point = |word: &str| {
            let (name, count) = word.split_once('=').map_or((word, None), |(n, c)| (n, Some(c)));
            // A count that is none must not turn a test into one that tests nothing.
            let left = count.map(|count| count.parse().unwrap_or(1).max(1)).map(AtomicU64::new);
            Point { name: name.to_owned(), left }
        };
        words.map(point).collect()
    }

    pub(super) fn reach(name: &str) {
        let named = POINTS.iter().filter(|point| point.name == name);
        for left in named.filter_map(|point| point.left.as_ref()) {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                std::process::abort();
            }
        }
    }

    pub(super) fn is_on(name: &str) -> bool {
        POINTS.iter().any(|point| point.left.is_none() && point.name == name)
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn points_have_counts_and_switches_have_none() {
            let points = super::parse("a=3,b,c=x,");
            let found: Vec<_> = points
                .iter()
                .map(|p| {
                    (
                        p.name.as_str(),
                        p.left.as_ref().map(|left| left.load(super::Ordering::SeqCst)),
                    )
                })
                .collect();
            assert_eq!(found, [("a", Some(3)), ("b", None), ("c", Some(1))]);
        }
    }
}
