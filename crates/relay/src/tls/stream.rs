//! An encrypted connection, with large reads for the pumps.
//!
//! One read here decrypts records until the caller's buffer is full or nothing more was received:
//! the pump then writes long runs, as it does without TLS.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::session::Session;
use super::{Tls, TlsFault};

/// How many bytes are encrypted before they are sent, 128 KiB: eight full records and one system
/// call.
const UNSENT_BYTES_MAX: usize = 128 * 1024;

/// What both halves use. It is locked while one of them is polled, never longer.
type Shared = Arc<Mutex<Session>>;

/// Performs the TLS handshake over `stream`; returns the two halves of the encrypted connection.
/// The caller sets the deadline.
pub(crate) async fn handshake(
    tls: &Tls,
    mut stream: TcpStream,
) -> Result<(Decrypted, Encrypting), TlsFault> {
    let session = Session::new(tls.config.refreshed().await, tls.server_name.clone());
    let mut session = session.map_err(|error| TlsFault::of_handshake(io::Error::other(error)))?;
    shake_hands(&mut session, &mut stream).await.map_err(TlsFault::of_handshake)?;
    let (reader, writer) = stream.into_split();
    let session = Arc::new(Mutex::new(session));
    Ok((Decrypted { reader, session: Arc::clone(&session) }, Encrypting { writer, session }))
}

async fn shake_hands(session: &mut Session, stream: &mut TcpStream) -> io::Result<()> {
    loop {
        let done = session.shake_hands();
        let written = stream.write_all(session.unsent()).await;
        session.sent(session.unsent().len());
        // Where the handshake has failed, an alert was written: the failure is what counts.
        if done? {
            return written;
        }
        written?;
        let count = stream.read_buf(&mut session.incoming.room()).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        session.incoming.received(count);
    }
}

fn locked(session: &Shared) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The read half of an encrypted connection.
pub(crate) struct Decrypted {
    reader: OwnedReadHalf,
    session: Shared,
}

impl AsyncRead for Decrypted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { reader, session } = self.get_mut();
        let mut session = locked(session);
        let before = room.filled().len();
        loop {
            let received = session.receive(room);
            answer(&mut session, reader);
            let polled = match received {
                Ok(()) if room.remaining() == 0 || session.ended => return Poll::Ready(Ok(())),
                Ok(()) => more(&mut session, reader, cx),
                Err(error) => Poll::Ready(Err(error)),
            };
            match polled {
                Poll::Ready(Ok(count)) if count > 0 => {}
                // What was read before is returned first; the next call meets the end or error
                // again.
                _ if room.filled().len() > before => return Poll::Ready(Ok(())),
                // An end without close_notify is a normal end: truncated frames are detected later.
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Reads the socket once. Returns how many bytes came, 0 at the end.
fn more(
    session: &mut Session,
    reader: &mut OwnedReadHalf,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut room = session.incoming.room();
    if room.remaining() == 0 {
        return Poll::Ready(Err(io::Error::other("a message of the TLS handshake is too large")));
    }
    ready!(Pin::new(reader).poll_read(cx, &mut room))?;
    let count = room.filled().len();
    session.incoming.received(count);
    Poll::Ready(Ok(count))
}

/// Sends what a peer is to be told about what it sent, such as an alert, if the socket takes it
/// now; otherwise the next write does.
fn answer(session: &mut Session, reader: &OwnedReadHalf) {
    if !session.unsent().is_empty()
        && let Ok(count) = reader.as_ref().try_write(session.unsent())
    {
        session.sent(count);
    }
}

/// The write half of an encrypted connection.
pub(crate) struct Encrypting {
    writer: OwnedWriteHalf,
    session: Shared,
}

impl AsyncWrite for Encrypting {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { writer, session } = self.get_mut();
        let mut session = locked(session);
        ready!(poll_send(&mut session, writer, cx))?;
        let count = bytes.len().min(UNSENT_BYTES_MAX);
        session.encrypt(bytes.get(..count).unwrap_or_default())?;
        match poll_send(&mut session, writer, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What is left is sent by the next write or flush.
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { writer, session } = self.get_mut();
        poll_send(&mut locked(session), writer, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { writer, session } = self.get_mut();
        let mut session = locked(session);
        session.close()?;
        ready!(poll_send(&mut session, writer, cx))?;
        Pin::new(writer).poll_shutdown(cx)
    }
}

/// Sends all that is encrypted.
fn poll_send(
    session: &mut Session,
    writer: &mut OwnedWriteHalf,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !session.unsent().is_empty() {
        let count = ready!(Pin::new(&mut *writer).poll_write(cx, session.unsent()))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        session.sent(count);
    }
    Poll::Ready(Ok(()))
}
