//! Why an operation fails.

/// Why an operation fails, each with a status of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing is there.
    #[error("nothing is at the path")]
    PathNotFound,
    /// Something else is there: a name in an array, an index in an object, anything in a number.
    #[error("the path goes through a value of another kind")]
    PathMismatch,
    /// The path has no such form, or not the one that the operation needs.
    #[error("the path is none, or none for this operation")]
    PathInvalid,
    /// The path has more than [`PARTS_MAX`](crate::PARTS_MAX) parts.
    #[error("the path has too many parts")]
    PathTooDeep,
    /// The document has more than [`LEVELS_MAX`](crate::LEVELS_MAX) levels.
    #[error("the document has too many levels")]
    DocTooDeep,
    /// The value is no JSON, or cannot stand there.
    #[error("the value cannot be inserted")]
    ValueCannotInsert,
    /// The document is no JSON.
    #[error("the document is no JSON")]
    DocNotJson,
    /// The stored number does not fit into 64 bits.
    #[error("the number is out of range")]
    NumberOutOfRange,
    /// A counter is changed by no number, or by 0.
    #[error("the change of the counter is none")]
    DeltaInvalid,
    /// Something is there already.
    #[error("the path exists")]
    PathExists,
    /// With the value the document would have too many levels.
    #[error("the value makes the document too deep")]
    ValueTooDeep,
}

impl Fault {
    /// The status on the wire, as kv_engine has it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::PathNotFound => 0xc0,
            Self::PathMismatch => 0xc1,
            Self::PathInvalid => 0xc2,
            Self::PathTooDeep => 0xc3,
            Self::DocTooDeep => 0xc4,
            Self::ValueCannotInsert => 0xc5,
            Self::DocNotJson => 0xc6,
            Self::NumberOutOfRange => 0xc7,
            Self::DeltaInvalid => 0xc8,
            Self::PathExists => 0xc9,
            Self::ValueTooDeep => 0xca,
        }
    }
}
