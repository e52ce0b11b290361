//! What to ask the sidecar, and when: one request at a time. Pure.

use std::time::Duration;

use crate::session::escaped;

/// The pause after a request that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the past is read: the sidecar has a sample each five seconds.
const PAST_EVERY: Duration = Duration::from_secs(5);
/// How long a request may take before the sidecar is shown as one that does not answer.
pub(super) const LATE: Duration = Duration::from_millis(1800);
/// How many samples of the past are shown at most.
const POINTS: u16 = 60;

/// A request that reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Request {
    Overview { legend: bool },
    History,
    Events { after: Option<String> },
    Detail { bucket: String, vbucket: u16 },
}

impl Request {
    /// Path and query.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Overview { legend: true } => "/api/v1/overview?legend=true".to_owned(),
            Self::Overview { legend: false } => "/api/v1/overview".to_owned(),
            Self::History => format!("/api/v1/history?points={POINTS}"),
            Self::Events { after: None } => "/api/v1/events?follow=false".to_owned(),
            Self::Events { after: Some(id) } => {
                format!("/api/v1/events?follow=false&after={}", escaped(id))
            }
            Self::Detail { bucket, vbucket } => {
                format!("/api/v1/buckets/{}/vbuckets/{vbucket}", escaped(bucket))
            }
        }
    }
}

/// What else than the overview is wanted now.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The sidecar's meaning of the characters is not known.
    pub(super) legend: bool,
    /// There are events after the last ones read.
    pub(super) events: Option<Request>,
    /// The vBucket whose details are shown.
    pub(super) detail: Option<Request>,
}

/// Which request is next. Times are since the start of the program.
#[derive(Debug)]
pub(super) struct Asking {
    every: Duration,
    in_flight: Option<(Request, Duration)>,
    overview_at: Duration,
    past_at: Duration,
    /// The details that were asked for since the last overview.
    detail_of: Option<Request>,
    /// Whether events were asked for since the last overview.
    has_events: bool,
    /// Whether the last request failed: then the overview alone is asked for.
    is_lost: bool,
}

impl Asking {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            in_flight: None,
            overview_at: Duration::ZERO,
            past_at: Duration::ZERO,
            detail_of: None,
            has_events: false,
            // Until there is an answer.
            is_lost: true,
        }
    }

    /// The next request, which counts as sent.
    pub(super) fn next(&mut self, now: Duration, wanted: &Wanted) -> Option<Request> {
        if self.in_flight.is_some() {
            return None;
        }
        let request = self.due(now, wanted)?;
        self.in_flight = Some((request.clone(), now));
        Some(request)
    }

    fn due(&mut self, now: Duration, wanted: &Wanted) -> Option<Request> {
        if now >= self.overview_at {
            (self.detail_of, self.has_events) = (None, false);
            return Some(Request::Overview { legend: wanted.legend });
        }
        if self.is_lost {
            return None;
        }
        if wanted.detail.is_some() && wanted.detail != self.detail_of {
            self.detail_of.clone_from(&wanted.detail);
            return wanted.detail.clone();
        }
        if let Some(events) = wanted.events.as_ref().filter(|_| !self.has_events) {
            self.has_events = true;
            return Some(events.clone());
        }
        (now >= self.past_at).then(|| {
            self.past_at = now + PAST_EVERY;
            Request::History
        })
    }

    /// The request has its answer. A sidecar that is slow gets a pause as long as it took.
    pub(super) fn answered(&mut self, now: Duration, is_good: bool) {
        let Some((request, sent)) = self.in_flight.take() else { return };
        let is_overview = matches!(request, Request::Overview { .. });
        if is_good && is_overview {
            let took = now.saturating_sub(sent);
            self.overview_at = (sent + self.every).max(now + took);
        }
        if is_good {
            self.is_lost &= !is_overview;
        } else {
            self.is_lost |= is_overview;
            self.overview_at = self.overview_at.max(now + AGAIN);
        }
    }

    /// Asks for the overview at once.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.overview_at = now;
    }

    /// How long the present request takes.
    pub(super) fn waits(&self, now: Duration) -> Option<Duration> {
        self.in_flight.as_ref().map(|(_, sent)| now.saturating_sub(*sent))
    }

    /// When something changes here without an answer.
    pub(super) fn wake(&self, now: Duration) -> Duration {
        match &self.in_flight {
            Some((_, sent)) if now < *sent + LATE => *sent + LATE,
            Some(_) => now + AGAIN,
            None if self.is_lost => self.overview_at,
            None => self.overview_at.min(self.past_at.max(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn detail(vbucket: u16) -> Request {
        Request::Detail { bucket: "a/b".to_owned(), vbucket }
    }

    #[test]
    fn one_request_at_a_time_and_each_kind_has_its_turn() {
        let mut asking = Asking::new(ms(1000));
        let events = Request::Events { after: None };
        let mut wanted =
            Wanted { legend: true, events: Some(events.clone()), detail: Some(detail(7)) };
        let overview = |legend| Some(Request::Overview { legend });
        assert_eq!(asking.next(ms(0), &wanted), overview(true));
        assert_eq!(asking.next(ms(5), &wanted), None, "one is in flight");
        asking.answered(ms(10), true);
        wanted.legend = false;
        for (at, request) in
            [(10, Some(detail(7))), (20, Some(events)), (30, Some(Request::History)), (40, None)]
        {
            assert_eq!(asking.next(ms(at), &wanted), request, "at {at}");
            asking.answered(ms(at + 5), true);
        }
        // Another vBucket is read at once, the same one with the next overview.
        wanted.detail = Some(detail(8));
        assert_eq!(asking.next(ms(50), &wanted), Some(detail(8)));
        asking.answered(ms(60), true);
        assert_eq!((asking.next(ms(999), &wanted), asking.wake(ms(999))), (None, ms(1000)));
        assert_eq!(asking.next(ms(1000), &wanted), overview(false));
        asking.answered(ms(1010), true);
        assert_eq!(asking.next(ms(1010), &wanted), Some(detail(8)));
    }

    #[test]
    fn a_sidecar_that_fails_is_asked_for_the_overview_each_second() {
        let (mut asking, wanted) = (Asking::new(ms(1000)), Wanted::default());
        assert!(asking.next(ms(0), &wanted).is_some());
        assert_eq!((asking.waits(ms(70)), asking.wake(ms(70))), (Some(ms(70)), LATE));
        asking.answered(ms(5000), false);
        assert_eq!((asking.next(ms(5999), &wanted), asking.wake(ms(5999))), (None, ms(6000)));
        assert!(matches!(asking.next(ms(6000), &wanted), Some(Request::Overview { .. })));
        asking.answered(ms(6001), false);
        assert_eq!(asking.next(ms(7000), &wanted), None);
        asking.hurry(ms(7000));
        assert!(asking.next(ms(7000), &wanted).is_some());
    }

    #[test]
    fn a_slow_sidecar_has_as_long_a_pause() {
        let (mut asking, wanted) = (Asking::new(ms(1000)), Wanted::default());
        assert!(asking.next(ms(0), &wanted).is_some());
        asking.answered(ms(3000), true);
        assert_eq!(asking.next(ms(3000), &wanted), Some(Request::History));
        asking.answered(ms(3001), true);
        assert_eq!(asking.next(ms(5999), &wanted), None);
        assert!(matches!(asking.next(ms(6000), &wanted), Some(Request::Overview { .. })));
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(detail(3).path(), "/api/v1/buckets/a%2Fb/vbuckets/3");
        let after = Request::Events { after: Some("x y".to_owned()) };
        assert_eq!(after.path(), "/api/v1/events?follow=false&after=x%20y");
    }
}
