//! Changes of the maps, and when each is on disk.
//!
//! What somebody asks for is on disk before it is in force. What is so anyway is in force at once,
//! and written as soon as that succeeds.

use std::sync::{Arc, PoisonError};

use logline::value;
use tokio::sync::OwnedMutexGuard;

use super::state::StateFolder;
use super::{Maps, Sources, StateError};

impl Sources {
    /// Changes the maps: they are on disk when this returns. Nothing has changed after an error.
    pub(super) async fn update<T, E: From<StateError>>(
        &self,
        change: impl FnOnce(&mut Maps) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut folder = Arc::clone(&self.0.folder).lock_owned().await;
        let before = self.maps();
        let mut maps = Maps::clone(&before);
        let done = change(&mut maps)?;
        if maps != *before {
            let sources = self.clone();
            let saved = tokio::task::spawn_blocking(move || {
                folder.save(&maps)?;
                // Within the turn of the folder, so that memory and disk change in one order.
                *sources.0.maps.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(maps);
                sources.note_saved(Ok(&()));
                Ok::<_, StateError>(())
            });
            saved.await.map_err(StateError::Panicked)??;
        }
        Ok(done)
    }

    /// Follows something that is so whether or not it can be written: the configuration, etcd, a
    /// takeover. Where it cannot, it is in force all the same, is written as soon as that succeeds,
    /// and a restart meanwhile finds it again by itself.
    pub(super) async fn follow_with<T>(&self, change: impl FnOnce(&mut Maps) -> T) -> T {
        let folder = Arc::clone(&self.0.folder).lock_owned().await;
        let before = self.maps();
        let mut maps = Maps::clone(&before);
        let done = change(&mut maps);
        if maps != *before {
            let maps = Arc::new(maps);
            *self.0.maps.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&maps);
            // Its error is noted, and the writing tried again.
            _ = self.save(folder, maps).await;
        }
        done
    }

    /// Writes what is in force, if it could not be written before; so it is also known whether it
    /// can be written now.
    ///
    /// # Errors
    /// A [`StateError`].
    pub async fn save_again(&self) -> Result<(), StateError> {
        let folder = Arc::clone(&self.0.folder).lock_owned().await;
        self.save(folder, self.maps()).await
    }

    /// Writes what is in force, and notes whether that succeeded.
    async fn save(
        &self,
        mut folder: OwnedMutexGuard<StateFolder>,
        maps: Arc<Maps>,
    ) -> Result<(), StateError> {
        let saved = tokio::task::spawn_blocking(move || folder.save(&maps)).await;
        let saved = saved.map_err(StateError::Panicked).flatten();
        self.note_saved(saved.as_ref());
        saved
    }

    /// Why what is in force is not on disk, if it is not.
    #[must_use]
    pub fn state_error(&self) -> Option<String> {
        self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_saved(&self, saved: Result<&(), &StateError>) {
        let mut unsaved = self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let error = saved.err().map(ToString::to_string);
        if let (Some(error), None) = (&error, &*unsaved) {
            log::error!("state not written, it is tried again error={}", value(error));
        }
        if unsaved.is_some() && error.is_none() {
            log::info!("state is written again");
        }
        *unsaved = error;
    }
}
