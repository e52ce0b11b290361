//! Measures how long gets and sets take at fixed rates, for each way of acknowledging, memcached
//! and another node.
//!
//! Servers take turns in every round.
//!
//! - `plot`: the percentiles as a diagram

mod plot;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::load::{self, Kind};
use crate::paced::{Latencies, Paced};
use crate::server::{BUCKET, Beside, Mode, Server, Setting};

/// Percentiles that are told: of a hundred, a thousand and ten thousand requests the slowest.
const PERCENTILES: [f64; 4] = [0.5, 0.99, 0.999, 0.9999];

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Requests for each second, one rate after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000,5000,20000")]
    rates: Vec<u32>,
    /// Documents to load
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    documents: u64,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 256)]
    value: usize,
    /// Rounds; their latencies are counted together
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Memory of a data node in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    quota_mib: u64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// The latencies of one server for one kind of request at one rate.
pub(crate) struct Row {
    server: String,
    kind: Kind,
    rate: u32,
    took: Latencies,
}

/// Measures all servers, and reports percentiles.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let node = |mode: Mode| {
        let setting = Setting { mode, quota_mib: arguments.quota_mib, ..Setting::default() };
        Server::node(&folder.path().join(mode.name()), setting)
    };
    let mut servers = Mode::ALL.map(node).into_iter().collect::<io::Result<Vec<_>>>()?;
    servers.extend(Server::beside(&arguments.beside)?);
    match Server::memcached(arguments.documents, arguments.value) {
        Ok(memcached) => servers.push(memcached),
        Err(error) => eprintln!("memcached is left out: {error}"),
    }
    for server in &servers {
        load::fill(server, arguments.documents, arguments.value)?;
    }
    let mut rows = arguments.rows(&servers)?;
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for row in &mut rows {
            let server = servers.iter().find(|server| server.name == row.server);
            if let Some(server) = server {
                arguments.run(server, row)?;
            }
        }
    }
    let Arguments { rates, documents, rounds, seconds, quota_mib, .. } = arguments;
    let rates: Vec<_> = rates.iter().map(u32::to_string).collect();
    let report = format!(
        "`cargo xtask bench latency --rates {} --documents {documents} --rounds {rounds} \
         --seconds {seconds} --quota-mib {quota_mib}`\non {}.\n\n{}",
        rates.join(","),
        bench::machine(),
        table(&rows)
    );
    if let Some(folder) = &arguments.write_docs {
        plot::write(&folder.join("latency.svg"), &rows)?;
    }
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "latency-bench")
}

fn table(rows: &[Row]) -> String {
    let mut out = "| ms | 1/s | server | p50 | p99 | p99.9 | p99.99 |\n".to_owned();
    out.push_str("|---|---:|---|---:|---:|---:|---:|\n");
    for row in rows {
        let told = PERCENTILES.map(|quantile| row.took.percentile(quantile).unwrap_or_default());
        let told = told.map(|ms| format!("{ms:.3}")).join(" | ");
        out.push_str(&format!("| {} | {} | {} | {told} |\n", row.kind, row.rate, row.server));
    }
    out
}

impl Arguments {
    /// Every kind and rate, with the servers one after the other.
    fn rows(&self, servers: &[Server]) -> io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for kind in [Kind::Set, Kind::Get] {
            for &rate in &self.rates {
                for server in servers {
                    let took = Latencies::new()?;
                    rows.push(Row { server: server.name.clone(), kind, rate, took });
                }
            }
        }
        Ok(rows)
    }

    fn run(&self, server: &Server, row: &mut Row) -> io::Result<()> {
        let (kind, rate, value) = (row.kind, row.rate, load::noise(self.value));
        let push = |out: &mut Vec<u8>| {
            load::push(out, server, kind, fastrand::u64(..self.documents), &value);
        };
        let paced = Paced { server, bucket: BUCKET, rate, push: &push };
        row.took.add(&paced.run(Duration::from_secs_f64(self.seconds))?)
    }
}
