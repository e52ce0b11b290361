//! The circles that still stand. The list only gets shorter: a new circle is cut, not listed.

use std::fmt;

use super::File;
use super::graph::Circle;

/// A circle that is a warning for now.
#[derive(Debug)]
pub(super) struct Known {
    /// The file in which its crate starts.
    pub(super) root: &'static str,
    /// The module that its modules are in, `a::b`; nothing for the crate itself.
    pub(super) within: &'static str,
    pub(super) modules: &'static [&'static str],
}

impl Known {
    /// Whether `circle` is this one or a part of it.
    pub(super) fn covers(&self, root: &File, circle: &Circle) -> bool {
        root.path == self.root
            && circle.within.join("::") == self.within
            && circle.modules.iter().all(|module| self.modules.contains(&module.as_str()))
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.within.is_empty() { "" } else { "::" };
        write!(f, "`crate{separator}{}`: {}", self.within, self.modules.join(", "))
    }
}

pub(super) const KNOWN: &[Known] = &[
    Known { root: "actors/src/lib.rs", within: "", modules: &["consumer_conn", "producer_conn"] },
    Known {
        root: "actors/src/lib.rs",
        within: "manager",
        modules: &["commands", "moves", "queue"],
    },
    Known { root: "actors/src/lib.rs", within: "manager", modules: &["heal", "link"] },
    Known {
        root: "crates/kvnode/src/lib.rs",
        within: "",
        modules: &[
            "bucket", "command", "config", "counters", "dcp", "metrics", "node", "session", "stat",
        ],
    },
    Known {
        root: "crates/kvnode/src/lib.rs",
        within: "bucket",
        modules: &["error", "queue", "vb"],
    },
    Known { root: "crates/mcbp/src/lib.rs", within: "", modules: &["error", "header"] },
    Known {
        root: "crates/relay/src/lib.rs",
        within: "",
        modules: &["endpoint", "error", "socket", "tls"],
    },
    Known {
        root: "crates/replica/src/lib.rs",
        within: "machine",
        modules: &["attempt", "closing", "ledger"],
    },
    Known {
        root: "crates/replica/src/lib.rs",
        within: "machine",
        modules: &["phase", "setup", "shut", "takeover"],
    },
    Known {
        root: "crates/store/src/lib.rs",
        within: "",
        modules: &[
            "backlog", "format", "janitor", "journal", "open", "record", "scan", "store", "tables",
            "values", "writer",
        ],
    },
    Known { root: "crates/vbucket/src/lib.rs", within: "consumer", modules: &["held", "setup"] },
];
