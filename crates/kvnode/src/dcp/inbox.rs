//! The memory of a large frame that is being read: taken from the account before the frame is read,
//! and given back once it is whole. A peer that leaves a frame unfinished holds memory that others
//! may want.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::future::BoxFuture;
use mcbp::Header;
use tokio::time::Instant;

use crate::account::{Account, Lease};

/// A frame is large beyond this: then its buffer grows for it.
const LARGE_BYTES_MIN: usize = 1024 * 1024;
/// How long a peer that has begun a large frame may take for its next byte.
const STALL: Duration = Duration::from_secs(60);
/// The same while others wait for memory.
const STALL_WANTED: Duration = Duration::from_secs(10);
/// What one look at the frame adds to its silence at most: while this side does not read, or the
/// process is stopped, nobody looks, and the peer is not to blame.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Inbox {
    account: Arc<Account>,
    lease: Option<Lease>,
    taking: Option<BoxFuture<'static, Lease>>,
    /// How much of the frame had arrived at the last look.
    seen_bytes: usize,
    looked: Instant,
    /// How long the peer has sent nothing while this side read.
    silent: Duration,
}

impl Inbox {
    pub(super) fn new(account: Arc<Account>) -> Self {
        let (looked, silent) = (Instant::now(), Duration::ZERO);
        Self { account, lease: None, taking: None, seen_bytes: 0, looked, silent }
    }

    /// Looks at what was read. Returns whether more may be read now.
    pub(super) fn may_read(&mut self, input: &mut BytesMut) -> bool {
        let Some(frame_bytes) = large_frame(input) else {
            (self.lease, self.taking) = (None, None);
            return true;
        };
        if self.lease.is_none() {
            let account = &self.account;
            self.taking.get_or_insert_with(|| {
                let account = Arc::clone(account);
                Box::pin(async move { account.take_for_replication(frame_bytes).await })
            });
            return false;
        }
        input.reserve(frame_bytes.saturating_sub(input.len()));
        true
    }

    /// Waits until memory that was asked for is there; for ever if none was. Safe to drop.
    pub(super) async fn granted(&mut self) {
        match &mut self.taking {
            Some(taking) => {
                self.lease = Some(taking.await);
                self.taking = None;
                (self.looked, self.silent) = (Instant::now(), Duration::ZERO);
            }
            None => std::future::pending().await,
        }
    }

    /// Returns why the peer is given up, if it has begun a large frame and does not go on. To be
    /// called while more is read.
    pub(super) fn stalled(&mut self, input_bytes: usize) -> Option<String> {
        let lease = self.lease.as_ref()?;
        let since_look = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        if std::mem::replace(&mut self.seen_bytes, input_bytes) != input_bytes {
            self.silent = Duration::ZERO;
            return None;
        }
        self.silent += since_look.min(LOOK);
        let still = self.silent;
        let late = still >= STALL || (still >= STALL_WANTED && lease.is_wanted());
        let (seconds, bytes) = (still.as_secs(), lease.bytes());
        late.then(|| {
            format!(
                "no byte in {seconds} s of a frame of {bytes} bytes, {input_bytes} have arrived"
            )
        })
    }
}

/// The size of the frame at the front of `input` if it is large and not whole.
fn large_frame(input: &[u8]) -> Option<usize> {
    let frame_bytes = Header::peek(input).ok().flatten()?.frame_bytes();
    (frame_bytes > LARGE_BYTES_MIN && input.len() < frame_bytes).then_some(frame_bytes)
}

#[cfg(test)]
mod tests {
    use mcbp::{FrameBuilder, Opcode};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn begun(bytes: usize, arrived: usize) -> BytesMut {
        let frame = FrameBuilder::request(Opcode::DCP_MUTATION).value(&vec![0; bytes]).build();
        BytesMut::from(&frame[..arrived])
    }

    #[tokio::test]
    async fn a_large_frame_waits_for_its_memory_and_gives_it_back_when_it_is_whole() {
        let account = Arc::new(Account::new(1, || 0, CancellationToken::new()));
        let [mut first, mut second] = [(); 2].map(|()| Inbox::new(Arc::clone(&account)));
        let (mut input, mut other) = (begun(4 << 20, 100), begun(2 << 20, 100));
        assert!(!first.may_read(&mut input));
        first.granted().await;
        assert!(first.may_read(&mut input));
        assert!(input.capacity() > 4 << 20, "room for all of it");
        assert!(!second.may_read(&mut other));
        assert!(account.held_bytes() > 4 << 20);
        assert_eq!(first.stalled(100), None, "it has just begun");
        let mut whole = begun(4 << 20, (4 << 20) + 24);
        assert!(first.may_read(&mut whole));
        second.granted().await;
        assert!(second.may_read(&mut other));
        drop(second);
        assert_eq!(account.held_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_silence_while_this_side_reads_counts_against_a_peer() {
        let account = Arc::new(Account::new(1, || 0, CancellationToken::new()));
        let mut inbox = Inbox::new(Arc::clone(&account));
        let mut input = begun(4 << 20, 100);
        assert!(!inbox.may_read(&mut input));
        inbox.granted().await;
        assert_eq!(inbox.stalled(100), None, "it has just begun");
        // The disk does not keep up, so nothing is read; or the process is stopped.
        tokio::time::advance(2 * STALL).await;
        assert_eq!(inbox.stalled(100), None, "nobody read what it may have sent");
        let mut read = Duration::ZERO;
        while inbox.stalled(100).is_none() {
            tokio::time::advance(Duration::from_millis(100)).await;
            read += Duration::from_millis(100);
            assert!(read <= STALL_WANTED, "it is given up in the end");
        }
        assert!(read > STALL_WANTED / 2);
    }

    #[test]
    fn a_small_frame_and_a_broken_one_take_nothing() {
        let account = Arc::new(Account::new(1, || 0, CancellationToken::new()));
        let mut inbox = Inbox::new(Arc::clone(&account));
        for mut input in [BytesMut::new(), begun(1000, 30), BytesMut::from(&[0xff; 30][..])] {
            assert!(inbox.may_read(&mut input));
        }
        assert_eq!(account.held_bytes(), 0);
    }
}
