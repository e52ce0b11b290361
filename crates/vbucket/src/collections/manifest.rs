//! All scopes and collections of a bucket.

use std::collections::BTreeMap;

use mcbp::key::DEFAULT_COLLECTION;

use super::change::Collection;
use super::names::{DEFAULT_NAME, DEFAULT_SCOPE};

/// All scopes and collections of a bucket: what `SET_MANIFEST` carries.
///
/// By default it is the epoch manifest, which a new bucket has: uid 0, the default scope, and the
/// default collection in it. There is always the default scope; every collection is in a scope;
/// names of scopes are unique, those of collections are unique in their scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    pub(super) uid: u64,
    pub(super) scopes: BTreeMap<u32, String>,
    pub(super) collections: BTreeMap<u32, Collection>,
}

impl Default for Manifest {
    fn default() -> Self {
        let default = Collection::default_collection();
        Self {
            uid: 0,
            scopes: BTreeMap::from([(DEFAULT_SCOPE, DEFAULT_NAME.to_owned())]),
            collections: BTreeMap::from([(DEFAULT_COLLECTION, default)]),
        }
    }
}

impl Manifest {
    /// The uid: it grows with every change. 0 is the epoch manifest.
    #[must_use]
    pub const fn uid(&self) -> u64 {
        self.uid
    }

    /// Returns the collection with that id.
    #[must_use]
    pub fn collection(&self, id: u32) -> Option<&Collection> {
        self.collections.get(&id)
    }

    /// Returns the name of the scope with that id.
    #[must_use]
    pub fn scope(&self, id: u32) -> Option<&str> {
        self.scopes.get(&id).map(String::as_str)
    }

    /// Returns the collections with their ids, in the order of ids.
    pub fn collections(&self) -> impl Iterator<Item = (u32, &Collection)> {
        self.collections.iter().map(|(id, collection)| (*id, collection))
    }

    /// Returns the names of the scopes with their ids, in the order of ids.
    pub fn scopes(&self) -> impl Iterator<Item = (u32, &str)> {
        self.scopes.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// Returns scopes and their collections in the order in which kv_engine lists and creates them:
    /// the scope with the highest id first, the collections of each by rising id.
    ///
    /// kv_engine keeps scopes in a hash table, whose order is that of falling ids as long as they
    /// were given in rising order.
    pub(super) fn by_scope(&self) -> impl Iterator<Item = (u32, &str, Vec<(u32, &Collection)>)> {
        let mut of_scope: BTreeMap<u32, Vec<(u32, &Collection)>> = BTreeMap::new();
        for (id, collection) in self.collections() {
            of_scope.entry(collection.scope).or_default().push((id, collection));
        }
        self.scopes.iter().rev().map(move |(id, name)| {
            let collections = of_scope.remove(id).unwrap_or_default();
            (*id, name.as_str(), collections)
        })
    }
}
