//! When the streams of a producer read the disk: each chunk of a backfill waits for a slot.

use mcbp::VbId;

use super::context::Context;
use super::stream::{ActiveStream, Origin, StreamKey};
use super::{DiskRead, Effect, Producer, StreamId};

impl Producer {
    pub(super) fn disk_read(
        &mut self,
        vb: VbId,
        stream: StreamId,
        read: DiskRead,
        cx: &mut Context<'_>,
    ) {
        let key = StreamKey { vb, sid: stream.sid };
        let current = self.streams.get_mut(&key).filter(|current| current.id == stream);
        if let Some(ActiveStream { origin: Origin::Disk(backfill), .. }) = current {
            backfill.on_read(read);
            self.slots.set_large_bytes(key, backfill.large_bytes());
            self.wake(key);
            self.read_large(cx);
        }
    }

    /// Has the next chunk read, once the stream has a backfill slot.
    pub(super) fn read_disk(&mut self, key: StreamKey, cx: &mut Context<'_>) {
        let Some(ActiveStream { origin: Origin::Disk(backfill), .. }) = self.streams.get(&key)
        else {
            return;
        };
        let large = backfill.large_row();
        if self.slots.acquire(key)
            && let Some(row_bytes_max) = self.slots.row_bytes_max(key, large)
        {
            self.ask_disk(key, row_bytes_max, cx);
        }
        self.read_large(cx);
    }

    /// Has those rows larger than a chunk read for which there is room now.
    fn read_large(&mut self, cx: &mut Context<'_>) {
        while let Some((key, bytes)) = self.slots.grant_large() {
            self.ask_disk(key, bytes, cx);
        }
    }

    fn ask_disk(&mut self, key: StreamKey, row_bytes_max: usize, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.get(&key) {
            let (vb, stream, start) = (key.vb, stream.id, stream.cursor.next());
            cx.effects.push(Effect::ReadDisk { vb, stream, start, row_bytes_max });
        }
    }

    /// Passes on to the next stream what this one no longer needs to read the disk.
    pub(super) fn release_slot(&mut self, key: StreamKey, cx: &mut Context<'_>) {
        match self.streams.get(&key).map(|stream| &stream.origin) {
            Some(Origin::Disk(backfill)) if backfill.is_reading() => {}
            Some(Origin::Disk(backfill)) => self.slots.set_large_bytes(key, backfill.large_bytes()),
            Some(Origin::Memory(_)) | None => {
                if let Some(next) = self.slots.release(key) {
                    self.read_disk(next, cx);
                }
            }
        }
        self.read_large(cx);
    }
}
