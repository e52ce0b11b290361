//! Measures recovery, the time until every stream is open again: after kill -9 of either node, when
//! histories have nothing in common, and when the number of connections changes.
//!
//! The nodes are `kvnode` and the sidecar is `dcp-proxy`, each in a process. In one measurement the
//! consumer is played; in the others the documents of both nodes are compared at the end.
//!
//! - `kills`, `rollbacks`, `connections`: the measurements
//! - `alone`: a data node that rolls back without a sidecar; `slow`: the played consumer
//! - `cluster`: two nodes; `sidecar`: dcp-proxy and its admin API; `contents`: documents of nodes

mod alone;
mod cluster;
mod connections;
mod contents;
mod kills;
mod rollbacks;
mod sidecar;
mod slow;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::figures::Figures;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Documents of each history
    #[arg(long, value_name = "N", default_value_t = 102_400)]
    documents: u64,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 64)]
    value: usize,
    /// Rounds; their median is reported
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// How long a killed node stays down, in the slower of two measurements
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    away_ms: u64,
    /// How long the played consumer takes for one rollback
    #[arg(long, value_name = "MS", default_value_t = 10)]
    rollback_ms: u64,
    /// Deadline of the sidecar for streams of the played consumer (`setup_ms`)
    #[arg(long, value_name = "MS", default_value_t = 500)]
    setup_ms: u64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Measures everything in every round, and reports medians.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let template = cluster::Template::make(folder.path(), arguments.documents, arguments.value)?;
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        kills::measure(&template, Duration::from_millis(arguments.away_ms), &mut figures)?;
        rollbacks::measure(&template, &mut figures)?;
        let unit = Duration::from_millis(arguments.rollback_ms);
        rollbacks::one_at_a_time(&template, unit, arguments.setup_ms, &mut figures)?;
        connections::measure(&template, &mut figures)?;
    }
    let report = arguments.heading() + &figures.table();
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "recovery-bench")
}

impl Arguments {
    /// The command and the machine.
    fn heading(&self) -> String {
        let Self { documents, value, rounds, away_ms, rollback_ms, setup_ms, .. } = self;
        format!(
            "`cargo xtask bench recovery --documents {documents} --value {value} \
             --rounds {rounds} --away-ms {away_ms} --rollback-ms {rollback_ms} \
             --setup-ms {setup_ms}`\non {}.\n\n",
            bench::machine()
        )
    }
}
