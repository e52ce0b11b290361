//! Decides which messages the service manager gets, and when. Pure: what happens and the time in,
//! messages out.

use std::time::Duration;

/// How often a start that takes long asks for more time, and how much more. systemd extends the
/// limit of the unit by it, if it has heard so before that limit.
pub(crate) const EXTEND_EVERY: Duration = Duration::from_secs(10);
const EXTEND_BY: Duration = Duration::from_secs(60);
/// After this time a start is not extended any more: the limit of the unit ends it.
const START_MAX: Duration = Duration::from_secs(3600);
/// Characters of a status; systemd shows it on one line.
const STATUS_MAX: usize = 200;

/// What happens to the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Some time has passed.
    Tick,
    /// What the program does now, for people.
    Status(String),
    /// The start is over: it serves.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It has done so, with success or not.
    Reloaded,
    /// It stops, and has ended within this time.
    Stopping(Duration),
    /// It works: what it is there for has just answered.
    Works,
}

/// A message to the service manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Ready,
    Reloading,
    Stopping,
    Status(String),
    Watchdog,
    Extend(Duration),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Starting,
    Running,
    /// It has ended by then.
    Stopping(Duration),
}

/// See the module. Times are since its start.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Whether the service manager watches the program.
    is_watched: bool,
    phase: Phase,
    /// Reloads that run.
    reloads: usize,
    status: String,
    extended: Option<Duration>,
}

impl Machine {
    pub(crate) const fn new(is_watched: bool) -> Self {
        let phase = Phase::Starting;
        Self { is_watched, phase, reloads: 0, status: String::new(), extended: None }
    }

    /// Returns the messages that follow from `event` at `now`.
    pub(crate) fn on(&mut self, event: Event, now: Duration) -> Vec<Message> {
        match (event, self.phase) {
            (Event::Tick, Phase::Starting) => return self.extend(now),
            // A stop is bounded by itself, and parts that answered before end in it.
            (Event::Tick, Phase::Stopping(until)) if self.is_watched && now < until => {
                return vec![Message::Watchdog];
            }
            (Event::Status(text), _) => return self.status(&text),
            (Event::Ready, Phase::Starting) => {
                self.phase = Phase::Running;
                return vec![Message::Ready];
            }
            (Event::Reloading, Phase::Running) => {
                self.reloads += 1;
                if self.reloads == 1 {
                    return vec![Message::Reloading];
                }
            }
            (Event::Reloaded, Phase::Running) if self.reloads > 0 => {
                self.reloads -= 1;
                if self.reloads == 0 {
                    return vec![Message::Ready];
                }
            }
            (Event::Stopping(within), Phase::Starting | Phase::Running) => {
                self.phase = Phase::Stopping(now.saturating_add(within));
                return vec![Message::Stopping, Message::Extend(within)];
            }
            // The watchdog begins with READY=1.
            (Event::Works, Phase::Running | Phase::Stopping(_)) if self.is_watched => {
                return vec![Message::Watchdog];
            }
            _ => {}
        }
        Vec::new()
    }

    fn extend(&mut self, now: Duration) -> Vec<Message> {
        let is_due = self.extended.is_none_or(|last| now >= last + EXTEND_EVERY);
        if !is_due || now >= START_MAX {
            return Vec::new();
        }
        self.extended = Some(now);
        vec![Message::Extend(EXTEND_BY)]
    }

    fn status(&mut self, text: &str) -> Vec<Message> {
        let line = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.chars().map(line).take(STATUS_MAX).collect();
        if text == self.status {
            return Vec::new();
        }
        self.status.clone_from(&text);
        vec![Message::Status(text)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    #[track_caller]
    fn expect(machine: &mut Machine, steps: &[(Event, &[Message])]) {
        for (event, messages) in steps {
            assert_eq!(machine.on(event.clone(), ZERO), *messages, "after {event:?}");
        }
    }

    #[test]
    fn a_life_from_start_to_stop() {
        let second = Duration::from_secs(1);
        let status = |text: &str| text.to_owned();
        expect(
            &mut Machine::new(true),
            &[
                (Event::Works, &[]),
                (Event::Reloading, &[]),
                (Event::Reloaded, &[]),
                (
                    Event::Status(status("loading\nmore")),
                    &[Message::Status(status("loading more"))],
                ),
                (Event::Ready, &[Message::Ready]),
                (Event::Ready, &[]),
                (Event::Tick, &[]),
                (Event::Works, &[Message::Watchdog]),
                (Event::Status(status("loading more")), &[]),
                (Event::Reloading, &[Message::Reloading]),
                (Event::Works, &[Message::Watchdog]),
                (Event::Reloading, &[]),
                (Event::Reloaded, &[]),
                (Event::Reloaded, &[Message::Ready]),
                (Event::Reloaded, &[]),
                (Event::Stopping(second), &[Message::Stopping, Message::Extend(second)]),
                (Event::Stopping(second), &[]),
                (Event::Works, &[Message::Watchdog]),
                (Event::Tick, &[Message::Watchdog]),
                (Event::Reloading, &[]),
                (Event::Ready, &[]),
            ],
        );
    }

    #[test]
    fn one_that_is_not_watched_sends_no_watchdog() {
        let mut machine = Machine::new(false);
        expect(&mut machine, &[(Event::Ready, &[Message::Ready]), (Event::Works, &[])]);
    }

    #[test]
    fn a_long_start_asks_for_more_time_at_intervals_and_not_for_ever() {
        let mut machine = Machine::new(true);
        let mut at = |seconds| machine.on(Event::Tick, Duration::from_secs(seconds));
        let more = [Message::Extend(EXTEND_BY)];
        assert_eq!(at(0), more);
        assert_eq!(at(9), []);
        assert_eq!(at(10), more);
        assert_eq!(at(3599), more);
        assert_eq!(at(3600), []);
    }

    #[test]
    fn a_stop_that_takes_too_long_is_not_covered() {
        let (mut machine, second) = (Machine::new(true), Duration::from_secs(1));
        _ = machine.on(Event::Stopping(second), second);
        let mut tick = |at| machine.on(Event::Tick, at);
        assert_eq!(tick(second), [Message::Watchdog]);
        assert_eq!(tick(2 * second), []);
    }

    #[test]
    fn a_status_is_cut() {
        let long = "\u{e4}".repeat(STATUS_MAX + 1);
        let cut = Message::Status("\u{e4}".repeat(STATUS_MAX));
        assert_eq!(Machine::new(false).on(Event::Status(long), ZERO), [cut]);
    }
}
