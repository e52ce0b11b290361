//! Why a session ended, and the log line that says so.

use std::net::SocketAddr;
use std::time::Duration;

use invariant::Broken;
use log::{debug, info, warn};
use logline::value;
use mcbp::FrameError;

use crate::admission::Seat;
use crate::dcp::DcpOpen;

/// Why a session ended.
pub(super) enum End {
    /// The peer left, or was asked to by its own QUIT.
    Normal,
    Io(std::io::Error),
    Malformed(FrameError),
    /// The client did not authenticate within this time.
    NotAuthenticated(Duration),
    /// A newer connection took its seat before it had logged in.
    Evicted,
    /// Its user was removed or has another password.
    Revoked,
    /// The peer moved nothing for so long, and others may have wanted its memory.
    Stalled {
        seconds: u64,
        wanted: bool,
    },
    /// The node stops.
    Shutdown,
    Broken(Broken),
    /// From here on the connection speaks DCP.
    Dcp(Box<DcpOpen>),
}

impl End {
    /// The end of a session whose seat is lost.
    pub(super) fn of_lost(seat: &Seat) -> Self {
        match (seat.is_shutdown(), seat.is_revoked()) {
            (true, _) => Self::Shutdown,
            (false, true) => Self::Revoked,
            (false, false) => Self::Evicted,
        }
    }

    /// Logs the end if somebody has to know.
    pub(super) fn log(&self, peer: SocketAddr) {
        match self {
            Self::Malformed(error) => {
                warn!("malformed frame, closing peer={peer} error={}", value(error));
            }
            Self::NotAuthenticated(wait) => {
                warn!("not authenticated in time, closing peer={peer} seconds={}", wait.as_secs());
            }
            Self::Evicted => {
                warn!("connection closed to make room, it had not logged in peer={peer}");
            }
            Self::Revoked => {
                info!("connection closed, its user is gone or has another password peer={peer}");
            }
            Self::Stalled { seconds, wanted } => {
                warn!(
                    "no byte moved, closing peer={peer} seconds={seconds} memory_wanted={wanted}"
                );
            }
            Self::Io(error) => debug!("connection lost peer={peer} error={}", value(error)),
            Self::Broken(error) => warn!("closing a connection peer={peer} error={}", value(error)),
            Self::Normal | Self::Shutdown | Self::Dcp(_) => {}
        }
    }
}
