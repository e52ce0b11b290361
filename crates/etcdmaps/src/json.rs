//! The JSON of maps as written: strict, so that no key is lost by being there twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// An object whose keys are each there once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unique<T>(pub(crate) BTreeMap<String, T>);

/// A member of the object of one bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// A set of vBuckets.
    Text(String),
    /// A number of connections.
    Number(u64),
    /// Sets of vBuckets by producer.
    Sets(Unique<String>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object in { }")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if members.contains_key(&key) {
                        let key = logline::capped(&key, 100);
                        return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
                    }
                    members.insert(key, map.next_value()?);
                }
                Ok(Unique(members))
            }
        }
        from.deserialize_map(Object(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("vBuckets as a text such as \"0-511,600\"")
            }
            fn visit_str<E>(self, text: &str) -> Result<Part, E> {
                Ok(Part::Text(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Part, E> {
                Ok(Part::Number(number))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
                Unique::deserialize(MapAccessDeserializer::new(map)).map(Part::Sets)
            }
        }
        from.deserialize_any(Any)
    }
}
