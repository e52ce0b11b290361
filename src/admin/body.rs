//! Reads and parses the bodies of requests, within bounds; unknown fields are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use desired::Selection;
use mcbp::VbId;
use replica::plan::{Desired, VBUCKETS_MAX, VbSet};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use tokio::time::timeout;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

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

/// The number of a vBucket in a path or a query.
pub(super) fn vbucket(text: &str) -> Result<VbId, ApiError> {
    let number = text.parse::<u16>().ok().filter(|&number| number < VBUCKETS_MAX);
    let last = VBUCKETS_MAX - 1;
    let wrong = || ApiError::Wrong(format!("invalid vBucket {text:?}: give 0 to {last}"));
    number.map(VbId).ok_or_else(wrong)
}

/// `{"from": "alpha"}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FromProducer, examples(json!({"from": "alpha"})))]
pub(super) struct From {
    /// The producer.
    pub(super) from: String,
}

/// `{"from": "alpha", "vbuckets": "0-511,600"}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetFromProducer, examples(json!({"from": "alpha", "vbuckets": "0-511,600"})))]
pub(super) struct FromSet {
    /// The producer.
    pub(super) from: String,
    /// The vBuckets, as a set in text.
    #[schema(value_type = AskedSet)]
    vbuckets: String,
}

impl FromSet {
    /// Parses the vBuckets: at least one, each once.
    pub(super) fn set(&self) -> Result<VbSet, ApiError> {
        self.vbuckets.parse().map_err(|error| ApiError::Wrong(format!("vbuckets: {error}")))
    }
}

/// `{"connections": 4}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetConnections, examples(json!({"connections": 4})))]
pub(super) struct Connections {
    /// The number of connections to each producer.
    #[schema(minimum = 1, maximum = 64)]
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"producer": "alpha", "vbuckets": "0-511"})))]
pub(super) struct Select {
    /// Those that come from it now.
    producer: Option<String>,
    /// These; with both, those that are meant by both.
    #[schema(value_type = Option<AskedSet>)]
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    /// All links to it.
    producer: Option<String>,
    /// Only this one of them.
    #[schema(minimum = 0, maximum = 255)]
    connection: Option<u8>,
    /// These streams.
    #[schema(value_type = Option<AskedSet>)]
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

/// `{"vbuckets": "0-9"}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RenewCopies, examples(json!({"vbuckets": "0-9"})))]
pub(super) struct Copies {
    /// The vBuckets whose copies are made anew.
    #[schema(value_type = AskedSet)]
    pub(super) vbuckets: VbSet,
}

/// `{"bucket": "default"}`, or `{}` for all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneOrAll {
    /// The bucket.
    pub(super) bucket: Option<String>,
}

/// A set of vBuckets, as a request has it.
struct AskedSet;

impl PartialSchema for AskedSet {
    /// The text that [`VbSet`] parses, but for ranges that end before they begin and vBuckets that
    /// are named twice.
    fn schema() -> RefOr<Schema> {
        let number = r"\s*0*([0-9]{1,3}|10[01][0-9]|102[0-3])\s*";
        let range = format!("{number}(-{number})?");
        let text = "A set of vBuckets: numbers below 1,024 and ranges, in any order, with commas \
                    between them; at least one, each once";
        let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(text));
        schema.pattern(Some(format!("^{range}(,{range})*$"))).examples(["0-511,600"]).into()
    }
}

impl ToSchema for AskedSet {}

/// `{"alpha": "0-511,600", "gamma": "512-599"}`: producers of the configuration, each at most once.
#[derive(Debug, ToSchema)]
#[schema(value_type = BTreeMap<String, AskedSet>)]
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
