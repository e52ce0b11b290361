//! Many documents in no order: their keys are spread over the range of keys of each vBucket, as
//! those of applications are, and follow from their number.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, VbId};

use crate::load;
use crate::server::{Server, VBUCKETS};

/// Bytes of a key.
pub(crate) const KEY_BYTES: u64 = 16;
/// Connections that write, and requests in flight on each.
const CONNECTIONS: usize = 4;
const DEPTH: u64 = 256;
/// Values are slices of this much noise.
const NOISE_BYTES: usize = 1 << 20;
/// The pause before what a node has refused for the moment is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Documents {
    /// Bytes of each value.
    pub(crate) value: usize,
    /// Added to each number, so that sets of documents have other keys.
    pub(crate) first: u64,
}

impl Documents {
    /// Stores the documents of these numbers, in their order, as fast as the node takes them.
    /// Returns how long that took.
    pub(crate) fn store(
        self,
        server: &Server,
        bucket: &str,
        numbers: Range<u64>,
    ) -> io::Result<Duration> {
        self.store_where(server, bucket, numbers, |_| true)
    }

    /// The same of those that are wanted.
    pub(crate) fn store_where(
        self,
        server: &Server,
        bucket: &str,
        numbers: Range<u64>,
        is_wanted: impl Fn(u64) -> bool + Sync,
    ) -> io::Result<Duration> {
        let (next, began) = (AtomicU64::new(numbers.start), Instant::now());
        let outcomes: Vec<io::Result<()>> = std::thread::scope(|scope| {
            let work = || self.store_some((server, bucket), &next, numbers.end, &is_wanted);
            let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
            let panicked = || Err(io::Error::other("a thread panicked"));
            workers.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked())).collect()
        });
        outcomes.into_iter().collect::<io::Result<()>>()?;
        Ok(began.elapsed())
    }

    fn store_some(
        self,
        (server, bucket): (&Server, &str),
        next: &AtomicU64,
        end: u64,
        is_wanted: &impl Fn(u64) -> bool,
    ) -> io::Result<()> {
        let noise = load::noise(self.value + NOISE_BYTES);
        let (mut connection, mut out) = (server.connect_to(bucket)?, Vec::new());
        loop {
            let from = next.fetch_add(DEPTH, Ordering::Relaxed);
            let batch = from..end.min(from + DEPTH);
            if batch.is_empty() {
                return Ok(());
            }
            out.clear();
            let mut count = 0;
            for n in batch.filter(|n| is_wanted(*n)) {
                let at = fastrand::usize(..NOISE_BYTES);
                let value = noise.get(at..at + self.value).unwrap_or_default();
                self.push(&mut out, Opcode::SET, n, value);
                count += 1;
            }
            connection.send(&out)?;
            while connection.temporary_failures(count)? > 0 {
                eprintln!("  documents from {from} on were refused for the moment");
                std::thread::sleep(RETRY_PAUSE);
                connection.send(&out)?;
            }
        }
    }

    /// Appends a get of document `n`.
    pub(crate) fn push_get(self, out: &mut Vec<u8>, n: u64) {
        self.push(out, Opcode::GET, n, &[]);
    }

    fn push(self, out: &mut Vec<u8>, opcode: Opcode, n: u64, value: &[u8]) {
        let extras = StoreExtras::default().encode();
        let extras: &[u8] = if opcode == Opcode::SET { &extras } else { &[] };
        let key = format!("{:016x}", mixed(self.first + n));
        let vb = VbId(u16::try_from(n % u64::from(VBUCKETS)).unwrap_or(0));
        let frame = FrameBuilder::request(opcode).vbucket(vb).extras(extras);
        out.extend_from_slice(&frame.key(key.as_bytes()).value(value).build());
    }
}

/// Another number for each, without an order. Source: the finalizer of `SplitMix64`.
const fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
