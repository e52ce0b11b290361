//! What the list of problems is made from.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use dcp_actors::BucketStatus;
use lifecycle::quoted;
use replica::plan::VbSet;

use crate::admin::views::Phase;
use crate::config::Certificate;
use crate::sources::{LastReload, Origin};
use crate::verification::Board;

/// All facts at one moment.
pub(super) struct Facts<'a> {
    pub(super) now: SystemTime,
    pub(super) phase: Phase,
    /// The data node that this sidecar serves.
    pub(super) node: &'a str,
    /// Data nodes and their addresses, as far as they have one of their own.
    pub(super) addresses: Vec<(String, String)>,
    /// The configuration file, by a path that is right in any folder.
    pub(super) file: PathBuf,
    /// The buckets of the configuration.
    pub(super) expected: Vec<String>,
    /// The status of each bucket that runs.
    pub(super) buckets: &'a [BucketStatus],
    /// What is wanted of each bucket.
    pub(super) maps: Vec<MapFacts>,
    /// The last reload.
    pub(super) reload: Option<LastReload>,
    /// Why what is in force is not on disk, if it is not.
    pub(super) state_error: Option<String>,
    /// What is known of etcd, where that is the source.
    pub(super) etcd: Option<Origin>,
    /// When the first certificate of each file expires, in seconds since 1970.
    pub(super) certificates: Vec<(Certificate, i64)>,
    /// Broken invariants of this process: the place, and how often.
    pub(super) broken: Vec<(String, u64)>,
    /// Lines of the log that were lost because nobody reads it.
    pub(super) lines_lost: u64,
    /// Moves that failed lately and were not repeated since.
    pub(super) failed_moves: Vec<FailedMoves>,
    /// Buckets whose lag grows.
    pub(super) growing: Vec<Growing>,
    /// What comparisons of copies with their producers have found.
    pub(super) verified: Board,
}

/// What is wanted of a bucket.
#[derive(Debug)]
pub(super) struct MapFacts {
    pub(super) bucket: String,
    /// How many vBuckets are wanted and not active here, be they paused.
    pub(super) wanted: usize,
    /// What is wanted and paused.
    pub(super) paused: VbSet,
    /// vBuckets and settings that differ from their source.
    pub(super) drift: usize,
    /// Whether nothing is wanted, because its map is not known yet.
    pub(super) is_empty: bool,
    /// What was dropped of its overlay without a request: the vBuckets, why, and when.
    pub(super) dropped: Vec<(VbSet, String, SystemTime)>,
}

/// Moves, or takeovers, of a bucket from one producer that failed.
#[derive(Debug)]
pub(super) struct FailedMoves {
    pub(super) bucket: String,
    /// The subcommand that repeats them: `move` or `takeover`.
    pub(super) how: &'static str,
    pub(super) from: String,
    pub(super) vbuckets: VbSet,
    /// Why the last one failed.
    pub(super) why: String,
    /// When the first one did.
    pub(super) since: SystemTime,
}

/// A bucket whose lag grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::admin) struct Growing {
    /// The bucket.
    pub(in crate::admin) bucket: String,
    /// The largest lag of an open stream.
    pub(in crate::admin) lag: Duration,
    /// The same when the comparison began.
    pub(in crate::admin) before: Duration,
    /// When that was.
    pub(in crate::admin) since: SystemTime,
}

impl Facts<'_> {
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// The moment so many milliseconds ago.
    pub(super) fn ago(&self, ms: Option<u64>) -> Option<SystemTime> {
        self.now.checked_sub(Duration::from_millis(ms?))
    }

    /// A data node with its role.
    pub(super) fn role(&self, node: &str) -> String {
        if node == self.node { format!("our node {node}") } else { format!("producer {node}") }
    }

    /// The same with its address, if that is known.
    pub(super) fn role_at(&self, node: &str) -> String {
        let address = self.addresses.iter().find(|(name, _)| name == node);
        let at = address.map(|(_, address)| format!(" at {address}")).unwrap_or_default();
        self.role(node) + &at
    }

    /// A command to paste that asks this sidecar: a subcommand and its options.
    pub(super) fn command(&self, words: &[&str]) -> String {
        self.command_of(words, &[])
    }

    /// The same with operands, which may look like options.
    pub(super) fn command_of(&self, words: &[&str], operands: &[&str]) -> String {
        let joined = |words: &[&str]| -> String {
            words.iter().map(|word| format!(" {}", quoted(word))).collect()
        };
        let (words, file) = (joined(words), quoted(&self.file.display().to_string()));
        let looks_like_option = operands.iter().any(|operand| operand.starts_with('-'));
        let operands = joined(operands);
        if looks_like_option {
            format!("dcp-proxy{words} --config {file} --{operands}")
        } else {
            format!("dcp-proxy{words}{operands} --config {file}")
        }
    }

    /// The configuration file, for a sentence.
    pub(super) fn file(&self) -> String {
        self.file.display().to_string()
    }
}
