//! The map of one bucket, as the value of a key or as a part of a cluster's file.
//!
//! Two forms, told apart by the types of the members alone:
//! - all members are texts: `{"alpha":"0-511,600"}`, as the body of the admin API's `PUT`. Every
//!   key is a producer, also one that is named `replicate`. `{}` replicates nothing.
//! - otherwise: `{"replicate":{"alpha":"0-511"},"connections":2}`; `connections` may be missing.

use std::collections::{BTreeMap, BTreeSet};

use desired::Entry;
use replica::plan::{Connections, Desired, VbSet};

use crate::json::{Part, Unique};

/// The longest value, as of the bodies of the admin API.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// What a value may be.
pub const ALLOWED: &str =
    r#"give {"alpha":"0-511,600"} or {"replicate":{"alpha":"0-511,600"},"connections":2}"#;

/// The most bytes of a value or a name that a message repeats.
pub(crate) const SHOWN_BYTES_MAX: usize = 100;

/// Parses a value. `unsaid` is the number of connections where the value has none. Only these
/// `producers` may be named.
///
/// # Errors
/// Why the value is refused, and what is allowed.
pub fn parse(
    value: &[u8],
    unsaid: Connections,
    producers: &BTreeSet<String>,
) -> Result<Entry, String> {
    let entry = entry(parts(value)?, unsaid)?;
    let unknown = entry.replicate.producers().keys().find(|name| !producers.contains(*name));
    match unknown {
        Some(name) => Err(unknown_producer(name, producers)),
        None => Ok(entry),
    }
}

/// Reads the JSON of a value.
pub(crate) fn parts(value: &[u8]) -> Result<Unique<Part>, String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(too_long(value.len()));
    }
    serde_json::from_slice(value).map_err(|error| {
        let error = logline::capped(error, 3 * SHOWN_BYTES_MAX);
        format!("{error}: {ALLOWED}")
    })
}

/// Returns an entry as the value of a key.
#[must_use]
pub fn text(entry: &Entry) -> String {
    let Entry { connections, replicate } = entry;
    serde_json::json!({ "connections": connections, "replicate": replicate }).to_string()
}

pub(crate) fn too_long(bytes: usize) -> String {
    format!("{bytes} bytes are too many for the map of a bucket: give at most {VALUE_BYTES_MAX}")
}

/// Checks what is written of one bucket, but for the names of producers.
pub(crate) fn entry(parts: Unique<Part>, unsaid: Connections) -> Result<Entry, String> {
    let Unique(parts) = parts;
    let is_plain = parts.values().all(|part| matches!(part, Part::Text(_)));
    if is_plain {
        let sets = parts.into_iter().filter_map(|(producer, part)| match part {
            Part::Text(set) => Some((producer, set)),
            Part::Number(_) | Part::Sets(_) => None,
        });
        return Ok(Entry { connections: unsaid, replicate: desired(sets)? });
    }
    let (mut connections, mut replicate) = (unsaid, None);
    for (key, part) in parts {
        match (key.as_str(), part) {
            ("connections", Part::Number(count)) => {
                connections = Connections::new(count).map_err(|error| error.to_string())?;
            }
            ("replicate", Part::Sets(Unique(sets))) => replicate = Some(desired(sets)?),
            ("connections", _) => return Err(format!("connections is not a number: {ALLOWED}")),
            ("replicate", _) => return Err(format!("replicate is not an object: {ALLOWED}")),
            (other, _) => {
                let other = logline::capped(other, SHOWN_BYTES_MAX);
                return Err(format!("unknown key {other:?}: {ALLOWED}"));
            }
        }
    }
    let replicate = replicate.ok_or_else(|| format!("replicate is missing: {ALLOWED}"))?;
    Ok(Entry { connections, replicate })
}

fn desired(sets: impl IntoIterator<Item = (String, String)>) -> Result<Desired, String> {
    let mut checked = BTreeMap::new();
    for (producer, text) in sets {
        let set: VbSet = text.parse().map_err(|error| {
            let producer = logline::capped(&producer, SHOWN_BYTES_MAX);
            let error = logline::capped(error, 2 * SHOWN_BYTES_MAX);
            format!("producer {producer:?}: {error}")
        })?;
        checked.insert(producer, set);
    }
    Desired::new(checked).map_err(|error| logline::capped(error, 3 * SHOWN_BYTES_MAX))
}

fn unknown_producer(name: &str, producers: &BTreeSet<String>) -> String {
    let name = logline::capped(name, SHOWN_BYTES_MAX);
    let known: Vec<&str> = producers.iter().map(String::as_str).collect();
    let known = logline::capped(known.join(", "), 5 * SHOWN_BYTES_MAX);
    format!("unknown producer {name:?}: give one of {known}, or add a [[producer]] of this name")
}

#[cfg(test)]
mod tests {
    //! Both forms, and a table of refusals.

    use super::*;

    fn read(value: &str) -> Result<Entry, String> {
        let producers = ["alpha", "gamma", "replicate"].map(str::to_owned).into();
        parse(value.as_bytes(), Connections::new(3).unwrap(), &producers)
    }

    #[test]
    fn both_forms_are_read() {
        for (value, connections, sets) in [
            (r#"{"alpha":"0-511,600"}"#, 3, "alpha=0-511,600"),
            (r#" {"alpha":"1","gamma":"0,2"} "#, 3, "alpha=1 gamma=0,2"),
            (r#"{"replicate":{"alpha":"0-511"},"connections":2}"#, 2, "alpha=0-511"),
            (r#"{"connections":64,"replicate":{}}"#, 64, ""),
            (r#"{"replicate":{"replicate":"5"}}"#, 3, "replicate=5"),
            (r#"{"replicate":"5"}"#, 3, "replicate=5"),
            ("{}", 3, ""),
        ] {
            let entry = read(value).unwrap();
            let producers = entry.replicate.producers().iter();
            let found: Vec<_> = producers.map(|(name, set)| format!("{name}={set}")).collect();
            assert_eq!((entry.connections.count(), found.join(" ").as_str()), (connections, sets));
            assert_eq!(read(&text(&entry)), Ok(entry), "it is written as it is read");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_what_is_allowed() {
        for (value, why) in [
            ("", "EOF while parsing a value at line 1 column 0: give {"),
            ("not json", "expected ident at line 1 column 2: give {"),
            ("[]", "invalid type: sequence, expected an object in { }"),
            ("\"0-511\"", "invalid type: string \"0-511\", expected an object in { }"),
            ("{} {}", "trailing characters at line 1 column 4"),
            (r#"{"alpha":"0","alpha":"1"}"#, "duplicate key \"alpha\""),
            (r#"{"replicate":{"alpha":"0","alpha":"1"}}"#, "duplicate key \"alpha\""),
            (r#"{"replicate":{"alpha":0}}"#, "invalid type: integer `0`, expected a string"),
            (r#"{"alpha":null}"#, "invalid type: null, expected vBuckets as a text"),
            (r#"{"alpha":["0"]}"#, "invalid type: sequence, expected vBuckets as a text"),
            (r#"{"connections":-1,"replicate":{}}"#, "invalid type: integer `-1`"),
            (r#"{"connections":2.5,"replicate":{}}"#, "invalid type: floating point `2.5`"),
            (r#"{"alpha":"1024"}"#, "producer \"alpha\": vbucket 1024 is out of range: give 0 to"),
            (r#"{"alpha":"5-3"}"#, "producer \"alpha\": range 5-3 is reversed: write 3-5"),
            (r#"{"alpha":"3,3"}"#, "producer \"alpha\": vbucket 3 is named twice"),
            (r#"{"alpha":""}"#, "producer \"alpha\": an empty part"),
            (r#"{"alpha":"0-7","gamma":"7"}"#, "vb:7 is wanted from both alpha and gamma"),
            (r#"{"delta":"1"}"#, "unknown producer \"delta\": give one of alpha, gamma, replicate"),
            (r#"{"connections":2}"#, "replicate is missing: give {"),
            (r#"{"connections":0,"replicate":{}}"#, "0 connections for each producer: give 1 to"),
            (r#"{"connections":"2","replicate":{}}"#, "connections is not a number: give {"),
            (r#"{"replicate":"0","connections":2}"#, "replicate is not an object: give {"),
            (r#"{"replicate":{},"conections":2}"#, "unknown key \"conections\": give {"),
            (r#"{"replicate":{},"alpha":"0"}"#, "unknown key \"alpha\": give {"),
        ] {
            let refused = read(value).unwrap_err();
            assert!(refused.starts_with(why), "{value}: {refused}");
        }
    }

    #[test]
    fn a_refusal_is_short_however_long_the_value_is() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        assert!(read(&long).unwrap_err().starts_with("65537 bytes are too many"));
        let name = "n".repeat(50_000);
        for value in [
            format!(r#"{{"{name}":"0"}}"#),
            format!(r#"{{"alpha":"{name}"}}"#),
            format!(r#"{{"{name}":1}}"#),
            format!(r#"{{"replicate":{{}},"{name}":{{}}}}"#),
        ] {
            let refused = read(&value).unwrap_err();
            assert!(refused.len() < 700, "{} bytes: {refused}", refused.len());
        }
    }
}
