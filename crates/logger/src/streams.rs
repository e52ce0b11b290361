//! Standard output and standard error, written without the locks of the standard library: a thread
//! that waits in such a lock would wait for whoever reads the other end.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

/// The pause where a stream that does not block takes nothing for now.
const FULL_WAIT: Duration = Duration::from_millis(10);

/// A standard stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Results, for people and programs.
    Output,
    /// The log.
    Error,
}

/// Writes bytes to a stream; it may wait for as long as the reader of the stream takes.
pub type Sink = Box<dyn FnMut(Stream, &[u8]) -> io::Result<()> + Send>;

/// Returns what writes to the standard streams of the process.
///
/// # Errors
/// The OS error where there is no file descriptor left.
pub fn standard_streams() -> io::Result<Sink> {
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut error = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    Ok(Box::new(move |stream, bytes| match stream {
        Stream::Output => write_all(&mut output, bytes),
        Stream::Error => write_all(&mut error, bytes),
    }))
}

/// As `Write::write_all`, and waits where another process has made the pipe or terminal
/// non-blocking.
fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(FULL_WAIT);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
