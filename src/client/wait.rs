//! Waits for the answer to a command. The status is read meanwhile, so that a command that makes no
//! progress is given up, and Ctrl-C is told from an answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::error::AskError;
use super::http::{Call, Http, Reply};
use super::interrupt;

/// How often the status is read while the answer to a command is awaited.
const LOOK: Duration = Duration::from_secs(10);
/// How long every reading may show no move in progress, or fail, before the answer to a move is
/// given up.
pub(super) const MOVE_IDLE_MAX: Duration = Duration::from_secs(30);
/// The same for a change, whose deadlines in the sidecar may add up to an hour.
const CHANGE_IDLE_MAX: Duration = Duration::from_secs(3600);

/// What ends a wait.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Outcome<T> {
    Answer(T),
    /// Nothing has moved for too long.
    Idle,
    /// The deadline has passed.
    Late,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// What arrives during a wait.
enum Word<T> {
    Answer(T),
    Interrupted,
}

/// A command that was sent.
pub(super) struct Waiter<T>(Receiver<Word<T>>);

/// The limits of a wait.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How often to look.
    pub(super) every: Duration,
    /// How long no look may find progress.
    pub(super) idle_max: Duration,
    /// When to stop in any case.
    pub(super) deadline: Option<Instant>,
}

impl Limits {
    /// Of a change, which waits for the moves that were requested before it.
    pub(super) const fn of_change(deadline: Option<Instant>) -> Self {
        Self { every: LOOK, idle_max: CHANGE_IDLE_MAX, deadline }
    }
}

/// Sends a command.
pub(super) fn send(http: &Http, call: Call) -> Waiter<Result<Reply, AskError>> {
    let (words, received) = sync_channel(2);
    let answered = words.clone();
    // Whether somebody still waits makes no difference to the threads that send.
    http.start(call, move |answer| _ = answered.send(Word::Answer(answer)));
    on_interrupt(words);
    Waiter(received)
}

fn on_interrupt<T: Send + 'static>(words: SyncSender<Word<T>>) {
    interrupt::then(move || _ = words.send(Word::Interrupted));
}

/// Sends a change of a bucket and returns the answer, or an error that says why there is none.
pub(super) fn change(http: &Http, call: Call, bucket: &str) -> Result<Reply, AskError> {
    change_told(http, call, bucket, || {})
}

/// As [`change`], for one that may take long: `tell` is called from time to time.
pub(super) fn change_told(
    http: &Http,
    call: Call,
    bucket: &str,
    mut tell: impl FnMut(),
) -> Result<Reply, AskError> {
    let outcome = send(http, call).wait(Limits::of_change(None), || {
        tell();
        http.is_moving(bucket)
    });
    match outcome {
        Outcome::Answer(answer) => answer,
        Outcome::Idle | Outcome::Late => Err(http.lost()),
        Outcome::Interrupted => Err(AskError::Interrupted(format!(
            "interrupted: the sidecar goes on with the change of {bucket}"
        ))),
    }
}

impl<T> Waiter<T> {
    /// Waits while `look` finds progress. A look that takes long is followed by a longer wait, so
    /// that a busy sidecar is not kept busy by being watched.
    pub(super) fn wait(&self, limits: Limits, mut look: impl FnMut() -> bool) -> Outcome<T> {
        let Limits { mut every, idle_max, deadline } = limits;
        let mut idle = Duration::ZERO;
        while idle < idle_max {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let step = left.map_or(every, |left| left.min(every));
            match self.0.recv_timeout(step) {
                Ok(Word::Answer(answer)) => return Outcome::Answer(answer),
                Ok(Word::Interrupted) => return Outcome::Interrupted,
                Err(RecvTimeoutError::Disconnected) => return Outcome::Idle,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if left.is_some_and(|left| left <= step) {
                return Outcome::Late;
            }
            let begin = Instant::now();
            idle = if look() { Duration::ZERO } else { idle + every };
            every = limits.every.max(begin.elapsed() * 10);
        }
        Outcome::Idle
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    fn limits(idle_max: u32, deadline: Option<Instant>) -> Limits {
        Limits { every: TICK, idle_max: TICK * idle_max, deadline }
    }

    #[test]
    fn an_answer_is_awaited_while_something_moves_and_given_up_when_nothing_does() {
        let (words, received) = sync_channel(1);
        let waiter = Waiter(received);
        let looks = Cell::new(0_u32);
        let moves = || {
            looks.set(looks.get() + 1);
            if looks.get() == 9 {
                words.send(Word::Answer("done")).unwrap();
            }
            // One look of three finds that something moves.
            looks.get().is_multiple_of(3)
        };
        assert_eq!(
            (waiter.wait(limits(30, None), moves), looks.get()),
            (Outcome::Answer("done"), 9)
        );
        looks.set(0);
        let idle = || {
            looks.set(looks.get() + 1);
            false
        };
        assert_eq!(waiter.wait(limits(3, None), idle), Outcome::Idle);
        assert!((1..=3).contains(&looks.get()), "{looks:?}");
        let now = Some(Instant::now());
        assert_eq!(waiter.wait(limits(3, now), || true), Outcome::Late);
        words.send(Word::Interrupted).unwrap();
        assert_eq!(waiter.wait(limits(3, None), || true), Outcome::Interrupted);
        drop(words);
        assert_eq!(waiter.wait(limits(3, None), || true), Outcome::Idle, "nobody can answer");
    }
}
