//! `dcp-proxy explain`: the story of one vBucket, from our node, its producer and the sidecar.
//!
//! - `gather`: asks the sidecar and the nodes, within deadlines; `stats`: reads statistics
//! - `facts`: what it found; `history`: where histories part; `rules`: what follows from that;
//!   `situation`: the result
//! - `page`: the output
//!
//! It changes nothing: no document, no state, no stream of others.

mod facts;
mod gather;
mod history;
mod page;
mod rules;
mod situation;
mod stats;
mod told;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use console::Term;
use mcbp::VbId;
use replica::plan::VBUCKETS_MAX;

use crate::client::{self, Exit, To};
use crate::config::{self, Config, MapSource};

/// The deadline of each step where none is given, in seconds: a healthy node needs milliseconds.
const TIMEOUT_S: u64 = 3;

/// Which vBucket to explain, and how to say it.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[command(override_usage = "dcp-proxy explain [OPTIONS] [BUCKET] VB")]
pub struct ExplainArgs {
    /// The vBucket, such as 7, default/7 or default 7. The bucket may be left out where the
    /// configuration has only one.
    #[arg(value_name = "VB", required = true, num_args = 1..=2)]
    pub what: Vec<String>,
    /// The bucket.
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// The deadline of each step with a node, and of the answers of the sidecar, in seconds; four
    /// times that is the limit for all steps with a node.
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT_S,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// The sidecar.
    #[command(flatten)]
    pub to: To,
}

/// Explains the vBucket that `args` names, by the configuration `file`, and prints the story.
#[must_use]
pub fn run(args: &ExplainArgs, file: &Path, is_named: bool) -> Exit {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(problems) => return client::wrong(problems.to_string(), &args.to),
    };
    let (bucket, vb) = match place(&args.what, args.bucket.as_deref(), &buckets(&config)) {
        Ok(place) => place,
        Err(text) => return client::wrong(text, &args.to),
    };
    if let Some(exit) = client::wrong_admin(&args.to, file, is_named) {
        return exit;
    }
    let step = Duration::from_secs(args.timeout);
    let to = &args.to;
    let what = gather::What { config: &config, file, is_named, to, bucket: &bucket, vb, step };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return client::written(Err(error)).max(Exit::Failed),
    };
    let facts = runtime.block_on(gather::facts(&what));
    // A name lookup or a sidecar that hangs must not keep the process.
    runtime.shutdown_background();
    let story = rules::judge(&facts);
    let exit = if story.is_healthy() { Exit::Done } else { Exit::Failed };
    let text = if args.to.json {
        format!("{:#}", page::json(&facts, &story))
    } else {
        page::text(&facts, &story, client::width(&Term::stdout()))
    };
    client::print(text.trim_end(), exit)
}

/// The buckets that may be named; none where only etcd knows all of them.
fn buckets(config: &Config) -> Buckets<'_> {
    let known = config.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    Buckets { known, are_all: !matches!(config.source, MapSource::Etcd(_)) }
}

/// The buckets of the configuration.
struct Buckets<'a> {
    known: Vec<&'a str>,
    /// Whether there are no others.
    are_all: bool,
}

/// The bucket and vBucket that the command line names.
fn place(
    what: &[String],
    option: Option<&str>,
    buckets: &Buckets<'_>,
) -> Result<(String, VbId), String> {
    let (before, vb) = match what {
        [bucket, vb] => (Some(bucket.as_str()), vb.as_str()),
        [one] => match one.rsplit_once('/') {
            Some((bucket, vb)) => (Some(bucket), vb),
            None => (None, one.as_str()),
        },
        _ => return Err("give one vBucket, such as 7 or default/7".to_owned()),
    };
    let vb = match vb.parse() {
        Ok(vb) if vb < VBUCKETS_MAX => VbId(vb),
        _ => {
            let last = VBUCKETS_MAX - 1;
            return Err(format!("{vb:?} is no vBucket: give a number from 0 to {last}"));
        }
    };
    let known = buckets.known.join(", ");
    let bucket = match (before, option, buckets.known.as_slice()) {
        (Some(one), Some(other), _) if one != other => {
            return Err(format!("two buckets are named, {one:?} and {other:?}: give one"));
        }
        (Some(name), _, _) | (None, Some(name), _) => name,
        (None, None, [only]) => only,
        (None, None, []) => return Err("the configuration has no bucket: give --bucket".to_owned()),
        (None, None, _) => {
            return Err(format!(
                "the configuration has several buckets ({known}): give one, such as BUCKET/{}",
                vb.0
            ));
        }
    };
    if buckets.are_all && !buckets.known.contains(&bucket) {
        return Err(format!("the configuration has no bucket {bucket:?}: it has {known}"));
    }
    Ok((bucket.to_owned(), vb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(what: &[&str], option: Option<&str>, known: &[&str]) -> Result<String, String> {
        let what: Vec<_> = what.iter().map(|word| (*word).to_owned()).collect();
        let buckets = Buckets { known: known.to_vec(), are_all: true };
        place(&what, option, &buckets).map(|(bucket, vb)| format!("{bucket} {}", vb.0))
    }

    #[test]
    fn the_bucket_is_named_in_three_ways_or_left_out_where_there_is_one() {
        let two = ["default", "other"];
        for (what, option, known, want) in [
            (&["7"][..], None, &["default"][..], "default 7"),
            (&["other/7"], None, &two, "other 7"),
            (&["other", "7"], None, &two, "other 7"),
            (&["7"], Some("other"), &two, "other 7"),
            (&["other/1023"], Some("other"), &two, "other 1023"),
        ] {
            assert_eq!(placed(what, option, known).as_deref(), Ok(want), "{what:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        let two = ["default", "other"];
        for (what, option, want) in [
            (&["x"][..], Some("other"), "\"x\" is no vBucket: give a number from 0 to 1023"),
            (&["other/1024"], None, "\"1024\" is no vBucket: give a number from 0 to 1023"),
            (
                &["7"],
                None,
                "the configuration has several buckets (default, other): give one, such as \
                 BUCKET/7",
            ),
            (&["no/7"], None, "the configuration has no bucket \"no\": it has default, other"),
            (
                &["other/7"],
                Some("default"),
                "two buckets are named, \"other\" and \"default\": give one",
            ),
        ] {
            assert_eq!(placed(what, option, &two).unwrap_err(), want, "{what:?}");
        }
    }
}
