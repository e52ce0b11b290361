//! The memory of a large frame that is being read: taken from the account before the frame is read,
//! and given back once it is whole. A peer that leaves a frame unfinished holds memory that others
//! may want.

use std::sync::Arc;

use bytes::BytesMut;
use futures::future::BoxFuture;
use mcbp::Header;

use super::still::Still;
use crate::account::{Account, Lease};

/// A frame is large beyond this: then its buffer grows for it.
const LARGE_BYTES_MIN: usize = 1024 * 1024;
/// See the module.
pub(super) struct Inbox {
    account: Arc<Account>,
    lease: Option<Lease>,
    taking: Option<BoxFuture<'static, Lease>>,
    /// How long the peer has sent nothing while this side read.
    still: Still,
}

impl Inbox {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self { account, lease: None, taking: None, still: Still::begin(0) }
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
                self.still = Still::begin(0);
            }
            None => std::future::pending().await,
        }
    }

    /// Returns why the peer is given up, if it has begun a large frame and does not go on. To be
    /// called while more is read.
    pub(super) fn stalled(&mut self, input_bytes: usize) -> Option<String> {
        let lease = self.lease.as_ref()?;
        let still = self.still.look(input_bytes as u64, lease.is_wanted());
        let bytes = lease.bytes();
        still.map(|still| {
            let seconds = still.as_secs();
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
    use std::time::Duration;

    use mcbp::{FrameBuilder, Opcode};
    use tokio_util::sync::CancellationToken;

    use super::super::still::{STALL, STALL_WANTED};
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
