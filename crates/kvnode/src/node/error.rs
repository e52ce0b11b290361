//! Why a node does not start or stop as it should; each says what would do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use vbucket::StoreError;

/// Why a node did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}; give another address, or stop what uses this one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// A bucket's store cannot be opened.
    #[error("opening bucket {bucket:?} in {folder:?}: {source}")]
    Open {
        /// The bucket.
        bucket: String,
        /// Where its data is.
        folder: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// The port cannot be told.
    #[error("writing the port to {path:?}: {source}")]
    PortFile {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("starting threads: {0}")]
    Threads(io::Error),
    /// A bucket was not closed cleanly; its next start will take this for a crash.
    #[error("closing bucket {bucket:?}: {source}")]
    Close {
        /// The bucket.
        bucket: String,
        /// What the store said.
        source: StoreError,
    },
}
