//! A client connection that blocks: requests out in one write, answers counted as they come.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mcbp::{Frame, FrameBuilder, Header, Opcode, Status, VbId};

const READ_BYTES: usize = 256 * 1024;
/// The deadline of an answer, longer than any takes.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Who reads and writes the documents, and of which bucket.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) bucket: String,
}

/// See the module.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// How many bytes of `input` are filled, and how many of those were processed.
    filled: usize,
    taken: usize,
}

impl Connection {
    /// Connects, and logs in where the server asks for it.
    pub(crate) fn open(address: SocketAddr, login: Option<&Login>) -> io::Result<Self> {
        let mut connection = Self::over(TcpStream::connect(address)?)?;
        if let Some(Login { user, password, bucket }) = login {
            let credentials = format!("\0{user}\0{password}");
            let auth = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN");
            connection.ask(&auth.value(credentials.as_bytes()))?;
            connection.ask(&FrameBuilder::request(Opcode::SELECT_BUCKET).key(bucket.as_bytes()))?;
        }
        Ok(connection)
    }

    /// Over a stream that is connected.
    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Self { stream, input: vec![0; READ_BYTES], filled: 0, taken: 0 })
    }

    /// Whether documents are served. A data node answers to a read of a vBucket that it never has
    /// with a temporary failure until all others are there, and then with NOT_MY_VBUCKET.
    pub(crate) fn is_ready(&mut self) -> io::Result<bool> {
        let read = FrameBuilder::request(Opcode::GET).vbucket(VbId(u16::MAX));
        self.send(&read.key(b"any").build())?;
        let mut ready = false;
        self.answers(1, |frame| {
            let warm = [Status::SUCCESS, Status::KEY_ENOENT, Status::NOT_MY_VBUCKET];
            ready = warm.contains(&frame.header.status());
        })?;
        Ok(ready)
    }

    /// Sends a request whose answer must be a success.
    pub(crate) fn ask(&mut self, request: &FrameBuilder<'_>) -> io::Result<()> {
        self.send(&request.build())?;
        self.successes(1)
    }

    /// The write half, for another thread.
    pub(crate) fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads `count` answers, which must all be successes.
    pub(crate) fn successes(&mut self, count: usize) -> io::Result<()> {
        match self.temporary_failures(count)? {
            0 => Ok(()),
            _ => Err(io::Error::other(format!("answered with {}", Status::ETMPFAIL))),
        }
    }

    /// Reads `count` answers, each a success or a temporary failure. Returns how many of the latter
    /// there are.
    pub(crate) fn temporary_failures(&mut self, count: usize) -> io::Result<usize> {
        let (mut refused, mut failures) = (None, 0);
        self.answers(count, |frame| match frame.header.status() {
            Status::SUCCESS => {}
            Status::ETMPFAIL => failures += 1,
            other => refused = Some((frame.opcode(), other)),
        })?;
        match refused {
            Some((opcode, status)) => {
                Err(io::Error::other(format!("{opcode} was answered with {status}")))
            }
            None => Ok(failures),
        }
    }

    /// Reads `count` frames.
    pub(crate) fn answers(
        &mut self,
        count: usize,
        mut each: impl FnMut(&Frame<'_>),
    ) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let rest = self.input.get(self.taken..self.filled).unwrap_or_default();
            let header = Header::peek(rest).map_err(io::Error::other)?;
            match header.map(|header| header.frame_bytes()) {
                Some(length) if rest.len() >= length => {
                    each(&Frame::parse(rest).map_err(io::Error::other)?);
                    self.taken += length;
                    left -= 1;
                }
                length => self.read_more(length.unwrap_or(0))?,
            }
        }
        Ok(())
    }

    /// Reads once, with room for a frame of `length`.
    fn read_more(&mut self, length: usize) -> io::Result<()> {
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(room)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.filled += count;
                Ok(())
            }
        }
    }
}
