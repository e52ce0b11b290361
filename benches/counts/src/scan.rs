//! The scan of a read: how many frames are whole, and what follows them.

use bytes::Bytes;
use gungraun::library_benchmark;
use mcbp::scan::Next;

use crate::frames::{CONTROL, mixed, same, with_control};

// Scans a buffer as a pump does that forwards everything.
#[library_benchmark]
#[bench::of_64_bytes(same(64))]
#[bench::of_256_bytes(same(256))]
#[bench::of_1_kib(same(1024))]
#[bench::of_16_kib(same(16_384))]
#[bench::mixed(mixed())]
#[bench::with_control(with_control(256))]
fn scan_frames(buffer: Bytes) -> (Bytes, usize) {
    let (mut at, mut frames) = (0, 0);
    while let Some(rest) = buffer.get(at..) {
        let found = mcbp::scan::scan(rest, &CONTROL);
        at += found.run_bytes;
        frames += found.run_frames;
        let Next::Control { header, .. } = found.next else { break };
        at += header.frame_bytes();
        frames += 1;
    }
    (buffer, frames)
}
