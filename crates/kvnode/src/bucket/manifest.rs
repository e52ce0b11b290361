//! The manifest of a bucket's collections that is in force.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use vbucket::collections::{Manifest, VbCollections};

use crate::sync::{read, write};

/// See the module.
#[derive(Default)]
pub(super) struct CurrentManifest {
    /// What was set here.
    manifest: RwLock<Arc<Manifest>>,
    /// Its uid: every command asks for that.
    uid: AtomicU64,
    /// The newest one that replicas have learned of from their producers, if it is newer.
    learned: RwLock<Option<Arc<Manifest>>>,
    /// Held while another one is put in force.
    changing: tokio::sync::Mutex<()>,
}

impl CurrentManifest {
    /// Waits until no other one is being put in force.
    pub(super) async fn change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// What was set here.
    pub(super) fn set_here(&self) -> Arc<Manifest> {
        Arc::clone(&read(&self.manifest))
    }

    /// It is on disk.
    pub(super) fn put(&self, manifest: Manifest) {
        let uid = manifest.uid();
        *write(&self.manifest) = Arc::new(manifest);
        self.uid.store(uid, Ordering::Release);
    }

    /// The uid of what was set here.
    pub(super) fn uid_here(&self) -> u64 {
        self.uid.load(Ordering::Acquire)
    }

    /// The newer one of what was set and what was learned.
    pub(super) fn newest(&self) -> Arc<Manifest> {
        let (set, learned) = (self.set_here(), read(&self.learned).clone());
        learned.filter(|learned| learned.uid() > set.uid()).unwrap_or(set)
    }

    /// Learns of the manifest that a vBucket follows, so that clients find the names of its
    /// collections here too.
    pub(super) fn learn(&self, collections: &VbCollections) {
        if collections.uid() > self.newest().uid() {
            *write(&self.learned) = Some(Arc::new(collections.manifest()));
        }
    }
}
