//! Two data nodes as processes, on copies of data folders that are filled once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, VbId, VbState};

use super::contents::Contents;
use super::sidecar::Sidecar;
use crate::load;
use crate::path::seqnos::Seqnos;
use crate::server::{Server, VBUCKETS, wait_for};

/// How long a copy may take.
pub(super) const COPY_WAIT: Duration = Duration::from_secs(120);

/// Data folders: `alpha` with active vBuckets, `other` with replicas of another history that
/// has the same number of documents.
pub(super) struct Template {
    folder: PathBuf,
    pub(super) documents: u64,
}

impl Template {
    /// Fills both folders in `folder`.
    pub(super) fn make(folder: &Path, documents: u64, value: usize) -> io::Result<Self> {
        fs::create_dir_all(folder.join("template"))?;
        for name in ["alpha", "other"] {
            let mut node = Server::kvnode(&folder.join("template").join(name), "active", 0)?;
            load::fill(&node, documents, value)?;
            if name == "other" {
                set_replica(&node)?;
            }
            node.kill_9()?;
        }
        Ok(Self { folder: folder.to_owned(), documents })
    }

    /// A path that does not exist yet.
    pub(super) fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(path)
    }

    /// Starts a node on a copy of one of the two folders.
    pub(super) fn node(&self, name: &str) -> io::Result<Node> {
        let folder = self.fresh(name)?;
        copy(&self.folder.join("template").join(name), &folder)?;
        Node::start(folder, if name == "alpha" { "active" } else { "replica" })
    }

    /// Starts a node with empty replicas.
    pub(super) fn empty(&self) -> io::Result<Node> {
        Node::start(self.fresh("beta")?, "replica")
    }

    /// Starts a sidecar that replicates nothing yet.
    pub(super) fn sidecar(&self, alpha: &Node, beta: &Node, limits: &str) -> io::Result<Sidecar> {
        let addresses = (beta.server.address, alpha.server.address);
        Sidecar::start(&self.fresh("sidecar")?, addresses, limits)
    }
}

/// A data node that keeps its folder and port.
pub(super) struct Node {
    pub(super) server: Server,
    folder: PathBuf,
    state: &'static str,
}

impl Node {
    fn start(folder: PathBuf, state: &'static str) -> io::Result<Self> {
        let server = Server::kvnode(&folder, state, 0)?;
        Ok(Self { server, folder, state })
    }

    /// Starts it again after it was killed. Returns once it answers.
    pub(super) fn restart(&mut self) -> io::Result<Instant> {
        self.server = Server::kvnode(&self.folder, self.state, self.server.address.port())?;
        Ok(Instant::now())
    }

    /// Waits until `other` has the seqnos of this node; fails if a document differs then.
    pub(super) fn same_as(&self, other: &Self) -> io::Result<()> {
        let (mut ours, mut theirs) = (Seqnos::of(&self.server)?, Seqnos::of(&other.server)?);
        let wanted = ours.ask()?;
        wait_for(COPY_WAIT, "equal seqnos of both nodes", || {
            theirs.ask().is_ok_and(|there| there == wanted).then_some(())
        })?;
        Contents::of(&self.server)?.same_as(&Contents::of(&other.server)?)
    }
}

fn set_replica(node: &Server) -> io::Result<()> {
    let mut connection = node.connect()?;
    for vb in (0..VBUCKETS).map(VbId) {
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb);
        connection.ask(&request.extras(&[VbState::Replica as u8]))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
