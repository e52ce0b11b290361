//! Keeps the pump of a consumer running for a moment after its producer is lost: a refusal that is
//! still in transit is the only sign of a gap in its copy. So the pump must not end with the first
//! failed write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;

/// How long a consumer is heard out. It is nearby, has received its rows already, and closes at
/// their end; one that hangs must not delay the next link.
pub(crate) const HEAR_OUT: Duration = Duration::from_millis(250);

/// A write half that discards what is written within [`HEAR_OUT`] after it is lost. The reader of
/// the same connection reports the loss.
#[derive(Debug)]
pub struct HearOut<W> {
    writer: W,
    lost: Option<Instant>,
}

impl<W: AsyncWrite + Unpin> HearOut<W> {
    /// The write half to a producer.
    pub const fn new(writer: W) -> Self {
        Self { writer, lost: None }
    }

    /// Replaces an error by `discarded` within [`HEAR_OUT`] of the first error.
    fn forgive<T>(&mut self, result: io::Result<T>, discarded: T) -> io::Result<T> {
        match result {
            Err(error) if self.lost.get_or_insert_with(Instant::now).elapsed() > HEAR_OUT => {
                Err(error)
            }
            result => Ok(result.unwrap_or(discarded)),
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for HearOut<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.writer).poll_write(cx, bytes));
        Poll::Ready(self.forgive(written, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.writer).poll_flush(cx));
        Poll::Ready(self.forgive(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lost_writer_swallows_for_a_moment_and_fails_after_it() {
        let (ours, theirs) = duplex(64);
        let mut writer = HearOut::new(ours);
        writer.write_all(b"taken").await.unwrap();
        drop(theirs);
        writer.write_all(b"lost").await.unwrap();
        writer.flush().await.unwrap();
        tokio::time::advance(HEAR_OUT + Duration::from_millis(1)).await;
        assert!(writer.write_all(b"late").await.is_err());
    }
}
