//! Reads and parses the bodies of requests, within bounds; unknown fields are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use desired::Selection;
use replica::plan::{Desired, VbSet};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use tokio::time::timeout;

use super::error::ApiError;
use super::words;

/// The longest body. A desired map that names 1,024 vBuckets one by one takes 5 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take to arrive: it is a few packets.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Reads the whole body as JSON.
pub(super) async fn json<T: DeserializeOwned>(payload: Payload) -> Result<T, ApiError> {
    let read = timeout(BODY_WAIT, payload.to_bytes_limited(BODY_BYTES_MAX));
    let bytes: Bytes = match read.await {
        Err(_) => return Err(ApiError::Slow),
        Ok(Err(_)) => return Err(ApiError::Long { limit: BODY_BYTES_MAX }),
        Ok(Ok(Err(error))) => {
            return Err(ApiError::Wrong(format!("the body was cut off: {error}")));
        }
        Ok(Ok(Ok(bytes))) => bytes,
    };
    words::object(&bytes).map_err(ApiError::Wrong)
}

/// Refuses a producer that is not in the configuration.
pub(super) fn known(producer: &str, producers: &[String]) -> Result<(), ApiError> {
    if producers.iter().any(|name| name == producer) {
        return Ok(());
    }
    let names = producers.join(", ");
    Err(ApiError::Wrong(format!("unknown producer {producer:?}: give one of {names}")))
}

/// `{"from": "alpha"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    /// The producer.
    pub(super) from: String,
}

/// `{"from": "alpha", "vbuckets": "0-511,600"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromSet {
    /// The producer.
    pub(super) from: String,
    /// The vBuckets, as a set in text.
    vbuckets: String,
}

impl FromSet {
    /// Parses the vBuckets: at least one, each once.
    pub(super) fn set(&self) -> Result<VbSet, ApiError> {
        self.vbuckets.parse().map_err(|error| ApiError::Wrong(format!("vbuckets: {error}")))
    }
}

/// `{"connections": 4}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connections {
    /// The number of connections to each producer.
    connections: u64,
}

impl Connections {
    /// Parses the number: 1 to 64.
    pub(super) fn count(&self) -> Result<replica::plan::Connections, ApiError> {
        let checked = replica::plan::Connections::new(self.connections);
        checked.map_err(|error| ApiError::Wrong(error.to_string()))
    }
}

/// `{"producer": "alpha", "vbuckets": "0-511"}`; each may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Select {
    producer: Option<String>,
    vbuckets: Option<VbSet>,
}

impl Select {
    /// Checks the producer.
    pub(super) fn selection(self, producers: &[String]) -> Result<Selection, ApiError> {
        let Self { producer, vbuckets } = self;
        if let Some(producer) = &producer {
            known(producer, producers)?;
        }
        Ok(Selection { producer, vbuckets })
    }
}

/// `{"producer": "alpha", "connection": 0}` for links, `{"vbuckets": "0-9"}` for streams.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    producer: Option<String>,
    connection: Option<u8>,
    vbuckets: Option<VbSet>,
}

impl Restart {
    /// Checks that it names either links or streams.
    pub(super) fn checked(self, producers: &[String]) -> Result<dcp_actors::Restart, ApiError> {
        let Self { producer, connection, vbuckets } = self;
        match (producer, connection, vbuckets) {
            (Some(producer), connection, None) => {
                known(&producer, producers)?;
                Ok(dcp_actors::Restart::Links { producer, connection })
            }
            (None, None, Some(vbuckets)) => Ok(dcp_actors::Restart::Streams(vbuckets)),
            _ => {
                let text = "give producer, and connection if only one of its links is meant; or \
                            vbuckets";
                Err(ApiError::Wrong(text.to_owned()))
            }
        }
    }
}

/// `{"bucket": "default"}`, or `{}` for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneOrAll {
    /// The bucket.
    pub(super) bucket: Option<String>,
}

/// `{"alpha": "0-511,600", "gamma": "512-599"}`, each name at most once.
#[derive(Debug)]
pub(super) struct Replicate(BTreeMap<String, String>);

impl Replicate {
    /// Parses the desired map: known producers, vBuckets in range, each at most once.
    pub(super) fn desired(self, producers: &[String]) -> Result<Desired, ApiError> {
        let mut sets = BTreeMap::new();
        for (producer, text) in self.0 {
            known(&producer, producers)?;
            let wrong = |error| ApiError::Wrong(format!("producer {producer:?}: {error}"));
            let set: VbSet = text.parse().map_err(wrong)?;
            sets.insert(producer, set);
        }
        Desired::new(sets).map_err(|error| ApiError::Wrong(error.to_string()))
    }
}

impl<'de> Deserialize<'de> for Replicate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Replicate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map such as {\"alpha\": \"0-511,600\"}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Replicate, A::Error> {
                let mut sets = BTreeMap::new();
                while let Some((producer, set)) = map.next_entry::<String, String>()? {
                    let again = A::Error::custom(format_args!("duplicate key {producer:?}"));
                    if sets.insert(producer, set).is_some() {
                        return Err(again);
                    }
                }
                Ok(Replicate(sets))
            }
        }
        from.deserialize_map(Map)
    }
}
