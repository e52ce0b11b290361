//! The service manager: where `NOTIFY_SOCKET` is set, a thread tells it what happens, by the
//! protocol of `sd_notify(3)`. Nobody waits for that thread: a service manager that does not read
//! holds up nothing.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use logline::value;
use sd_notify::NotifyState;

use crate::machine::{EXTEND_EVERY, Event, Machine, Message};

/// The variable with the address of the socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Events that wait for the thread.
const QUEUE_MAX: usize = 64;
/// How long a service manager may take to make room for a message.
const WRITE_MAX: Duration = Duration::from_secs(2);
/// How often the status is told where there is no watchdog.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// The shortest interval of checks: of a watchdog below twice of it, one may come too late.
const CHECK_MIN: Duration = Duration::from_millis(50);

static EVENTS: OnceLock<SyncSender<Event>> = OnceLock::new();

/// Starts to tell the service manager what happens, where there is one. Only the first call has an
/// effect.
///
/// # Errors
/// The OS error where there is no thread left.
pub fn start() -> io::Result<()> {
    let Some(socket) = env::var_os(SOCKET).filter(|socket| !socket.is_empty()) else {
        return Ok(());
    };
    let (events, received) = sync_channel(QUEUE_MAX);
    if EVENTS.set(events).is_ok() {
        let run = move || run(&socket, &received);
        std::thread::Builder::new().name("notify".to_owned()).spawn(run)?;
    }
    Ok(())
}

/// How often the program should check that it works, and tell so by [`works`] and [`status`]; half
/// of the watchdog's interval where there is one. `None` without a service manager: nobody reads
/// it.
#[must_use]
pub fn check_every() -> Option<Duration> {
    EVENTS.get().map(|_| check_interval())
}

fn check_interval() -> Duration {
    let half = watchdog().map(|interval| interval / 2);
    half.unwrap_or(STATUS_EVERY).clamp(CHECK_MIN, STATUS_EVERY)
}

/// How long what is checked may take to answer: the interval of the watchdog where there is one,
/// but not so short that a healthy program misses it; else `otherwise`.
#[must_use]
pub fn answer_within(otherwise: Duration) -> Duration {
    limit_of(watchdog(), otherwise)
}

/// See [`answer_within`]. Two checks, as the interval of a watchdog is two checks.
fn limit_of(watchdog: Option<Duration>, otherwise: Duration) -> Duration {
    watchdog.map_or(otherwise, |interval| interval.max(CHECK_MIN * 2))
}

/// Within which time the service manager wants to hear that the program works.
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// The start is over: the program serves.
pub fn ready() {
    tell(Event::Ready);
}

/// Says what the program does now, in one line for people.
pub fn status(text: impl Into<String>) {
    tell(Event::Status(text.into()));
}

/// What the program is there for has just answered.
pub fn works() {
    tell(Event::Works);
}

/// The program stops, and has ended within this time.
pub fn stopping(within: Duration) {
    tell(Event::Stopping(within));
}

/// The configuration is read again until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Reloading(());

/// The program reads its configuration again.
pub fn reloading() -> Reloading {
    tell(Event::Reloading);
    Reloading(())
}

impl Drop for Reloading {
    fn drop(&mut self) {
        tell(Event::Reloaded);
    }
}

fn tell(event: Event) {
    if let Some(events) = EVENTS.get() {
        // A full queue means that nobody reads the other end.
        _ = events.try_send(event);
    }
}

/// Runs for as long as the process lives.
fn run(socket: &OsString, received: &Receiver<Event>) {
    let (started, mut has_failed) = (Instant::now(), false);
    let mut machine = Machine::new(watchdog().is_some());
    let tick = check_interval().min(EXTEND_EVERY);
    let mut event = Event::Tick;
    loop {
        for message in machine.on(event, started.elapsed()) {
            match send(socket, &message) {
                Ok(()) => has_failed = false,
                Err(error) if !has_failed => {
                    has_failed = true;
                    let (socket, error) = (value(socket.to_string_lossy()), value(&error));
                    log::warn!("the service manager was not told socket={socket} error={error}");
                }
                Err(_) => {}
            }
        }
        event = match received.recv_timeout(tick) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::Tick,
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}

/// Sends one datagram. The service manager may have started again meanwhile, so each has a socket
/// of its own.
fn send(socket: &OsStr, message: &Message) -> io::Result<()> {
    let text = text(message)?;
    let own = UnixDatagram::unbound()?;
    own.set_write_timeout(Some(WRITE_MAX))?;
    own.connect_addr(&address(socket)?)?;
    own.send(text.as_bytes()).map(drop)
}

/// The address of a path, or of an abstract name after `@`.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => {
            let text = "NOTIFY_SOCKET is neither an absolute path nor an abstract name (@...)";
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}

fn text(message: &Message) -> io::Result<String> {
    let micros = |time: &Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let states = match message {
        Message::Ready => vec![NotifyState::Ready],
        Message::Reloading => vec![NotifyState::Reloading, NotifyState::monotonic_usec_now()?],
        Message::Stopping => vec![NotifyState::Stopping],
        Message::Status(text) => vec![NotifyState::Status(text)],
        Message::Watchdog => vec![NotifyState::Watchdog],
        Message::Extend(by) => vec![NotifyState::ExtendTimeoutUsec(micros(by))],
    };
    Ok(states.iter().map(|state| format!("{state}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_of_a_microsecond_leaves_time_for_an_answer() {
        let ms = Duration::from_millis;
        for (watchdog, limit) in [
            (None, ms(10_000)),
            (Some(Duration::from_micros(1)), ms(100)),
            (Some(ms(99)), ms(100)),
            (Some(ms(30_000)), ms(30_000)),
        ] {
            assert_eq!(limit_of(watchdog, ms(10_000)), limit, "{watchdog:?}");
        }
    }

    #[test]
    fn messages_are_those_of_the_protocol() {
        let text = |message| text(&message).unwrap();
        assert_eq!(text(Message::Ready), "READY=1\n");
        assert_eq!(text(Message::Status("1 of 2".to_owned())), "STATUS=1 of 2\n");
        assert_eq!(text(Message::Watchdog), "WATCHDOG=1\n");
        let extend = Message::Extend(Duration::from_secs(60));
        assert_eq!(text(extend), "EXTEND_TIMEOUT_USEC=60000000\n");
        let reloading = text(Message::Reloading);
        let monotonic = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(monotonic.trim_end().parse::<u64>().unwrap() > 0, "{reloading}");
    }

    #[test]
    fn a_message_arrives_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@lifecycle-test-{}", std::process::id());
        let by_name = address(name.as_ref()).unwrap();
        for (socket, address) in [
            (path.clone().into_os_string(), SocketAddr::from_pathname(&path).unwrap()),
            (name.into(), by_name),
        ] {
            let manager = UnixDatagram::bind_addr(&address).unwrap();
            manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            send(&socket, &Message::Stopping).unwrap();
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"STOPPING=1\n");
        }
        let error = send("relative".as_ref(), &Message::Ready).unwrap_err();
        assert!(error.to_string().contains("neither an absolute path"), "{error}");
    }
}
