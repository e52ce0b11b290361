//! Makes the table of durable writes for docs/performance.md, with the command that measured it.

use super::Arguments;
use crate::figures::Figures;

/// Returns the command, the machine and the table.
pub(super) fn markdown(figures: &Figures, arguments: &Arguments) -> String {
    let Arguments { writes, value, rounds, folder, .. } = arguments;
    let folder = folder.as_ref().map(|folder| format!(" --folder {}", folder.display()));
    format!(
        "`cargo xtask bench durable --writes {writes} --value {value} --rounds {rounds}{}`\n\
         on {}.\n\n{}",
        folder.unwrap_or_default(),
        bench::machine(),
        figures.table()
    )
}
