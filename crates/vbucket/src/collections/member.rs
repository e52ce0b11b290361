//! Members of objects in the JSON of a manifest: present, and of the right type.

use serde_json::{Map, Value};

use super::names::{MAX_TTL_SECONDS, is_reserved, is_valid_name};

/// What is wrong with the JSON of a manifest: a text for the client, with status
/// [`mcbp::Status::EINVAL`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub(super) String);

/// Returns the error with that text.
pub(super) const fn flaw<T>(text: String) -> Result<T, ManifestError> {
    Err(ManifestError(text))
}

/// An object of the JSON, and what to call it in errors.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    pub(super) place: &'a str,
}

impl<'a> Object<'a> {
    /// Returns the value as an object.
    pub(super) fn of(value: &'a Value, place: &'a str) -> Result<Self, ManifestError> {
        match value {
            Value::Object(members) => Ok(Self { members, place }),
            _ => flaw(format!("{place} is no object")),
        }
    }

    /// Returns the same object by another name.
    pub(super) const fn called(self, place: &'a str) -> Self {
        Self { place, ..self }
    }

    fn text(self, member: &str) -> Result<&'a str, ManifestError> {
        let text = self.members.get(member).and_then(Value::as_str);
        let place = self.place;
        text.ok_or_else(|| ManifestError(format!("{place} needs the member {member}, a string")))
    }

    /// Returns a member that is a number of 1 to `digits` hexadecimal digits in a string.
    pub(super) fn hex(self, member: &str, digits: usize) -> Result<u64, ManifestError> {
        let text = self.text(member)?;
        let is_hex = text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(number) if is_hex => Ok(number),
            _ => flaw(format!(
                "{}: {member} is {text:?}, expected 1 to {digits} hexadecimal digits",
                self.place
            )),
        }
    }

    /// Returns the id in the member `uid`: not one of those that are reserved.
    pub(super) fn id(self) -> Result<u32, ManifestError> {
        match u32::try_from(self.hex("uid", 8)?) {
            Ok(id) if !is_reserved(id) => Ok(id),
            _ => flaw(format!("{}: uids 1 to 7 are reserved", self.place)),
        }
    }

    /// Returns the member `name`: a valid name.
    pub(super) fn name(self) -> Result<&'a str, ManifestError> {
        let name = self.text("name")?;
        let valid = is_valid_name(name).then_some(name);
        valid.ok_or_else(|| {
            ManifestError(format!(
                "{} has the name {name:?}, expected 1 to 251 of A-Z a-z 0-9 _ - % $, not $ first",
                self.place
            ))
        })
    }

    /// Returns a member that is an array.
    pub(super) fn array(self, member: &str) -> Result<&'a [Value], ManifestError> {
        match self.members.get(member) {
            Some(Value::Array(values)) => Ok(values),
            _ => flaw(format!("{} needs the member {member}, an array", self.place)),
        }
    }

    /// Returns a member that is true or false; false where it is absent.
    pub(super) fn boolean(self, member: &str) -> Result<bool, ManifestError> {
        match self.members.get(member) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => {
                flaw(format!("{}: {member} is {other}, expected true or false", self.place))
            }
        }
    }

    /// Whether there is such a member.
    pub(super) fn has(self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// Returns the member `maxTTL`, in seconds.
    pub(super) fn max_ttl(self) -> Result<Option<u32>, ManifestError> {
        let Some(value) = self.members.get("maxTTL") else { return Ok(None) };
        let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        match seconds.filter(|seconds| *seconds <= MAX_TTL_SECONDS) {
            Some(seconds) => Ok(Some(seconds)),
            None => flaw(format!(
                "{}: maxTTL is {value}, expected 0 to {MAX_TTL_SECONDS} seconds",
                self.place
            )),
        }
    }
}
