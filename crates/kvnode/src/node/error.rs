//! Why a node did not start or stop; each error says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use vbucket::StoreError;

use crate::admission::TooFewDescriptors;

/// Why a node did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The node cannot listen on the address.
    #[error(
        "listening on {address}: {source}; give another address, or stop the program that uses it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The OS error.
        source: io::Error,
    },
    /// The process may not open enough files.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// A bucket's store cannot be opened.
    #[error("opening bucket {bucket:?} in {folder:?}: {source}")]
    Open {
        /// The bucket.
        bucket: String,
        /// The folder of its data.
        folder: PathBuf,
        /// The store's error.
        source: StoreError,
    },
    /// The port file cannot be written.
    #[error("writing the port to {path:?}: {source}")]
    PortFile {
        /// The file.
        path: PathBuf,
        /// The OS error.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("starting threads: {0}")]
    Threads(io::Error),
    /// A bucket was not closed cleanly; its next start treats this as a crash.
    #[error("closing bucket {bucket:?}: {source}")]
    Close {
        /// The bucket.
        bucket: String,
        /// The store's error.
        source: StoreError,
    },
}
