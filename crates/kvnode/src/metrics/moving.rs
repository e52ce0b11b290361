//! A socket that says whether it still moves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
pub(super) struct Moving<S> {
    inner: S,
    moves: Moves,
}

/// Counts reads and writes that moved something.
#[derive(Clone, Default)]
pub(super) struct Moves(Arc<AtomicU64>);

impl<S> Moving<S> {
    pub(super) fn new(inner: S) -> (Self, Moves) {
        let moves = Moves::default();
        (Self { inner, moves: moves.clone() }, moves)
    }
}

impl Moves {
    /// Returns once nothing has moved for `limit`, or up to twice that.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut seen = None;
        loop {
            let now = Some(self.0.load(Ordering::Relaxed));
            if now == seen {
                return;
            }
            seen = now;
            tokio::time::sleep(limit).await;
        }
    }

    fn note<T>(&self, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(moved, Poll::Ready(Ok(_))) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        moved
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, moves } = self.get_mut();
        moves.note(Pin::new(inner).poll_read(cx, room))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { inner, moves } = self.get_mut();
        moves.note(Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, interval};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_moves_is_waited_for_and_a_dead_one_is_not() {
        let (near, mut far) = tokio::io::duplex(16);
        let (mut socket, moves) = Moving::new(near);
        let writing =
            tokio::spawn(async move { socket.write_all(&[0; 100]).await.map(|()| socket) });
        let reading = tokio::spawn(async move {
            let mut interval = interval(LIMIT - Duration::from_secs(1));
            for _ in 0..100 {
                interval.tick().await;
                far.read_u8().await.unwrap();
            }
            far
        });
        let begun = Instant::now();
        moves.stalled(LIMIT).await;
        assert!(begun.elapsed() > 70 * LIMIT, "{:?}", begun.elapsed());
        reading.await.unwrap();
        writing.await.unwrap().unwrap();
        let begun = Instant::now();
        moves.stalled(LIMIT).await;
        assert_eq!(begun.elapsed(), LIMIT);
    }
}
