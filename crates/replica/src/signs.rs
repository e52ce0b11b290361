//! What the words of the status mean, and what an operator does about each. The documents are made
//! from these tables; a new word does not compile before it has its line here.

use crate::bucket::{LinkPhase, MovePhase, StreamPhase};
use crate::link::{ReasonCode, Retry};
use crate::loops::LoopKind;

/// A word of the status, the API and the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What an operator does about it.
    pub remedy: &'static str,
}

/// Gives a type `ALL` and `sign()`, from one table.
macro_rules! signs {
    ($type:ty: $($variant:ident $word:literal: $meaning:literal, $remedy:literal;)+) => {
        impl $type {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word, what that means, and what to do.
            #[must_use]
            pub const fn sign(self) -> Sign {
                match self {
                    $(Self::$variant => {
                        Sign { word: $word, meaning: $meaning, remedy: $remedy }
                    })+
                }
            }
        }
    };
}

signs! { ReasonCode:
    Refused "refused": "a node answered a request with an error; `status` is its answer",
        "see the table of answers of a node; `dcp-proxy doctor` checks privileges and states";
    RowRefused "row-refused": "the consumer could not store a row, so its copy may miss it",
        "read the node's log and the `status`; take nothing over before the copy is complete";
    StreamGone "stream-gone": "the consumer dropped the stream because its vBucket was changed",
        "nothing, unless it repeats: then find out who changes the vBucket's state";
    Incomplete "incomplete": "the copy may miss rows; a takeover of it is refused",
        "wait until the copy is rolled back and complete, then repeat the takeover";
    RollingBack "rolling-back": "the consumer has not finished the rollback of its copy",
        "wait: a node rolls back one vBucket at a time";
    Stalled "stalled": "no progress for `stall_ms` although changes are due",
        "nothing, unless it repeats: then see which node is slow, and whether its disk is full";
    Unresponsive "unresponsive": "the connection is silent, and its node answers on others",
        "nothing: the link is opened again; if it repeats, look for a firewall between";
    StreamEnd "stream-end": "the producer ended the stream; `status` says why",
        "`BackfillFail`: look at the producer's disk; `StateChanged`: see who moved the vBucket";
    Deadline "deadline": "a step was not finished in its time",
        "see whether the node that is named is overloaded; the limits are in `[limits]`";
    LinkLost "link-lost": "a connection was closed, or could not be opened",
        "start the node that is named, or repair the network: `dcp-proxy doctor`";
    Rival "rival": "another sidecar uses the connection name of the link",
        "stop the other sidecar, or give each its own `[node] name`";
    Protocol "protocol": "a node sent what the protocol does not allow",
        "compare the versions of both nodes; please report it with the log line";
    Shut "shut": "the link was closed on request, or with the process",
        "nothing";
    Loop "loop": "the vBucket fails repeatedly, and is tried at the longest pause only",
        "remove the cause that `last_error` names, then `dcp-proxy restart BUCKET VB`";
    Estimate "estimate": "the producer's estimate of what is missing allows no takeover",
        "wait until the lag is small, or use `dcp-proxy move`, which copies first";
    ActiveHere "active-here": "the vBucket is active at our node, so it is not asked for",
        "take it out of `replicate`, or make it a replica here if this node must not own it";
    AlreadyMoving "already-moving": "a move of the vBucket is queued or runs",
        "wait for it: `dcp-proxy status` shows how many there are";
    Busy "busy": "too many commands are queued, or they make no progress",
        "see in `dcp-proxy streams` what the running command waits for, then repeat";
    Stopping "stopping": "replication is being stopped",
        "repeat it once the sidecar runs again";
    Internal "internal": "a defect of this program",
        "please report it with the log line `invariant broken`";
}

signs! { LinkPhase:
    Connecting "connecting": "its connections are being opened",
        "nothing; one that stays: see whether the node's port answers, `dcp-proxy doctor`";
    Up "up": "both connections are open",
        "nothing";
    Unresponsive "unresponsive": "open, and one of both nodes is heard on no connection",
        "see whether that node's process runs: it may be stopped or swapped out";
    Waiting "waiting": "down after a failure, and opened again after a pause",
        "see its `last_error`; `dcp-proxy restart BUCKET --producer NODE` ends the pause";
    Closing "closing": "its streams are being closed, because nothing is wanted from it",
        "nothing";
    Stopped "stopped": "closed on purpose",
        "nothing";
}

signs! { StreamPhase:
    Due "due": "asked for with the next set-up of its link",
        "nothing; one that stays: its link is not open";
    Asked "asked": "its outcome is pending",
        "nothing: it is open or fails within `setup_ms`";
    RollingBack "rolling-back": "the consumer rolls its copy back first",
        "wait; `rollbacks_before` counts those that come before it";
    Open "open": "it replicates",
        "nothing";
    HeldBack "held-back": "not asked for, because the vBucket is active at our node",
        "nothing after a takeover; else make it a replica, or take it out of `replicate`";
    Waiting "waiting": "it failed or ended, and is tried again after a pause",
        "see its `last_error` in the table of error reasons";
}

signs! { MovePhase:
    Queued "queued": "other commands of the bucket come first",
        "nothing";
    Opening "opening": "the stream of the vBucket is being opened",
        "nothing";
    Copying "copying": "the producer still has many changes to send",
        "nothing while `estimate` falls; else the producer writes faster than it is copied";
    Closing "closing": "a stream from a third node is being closed, or the link is being opened",
        "nothing";
    TakingOver "taking-over": "the takeover runs at the data nodes",
        "nothing; a producer refuses writes of the vBucket if it takes longer than a minute";
    Examining "examining": "the takeover failed, and both nodes are asked for their states",
        "repeat the takeover once the command has failed: it goes on from there";
}

signs! { LoopKind:
    Rollback "rollback": "the producer asks for a rollback each time",
        "the histories differ: see whether two nodes were active; rebuild the copy if so";
    InvalidRequest "invalid-request": "the producer rejects the STREAM_REQ as invalid each time",
        "compare the versions of both nodes, and please report it";
    Flapping "flapping": "it comes up and falls at once, again and again",
        "see `last_error`: a node closes it, such as for want of memory or by its idle limit";
    Rival "rival": "another sidecar uses the connection name of the link",
        "stop the other sidecar, or give each its own `[node] name`";
}

signs! { Retry:
    AtOnce "at-once": "a retry may help at once",
        "nothing: the sidecar retries streams by itself; repeat a command";
    AfterBackoff "after-backoff": "a retry may help after a pause",
        "nothing: the sidecar retries streams by itself; repeat a command later";
    AfterNewTopology "after-new-topology": "this producer does not serve the vBucket",
        "find out which node has the active copy, and name it in `replicate`";
    Never "never": "a retry does not help",
        "change what the reason names first";
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn same<T: Serialize + Copy>(all: &[T], sign: fn(T) -> Sign) {
        for value in all {
            let Sign { word, meaning, remedy } = sign(*value);
            assert_eq!(serde_json::to_value(value).unwrap(), word);
            assert!(!meaning.contains('|') && !remedy.contains('|'), "no cell of a table: {word}");
        }
    }

    #[test]
    fn words_are_those_of_the_api() {
        same(ReasonCode::ALL, ReasonCode::sign);
        same(LinkPhase::ALL, LinkPhase::sign);
        same(StreamPhase::ALL, StreamPhase::sign);
        same(MovePhase::ALL, MovePhase::sign);
        same(LoopKind::ALL, LoopKind::sign);
        for code in ReasonCode::ALL {
            assert_eq!(code.name(), code.sign().word);
        }
        for kind in LoopKind::ALL {
            assert_eq!(kind.name(), kind.sign().word);
        }
        for retry in Retry::ALL {
            assert_eq!(retry.name(), retry.sign().word);
        }
    }
}
