//! Which manifest may follow which.

use mcbp::Status;

use super::change::Collection;
use super::manifest::Manifest;

/// Why a manifest is refused: the answer to `SET_MANIFEST`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct ManifestRefusal {
    /// The status of the answer: [`Status::CANNOT_APPLY_MANIFEST`].
    pub status: Status,
    /// What is wrong, for the client.
    pub text: String,
}

fn refusal(text: String) -> ManifestRefusal {
    ManifestRefusal { status: Status::CANNOT_APPLY_MANIFEST, text }
}

impl Manifest {
    /// Checks that this may become the bucket's manifest where it has `old`.
    ///
    /// With a higher uid it may add, drop and modify; names of scopes, and names and scopes of
    /// collections, stay. With the same uid it must be the same, and changes nothing.
    ///
    /// # Errors
    /// [`ManifestRefusal`] for a lower uid, the same uid with other contents, and an id that has
    /// another name or scope than before.
    pub fn may_follow(&self, old: &Self) -> Result<(), ManifestRefusal> {
        let (new, current) = (self.uid, old.uid);
        if new < current {
            return Err(refusal(format!(
                "manifest uid {new:#x} is below the current {current:#x}"
            )));
        }
        if new == current {
            let same = (self == old).then_some(());
            return same.ok_or_else(|| {
                refusal(format!(
                    "manifest uid {new:#x} is the current one and has other contents: set a \
                     changed manifest with a higher uid"
                ))
            });
        }
        self.keeps_identities(old.scopes(), old.collections())
    }

    /// Checks that scopes and collections that have an id here have the same name, and the same
    /// scope, there.
    ///
    /// # Errors
    /// [`ManifestRefusal`] with the first one that does not.
    pub(super) fn keeps_identities<'a>(
        &self,
        scopes: impl Iterator<Item = (u32, &'a str)>,
        collections: impl Iterator<Item = (u32, &'a Collection)>,
    ) -> Result<(), ManifestRefusal> {
        for (id, old) in scopes {
            if let Some(new) = self.scope(id).filter(|new| *new != old) {
                return Err(refusal(format!(
                    "scope {id:#x} is {old:?} and cannot become {new:?}: create it with a new id"
                )));
            }
        }
        for (id, old) in collections {
            let is_other = |new: &&Collection| (new.scope, &new.name) != (old.scope, &old.name);
            if let Some(new) = self.collection(id).filter(is_other) {
                return Err(refusal(format!(
                    "collection {id:#x} is {:?} in scope {:#x} and cannot become {:?} in scope \
                     {:#x}: create it with a new id",
                    old.name, old.scope, new.name, new.scope
                )));
            }
        }
        Ok(())
    }
}
