//! Measures a node with many documents: memory and disk for each, compactions, gets meanwhile,
//! starts; and how long files of values take to be collected.
//!
//! One node grows step by step, so that what a document costs is the slope between steps.
//!
//! - `small`: the steps; `values`: large values that are overwritten; `table`: the figures by step

mod small;
mod table;
mod values;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::documents::Documents;
pub(crate) use small::{MIB, started_anew};

use crate::server::{Mode, Server, Setting};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Documents after each step
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "5000000,10000000")]
    documents: Vec<u64>,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 32)]
    value: usize,
    /// Gets for each second beside the load, and after it
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u32,
    /// Seconds of gets after the load
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Seconds at most until the node is quiet after a load
    #[arg(long, value_name = "S", default_value_t = 600.0)]
    patience: f64,
    /// Large documents that are stored and overwritten after the last step, 0 for none
    #[arg(long, value_name = "N", default_value_t = 0)]
    large: u64,
    /// Bytes of each value of those
    #[arg(long, value_name = "N", default_value_t = 4096)]
    large_value: usize,
    /// Memory of the data node in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    quota_mib: u64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of a node that an earlier run has left, and that this one leaves
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    keep: Option<PathBuf>,
    /// Documents that are in that folder
    #[arg(long, value_name = "N", default_value_t = 0, requires = "keep")]
    there: u64,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Grows a node, and reports a column for each step.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let data = folder.path().join("node");
    let data: &Path = arguments.keep.as_deref().unwrap_or(&data);
    let quota_mib = arguments.quota_mib;
    let setting = Setting { mode: Mode::MemoryFirst, quota_mib, ..Setting::default() };
    let mut node = Server::node(data, setting)?;
    let mut table = table::Table::default();
    let mut there = arguments.there;
    for &documents in &arguments.documents {
        node = small::step(arguments, node, there..documents.max(there), &mut table)?;
        there = documents.max(there);
    }
    if arguments.large > 0 {
        values::measure(arguments, &node, there, &mut table)?;
    }
    // What is in memory is written.
    let (_stopped, _) = node.restart(true)?;
    let report = format!("{}\n\n{}", arguments.heading(), table.text());
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "large-bench")
}

impl Arguments {
    const fn small(&self) -> Documents {
        Documents { value: self.value, first: 0 }
    }

    fn gets(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }

    fn heading(&self) -> String {
        let Self { documents, value, rate, seconds, large, large_value, quota_mib, .. } = self;
        let documents: Vec<_> = documents.iter().map(u64::to_string).collect();
        let mut options = format!(
            "--documents {} --value {value} --rate {rate} --seconds {seconds} \
             --quota-mib {quota_mib}",
            documents.join(",")
        );
        if *large > 0 {
            options.push_str(&format!(" --large {large} --large-value {large_value}"));
        }
        format!("`cargo xtask bench large {options}`\non {}.", bench::machine())
    }
}
