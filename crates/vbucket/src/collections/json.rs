//! The JSON of a manifest, as `GET_MANIFEST` answers it.

use serde_json::{Map, Value};

use super::change::Collection;
use super::manifest::Manifest;

impl Manifest {
    /// Returns the manifest as JSON without blanks, with members in kv_engine's order, which is
    /// that of their names: uids are strings of hexadecimal digits, `maxTTL` is a number, and what
    /// is false is left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        let scopes = self.by_scope().map(|(id, name, collections)| {
            let collections = collections.into_iter().map(|(id, of)| collection(id, of)).collect();
            object([
                ("collections", Some(Value::Array(collections))),
                ("name", Some(name.into())),
                ("uid", Some(hex(id.into()))),
            ])
        });
        let scopes = Value::Array(scopes.collect());
        object([("scopes", Some(scopes)), ("uid", Some(hex(self.uid)))]).to_string()
    }
}

/// Leaves out what has its default value. That of `maxTTL` is to be absent, not 0.
fn collection(id: u32, of: &Collection) -> Value {
    object([
        ("flush_uid", (of.flush_uid != 0).then(|| hex(of.flush_uid))),
        ("history", of.history.then_some(Value::Bool(true))),
        ("maxTTL", of.max_ttl.map(Value::from)),
        ("metered", of.metered.then_some(Value::Bool(true))),
        ("name", Some(of.name.as_str().into())),
        ("uid", Some(hex(id.into()))),
    ])
}

/// Members are given in the order of their names, so it does not matter whether the map sorts them.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(Map::from_iter(present))
}

fn hex(number: u64) -> Value {
    format!("{number:x}").into()
}
