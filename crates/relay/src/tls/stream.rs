//! An encrypted connection, with large reads for the pumps.
//!
//! rustls decrypts one record of at most 16 KiB at a time, and makes small reads of the socket. So
//! the socket is read through a buffer, and one read here decrypts records until the caller's
//! buffer is full or nothing more was received: the pump then writes long runs, as it does without
//! TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, BufReader, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Tls, TlsFault};

/// The size of one read of the socket, 64 KiB: four full records.
const SOCKET_READ_BYTES: usize = 64 * 1024;
/// How many encrypted bytes rustls may hold unsent, 128 KiB: a write of that size becomes eight
/// full records and one system call.
const UNSENT_BYTES_MAX: usize = 128 * 1024;

/// The write half of an encrypted connection.
pub(crate) type Encrypting = WriteHalf<TlsStream<BufReader<TcpStream>>>;

/// Performs the TLS handshake over `stream`; returns the two halves of the encrypted connection.
/// The caller sets the deadline.
pub(crate) async fn handshake(
    tls: &Tls,
    stream: TcpStream,
) -> Result<(Decrypted, Encrypting), TlsFault> {
    let buffered = BufReader::with_capacity(SOCKET_READ_BYTES, stream);
    let connecting = tls.connector().await.connect(tls.server_name.clone(), buffered);
    let mut stream = connecting.await.map_err(TlsFault::of_handshake)?;
    stream.get_mut().1.set_buffer_limit(Some(UNSENT_BYTES_MAX));
    let (reader, writer) = split(stream);
    Ok((Decrypted { reader }, writer))
}

/// The read half of an encrypted connection.
pub(crate) struct Decrypted {
    reader: ReadHalf<TlsStream<BufReader<TcpStream>>>,
}

impl AsyncRead for Decrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        while room.remaining() > 0 {
            let had = room.filled().len();
            match Pin::new(&mut self.reader).poll_read(cx, room) {
                Poll::Ready(Ok(())) if room.filled().len() > had => {}
                // What was read before is returned first; the next call meets the end or error
                // again.
                _ if had > before => break,
                // An end without close_notify is a normal end: truncated frames are detected later.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }
}
