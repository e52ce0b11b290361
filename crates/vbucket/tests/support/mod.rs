//! Frames as text.

use mcbp::Frame;

/// Frames as text, all fields of them, for assertions that can be read.
pub(crate) fn text(frames: &[Vec<u8>]) -> Vec<String> {
    let one = |bytes: &Vec<u8>| {
        let frame = Frame::parse(bytes).unwrap();
        let header = frame.header;
        format!(
            "{:?} {} vb_or_status={:#x} opaque={} cas={:#x} datatype={} \
             extras={:02x?} key={:?} value={:02x?}",
            header.magic,
            header.opcode,
            header.vbucket_or_status,
            header.opaque,
            header.cas,
            header.datatype.0,
            frame.extras,
            String::from_utf8_lossy(frame.key),
            frame.value
        )
    };
    frames.iter().map(one).collect()
}
