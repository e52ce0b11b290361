//! The words for kinds and levels of events. Programs rely on them: a word keeps its meaning, and
//! is not renamed.

use std::fmt;
use std::str::FromStr;

use replica::bucket::LogLevel;
use serde::{Serialize, Serializer};

/// Defines [`Kind`] with its words and their meanings, which the documents quote.
macro_rules! kinds {
    ($($kind:ident $name:literal: $meaning:literal,)+) => {
        /// What happened, as one word.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $(#[doc = $meaning] $kind,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Its word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)+ }
            }
        }
    };
}

kinds! {
    Started "started": "the process has started",
    Stopping "stopping": "a stop was requested: streams are closed, then the process ends",
    LinkUp "link-up": "both connections of a link are open",
    LinkDown "link-down": "a link was lost, or could not be opened; it is opened again",
    LinkBroken "link-broken": "a link is in a retry loop, opened at the longest pause only",
    LinkSteady "link-steady": "a link that had failed has worked for long enough",
    LinkClosed "link-closed": "a link was closed because nothing is wanted from it",
    Rival "rival": "another sidecar uses the connection name of a link",
    ErrorAnswer "error-answer": "a node answered the other one with an error",
    StreamsSettled "streams-settled": "the streams of a link were set up, with their numbers",
    StreamFailed "stream-failed": "a stream did not open; it is retried",
    StreamEnded "stream-ended": "an open stream ended; it is opened again",
    StreamStalled "stream-stalled": "a stream made no progress; it is closed and opened again",
    StreamBroken "stream-broken": "a vBucket is in a retry loop, retried at the longest pause only",
    Rollback "rollback": "the copy of a vBucket has to roll back",
    CopyIncomplete "copy-incomplete": "a copy may miss rows, and is rolled back",
    CopyComplete "copy-complete": "a copy that might miss rows is complete",
    CopiesLeft "copies-left": "the process stops with copies that may miss rows",
    CopiesDiffer "copies-differ": "a comparison found vBuckets that differ from their producer",
    CopiesAgree "copies-agree": "vBuckets that differed were compared again and are identical",
    CopiesRenewed "copies-renewed": "copies are rolled back to zero and made anew on request",
    VerifyFailed "verify-failed": "a comparison failed, or could not compare all; it is repeated",
    MoveBegun "move-begun": "a vBucket that is moved here is copied",
    TakeoverBegun "takeover-begun": "a vBucket is taken over",
    Moved "moved": "a vBucket is active here, and not replicated any more",
    MoveFailed "move-failed": "a move or takeover failed; the vBucket is replicated as before",
    NodeUnresponsive "node-unresponsive": "a node is heard on no connection",
    NodeResponsive "node-responsive": "a node that was unresponsive is heard again",
    LagUnknown "lag-unknown": "a node does not answer questions for its seqnos",
    LagKnown "lag-known": "a node answers questions for its seqnos again",
    Topology "topology": "a producer does not count our node for durable writes",
    TopologyCleared "topology-cleared": "a producer counts our node for durable writes again",
    Misfit "misfit": "wanted vBuckets are in a state that their node's role cannot use",
    MisfitCleared "misfit-cleared": "the vBuckets of a misfit fit now, or are not wanted",
    ProcessHalted "process-halted": "this process did not run for a while",
    DesiredChanged "desired-changed": "what is to be replicated was changed",
    Paused "paused": "vBuckets are paused",
    Resumed "resumed": "paused vBuckets are replicated again",
    Restarted "restarted": "a link or streams were restarted on request",
    ReloadDone "reload-done": "the configuration was read again and is in force",
    ReloadFailed "reload-failed": "the configuration file is invalid; the old configuration stays",
    SourceLost "source-lost": "the source of the desired maps is not reachable",
    SourceBack "source-back": "the source of the desired maps is reachable again",
    CaptureBegun "capture-begun": "somebody begins to record what passes a link, document keys too",
    CaptureEnded "capture-ended": "a capture of a link has ended",
    LogLevel "log-level": "the log level or its filters were changed",
    Other "other": "anything else, or events of more sources than are told apart",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == word).ok_or_else(|| {
            let words = Self::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
            format!("unknown kind of event {word:?}: give one or more of {words}")
        })
    }
}

/// How important an event is; the most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Level {
    /// Something was lost, or needs the operator.
    Error,
    /// A failure that is retried.
    Warn,
    /// A normal event.
    #[default]
    Info,
}

impl Level {
    const ALL: [Self; 3] = [Self::Error, Self::Warn, Self::Info];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.name() == word);
        found.ok_or_else(|| format!("unknown level of events {word:?}: give error, warn or info"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_told_once_and_parses_to_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        let mut words: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Kind::ALL.len());
        let error = "link-upp".parse::<Kind>().unwrap_err();
        assert!(error.starts_with("unknown kind of event \"link-upp\": give one or more of"));
        let error = "loud".parse::<Level>().unwrap_err();
        assert_eq!(error, "unknown level of events \"loud\": give error, warn or info");
    }
}
