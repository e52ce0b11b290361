//! The arguments of `capture`.

use std::path::PathBuf;

use clap::Args;

use super::parts::{SECONDS_MAX, To};

/// What is captured of a link, and where to.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct CaptureArgs {
    /// The link: the name of its connections, such as replication:alpha->beta:default, or
    /// BUCKET/PRODUCER, with /N for connection N where there are several.
    pub link: String,
    /// The file to write, which must not exist; - for standard output.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// End after this time [default: 60; 0, which is at once, with --last].
    #[arg(long, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(0..=SECONDS_MAX))]
    pub seconds: Option<u64>,
    /// End before the file is larger than this, such as 500K, 64M or 2G.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub bytes: u64,
    /// Begin with what the sidecar has kept: the handshake and the last frames.
    #[arg(long)]
    pub last: bool,
    /// Replace the keys of documents too.
    #[arg(long)]
    pub anonymise: bool,
    /// Overwrite the file.
    #[arg(long)]
    pub force: bool,
    /// The sidecar.
    #[command(flatten)]
    pub to: To,
}

/// The smallest and the largest file that a sidecar writes.
const SIZES: std::ops::RangeInclusive<u64> = 4096..=16 << 30;

fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: give 4K to 16G, such as 500K, 64M or 2G");
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (text.get(..at), 10),
        Some((at, 'M' | 'm')) => (text.get(..at), 20),
        Some((at, 'G' | 'g')) => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    let number = digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or_else(wrong)?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| SIZES.contains(bytes));
    bytes.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        let cases = [("4096", 4096), ("4K", 4096), ("64M", 64 << 20), ("2g", 2 << 30)];
        for (text, want) in cases {
            assert_eq!(size(text), Ok(want));
        }
        for text in ["", "M", "4095", "17G", "1.5G", "-1", "64MB", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
