//! What an operator does about an event. A new kind does not compile before it has its words here.

use crate::kind::Kind;

/// Defines [`Kind::remedy`].
macro_rules! remedies {
    ($($($kind:ident)|+: $remedy:literal;)+) => {
        impl Kind {
            /// Returns what to do about it, in a few words.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $($(Self::$kind)|+ => $remedy,)+ }
            }
        }
    };
}

remedies! {
    Started | LinkUp | LinkSteady | CopyComplete | MoveBegun | TakeoverBegun | NodeResponsive
    | CopiesAgree | CopiesRenewed | LagKnown | TopologyCleared | MisfitCleared | Resumed
    | Restarted | SourceBack:
        "nothing";
    Stopping:
        "nothing; where nobody asked for it, see which signal the log names";
    LinkDown:
        "see the reason; one that stays needs the node or the network: `dcp-proxy doctor`";
    LinkBroken:
        "see the reason, remove its cause, then `dcp-proxy restart BUCKET --producer NODE`";
    LinkClosed:
        "nothing, unless something is wanted from it: see `dcp-proxy config diff`";
    Rival:
        "stop the other sidecar, or give each its own `[node] name`";
    ErrorAnswer:
        "nothing, unless a `link-down` follows: the status names what the node refuses";
    StreamsSettled:
        "see `dcp-proxy streams --failed` where `failed` is not 0";
    StreamFailed:
        "see the reason, in the table of error reasons; `dcp-proxy streams --failed`";
    StreamEnded:
        "nothing, unless it repeats: the reason is that of the producer";
    StreamStalled:
        "nothing, unless it repeats: then look at the log of the consumer's node";
    StreamBroken:
        "see the reason, remove its cause, then `dcp-proxy restart BUCKET VB`";
    Rollback:
        "nothing: the node drops changes that its producer does not have. At `warn`, \
         the copy was emptied, or many lost changes at once: see whether the producer lost its \
         data";
    CopyIncomplete:
        "see which status the consumer gave; take nothing over before `copy-complete`";
    CopiesDiffer:
        "see what differs, `GET /api/v1/verify`, then `dcp-proxy verify BUCKET --repair`; take \
         nothing over before";
    VerifyFailed:
        "see the reason; where it stays, check the node it names: `dcp-proxy doctor`";
    CopiesLeft:
        "start the sidecar again before the copies are used or taken over";
    Moved:
        "nothing; the map of the cluster must now name this node";
    MoveFailed:
        "see the reason; repeat the takeover: it goes on from the states that are there";
    NodeUnresponsive:
        "see whether the node's process runs and its port answers: `dcp-proxy doctor`";
    LagUnknown:
        "see whether the node answers: `dcp-proxy doctor`";
    Topology:
        "correct `[node] name`, or the topology of that producer";
    Misfit:
        "set the states right with SET_VBUCKET, or correct `replicate`";
    ProcessHalted:
        "find out what stopped it: SIGSTOP, a paused machine, too little processor time";
    DesiredChanged:
        "nothing; `dcp-proxy config diff` shows what differs from the source";
    Paused:
        "resume them when it is time: `dcp-proxy resume BUCKET`";
    ReloadDone:
        "see whether it names settings that need a restart";
    ReloadFailed:
        "correct the file, which is then read again: `dcp-proxy check` lists every mistake";
    SourceLost:
        "see whether etcd runs and can be reached: `dcp-proxy doctor`; replication goes on";
    CaptureBegun | CaptureEnded:
        "nothing; where nobody should have done it, renew the token of `[admin]`";
    LogLevel:
        "nothing; `dcp-proxy log-level --reset` takes it back";
    Other:
        "read its text";
}
