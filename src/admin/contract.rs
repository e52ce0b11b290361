//! What the descriptions of the handlers share in the OpenAPI document: parameters, errors, and the
//! schemas of events. `openapi` puts the document together.

mod answers;
mod event_schema;

use utoipa::IntoParams;

pub(super) use self::answers::{
    Always, Body, Bucket, Command, Defect, Occupied, Probe, Request, Revision, components,
};
pub(super) use self::event_schema::{EventFields, EventList, GapFields, LevelWord};

#[cfg(test)]
pub(super) use self::answers::STATUSES;

/// The bucket in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InBucket {
    /// A bucket of the configuration, percent-encoded.
    #[param(rename = "bucket", example = "default")]
    _bucket: String,
}

/// The bucket and the vBucket in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InVbucket {
    /// A bucket of the configuration, percent-encoded.
    #[param(rename = "bucket", example = "default")]
    _bucket: String,
    /// The vBucket.
    #[param(rename = "vb", minimum = 0, maximum = 1023, example = 7)]
    _vb: u16,
}

/// The header of a change that rests on a revision.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct OfRevision {
    /// The revision that the bucket must have, as in `ETag`; `*` for any. Without the header, any.
    #[param(rename = "If-Match", pattern = r#"^ *("*[0-9]+"*|\*) *$"#, example = "\"7\"")]
    _if_match: Option<String>,
}
