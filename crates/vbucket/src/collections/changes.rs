//! What it takes to get from the collections of a vBucket to a manifest.

use super::change::{Change, Collection, SystemEvent};
use super::known::VbCollections;
use super::manifest::Manifest;
use super::names::is_system;
use super::succeed::ManifestRefusal;

impl VbCollections {
    /// Returns the events that lead from here to the manifest, in kv_engine's order: collections
    /// dropped, scopes created, collections created, modified, flushed, scopes dropped. Only the
    /// last one has the uid of the manifest, the others have the uid that was. The caller gives
    /// each its seqno and has the vBucket [follow](Self::follow) it.
    ///
    /// A collection of a dropped scope is not in the manifest either, so it is dropped before.
    ///
    /// There are none
    /// - where the uid here is above that of the manifest: the vBucket was a replica, and its
    ///   producer knew a later manifest;
    /// - where the two are the same: a vBucket that has some of a later manifest's events keeps
    ///   them until that manifest comes;
    /// - where the two [contradict](Self::may_take) each other;
    /// - where nothing changes: then the caller [notes the uid](Self::note_uid).
    #[must_use]
    pub fn changes_to(&self, manifest: &Manifest) -> Vec<SystemEvent> {
        if manifest.uid() <= self.uid || self.may_take(manifest).is_err() {
            return Vec::new();
        }
        let mut changes = self.collections_dropped(manifest);
        changes.extend(self.created(manifest));
        changes.extend(self.modified(manifest));
        changes.extend(self.flushed(manifest));
        changes.extend(self.scopes_dropped(manifest));
        let last = changes.len().saturating_sub(1);
        let uid = |at| if at == last { manifest.uid() } else { self.uid };
        let events = changes.into_iter().enumerate();
        events.map(|(at, change)| SystemEvent { uid: uid(at), change }).collect()
    }

    /// Checks that no scope or collection of the manifest has the id of one here that has another
    /// name or scope.
    ///
    /// That does not happen where one cluster makes all manifests. A vBucket that took such a
    /// manifest would have to drop the documents of the collection.
    ///
    /// # Errors
    /// [`ManifestRefusal`] with the first contradiction.
    pub fn may_take(&self, manifest: &Manifest) -> Result<(), ManifestRefusal> {
        let collections = self.iter().map(|(id, known)| (id, &known.collection));
        manifest.keeps_identities(self.scopes(), collections)
    }

    /// The highest id first, as kv_engine's hash table has them; so are all changes of what exists.
    fn falling(&self) -> impl Iterator<Item = (u32, &Collection)> {
        let mut known: Vec<_> = self.iter().map(|(id, known)| (id, &known.collection)).collect();
        known.reverse();
        known.into_iter()
    }

    fn collections_dropped(&self, manifest: &Manifest) -> Vec<Change> {
        let dropped = self.falling().filter(|(id, _)| manifest.collection(*id).is_none());
        let ended = |(id, known): (u32, &Collection)| Change::End {
            id,
            scope: known.scope,
            is_system: is_system(id, &known.name),
        };
        dropped.map(ended).collect()
    }

    /// All scopes come before the first collection.
    fn created(&self, manifest: &Manifest) -> Vec<Change> {
        let (mut scopes, mut collections) = (Vec::new(), Vec::new());
        for (id, name, of_scope) in manifest.by_scope() {
            if self.scope(id).is_none() {
                scopes.push(Change::CreateScope { id, name: name.to_owned() });
            }
            let new = of_scope.into_iter().filter(|(id, _)| self.get(*id).is_none());
            let begun = |(id, new): (u32, &Collection)| (id, new.clone());
            collections
                .extend(new.map(begun).map(|(id, collection)| Change::Begin { id, collection }));
        }
        scopes.append(&mut collections);
        scopes
    }

    /// Those whose `max_ttl`, history or metering is another. The flush uid stays as it is: a flush
    /// is an event of its own.
    fn modified(&self, manifest: &Manifest) -> Vec<Change> {
        let modified = |(id, known): (u32, &Collection)| {
            let mut collection = manifest.collection(id)?.clone();
            collection.flush_uid = known.flush_uid;
            (collection != *known).then_some(Change::Modify { id, collection })
        };
        self.falling().filter_map(modified).collect()
    }

    /// Those with a higher flush uid. They begin with the properties that the manifest gives them.
    fn flushed(&self, manifest: &Manifest) -> Vec<Change> {
        let flushed = |(id, known): (u32, &Collection)| {
            let new = manifest.collection(id)?;
            let is_flushed = new.flush_uid > known.flush_uid;
            is_flushed.then(|| Change::Begin { id, collection: new.clone() })
        };
        self.falling().filter_map(flushed).collect()
    }

    fn scopes_dropped(&self, manifest: &Manifest) -> Vec<Change> {
        let dropped = self.scopes.iter().rev().filter(|(id, _)| manifest.scope(**id).is_none());
        let ended = |(id, name): (&u32, &String)| Change::DropScope {
            id: *id,
            is_system: is_system(*id, name),
        };
        dropped.map(ended).collect()
    }
}
