//! Extended attributes: their names in paths, one of them, and all of them as a JSON object and
//! back. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use mcbp::Status;
use mcbp::xattr::{self, Xattr};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The longest name in bytes. Source: kv_engine's `SUBDOC_MAX_XATTR_LENGTH`.
const NAME_BYTES_MAX: usize = 15;

/// Names of system attributes begin with this.
const SYSTEM: u8 = b'_';

/// Returns the name of the attribute that a path leads into: what precedes the first dot or
/// bracket. `None` if it cannot be a name.
pub(super) fn key(path: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(path).ok()?;
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let key = path.get(..end)?;
    is_key(key).then_some(key)
}

fn is_key(key: &[u8]) -> bool {
    let fits = match key {
        [] | [SYSTEM] => false,
        [SYSTEM | b'$', ..] => true,
        [first, ..] => !first.is_ascii_punctuation() && !first.is_ascii_control(),
    };
    fits && key.len() <= NAME_BYTES_MAX && !key.contains(&0)
}

/// Whether these attributes may be stored: none is damaged, their names are good and unique, and
/// their values are JSON.
pub(super) fn are_good(attributes: &[u8]) -> bool {
    let mut names = HashSet::new();
    xattr::each(attributes).all(|attribute| {
        attribute.is_some_and(|Xattr { name, value, .. }| {
            let is_json = serde_json::from_slice::<IgnoredAny>(value).is_ok();
            is_json && is_key(name) && !name.starts_with(b"$") && names.insert(name)
        })
    })
}

/// Returns the path within the attribute.
pub(super) fn within<'a>(path: &'a [u8], key: &[u8]) -> &'a [u8] {
    let rest = path.get(key.len()..).unwrap_or_default();
    rest.strip_prefix(b".").unwrap_or(rest)
}

/// Returns the value of an attribute.
pub(super) fn find<'a>(attributes: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    xattr::each(attributes).flatten().find(|it| it.name == key).map(|it| it.value)
}

/// Returns the names as a JSON array.
pub(super) fn names(attributes: &[u8]) -> String {
    let names = xattr::each(attributes).flatten();
    let names: Vec<_> = names.map(|it| String::from_utf8_lossy(it.name).into_owned()).collect();
    serde_json::json!(names).to_string()
}

/// Returns the attributes as a JSON object, their values as they are stored.
///
/// # Errors
/// [`Status::XATTR_EINVAL`] for damaged ones.
pub(super) fn to_json(attributes: &[u8]) -> Result<Vec<u8>, Status> {
    let mut json = vec![b'{'];
    for attribute in xattr::each(attributes) {
        let Xattr { name, value, .. } = attribute.ok_or(Status::XATTR_EINVAL)?;
        if json.len() > 1 {
            json.push(b',');
        }
        let name = std::str::from_utf8(name).map_err(|_| Status::XATTR_EINVAL)?;
        serde_json::to_writer(&mut json, name).map_err(|_| Status::EINTERNAL)?;
        json.push(b':');
        json.extend_from_slice(value);
    }
    json.push(b'}');
    Ok(json)
}

/// Returns the attributes of a JSON object as they are stored, sorted by name as kv_engine sorts
/// them. Of equal names the last one counts.
///
/// # Errors
/// [`Status::SUBDOC_DOC_NOTJSON`]; [`Status::XATTR_EINVAL`] for a name that `known` attributes do
/// not have and that a path could not have.
pub(super) fn from_json(json: &[u8], known: &[u8]) -> Result<Vec<u8>, Status> {
    let all: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(json).map_err(|_| Status::SUBDOC_DOC_NOTJSON)?;
    let mut stored = Vec::with_capacity(json.len() + 4 * all.len());
    let mut known_names = None;
    for (name, value) in all {
        let (name, value) = (name.as_bytes(), value.get().as_bytes());
        let mut is_known = || {
            let names = || xattr::each(known).flatten().map(|it| it.name).collect::<HashSet<_>>();
            known_names.get_or_insert_with(names).contains(name)
        };
        let is_good = is_key(name) && !name.starts_with(b"$");
        if name.contains(&0) || !(is_good || is_known()) {
            return Err(Status::XATTR_EINVAL);
        }
        let bytes = u32::try_from(name.len() + value.len() + 2).map_err(|_| Status::E2BIG)?;
        for part in [&bytes.to_be_bytes()[..], name, b"\0", value, b"\0"] {
            stored.extend_from_slice(part);
        }
    }
    Ok(stored)
}

/// Returns the system's attributes, which a deletion keeps.
pub(super) fn system(attributes: &[u8]) -> Vec<u8> {
    let all = xattr::each(attributes).flatten();
    let system = all.filter(|it| it.name.first() == Some(&SYSTEM));
    system.flat_map(|it| it.stored).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_the_first_dot_or_bracket() {
        for (path, expected) in [
            ("u", Some("u")),
            ("u.k", Some("u")),
            ("u[0].k", Some("u")),
            ("_sys.a", Some("_sys")),
            ("$document.CAS", Some("$document")),
            ("a b", Some("a b")),
            ("\u{e9}", Some("\u{e9}")),
            ("xxxxxxxxxxxxxxx", Some("xxxxxxxxxxxxxxx")),
            ("xxxxxxxxxxxxxxxx", None),
            ("", None),
            ("_", None),
            (".a", None),
            ("#a", None),
            ("\u{1}", None),
            ("a\0", None),
        ] {
            assert_eq!(key(path.as_bytes()), expected.map(str::as_bytes), "{path:?}");
        }
        assert_eq!(key(b"\xff"), None);
        assert_eq!(within(b"u.k[0]", b"u"), b"k[0]");
        assert_eq!(within(b"u[0]", b"u"), b"[0]");
    }

    #[test]
    fn json_and_back_is_the_same_but_sorted() {
        let json: &[u8] = br#"{"u":{"k": 1},"_sys":[2],"a\"b":"x"}"#;
        let stored = from_json(json, &[]).unwrap();
        assert_eq!(names(&stored), r#"["_sys","a\"b","u"]"#);
        assert_eq!(find(&stored, b"u"), Some(&br#"{"k": 1}"#[..]));
        let sorted = to_json(&stored).unwrap();
        assert_eq!(sorted, br#"{"_sys":[2],"a\"b":"x","u":{"k": 1}}"#);
        assert_eq!(from_json(&sorted, &[]).unwrap(), stored);
        assert_eq!(names(&system(&stored)), r#"["_sys"]"#);
        assert_eq!(from_json(b"{\"u\":1,\"u\":2}", &[]).unwrap(), b"\0\0\0\x04u\x002\0");
        assert_eq!(to_json(&[]).unwrap(), b"{}");
    }

    #[test]
    fn names_that_no_path_has_are_refused_unless_they_are_there() {
        let odd = b"\0\0\0\x05$d\x001\0";
        assert_eq!(from_json(b"{\"$d\":1}", &[]), Err(Status::XATTR_EINVAL));
        assert_eq!(from_json(b"{\"$d\":1}", odd).as_deref(), Ok(&odd[..]));
        assert_eq!(from_json(br#"{"a\u0000":1}"#, &[]), Err(Status::XATTR_EINVAL));
        assert_eq!(from_json(b"{\"u\":}", &[]), Err(Status::SUBDOC_DOC_NOTJSON));
        assert_eq!(to_json(b"\0\0\0\x09u"), Err(Status::XATTR_EINVAL));
    }
}
