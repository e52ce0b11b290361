//! The arguments of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr as _;

use clap::Parser;
use log::LevelFilter;
use logger::Format;

use super::log::{Log, level};
use super::values::{InitialState, Printed, parse_address, parse_bucket};

/// The arguments of a program that runs a node.
#[derive(Parser, Clone, Debug)]
#[command(name = "kvnode")]
pub struct Arguments {
    /// Address to listen on, such as 127.0.0.1:11210; port 0 takes any free one
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub(super) listen: Option<SocketAddr>,
    /// Folder for data; created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Bucket and how many vBuckets it has (1 to 1024)
    #[arg(long, value_name = "NAME[:VBUCKETS]", value_parser = parse_bucket)]
    pub(super) bucket: Option<(String, Option<u16>)>,
    /// User who may connect
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(super) username: Option<String>,
    /// File with the user's password; one line break at its end is ignored
    #[arg(long, value_name = "FILE", requires = "username")]
    pub(super) password_file: Option<PathBuf>,
    /// File of users with salted verifiers, which `kvnode user` writes; in the place of the one in
    /// the configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) users_file: Option<PathBuf>,
    /// State of the vBuckets in a new data folder; refused where an old one began with another
    #[arg(long, value_name = "STATE")]
    pub(super) state: Option<InitialState>,
    /// Address that serves /metrics for Prometheus, such as 127.0.0.1:9210; off if not given
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(super) metrics: Option<SocketAddr>,
    /// Certificate of the listener (PEM); every connection then uses TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// Authorities of clients' certificates (PEM); clients must then present one
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_client_ca: Option<PathBuf>,
    /// TOML file with these and more options; the command line overrides it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace; RUST_LOG has finer filters
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(super) log: Option<LevelFilter>,
    /// Log format: logfmt or json
    #[arg(long, value_name = "FORMAT", value_parser = Format::from_str)]
    pub(super) log_format: Option<Format>,
    /// File to write the port number to once the node listens
    #[arg(long, value_name = "FILE")]
    pub(super) port_file: Option<PathBuf>,
    /// Print a configuration file, without secrets, and exit
    #[arg(long, value_name = "WHICH")]
    pub(super) print_config: Option<Printed>,
}

impl Arguments {
    /// What they say about the log.
    pub(super) const fn log(&self) -> Log {
        Log { level: self.log, format: self.log_format }
    }
}
