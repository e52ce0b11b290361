//! How types of the rules look in the JSON of the admin API, for its OpenAPI document.
//!
//! `replica` has the types and their serialization, and knows nothing of HTTP. A schema here stands
//! for one of them; the tests below serialize the real ones and compare. A set of words is open:
//! new words may come, so that a schema lists them as `x-extensible-enum` and not as `enum`.

use std::borrow::Cow;

use replica::bucket::{LinkPhase, MovePhase, StreamPhase};
use replica::link::{ReasonCode, Retry};
use replica::loops::LoopKind;
use serde::Serialize;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What `x-extensible-enum` is called; the tests of the document make an `enum` of it.
pub const OPEN_WORDS: &str = "x-extensible-enum";

/// The schema of a word out of an open set.
#[must_use]
pub fn open_words(description: &str, words: &[impl Serialize]) -> RefOr<Schema> {
    let words: Vec<_> = words.iter().filter_map(|it| serde_json::to_value(it).ok()).collect();
    let extensions = ExtensionsBuilder::new().add(OPEN_WORDS, words).build();
    let object = ObjectBuilder::new().schema_type(Type::String);
    let description = format!("{description}. New words may come");
    object.description(Some(description)).extensions(Some(extensions)).into()
}

/// Defines the schema of a type of `replica` that is one of several words. The list is complete:
/// a new variant does not compile.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident of $type:ident: $($variant:ident)+;)+) => {
        $($(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $name {
            /// Every value.
            pub const ALL: &'static [$type] = &[$($type::$variant,)+];

            /// Does not compile where a variant is missing above.
            const fn _is_complete(it: $type) {
                match it { $($type::$variant => {})+ }
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                open_words(concat!($($doc,)+).trim_start().trim_end_matches('.'), Self::ALL)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }
        })+
    };
}

words! {
    /// The phase of a link.
    LinkPhaseWord of LinkPhase: Connecting Up Unresponsive Waiting Closing Stopped;
    /// The phase of a stream.
    StreamPhaseWord of StreamPhase: Due Asked RollingBack Open HeldBack Waiting;
    /// The phase of a move, in this order; a takeover begins with `closing`.
    MovePhaseWord of MovePhase: Queued Opening Copying Closing TakingOver Examining;
    /// The kind of a retry loop.
    LoopWord of LoopKind: Rollback InvalidRequest Flapping Rival;
    /// When a retry may help; the sidecar retries by itself.
    RetryWord of Retry: AtOnce AfterBackoff AfterNewTopology Never;
    /// The kind of a failure.
    ReasonWord of ReasonCode: Refused RowRefused StreamGone Incomplete RollingBack Stalled
        Unresponsive StreamEnd Deadline LinkLost Rival Protocol Shut Loop Estimate ActiveHere
        AlreadyMoving Busy Stopping Internal;
}

/// A node's role.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Side, rename_all = "lowercase")]
pub enum SideWord {
    /// The node that this sidecar serves.
    Consumer,
    /// A node that it replicates from.
    Producer,
}

/// A set of vBuckets: numbers and ranges in ascending order with commas between them; empty for
/// none.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = VbSet, value_type = String, pattern = "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$",
    examples("0-511,600"))]
pub struct VbSetText(pub String);

/// Why a link or a stream is not open.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = Cause)]
pub struct CauseFields {
    /// The side at fault; `None` where none is.
    pub side: Option<SideWord>,
    /// What happened.
    pub reason: ReasonWord,
    /// What a data node answered; `None` where it answered nothing.
    #[schema(examples("NotMyVbucket (0x07)"))]
    pub status: Option<String>,
    /// The same for people, in one line.
    pub detail: String,
    /// When a retry may help.
    pub retry: RetryWord,
}

/// One vBucket for which a command failed.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = VbFailure)]
pub struct VbFailureFields {
    /// The bucket.
    #[schema(examples("default"))]
    pub bucket: String,
    /// The producer that the command named.
    #[schema(examples("alpha"))]
    pub producer: String,
    /// The vBucket.
    #[schema(minimum = 0, maximum = 1023, examples(7))]
    pub vbucket: u16,
    /// The side at fault; `None` where none is.
    pub side: Option<SideWord>,
    /// What happened.
    pub reason: ReasonWord,
    /// What a data node answered; `None` where it answered nothing.
    #[schema(examples("NotMyVbucket (0x07)"))]
    pub status: Option<String>,
    /// The same for people, in one line.
    pub detail: String,
    /// When a retry may help.
    pub retry: RetryWord,
}

/// How many moves have ended since the start of the bucket.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = MovesDone)]
pub struct MovesDoneFields {
    /// vBuckets that became active here.
    pub moved: u64,
    /// Moves that failed, or whose turn did not come before their deadline.
    pub failed: u64,
}

#[cfg(test)]
mod tests {
    use mcbp::VbId;
    use replica::bucket::{Cause, MovesDone, VbFailure};
    use serde_json::Value;

    use super::*;

    /// The properties of a schema, or the fields of a value.
    fn names(of: impl Serialize, key: Option<&str>) -> Vec<String> {
        let value = serde_json::to_value(of).unwrap();
        let object = key.map_or(&value, |key| &value[key]);
        object.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_fields_are_those_of_the_real_types() {
        let properties = Some("properties");
        let cause = Cause::Deadline;
        let failure = VbFailure {
            bucket: "default".to_owned(),
            producer: "alpha".to_owned(),
            vb: VbId(7),
            cause: cause.clone(),
        };
        assert_eq!(names(CauseFields::schema(), properties), names(&cause, None));
        assert_eq!(names(VbFailureFields::schema(), properties), names(&failure, None));
        let done = MovesDone::default();
        assert_eq!(names(MovesDoneFields::schema(), properties), names(done, None));
    }

    #[test]
    fn words_are_those_of_the_status() {
        let schema = serde_json::to_value(StreamPhaseWord::schema()).unwrap();
        let words = ["due", "asked", "rolling-back", "open", "held-back", "waiting"];
        assert_eq!(schema[OPEN_WORDS], Value::from(words.to_vec()));
        assert_eq!(schema["description"], "The phase of a stream. New words may come");
        for reason in ReasonWord::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name(), "{reason:?}");
        }
    }
}
