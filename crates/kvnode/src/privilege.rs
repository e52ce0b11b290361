//! What users may do: privileges, the roles that have them, and which ones each command needs.
//! Pure.
//!
//! The names of privileges are those of kv_engine. A command that is not in the table of [`needs`]
//! needs [`Privilege::NodeSupervisor`]: a new one is forbidden to ordinary users until somebody has
//! decided.

use mcbp::dcp::{Open, open_flags};
use mcbp::{Frame, Opcode};

/// What a command may need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Privilege {
    /// Read documents.
    Read,
    /// Write documents.
    Upsert,
    /// Delete documents.
    Delete,
    /// Read seqnos and the metadata of documents.
    MetaRead,
    /// Write documents with the metadata of another cluster.
    MetaWrite,
    /// Read statistics.
    SimpleStats,
    /// Open DCP connections on which this node sends.
    DcpProducer,
    /// Open DCP connections on which this node receives.
    DcpConsumer,
    /// Set the states of vBuckets. kv_engine has one privilege for this and for the next.
    SetVbucket,
    /// Anything else that concerns the node or the whole bucket.
    NodeSupervisor,
}

use Privilege::{
    DcpConsumer, DcpProducer, Delete, MetaRead, MetaWrite, NodeSupervisor, Read, SetVbucket,
    SimpleStats, Upsert,
};

impl Privilege {
    const ALL: [Self; 10] = [
        Read,
        Upsert,
        Delete,
        MetaRead,
        MetaWrite,
        SimpleStats,
        DcpProducer,
        DcpConsumer,
        SetVbucket,
        NodeSupervisor,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Its name in kv_engine.
    const fn name(self) -> &'static str {
        match self {
            Read => "Read",
            Upsert => "Upsert",
            Delete => "Delete",
            MetaRead => "MetaRead",
            MetaWrite => "MetaWrite",
            SimpleStats => "SimpleStats",
            DcpProducer => "DcpProducer",
            DcpConsumer => "DcpConsumer",
            SetVbucket | NodeSupervisor => "NodeSupervisor",
        }
    }
}

/// A command is refused: its text has the first privilege that is missing, in the words of
/// kv_engine. The status is EACCESS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Denied(pub(crate) String);

/// A set of privileges.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Privileges(u16);

impl Privileges {
    const NONE: Self = Self(0);

    const fn of(list: &[Privilege]) -> Self {
        match list {
            [first, rest @ ..] => Self(first.bit() | Self::of(rest).0),
            [] => Self::NONE,
        }
    }

    /// Without those that reach beyond one bucket.
    pub(crate) const fn of_one_bucket(self) -> Self {
        Self(self.0 & !NodeSupervisor.bit())
    }

    /// Whether there are any.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Checks that they allow a command. Cheap: every command is checked.
    ///
    /// # Errors
    /// [`Denied`]
    #[inline]
    pub(crate) fn check(self, opcode: Opcode) -> Result<(), Denied> {
        let missing = NEEDS.get(usize::from(opcode.0)).map_or(0, |needs| needs.0 & !self.0);
        if missing == 0 { Ok(()) } else { refused(opcode, Self(missing)) }
    }

    /// Checks that they allow a DCP_OPEN, which needs another privilege for each direction.
    ///
    /// # Errors
    /// [`Denied`]
    pub(crate) fn check_dcp(self, frame: &Frame<'_>) -> Result<(), Denied> {
        let is_producer =
            Open::decode(frame).is_ok_and(|open| open.flags & open_flags::PRODUCER != 0);
        self.check_for(if is_producer { DcpProducer } else { DcpConsumer }, frame.opcode())
    }

    /// Checks that they allow a GET_CMD_TIMER for the bucket that they are about.
    ///
    /// # Errors
    /// [`Denied`]
    pub(crate) fn check_times_of_bucket(self) -> Result<(), Denied> {
        self.check_for(SimpleStats, Opcode::GET_CMD_TIMER)
    }

    /// Checks that they allow a GET_CMD_TIMER for what concerns no bucket.
    ///
    /// # Errors
    /// [`Denied`]
    pub(crate) fn check_times_of_node(self) -> Result<(), Denied> {
        self.check_for(NodeSupervisor, Opcode::GET_CMD_TIMER)
    }

    fn check_for(self, needed: Privilege, opcode: Opcode) -> Result<(), Denied> {
        let missing = Self(needed.bit() & !self.0);
        if missing.is_empty() { Ok(()) } else { refused(opcode, missing) }
    }
}

#[cold]
fn refused(opcode: Opcode, missing: Privileges) -> Result<(), Denied> {
    // That an opcode does not exist is no secret.
    let missing = Privilege::ALL.into_iter().find(|it| missing.0 & it.bit() != 0);
    let (Some(name), Some(missing)) = (opcode.name(), missing) else { return Ok(()) };
    let missing = missing.name();
    Err(Denied(format!(
        "Authorization failure: can't execute {name} operation without the {missing} privilege"
    )))
}

/// What a user is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Role {
    /// Everything.
    #[default]
    Admin,
    /// Reads and writes documents.
    ReadWrite,
    /// Reads documents.
    ReadOnly,
    /// What a sidecar needs: DCP in both directions, seqnos, statistics, states of vBuckets.
    Replication,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::ReadWrite, Self::ReadOnly, Self::Replication];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Replication => "replication",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    pub(crate) const fn privileges(self) -> Privileges {
        match self {
            Self::Admin => Privileges::of(&Privilege::ALL),
            Self::ReadWrite => {
                Privileges::of(&[Read, Upsert, Delete, MetaRead, MetaWrite, SimpleStats])
            }
            Self::ReadOnly => Privileges::of(&[Read, MetaRead, SimpleStats]),
            Self::Replication => {
                Privileges::of(&[MetaRead, SimpleStats, DcpProducer, DcpConsumer, SetVbucket])
            }
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// [`needs`] of every opcode.
static NEEDS: [Privileges; 256] = table();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when it is compiled, with all of the 256 opcodes"
)]
const fn table() -> [Privileges; 256] {
    let mut table = [Privileges::NONE; 256];
    let mut opcode = 0;
    while opcode < table.len() {
        table[opcode] = needs(Opcode(opcode as u8));
        opcode += 1;
    }
    table
}

/// What a command needs.
const fn needs(opcode: Opcode) -> Privileges {
    let list: &[Privilege] = match opcode.0 {
        // The connection itself: QUIT, QUITQ, NOOP, VERSION, HELLO, SASL, LIST_BUCKETS,
        // SELECT_BUCKET, GET_ERROR_MAP, GET_CLUSTER_CONFIG.
        0x07 | 0x17 | 0x0a | 0x0b | 0x1f..=0x22 | 0x87 | 0x89 | 0xfe | 0xb5 => &[],
        // GET_VBUCKET; GET_CMD_TIMER, DCP_OPEN, which have checks of their own, and what it begins.
        0x3e | 0xf3 | 0x50..=0x67 => &[],
        // COLLECTIONS_GET_MANIFEST, _GET_ID, _GET_SCOPE_ID: a client needs them to read.
        0xba..=0xbc => &[],
        // GET, GETQ, GETK, GETKQ, GET_REPLICA, GET_RANDOM_KEY, GET_KEYS.
        0x00 | 0x09 | 0x0c | 0x0d | 0x83 | 0xb6 | 0xb8 => &[Read],
        // Sub-document GET, EXISTS, MULTI_LOOKUP, GET_COUNT; range scans.
        0xc5 | 0xc6 | 0xd0 | 0xd2 | 0xda..=0xdc => &[Read],
        // SET, ADD, REPLACE, APPEND, PREPEND, each also quiet, TOUCH.
        0x01..=0x03 | 0x0e | 0x0f | 0x11..=0x13 | 0x19 | 0x1a | 0x1c => &[Upsert],
        // Changes of sub-documents that return nothing of them.
        0xc7..=0xce => &[Upsert],
        // INCREMENT, DECREMENT, GAT, each also quiet; GET_LOCKED, UNLOCK_KEY, as a lock keeps
        // others from writing; sub-document COUNTER, MULTI_MUTATION, REPLACE_BODY_WITH_XATTR.
        0x05 | 0x06 | 0x15 | 0x16 | 0x1d | 0x1e | 0x94 | 0x95 | 0xcf | 0xd1 | 0xd3 => {
            &[Read, Upsert]
        }
        // DELETE, DELETEQ.
        0x04 | 0x14 => &[Delete],
        // STAT.
        0x10 => &[SimpleStats],
        // GET_ALL_VB_SEQNOS, OBSERVE_SEQNO, OBSERVE, GET_FAILOVER_LOG, GET_META, GETQ_META,
        // SEQNO_PERSISTENCE.
        0x48 | 0x91 | 0x92 | 0x96 | 0xa0 | 0xa1 | 0xb7 => &[MetaRead],
        // SET_, ADD_ and DELETE_WITH_META, each also quiet.
        0xa2..=0xa5 | 0xa8 | 0xa9 => &[MetaWrite],
        // SET_VBUCKET.
        0x3d => &[SetVbucket],
        // DEL_VBUCKET, EVICT_KEY, COMPACT_DB, SET_CLUSTER_CONFIG, ENABLE_TRAFFIC, and the rest.
        _ => &[NodeSupervisor],
    };
    Privileges::of(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(role: Role, opcode: u8) -> bool {
        role.privileges().check(Opcode(opcode)).is_ok()
    }

    const CONNECTION: &[u8] =
        &[0x07, 0x0a, 0x0b, 0x17, 0x1f, 0x20, 0x21, 0x22, 0x3e, 0x87, 0x89, 0xb5, 0xf3, 0xfe];
    const READS: &[u8] = &[0x00, 0x09, 0x0c, 0x0d, 0x83, 0xb6, 0xb8, 0xc5, 0xc6, 0xd0, 0xd2];
    const METADATA: &[u8] = &[0x10, 0x48, 0x91, 0x92, 0x96, 0xa0, 0xa1, 0xb7];
    const WRITES: &[u8] = &[
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0e, 0x0f, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x19,
        0x1a, 0x1c, 0x1d, 0x1e, 0x94, 0x95, 0xa2, 0xa3, 0xa4, 0xa5, 0xa8, 0xa9, 0xc7, 0xc8, 0xc9,
        0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd1, 0xd3,
    ];
    const STATES: &[u8] = &[0x3d];

    /// Exhaustive: what is in no list is for admins alone, or does not exist.
    #[test]
    fn each_role_may_execute_its_commands_and_no_others() {
        for opcode in 0..=u8::MAX {
            let is_in = |list: &[u8]| list.contains(&opcode);
            let is_free = is_in(CONNECTION) || Opcode(opcode).is_dcp();
            let is_free = is_free || (0xba..=0xbc).contains(&opcode);
            let is_read = is_in(READS) || (0xda..=0xdc).contains(&opcode);
            let is_unknown = Opcode(opcode).name().is_none();
            let reads = is_unknown || is_free || is_read || is_in(METADATA);
            let want = [
                (Role::Admin, true),
                (Role::ReadWrite, reads || is_in(WRITES)),
                (Role::ReadOnly, reads),
                (Role::Replication, is_unknown || is_free || is_in(METADATA) || is_in(STATES)),
            ];
            for (role, want) in want {
                assert_eq!(may(role, opcode), want, "{role} {}", Opcode(opcode));
            }
        }
    }

    #[test]
    fn nobody_but_an_admin_changes_the_node() {
        let of_admins = [
            Opcode::DEL_VBUCKET,
            Opcode::COMPACT_DB,
            Opcode::SET_CLUSTER_CONFIG,
            Opcode::EVICT_KEY,
            Opcode::ENABLE_TRAFFIC,
            Opcode::FLUSH,
            Opcode::DELETE_BUCKET,
            Opcode::COLLECTIONS_SET_MANIFEST,
        ];
        for opcode in of_admins {
            for role in Role::ALL {
                assert_eq!(may(role, opcode.0), role == Role::Admin, "{role} {opcode}");
            }
            let beyond = Role::Admin.privileges().of_one_bucket();
            beyond.check(opcode).unwrap_err();
        }
    }

    #[test]
    fn dcp_has_a_privilege_for_each_direction() {
        for (flags, name) in [(0_u32, "DcpConsumer"), (1, "DcpProducer")] {
            let open = Open { flags, name: b"name", value: b"" }.build(mcbp::Opaque(0));
            let frame = Frame::parse(&open).unwrap();
            for role in Role::ALL {
                let checked = role.privileges().check_dcp(&frame);
                let may = matches!(role, Role::Admin | Role::Replication);
                assert_eq!(checked.is_ok(), may, "{role}");
                if let Err(Denied(said)) = checked {
                    let text = format!("can't execute DCP_OPEN operation without the {name} priv");
                    assert!(said.contains(&text), "{said}");
                }
            }
        }
    }

    #[test]
    fn a_refusal_names_the_privilege_as_kv_engine_does() {
        let Denied(said) = Role::ReadOnly.privileges().check(Opcode::DEL_VBUCKET).unwrap_err();
        let text = "Authorization failure: can't execute DEL_VBUCKET operation without the \
                    NodeSupervisor privilege";
        assert_eq!(said, text);
    }

    #[test]
    fn roles_have_names() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.name()), Some(role));
        }
        assert_eq!(Role::named("Admin"), None);
    }
}
