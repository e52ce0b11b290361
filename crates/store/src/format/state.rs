//! The state file: the version of the format, how the store was left, how much must be there.

use super::checksum::{concat, verified, with_checksum};

const MAGIC: &[u8; 8] = b"dcpstore";
/// The version of everything in the directory. Raise it with any change to keys, values or files.
const VERSION: u32 = 5;
/// The oldest version that is read: in version 4 no commit writes steps.
const OLDEST: u32 = 4;
const UNCLEAN: u32 = 0;
const CLEAN: u32 = 1;

/// What the state file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// The last run ended with a close.
    pub clean: bool,
    /// Every commit up to this number was synced.
    pub synced: u64,
}

/// Why a state file is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StateFlaw {
    /// Its bytes are not what was written.
    Damaged(&'static str),
    /// Another version of the program wrote the store; what to do.
    Version(String),
}

impl State {
    /// The state of a store without a commit.
    pub(crate) const NEW: Self = Self { clean: false, synced: 0 };

    /// magic 8, version 4, clean 4, synced 8, crc 4.
    pub(crate) fn encode(self) -> Vec<u8> {
        let clean = if self.clean { CLEAN } else { UNCLEAN };
        let body: [u8; 24] = concat(&[
            MAGIC,
            &VERSION.to_be_bytes(),
            &clean.to_be_bytes(),
            &self.synced.to_be_bytes(),
        ]);
        with_checksum(body.to_vec(), &[])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StateFlaw> {
        let body = verified(bytes, &[]).map_err(StateFlaw::Damaged)?;
        let fields = body.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk());
        let (version, rest) = fields.ok_or(StateFlaw::Damaged("it is of another program"))?;
        let version = u32::from_be_bytes(*version);
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(StateFlaw::Version(format!(
                "it was written by format version {version}, this program reads versions {OLDEST} \
                 and {VERSION}: use the program that wrote it, or start with an empty directory"
            )));
        }
        let (clean, synced) =
            rest.split_first_chunk().ok_or(StateFlaw::Damaged("it has another length"))?;
        let clean = match u32::from_be_bytes(*clean) {
            UNCLEAN => false,
            CLEAN => true,
            _ => return Err(StateFlaw::Damaged("it was left neither clean nor unclean")),
        };
        let synced = synced.try_into().map_err(|_| StateFlaw::Damaged("it has another length"))?;
        Ok(Self { clean, synced: u64::from_be_bytes(synced) })
    }
}
