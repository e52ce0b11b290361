//! The arguments of `dcp-proxy verify`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use replica::plan::VbSet;

use crate::client::{InSidecar, To};
use crate::nodes::LoginArgs;
use crate::verify::RATE_MIN;

/// What `dcp-proxy verify` compares, and how.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct VerifyArgs {
    /// The bucket.
    pub bucket: String,
    /// The nodes to compare, A and then B, each the name of one in the configuration file or
    /// HOST:PORT [default: each producer of the bucket, and the node of the sidecar].
    ///
    /// A is the node that changes come from. The vBuckets are those that are active on A.
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Compare only these vBuckets, such as 0-511,600.
    #[arg(long, value_name = "VBUCKETS")]
    pub vb: Option<VbSet>,
    /// Read no more bytes a second of both nodes together; k, M and G are powers of 1000.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    pub rate: Option<NonZeroU64>,
    /// File to keep what was compared already; a run with the same file goes on from there.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// How long a node may lag without any progress until its vBucket counts as behind.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub patience: u64,
    /// Print the summary too, as the last line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Have the running sidecar compare its copies with their producers, at the rate of [verify].
    #[arg(long, conflicts_with_all = OF_NODES)]
    pub in_sidecar: bool,
    /// Have the running sidecar empty copies that differ, and copy them again.
    ///
    /// It compares them first, asks, and compares them again. Where it knows of some that differ,
    /// only these are looked at.
    #[arg(long, conflicts_with_all = OF_NODES)]
    pub repair: bool,
    /// Repair without asking; needed where nobody can be asked.
    #[arg(long, requires = "repair")]
    pub yes: bool,
    /// With --in-sidecar or --repair: the admin API of the sidecar [default: from the configuration
    /// file].
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = OF_NODES)]
    pub admin: Option<String>,
    /// With --in-sidecar or --repair: its token [default: as other commands].
    #[arg(long, value_name = "TOKEN", conflicts_with_all = OF_NODES)]
    pub token: Option<String>,
    /// How to log in at the nodes.
    #[command(flatten)]
    pub login: LoginArgs,
}

/// What concerns nodes that this program itself connects to.
const OF_NODES: [&str; 4] = ["nodes", "rate", "state", "patience"];

impl VerifyArgs {
    /// What the sidecar is asked for, and which one, unless this program itself compares.
    #[must_use]
    pub fn in_sidecar(&self) -> Option<(InSidecar, To)> {
        let Self { bucket, vb, repair, yes, admin, token, json, .. } = self;
        let (bucket, vb, repair, yes) = (bucket.clone(), vb.clone(), *repair, *yes);
        let (admin, token, json) = (admin.clone(), token.clone(), *json);
        let what = InSidecar { bucket, vb, repair, yes };
        (self.in_sidecar || repair).then_some((what, To { admin, token, json }))
    }
}

/// Reads a number of bytes with a unit.
fn rate(text: &str) -> Result<NonZeroU64, String> {
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let factor: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "k" | "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        unit => return Err(format!("{unit:?} is no unit: give bytes a second like 50M")),
    };
    let number: u64 = digits.parse().map_err(|_| "give bytes a second like 50M".to_owned())?;
    number
        .checked_mul(factor)
        .filter(|&rate| rate >= RATE_MIN)
        .and_then(NonZeroU64::new)
        .ok_or_else(|| format!("give {RATE_MIN} bytes a second or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_unit_and_a_least_value() {
        let read = |text| rate(text).map(NonZeroU64::get);
        assert_eq!(read("50M"), Ok(50_000_000));
        assert_eq!(read("131072"), Ok(131_072));
        assert_eq!(read("200k"), Ok(200_000));
        assert_eq!(read("2G"), Ok(2_000_000_000));
        for wrong in ["", "M", "-5M", "5 M", "50MB", "0", "1000", "99999999999999999999G"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
