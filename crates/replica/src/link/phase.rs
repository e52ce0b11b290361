//! Whether the link lives, and which command it is running.

use super::setup::SetUp;
use super::shut::Shut;
use super::takeover::Takeover;

/// Whether the link lives. Frames may concern any stream in either phase.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Phase {
    Live(Activity),
    Shut(Shut),
}

/// The command that a live link is running.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Activity {
    #[default]
    Idle,
    SettingUp(SetUp),
    TakingOver(Takeover),
}

impl Default for Phase {
    fn default() -> Self {
        Self::Live(Activity::Idle)
    }
}

impl Phase {
    /// Returns the running command and leaves a live link idle. A link that shuts runs none.
    pub(super) fn take_activity(&mut self) -> Activity {
        match self {
            Self::Live(activity) => std::mem::take(activity),
            Self::Shut(_) => Activity::Idle,
        }
    }

    pub(super) const fn set_up_mut(&mut self) -> Option<&mut SetUp> {
        match self {
            Self::Live(Activity::SettingUp(set_up)) => Some(set_up),
            Self::Live(Activity::Idle | Activity::TakingOver(_)) | Self::Shut(_) => None,
        }
    }

    pub(super) const fn takeover(&self) -> Option<&Takeover> {
        match self {
            Self::Live(Activity::TakingOver(takeover)) => Some(takeover),
            Self::Live(Activity::Idle | Activity::SettingUp(_)) | Self::Shut(_) => None,
        }
    }

    pub(super) const fn takeover_mut(&mut self) -> Option<&mut Takeover> {
        match self {
            Self::Live(Activity::TakingOver(takeover)) => Some(takeover),
            Self::Live(Activity::Idle | Activity::SettingUp(_)) | Self::Shut(_) => None,
        }
    }
}
