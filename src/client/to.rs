//! The arguments that every subcommand of a running sidecar has.

use clap::Args;

/// The sidecar to ask, and the format of the output.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct To {
    /// The URL of the admin API [default: from the configuration file, or
    /// http://127.0.0.1:4870 without a file].
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// The admin token [default: DCP_PROXY_TOKEN, or without --admin the one of the configuration
    /// file].
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    pub json: bool,
}
