//! Broken invariants: what a type cannot rule out and the code relies on all the same.
//!
//! In a debug build, and so in every test, a broken invariant is a panic. In a release build it is
//! an error, [`Broken`], which ends the smallest thing that holds it: the command, the session or
//! the link. It is counted by its place for the metrics, and logged.
//!
//! ```
//! use invariant::{Broken, broken, invariant};
//!
//! fn take(bytes: &[u8], count: usize) -> Result<&[u8], Broken> {
//!     invariant!(count > 0, "an empty run of frames");
//!     bytes.get(..count).ok_or_else(|| broken!("{count} of {} bytes", bytes.len()))
//! }
//! # assert_eq!(take(b"abc", 2), Ok(&b"ab"[..]));
//! ```

use logline::value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How often each invariant was broken since the process started, by its place. It has at most as
/// many entries as the source has uses of the macros.
static COUNTS: Mutex<BTreeMap<Place, u64>> = Mutex::new(BTreeMap::new());

/// Where in the source an invariant is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, by its path from the top folder of the project.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An invariant did not hold: a defect of this program, whatever its peers did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("internal error at {place}: {what}; this is a bug, please report it")]
pub struct Broken {
    /// Where it was found.
    pub place: Place,
    /// What was found.
    pub what: String,
}

/// Returns [`Broken`] from the enclosing function unless the condition holds.
///
/// The text says what was found and is formatted only then.
#[macro_export]
macro_rules! invariant {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return ::core::result::Result::Err($crate::broken!($($text)+).into());
        }
    };
}

/// Makes a [`Broken`] of this place, counts it and logs it. Panics in a debug build.
#[macro_export]
macro_rules! broken {
    ($($text:tt)+) => {
        $crate::report($crate::Place { file: file!(), line: line!() }, format!($($text)+))
    };
}

/// What the macros call; they know the place.
///
/// # Panics
/// In a debug build, so that a test cannot pass over it.
#[must_use]
#[cold]
pub fn report(place: Place, what: String) -> Broken {
    if cfg!(debug_assertions) {
        panic!("invariant broken at {place}: {what}");
    }
    record(place, what)
}

/// Counts and logs. A place that is broken again and again is logged the first time, the second,
/// the fourth, and so on.
fn record(place: Place, what: String) -> Broken {
    let broken = Broken { place, what };
    let count = {
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(place).or_default();
        *count += 1;
        *count
    };
    if count.is_power_of_two() {
        log::error!("invariant broken place={place} times={count} found={}", value(&broken.what));
    }
    broken
}

/// Every place at which an invariant was broken since the process started, and how often.
#[must_use]
pub fn counts() -> Vec<(Place, u64)> {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.iter().map(|(&place, &count)| (place, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Broken, Place, counts, record};

    #[test]
    fn a_release_counts_each_place_and_gives_an_error() {
        let place = Place { file: "here.rs", line: 7 };
        for _ in 0..3 {
            let broken = record(place, "an empty frame".to_owned());
            let text = broken.to_string();
            assert!(text.contains("here.rs:7: an empty frame"), "{text}");
        }
        record(Place { file: "here.rs", line: 8 }, String::new());
        let counted: Vec<_> = counts().into_iter().filter(|(p, _)| p.file == "here.rs").collect();
        let elsewhere = Place { line: 8, ..place };
        assert_eq!(counted, [(place, 3), (elsewhere, 1)]);
    }

    fn held(holds: bool) -> Result<(), Broken> {
        crate::invariant!(holds, "must hold: {holds}");
        Ok(())
    }

    #[test]
    fn an_invariant_that_holds_is_silent() {
        assert_eq!(held(true), Ok(()));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "must hold: false")]
    fn a_debug_build_panics() {
        _ = held(false);
    }

    #[test]
    #[cfg(not(debug_assertions))]
    fn a_release_build_goes_on_with_an_error() {
        assert_eq!(held(false).unwrap_err().what, "must hold: false");
    }
}
