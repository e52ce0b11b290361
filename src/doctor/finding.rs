//! What `doctor` found: findings with their place and remedy, and the exit code that follows.

use mcbp::Side;
use replica::plan::VbSet;
use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing, or unknown.
    Note,
    /// Works now, and may fail or be slow later.
    Warning,
    /// Replication does not work.
    Error,
}

impl Level {
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Note, Self::Warning, Self::Error];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! checks {
    ($($variant:ident $name:literal)+) => {
        /// What was checked. The names are part of the output and documented in `docs/doctor.md`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(rename_all = "lowercase")]
        pub(super) enum Check {
            $(#[doc = $name] $variant,)+
        }

        impl Check {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];

            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

checks! {
    Configuration "configuration"
    Descriptors "descriptors"
    Disk "disk"
    Sidecar "sidecar"
    Etcd "etcd"
    Cluster "cluster"
    Embedded "embedded"
    Address "address"
    Connect "connect"
    Tls "tls"
    Certificate "certificate"
    Mechanism "mechanism"
    Login "login"
    Version "version"
    Answers "answers"
    Features "features"
    Bucket "bucket"
    Privileges "privileges"
    States "states"
    Count "count"
    Topology "topology"
    Clock "clock"
    Dcp "dcp"
    Window "window"
    Rival "rival"
}

/// Where it was found. A place without a side is this machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    pub(super) side: Option<Side>,
    pub(super) node: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) vbuckets: Option<VbSet>,
}

impl Place {
    /// This machine.
    pub(super) fn here() -> Self {
        Self::default()
    }

    /// A data node.
    pub(super) fn node(side: Side, name: &str) -> Self {
        Self { side: Some(side), node: Some(name.to_owned()), ..Self::default() }
    }

    /// A bucket at this place.
    pub(super) fn bucket(&self, bucket: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..self.clone() }
    }

    /// Some vBuckets at this place.
    pub(super) fn vbuckets(&self, vbs: &VbSet) -> Self {
        Self { vbuckets: Some(vbs.clone()), ..self.clone() }
    }
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) check: Check,
    pub(super) place: Place,
    /// What was found.
    pub(super) what: String,
    /// What to do about it; `None` where nothing needs to be done.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: Check, place: &Place, what: impl Into<String>) -> Self {
        Self::of(Level::Ok, check, place, what.into(), None)
    }

    /// A note without a remedy.
    pub(super) fn note(check: Check, place: &Place, what: impl Into<String>) -> Self {
        Self::of(Level::Note, check, place, what.into(), None)
    }

    pub(super) fn warning(
        check: Check,
        place: &Place,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Warning, check, place, what.into(), Some(remedy.into()))
    }

    pub(super) fn error(
        check: Check,
        place: &Place,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Error, check, place, what.into(), Some(remedy.into()))
    }

    /// Adds what to do to a note.
    pub(super) fn with(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn of(level: Level, check: Check, place: &Place, what: String, remedy: Option<String>) -> Self {
        Self { level, check, place: place.clone(), what, remedy }
    }
}

/// All findings, in the order in which they are shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// Whether the exit code is 0: no error, and no warning where these count too.
    pub(super) fn passes(&self, is_strict: bool) -> bool {
        let worst = self.findings.iter().map(|finding| finding.level).max();
        let allowed = if is_strict { Level::Note } else { Level::Warning };
        worst.is_none_or(|worst| worst <= allowed)
    }
}
