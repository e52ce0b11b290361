//! The deadline of a socket: for the next byte, never for a whole request or answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::end::End;
use crate::account::Lease;
use crate::admission::Seat;

/// How long a peer may take for the next byte before it is considered dead.
const STALL: Duration = Duration::from_secs(60);
/// The same while it holds memory that others wait for.
const STALL_WANTED: Duration = Duration::from_secs(5);
/// The same once the node stops.
const STALL_STOPPING: Duration = Duration::from_secs(1);
/// How long a peer that is refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);
/// How often it is checked which of the three it is.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Waits for the next bytes of a socket, or for the end of its patience. `lease` is what the peer
/// holds meanwhile. Safe to drop where `moved` is.
pub(super) async fn next<T>(
    moved: impl Future<Output = io::Result<T>>,
    seat: &Seat,
    lease: Option<&Lease>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        moved = moved => moved.map_err(End::Io),
        end = stalled(seat, lease) => Err(end),
    }
}

/// Writes all of `bytes`.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    seat: &Seat,
    lease: Option<&Lease>,
) -> Result<(), End> {
    while !bytes.is_empty() {
        let count = next(stream.write(bytes), seat, lease).await?;
        bytes = bytes.get(count..).unwrap_or_default();
        if count == 0 {
            return Err(End::Io(io::ErrorKind::WriteZero.into()));
        }
    }
    Ok(())
}

/// Ends our side, and drops what still arrives for a moment: closing with bytes unread sends a
/// reset, which can overtake the last answer.
pub(super) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), seat: &Seat) {
    let closed = async {
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    tokio::select! {
        _closed = timeout(LINGER, closed) => {}
        () = seat.lost().cancelled() => {}
    }
}

/// Returns once the peer has moved nothing for too long, or its seat is lost.
async fn stalled(seat: &Seat, lease: Option<&Lease>) -> End {
    let (began, mut stopping) = (Instant::now(), None);
    loop {
        tokio::select! {
            () = seat.lost().cancelled(), if stopping.is_none() => {
                if !seat.is_shutdown() {
                    return End::of_lost(seat);
                }
                stopping = Some(Instant::now());
            }
            () = sleep(CHECK_INTERVAL) => {}
        }
        if stopping.is_some_and(|at| at.elapsed() >= STALL_STOPPING) {
            return End::Shutdown;
        }
        let wanted = lease.is_some_and(Lease::is_wanted);
        let patience = if wanted { STALL_WANTED } else { STALL };
        if began.elapsed() >= patience {
            return End::Stalled { seconds: patience.as_secs(), wanted };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::account::Account;
    use crate::admission::{Door, SeatLimits};

    fn seat(door_of: usize) -> (Arc<Door>, Seat, CancellationToken) {
        let shutdown = CancellationToken::new();
        let door = Arc::new(Door::new(SeatLimits::of(door_of), shutdown.clone()));
        let seat = door.enter([127, 0, 0, 1].into()).unwrap();
        (door, seat, shutdown)
    }

    /// Reads a byte at each interval, for ever.
    fn slow_reader(mut far: tokio::io::DuplexStream, every: Duration) {
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(every);
            loop {
                interval.tick().await;
                if far.read_u8().await.is_err() {
                    return;
                }
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_moves_is_never_cut_off() {
        let (_door, seat, _) = seat(8);
        let (mut near, far) = tokio::io::duplex(1);
        slow_reader(far, STALL - Duration::from_secs(1));
        let begun = Instant::now();
        assert!(write(&mut near, &[0; 1000], &seat, None).await.is_ok());
        assert!(begun.elapsed() > 900 * STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_move_is_cut_off() {
        let (_door, seat, _) = seat(8);
        let (mut near, _far) = tokio::io::duplex(1);
        let begun = Instant::now();
        let end = write(&mut near, &[0; 1000], &seat, None).await;
        assert!(matches!(end, Err(End::Stalled { wanted: false, .. })));
        assert!(begun.elapsed() <= STALL + CHECK_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_cut_off_sooner_while_others_wait_for_its_memory() {
        let (_door, seat, shutdown) = seat(8);
        let account = Arc::new(Account::new(1, || 0, shutdown));
        let lease = account.take(1000).await.unwrap();
        let waiting = tokio::spawn({
            let account = Arc::clone(&account);
            async move { account.take(1000).await.is_some() }
        });
        let (mut near, _far) = tokio::io::duplex(1);
        let begun = Instant::now();
        let end = write(&mut near, &[0; 1000], &seat, Some(&lease)).await;
        assert!(matches!(end, Err(End::Stalled { wanted: true, .. })));
        assert!(begun.elapsed() <= STALL_WANTED + CHECK_INTERVAL);
        drop(lease);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_delay_a_stop_and_one_that_moves_gets_its_answer() {
        let (_door, seat, shutdown) = seat(8);
        shutdown.cancel();
        let (mut near, _far) = tokio::io::duplex(1);
        let begun = Instant::now();
        let end = write(&mut near, &[0; 1000], &seat, None).await;
        assert!(matches!(end, Err(End::Shutdown)));
        assert!(begun.elapsed() <= STALL_STOPPING + CHECK_INTERVAL);
        let (mut near, far) = tokio::io::duplex(1);
        slow_reader(far, STALL_STOPPING / 2);
        assert!(write(&mut near, &[0; 100], &seat, None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_is_lost_ends_a_write_at_once() {
        let (door, seat, _) = seat(1);
        let (mut near, _far) = tokio::io::duplex(1);
        let _newer = door.enter([127, 0, 0, 1].into()).unwrap();
        let begun = Instant::now();
        assert!(matches!(write(&mut near, &[0; 10], &seat, None).await, Err(End::Evicted)));
        assert!(begun.elapsed() < CHECK_INTERVAL);
    }
}
