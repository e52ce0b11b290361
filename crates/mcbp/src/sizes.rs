//! The sizes of a frame, which every other module uses.

/// The length of a header in bytes.
pub const HEADER_BYTES: usize = 24;

/// The largest body that is accepted: a 20 MiB value, 1 MiB of extended attributes, key and extras,
/// with room to spare. kv_engine's own limit (`max_packet_size`) is 30 MiB.
pub const MAX_BODY_BYTES: u32 = 30 * 1024 * 1024;
