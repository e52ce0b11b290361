//! The state of an encrypted connection, without its socket: records in, bytes out, and back.
//!
//! rustls decrypts in place in a buffer of ours, which the socket fills with large reads. With its
//! buffered interface a byte would be copied twice more on its way, in portions of 4 KiB.

use std::io;
use std::sync::Arc;

use tokio::io::ReadBuf;
use tokio_rustls::rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};
use tokio_rustls::rustls::{ClientConfig, Error};

use super::incoming::Incoming;

#[cfg(test)]
mod tests;

/// One encrypted connection; both halves use it.
pub(super) struct Session {
    connection: UnbufferedClientConnection,
    /// Encrypted. All of it is given to rustls in each call, also to encrypt: rustls remembers
    /// places in it, and panics where they are missing.
    pub(super) incoming: Incoming,
    /// Decrypted, and not yet returned: the rest of a record, and what was decrypted while the
    /// other half was writing. At most what `incoming` holds.
    decrypted: Vec<u8>,
    /// Encrypted, and not yet sent from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Whether the peer has said that nothing more comes.
    pub(super) ended: bool,
    failed: Option<Error>,
}

/// What is to be encrypted.
#[derive(Clone, Copy)]
enum Send<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Close,
}

/// How far one call of rustls came.
#[derive(PartialEq, Eq)]
enum Step {
    /// It has to be called again.
    More,
    /// All that was received is decrypted.
    Idle,
    /// What was to be encrypted is.
    Encrypted,
}

impl Session {
    pub(super) fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        Ok(Self {
            connection: UnbufferedClientConnection::new(config, name)?,
            incoming: Incoming::new(),
            decrypted: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            ended: false,
            failed: None,
        })
    }

    /// Takes the handshake as far as what was received allows. Returns whether it is over.
    pub(super) fn shake_hands(&mut self) -> io::Result<bool> {
        while self.step(&mut ReadBuf::new(&mut []), Send::Nothing)? == Step::More {}
        Ok(!self.connection.is_handshaking())
    }

    /// Decrypts what was received, until `room` is full.
    pub(super) fn receive(&mut self, room: &mut ReadBuf<'_>) -> io::Result<()> {
        let count = self.decrypted.len().min(room.remaining());
        room.put_slice(self.decrypted.get(..count).unwrap_or_default());
        self.decrypted.drain(..count);
        while room.remaining() > 0 && self.step(room, Send::Nothing)? == Step::More {}
        Ok(())
    }

    /// Encrypts `bytes` after what is unsent.
    pub(super) fn encrypt(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send(Send::Bytes(bytes))
    }

    /// Encrypts the end of what we send.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.send(Send::Close)
    }

    /// What is encrypted and not sent.
    pub(super) fn unsent(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// Removes the first `count` bytes of [`Session::unsent`].
    pub(super) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
    }

    fn send(&mut self, what: Send<'_>) -> io::Result<()> {
        loop {
            match self.step(&mut ReadBuf::new(&mut []), what)? {
                Step::More => {}
                Step::Encrypted => return Ok(()),
                Step::Idle => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Calls rustls once. An error stays; an alert about it is unsent then.
    fn step(&mut self, room: &mut ReadBuf<'_>, send: Send<'_>) -> io::Result<Step> {
        let stepped = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.try_step(room, send),
        };
        stepped.map_err(|error| {
            if self.failed.is_none() {
                self.failed = Some(error.clone());
                self.encode_alert();
            }
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }

    fn try_step(&mut self, room: &mut ReadBuf<'_>, send: Send<'_>) -> Result<Step, Error> {
        let UnbufferedStatus { mut discard, state, .. } =
            self.connection.process_tls_records(self.incoming.filled_mut());
        let step = match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    let count = record.payload.len().min(room.remaining());
                    let (front, rest) = record.payload.split_at(count);
                    room.put_slice(front);
                    self.decrypted.extend_from_slice(rest);
                }
                Step::More
            }
            ConnectionState::EncodeTlsData(data) => {
                encode(&mut self.outgoing, data)?;
                Step::More
            }
            ConnectionState::TransmitTlsData(data) => {
                // Whatever is in `outgoing` is sent in order, before anything that follows.
                data.done();
                Step::More
            }
            ConnectionState::WriteTraffic(traffic) => encrypt(&mut self.outgoing, traffic, send)?,
            ConnectionState::PeerClosed => {
                self.ended = true;
                Step::More
            }
            _ => Step::Idle,
        };
        self.incoming.discard(discard);
        Ok(step)
    }

    /// Encodes what rustls has to say about its error. Called without that it would process the
    /// same bytes again.
    fn encode_alert(&mut self) {
        while self.connection.wants_write() {
            let status = self.connection.process_tls_records(self.incoming.filled_mut());
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else { return };
            if encode(&mut self.outgoing, data).is_err() {
                return;
            }
        }
    }
}

fn encode(
    out: &mut Vec<u8>,
    mut data: EncodeTlsData<'_, ClientConnectionData>,
) -> Result<(), Error> {
    append(out, |out| {
        data.encode(out).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => Some(size),
            EncodeError::AlreadyEncoded => None,
        })
    })
}

fn encrypt(
    out: &mut Vec<u8>,
    mut traffic: WriteTraffic<'_, ClientConnectionData>,
    send: Send<'_>,
) -> Result<Step, Error> {
    append(out, |out| {
        let encrypted = match send {
            Send::Nothing => return Ok(0),
            Send::Bytes(bytes) => traffic.encrypt(bytes, out),
            Send::Close => traffic.queue_close_notify(out),
        };
        encrypted.map_err(|error| match error {
            EncryptError::InsufficientSize(size) => Some(size),
            EncryptError::EncryptExhausted => None,
        })
    })?;
    Ok(if matches!(send, Send::Nothing) { Step::Idle } else { Step::Encrypted })
}

/// Appends what `write` writes, which says how much room it needs.
fn append(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), Error> {
    let before = out.len();
    let mut wanted = 0;
    loop {
        out.resize(before + wanted, 0);
        match write(out.get_mut(before..).unwrap_or_default()) {
            Ok(count) => {
                out.truncate(before + count);
                return Ok(());
            }
            Err(Some(size)) if size.required_size > wanted => wanted = size.required_size,
            Err(_) => return Err(Error::EncryptError),
        }
    }
}
