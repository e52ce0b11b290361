//! The numbers of a demonstration, reconciled: why there are more changes than documents, and
//! another number of rows.

use std::fmt::Write as _;

use indicatif::HumanCount;

/// The numbers of one copy from first write to comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// Sample documents that were written.
    pub documents: u64,
    /// How many of them were deleted again.
    pub deleted: u64,
    /// Whether this run wrote them.
    pub is_new: bool,
    /// Changes of the producer, ever.
    pub changes: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// How many of them are deletions.
    pub deletions: u64,
}

/// Why there are more changes than documents, and why as many rows.
#[must_use]
pub fn sums(numbers: &Numbers) -> Vec<String> {
    let Numbers { documents, deleted, is_new, changes, rows, deletions } = *numbers;
    let mut all = format!(
        "The {} changes are {} documents written, {} of them deleted again, 1 note that all are \
         written",
        HumanCount(changes),
        HumanCount(documents),
        HumanCount(deleted)
    );
    let others = changes.saturating_sub(documents + deleted + 1);
    if others > 0 {
        // Expiries belong to earlier or later ones too.
        let which = if is_new { "of earlier runs" } else { "before and after that" };
        let others = HumanCount(others);
        // Writing to a string does not fail.
        _ = write!(all, ", and {others} writes, deletions and expiries {which}");
    }
    let kept = format!(
        "A key keeps its newest change only, so the {} rows are {} documents (the note is one) \
         and {} deletions.",
        HumanCount(rows),
        HumanCount(rows.saturating_sub(deletions)),
        HumanCount(deletions)
    );
    vec![format!("{all}."), kept]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_add_up_in_words() {
        let first = Numbers {
            documents: 100_000,
            deleted: 2_978,
            is_new: true,
            changes: 102_979,
            rows: 100_001,
            deletions: 2_978,
        };
        let kept = "A key keeps its newest change only, so the 100,001 rows are 97,023 documents \
                    (the note is one) and 2,978 deletions.";
        let all = "The 102,979 changes are 100,000 documents written, 2,978 of them deleted again, \
                   1 note that all are written";
        assert_eq!(sums(&first), [format!("{all}."), kept.to_owned()]);
        for (is_new, which) in [(true, "of earlier runs"), (false, "before and after that")] {
            let more = Numbers { is_new, changes: 103_000, ..first };
            assert_eq!(
                sums(&more)[0],
                all.replace("102,979", "103,000")
                    + ", and 21 writes, deletions and expiries "
                    + which
                    + "."
            );
        }
    }
}
