//! Makes the table of the whole path for docs/performance.md, with the command that measured it.

use super::Arguments;
use crate::figures::Figures;

/// Returns the command, the machine and the table.
pub(super) fn markdown(figures: &Figures, arguments: &Arguments) -> String {
    let Arguments { documents, value, rounds, quota_mib, writes, seconds, folder, .. } = arguments;
    let folder = folder.as_ref().map(|folder| format!(" --folder {}", folder.display()));
    format!(
        "`cargo xtask bench path --documents {documents} --value {value} --rounds {rounds} \
         --quota-mib {quota_mib} --writes {writes} --seconds {seconds}{}`\non {}.\n\n{}",
        folder.unwrap_or_default(),
        bench::machine(),
        figures.table()
    )
}
