//! Named places at which a test ends the process as a crash would, has it panic or hang.
//!
//! Without the feature `enabled`, which only dev-dependencies turn on, all functions are empty and
//! the environment is never read. With it the variable `FAILPOINTS` is read once:
//! `flush-stored=3,no-early-commit` ends the process when it reaches `flush-stored` for the third
//! time, and turns the switch `no-early-commit` on.

/// The variable that says what fails: `NAME=COUNT` or `NAME`, separated by commas.
pub const VARIABLE: &str = "FAILPOINTS";

/// Ends the process here, without any clean-up, if the test asked for it.
#[inline]
pub fn reach(name: &str) {
    #[cfg(feature = "enabled")]
    enabled::reach(name);
    #[cfg(not(feature = "enabled"))]
    let _ = name;
}

/// Whether the test turned this switch on. A switch breaks a rule on purpose, to show that a test
/// notices.
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

/// Panics here if the test turned this switch on.
#[inline]
pub fn panic_at(name: &str) {
    assert!(!is_on(name), "failpoint {name}");
}

/// Blocks the thread here for good if the test turned this switch on.
#[inline]
pub fn hang_at(name: &str) {
    while is_on(name) {
        std::thread::park();
    }
}

#[cfg(feature = "enabled")]
mod enabled {
    //! What the variable says, and how often each place was reached.

    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Point {
        name: String,
        /// At which of the next visits the process ends; `None` for a switch.
        left: Option<AtomicU64>,
    }

    static POINTS: LazyLock<Vec<Point>> = LazyLock::new(|| {
        let text = std::env::var_os(super::VARIABLE);
        text.map_or_else(Vec::new, |text| parse(&text.to_string_lossy()))
    });

    fn parse(text: &str) -> Vec<Point> {
        let words = text.split(',').filter(|word| !word.is_empty());
        let point = |word: &str| {
            let (name, count) = word.split_once('=').map_or((word, None), |(n, c)| (n, Some(c)));
            // A malformed count is 1: the test then fails early, and does not test nothing.
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
