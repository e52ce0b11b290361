//! Reads and checks the JSON of a manifest.

use std::collections::BTreeSet;

use mcbp::key::DEFAULT_COLLECTION;
use serde_json::Value;

use super::change::Collection;
use super::manifest::Manifest;
use super::member::{ManifestError, Object, flaw};
use super::names::{DEFAULT_NAME, DEFAULT_SCOPE, is_system};

/// How many scopes a manifest has at most, apart from the default one and those of the system,
/// which have the same limit of their own. The default of a cluster.
pub const SCOPES_MAX: usize = 1200;
/// How many collections a manifest has at most, in all scopes; counted like [`SCOPES_MAX`].
pub const COLLECTIONS_MAX: usize = 1200;
/// The longest JSON of a manifest, in bytes. What the other limits allow needs about 1 MiB.
pub const MANIFEST_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Manifest {
    /// Parses and checks the JSON of `SET_MANIFEST`. Unknown members are ignored.
    ///
    /// # Errors
    /// [`ManifestError`] for more than [`MANIFEST_BYTES_MAX`], JSON that is malformed or nested too
    /// deeply, members that are missing or of the wrong type, ids and names that are invalid or
    /// not unique, a missing default scope, a uid of 0 with other contents than the epoch manifest,
    /// a flush uid above the manifest's uid, a `maxTTL` above [`super::MAX_TTL_SECONDS`], a
    /// collection of users in a scope of the system, and more than [`SCOPES_MAX`] or
    /// [`COLLECTIONS_MAX`].
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MANIFEST_BYTES_MAX {
            let found = json.len();
            return flaw(format!("the manifest has {found} bytes, at most {MANIFEST_BYTES_MAX}"));
        }
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| ManifestError(format!("the manifest is not JSON: {error}")))?;
        let whole = Object::of(&value, "the manifest")?;
        let uid = whole.hex("uid", 16)?;
        let mut manifest = Self { uid, scopes: [].into(), collections: [].into() };
        let mut names = BTreeSet::new();
        for scope in whole.array("scopes")? {
            let name = manifest.add_scope(Object::of(scope, "a scope")?)?;
            if !names.insert(name) {
                return flaw(format!("scope {name:?} is there twice"));
            }
        }
        manifest.check_whole()?;
        Ok(manifest)
    }

    /// Adds a scope with its collections, and returns its name.
    fn add_scope<'a>(&mut self, scope: Object<'a>) -> Result<&'a str, ManifestError> {
        let name = scope.name()?;
        let place = format!("scope {name:?}");
        let scope = scope.called(&place);
        let id = scope.id()?;
        if id == DEFAULT_SCOPE && name != DEFAULT_NAME {
            return flaw(format!("{place}: uid 0 is that of the scope {DEFAULT_NAME:?}"));
        }
        if let Some(other) = self.scopes.insert(id, name.to_owned()) {
            return flaw(format!("scopes {other:?} and {name:?} have the same uid {id:x}"));
        }
        let mut names = BTreeSet::new();
        let of_it = format!("a collection of {place}");
        for collection in scope.array("collections")? {
            let name = self.add_collection((id, name), Object::of(collection, &of_it)?)?;
            if !names.insert(name) {
                return flaw(format!("{place} has the collection {name:?} twice"));
            }
        }
        Ok(name)
    }

    /// Adds a collection, and returns its name.
    fn add_collection<'a>(
        &mut self,
        (scope, scope_name): (u32, &str),
        object: Object<'a>,
    ) -> Result<&'a str, ManifestError> {
        let name = object.name()?;
        let place = format!("collection {scope_name:?}.{name:?}");
        let object = object.called(&place);
        let id = object.id()?;
        if id == DEFAULT_COLLECTION && (scope, name) != (DEFAULT_SCOPE, DEFAULT_NAME) {
            return flaw(format!("{place}: uid 0 is that of _default._default"));
        }
        if is_system(scope, scope_name) && !is_system(id, name) {
            return flaw(format!(
                "{place}: in a scope of the system, names of collections begin with _"
            ));
        }
        let collection = Collection {
            scope,
            name: name.to_owned(),
            max_ttl: object.max_ttl()?,
            history: object.boolean("history")?,
            metered: object.boolean("metered")?,
            flush_uid: self.flush_uid(object)?,
        };
        if let Some(other) = self.collections.insert(id, collection) {
            return flaw(format!("{place} and {:?} have the same uid {id:x}", other.name));
        }
        Ok(name)
    }

    fn flush_uid(&self, collection: Object<'_>) -> Result<u64, ManifestError> {
        if !collection.has("flush_uid") {
            return Ok(0);
        }
        let place = collection.place;
        let flush_uid = collection.hex("flush_uid", 16)?;
        match self.uid {
            0 => flaw(format!("{place}: flush_uid in a manifest of uid 0")),
            uid if flush_uid > uid => flaw(format!(
                "{place}: flush_uid {flush_uid:x} is above the manifest's uid {uid:x}"
            )),
            _ => Ok(flush_uid),
        }
    }

    fn check_whole(&self) -> Result<(), ManifestError> {
        if self.scope(DEFAULT_SCOPE).is_none() {
            return flaw(format!("there is no scope {DEFAULT_NAME:?} with uid 0"));
        }
        let names = self.collections().map(|(id, collection)| (id, collection.name.as_str()));
        for (most, what, (users, systems)) in [
            (SCOPES_MAX, "scopes", count(self.scopes())),
            (COLLECTIONS_MAX, "collections", count(names)),
        ] {
            if users.max(systems) > most {
                let found = users.max(systems);
                return flaw(format!("the manifest has {found} {what}, at most {most}"));
            }
        }
        // Metering is a matter of the bucket, and no difference to the epoch.
        let mut epoch = Self::default();
        epoch.collections.values_mut().for_each(|default| {
            default.metered = self.collection(DEFAULT_COLLECTION).is_some_and(|own| own.metered);
        });
        if self.uid == 0 && *self != epoch {
            return flaw(
                "a manifest of uid 0 has _default._default alone: raise the uid".to_owned(),
            );
        }
        Ok(())
    }
}

/// Counts those of users and those of the system; the default one is neither.
fn count<'a>(named: impl Iterator<Item = (u32, &'a str)>) -> (usize, usize) {
    let (systems, users): (Vec<_>, Vec<_>) =
        named.filter(|(id, _)| *id != 0).partition(|(id, name)| is_system(*id, name));
    (users.len(), systems.len())
}
