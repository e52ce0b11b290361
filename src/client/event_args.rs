//! The arguments of `events`.

use clap::Args;
use events::{Cursor, Kind, Level};

use super::parts::To;

/// What `events` shows.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct EventsArgs {
    /// Go on with what happens from now on, until Ctrl-C; a sidecar that starts again is asked
    /// again.
    #[arg(long, short)]
    pub follow: bool,
    /// Show events of this bucket only.
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// Show events of these kinds only, such as link-down,stream-failed.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub kind: Vec<Kind>,
    /// Show events of this level and more important ones: error, warn or info.
    #[arg(long, value_name = "LEVEL", value_parser = |text: &str| text.parse::<Level>())]
    pub level: Option<Level>,
    /// Show events after the one with this id, which --json shows.
    #[arg(long, value_name = "ID", value_parser = |text: &str| text.parse::<Cursor>())]
    pub since: Option<Cursor>,
    /// The sidecar.
    #[command(flatten)]
    pub to: To,
}

fn kind(word: &str) -> Result<Kind, String> {
    word.parse()
}
