//! Names of scopes and collections to their ids.

use super::manifest::Manifest;
use super::names::{DEFAULT_NAME, is_valid_name};

/// Why a path has no id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// The path has the wrong number of dots, or a name that no scope or collection can have.
    #[error("malformed path, expected SCOPE.COLLECTION, or SCOPE for a scope")]
    Malformed,
    /// There is no scope of that name.
    #[error("no scope has that name")]
    UnknownScope,
    /// The scope has no collection of that name.
    #[error("the scope has no collection of that name")]
    UnknownCollection,
}

impl Manifest {
    /// Returns the id of the collection with the path `scope.collection`. An empty name stands for
    /// `_default`.
    ///
    /// # Errors
    /// [`PathError`]; an unknown scope is found before a malformed name of a collection.
    pub fn collection_id(&self, path: &str) -> Result<u32, PathError> {
        let (scope, name) = path.split_once('.').ok_or(PathError::Malformed)?;
        if name.contains('.') {
            return Err(PathError::Malformed);
        }
        let scope = self.scope_id(scope)?;
        let name = valid(name)?;
        let is_it = |(_, of): &(u32, &_)| of_name(of, scope, name);
        self.collections().find(is_it).map(|(id, _)| id).ok_or(PathError::UnknownCollection)
    }

    /// Returns the id of the scope with the path `scope`, or of the scope in `scope.collection`;
    /// the collection does not count. An empty name stands for `_default`.
    ///
    /// # Errors
    /// [`PathError::Malformed`] or [`PathError::UnknownScope`].
    pub fn scope_id(&self, path: &str) -> Result<u32, PathError> {
        let (scope, rest) = path.split_once('.').unwrap_or((path, ""));
        if rest.contains('.') {
            return Err(PathError::Malformed);
        }
        let scope = valid(scope)?;
        let found = self.scopes().find(|(_, name)| *name == scope);
        found.map(|(id, _)| id).ok_or(PathError::UnknownScope)
    }
}

fn of_name(of: &super::change::Collection, scope: u32, name: &str) -> bool {
    of.scope == scope && of.name == name
}

fn valid(name: &str) -> Result<&str, PathError> {
    match name {
        "" => Ok(DEFAULT_NAME),
        name if is_valid_name(name) => Ok(name),
        _ => Err(PathError::Malformed),
    }
}
