//! One difference between two nodes, as a line for people and as a line of JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcbp::{Seqno, VbId};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::Class;

/// A key with its collection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The id of the collection; 0 is the default collection.
    pub collection: u32,
    /// The key without the prefix of its collection.
    pub key: Box<[u8]>,
}

/// What one node has of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// The seqno of its newest change.
    pub seqno: Seqno,
    /// Its compare-and-swap token.
    pub cas: u64,
    /// Its revision.
    pub revision: u64,
    /// Whether it is a deletion.
    pub deleted: bool,
}

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The vBucket.
    pub vb: VbId,
    /// What is different; of several things, the most important one.
    pub class: Class,
    /// Everything that is different, beginning with `class`.
    pub fields: Vec<Class>,
    /// The key; `None` where the whole vBucket is meant.
    pub key: Option<Key>,
    /// What node A has of the key.
    pub a: Option<Version>,
    /// What node B has of the key.
    pub b: Option<Version>,
    /// All that in words, with the names of the nodes, without the vBucket.
    pub what: String,
}

impl Difference {
    /// A difference of a whole vBucket.
    #[must_use]
    pub fn of_vbucket(vb: VbId, class: Class, what: String) -> Self {
        Self { vb, class, fields: vec![class], key: None, a: None, b: None, what }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.vb, self.what)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.key.escape_ascii())?;
        if self.collection != 0 {
            write!(f, " of collection {:#x}", self.collection)?;
        }
        Ok(())
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut version = serializer.serialize_struct("Version", 4)?;
        version.serialize_field("seqno", &self.seqno.0)?;
        // As text: a program that reads numbers as floating point would round it.
        version.serialize_field("cas", &self.cas.to_string())?;
        version.serialize_field("revision", &self.revision)?;
        version.serialize_field("deleted", &self.deleted)?;
        version.end()
    }
}

/// Without the fields that say nothing here. A key that is not UTF-8 is `key_base64`.
impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Difference", 8)?;
        line.serialize_field("vb", &self.vb.0)?;
        line.serialize_field("class", &self.class)?;
        line.serialize_field("fields", &self.fields)?;
        if let Some(Key { collection, key }) = &self.key {
            match std::str::from_utf8(key) {
                Ok(key) => line.serialize_field("key", key)?,
                Err(_) => line.serialize_field("key_base64", &STANDARD.encode(key))?,
            }
            if *collection != 0 {
                line.serialize_field("collection", &format!("{collection:#x}"))?;
            }
            line.serialize_field("a", &self.a)?;
            line.serialize_field("b", &self.b)?;
        }
        line.serialize_field("what", &self.what)?;
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_what_there_is_to_say() {
        let a = Version { seqno: Seqno(7), cas: u64::MAX, revision: 2, deleted: false };
        let key = Key { collection: 0, key: (*b"doc\"1").into() };
        let mut difference = Difference {
            vb: VbId(5),
            class: Class::Missing,
            fields: vec![Class::Missing],
            key: Some(key),
            a: Some(a),
            b: None,
            what: "key \"doc\\\"1\" is on alpha and not on beta".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&difference).unwrap(),
            concat!(
                r#"{"vb":5,"class":"missing","fields":["missing"],"key":"doc\"1","#,
                r#""a":{"seqno":7,"cas":"18446744073709551615","revision":2,"deleted":false},"#,
                r#""b":null,"what":"key \"doc\\\"1\" is on alpha and not on beta"}"#
            )
        );
        difference.key = Some(Key { collection: 8, key: (*b"\xff\0").into() });
        let json = serde_json::to_string(&difference).unwrap();
        assert!(json.contains(r#""key_base64":"/wA=","collection":"0x8","#), "{json}");
        let whole = Difference::of_vbucket(VbId(1), Class::Behind, "late".to_owned());
        assert_eq!(
            serde_json::to_string(&whole).unwrap(),
            r#"{"vb":1,"class":"behind","fields":["behind"],"what":"late"}"#
        );
        assert_eq!(whole.to_string(), "vb:1: late");
    }
}
