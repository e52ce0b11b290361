//! The text of a capture: lines of frames within a bound of bytes and of time. Pure.

use std::time::{Duration, Instant};

use mcbp::{Frame, Side};
use relay::{Gap, Seen};
use wirelog::{About, Line, Redaction, Salt, WITHHELD};

/// What is left for the last line.
const END_BYTES: u64 = 512;
/// What a line of a frame has beside the digits of the frame, at most: a `what` that a peer can
/// make longer is cut.
const LINE_BYTES: u64 = 512;
/// The longest `what`.
const WHAT_CHARS: usize = 200;

/// Makes lines of what was recorded.
pub(super) struct Lines {
    about: Option<About>,
    redaction: Redaction,
    salt: Salt,
    /// Bytes that may still be written before the last line.
    left: u64,
    bytes: u64,
    frames: u64,
    missing: u64,
    /// The time of the first line, once there is one.
    base: Option<Instant>,
    began: Instant,
    until: Instant,
    /// Why it is over at `until`.
    ended: Option<&'static str>,
    is_full: bool,
    is_late: bool,
}

impl Lines {
    /// Lines of `bytes` at most, of what was there until the second of `times`; the capture begins
    /// at the first.
    pub(super) fn new(
        about: About,
        redaction: Redaction,
        salt: Salt,
        bytes: u64,
        (began, until): (Instant, Instant),
    ) -> Self {
        Self {
            about: Some(about),
            redaction,
            salt,
            left: bytes.saturating_sub(END_BYTES),
            bytes: 0,
            frames: 0,
            missing: 0,
            base: None,
            began,
            until,
            ended: None,
            is_full: false,
            is_late: false,
        }
    }

    /// Appends the line of `seen` to `out`, unless the capture is over.
    pub(super) fn take(&mut self, seen: Seen<'_>, out: &mut Vec<u8>) {
        let (Seen::Frame { at, .. } | Seen::Closed { at, .. } | Seen::Gap { at, .. }) = seen;
        self.is_late |= at > self.until;
        if self.is_late || self.is_full {
            return;
        }
        self.first(out);
        let before = out.len();
        let t = at.saturating_duration_since(*self.base.get_or_insert(at));
        match seen {
            Seen::Frame { bytes, .. } if self.cost(bytes) > self.left => self.is_full = true,
            Seen::Frame { side, is_own, is_withheld, bytes, .. } => {
                self.frame(t, side, is_own, is_withheld, bytes, out);
            }
            _ if LINE_BYTES > self.left => self.is_full = true,
            Seen::Closed { side, .. } => wirelog::write_eof(self.frames, t, name(side), out),
            Seen::Gap { gap: Gap::Slow(frames) | Gap::Evicted(frames), .. } => {
                let frames = frames as u64;
                self.missing += frames;
                wirelog::write_dropped(self.frames, t, frames, out);
            }
            Seen::Gap { gap: Gap::Unkept, .. } => wirelog::write_unkept(self.frames, t, out),
        }
        self.wrote(out.len() - before);
    }

    /// Why the capture is over, if it is; `is_more` is whether there may be more to take.
    pub(super) fn why_over(&self, is_more: bool, now: Instant) -> Option<&'static str> {
        match () {
            () if self.is_full => Some("the bound of bytes is reached"),
            () if self.is_late || (!is_more && now >= self.until) => {
                let is_past = self.until <= self.began;
                let planned =
                    if is_past { "all that was kept is shown" } else { "the time is over" };
                Some(self.ended.unwrap_or(planned))
            }
            () => None,
        }
    }

    /// Takes nothing that comes after this moment.
    pub(super) fn end_now(&mut self, why: &'static str) {
        let now = Instant::now();
        if self.ended.is_none() && now < self.until {
            self.until = now;
            self.ended = Some(why);
        }
    }

    /// Appends that so many frames will never be written.
    pub(super) fn lose(&mut self, frames: u64, out: &mut Vec<u8>) {
        if frames > 0 {
            self.first(out);
            self.missing += frames;
            let t = self.base.map_or(Duration::ZERO, |base| base.elapsed());
            wirelog::write_dropped(self.frames, t, frames, out);
        }
    }

    /// Appends the last line.
    pub(super) fn end(&mut self, why: &str, out: &mut Vec<u8>) {
        self.first(out);
        let t = self.base.map_or(Duration::ZERO, |base| base.elapsed());
        wirelog::write_end(self.frames, t, self.missing, why, out);
    }

    /// How much was captured, in words.
    pub(super) fn summary(&self) -> String {
        let Self { frames, bytes, missing, .. } = self;
        format!("{frames} frames in {bytes} bytes, {missing} frames missing")
    }

    fn first(&mut self, out: &mut Vec<u8>) {
        if let Some(about) = self.about.take() {
            let before = out.len();
            wirelog::write_about(&about, out);
            self.wrote(out.len() - before);
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.left = self.left.saturating_sub(bytes as u64);
    }

    const fn cost(&self, frame: &[u8]) -> u64 {
        2 * frame.len() as u64 + LINE_BYTES
    }

    fn frame(
        &mut self,
        t: Duration,
        side: Side,
        is_own: bool,
        is_withheld: bool,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.frames += 1;
        let frame = wirelog::redact(bytes, &self.redaction, &self.salt);
        let what = Frame::parse(&frame).map_or_else(|_| String::new(), |it| wirelog::what(&it));
        let peer = name(side);
        let (from, to) = if is_own { ("proxy", peer) } else { (peer, "proxy") };
        let what = what.chars().take(WHAT_CHARS).collect();
        let note = is_withheld.then_some(WITHHELD);
        wirelog::write(&Line { n: self.frames, t, from, to, what, note, frame: &frame }, out);
    }
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Consumer => "consumer",
        Side::Producer => "producer",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mcbp::dcp::{Mutation, Target};
    use mcbp::{Datatype, Opaque, Seqno, VbId};
    use wirelog::{Reader, Record};

    use super::*;

    fn lines(bytes: u64, seconds: u64) -> Lines {
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds);
        let about = About { link: "a link".to_owned(), ..About::default() };
        Lines::new(about, Redaction { keys: false }, Salt::new([7; 16]), bytes, (began, until))
    }

    fn mutation() -> Bytes {
        let target = Target { vb: VbId(1), opaque: Opaque(1), cas: 1, datatype: Datatype::RAW };
        let body = Mutation { seqno: Seqno(9), rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 0 };
        let mut out = bytes::BytesMut::new();
        body.write(target, b"the key", b"the secret value", &mut out);
        out.freeze()
    }

    fn seen(bytes: &[u8]) -> Seen<'_> {
        let (at, side) = (Instant::now(), Side::Producer);
        Seen::Frame { at, side, is_own: false, is_withheld: false, bytes }
    }

    #[test]
    fn a_capture_is_a_recording_without_values() {
        let (mut lines, mut out) = (lines(1 << 20, 60), Vec::new());
        let frame = mutation();
        lines.take(seen(&frame), &mut out);
        let Seen::Frame { at, side, bytes, .. } = seen(&frame) else { panic!() };
        let own = Seen::Frame { at, side, is_own: true, is_withheld: false, bytes };
        lines.take(own, &mut out);
        let withheld = Seen::Frame { at, side, is_own: false, is_withheld: true, bytes };
        lines.take(withheld, &mut out);
        lines.take(Seen::Gap { at, gap: Gap::Slow(5) }, &mut out);
        lines.take(Seen::Closed { at, side }, &mut out);
        lines.take(Seen::Gap { at, gap: Gap::Unkept }, &mut out);
        lines.end("the time is over", &mut out);
        assert_eq!(lines.missing, 5);
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(!out.windows(6).any(|part| part == b"secret") && !text.contains("736563726574"));
        assert!(text.contains("746865206b6579"), "the key is shown");
        assert!(text.lines().last().is_some_and(|line| line.contains("END")), "{text}");
        let records: Vec<_> = Reader::new(&out[..]).collect::<Result<_, _>>().unwrap();
        let words: Vec<_> = records
            .iter()
            .map(|record| match record {
                Record::About(about) => about.link.clone(),
                Record::Frame(frame) => {
                    let note = frame.note.as_deref().unwrap_or_default();
                    format!("{} {}>{} {}{note}", frame.n, frame.from, frame.to, frame.frame.len())
                }
                Record::Eof { from, .. } => format!("EOF {from}"),
                Record::Dropped { frames, .. } => format!("dropped {frames}"),
                Record::Unkept { .. } => "unkept".to_owned(),
                Record::End { why, .. } => format!("end: {why}"),
            })
            .collect();
        let bytes = frame.len();
        assert_eq!(
            words,
            [
                "a link".to_owned(),
                format!("1 producer>proxy {bytes}"),
                format!("2 proxy>producer {bytes}"),
                format!("3 producer>proxy {bytes}withheld"),
                "dropped 5".to_owned(),
                "EOF producer".to_owned(),
                "unkept".to_owned(),
                "end: the time is over".to_owned(),
            ]
        );
    }

    #[test]
    fn it_ends_within_its_bound_of_bytes() {
        for bound in [4096, 5000, 10_000] {
            let (mut lines, mut out) = (lines(bound, 60), Vec::new());
            let frame = mutation();
            let mut count = 0;
            while lines.why_over(true, Instant::now()).is_none() {
                lines.take(seen(&frame), &mut out);
                count += 1;
                assert!(count < 1000);
            }
            lines.end("the bound of bytes is reached", &mut out);
            assert!(out.len() as u64 <= bound && lines.frames > 3, "{bound}: {}", out.len());
        }
    }

    #[test]
    fn an_end_on_request_takes_what_was_there_and_counts_what_is_lost() {
        let (mut lines, mut out) = (lines(4096, 60), Vec::new());
        let frame = mutation();
        lines.take(seen(&frame), &mut out);
        lines.end_now("asked");
        lines.end_now("asked again");
        let until = lines.until;
        assert_eq!(lines.why_over(true, until), None, "more may be there of that time");
        assert_eq!(lines.why_over(false, until), Some("asked"));
        let late = Seen::Closed { at: until + Duration::from_nanos(1), side: Side::Producer };
        lines.take(late, &mut out);
        assert_eq!(lines.why_over(true, until), Some("asked"));
        lines.lose(7, &mut out);
        lines.lose(0, &mut out);
        lines.end("asked", &mut out);
        assert!(out.len() <= 4096 && lines.summary().ends_with("7 frames missing"));
        let text = String::from_utf8(out).unwrap();
        assert!(text.matches("DROPPED").count() == 1 && text.contains("\"missing\": 7"), "{text}");
    }

    #[test]
    fn it_ends_in_time_however_much_waits() {
        let (mut lines, mut out) = (lines(1 << 20, 0), Vec::new());
        let frame = mutation();
        let (late, early) = (seen(&frame), lines.until);
        let Seen::Frame { side, bytes, .. } = late else { panic!() };
        let before = Seen::Frame { at: early, side, is_own: false, is_withheld: false, bytes };
        lines.take(before, &mut out);
        assert_eq!(lines.why_over(true, early), None, "more may be there of that time");
        assert_eq!(lines.why_over(false, early), Some("all that was kept is shown"));
        let later = early + Duration::from_nanos(1);
        let late = Seen::Frame { at: later, side, is_own: false, is_withheld: false, bytes };
        lines.take(late, &mut out);
        assert_eq!(lines.frames, 1, "of a time after the end");
        assert!(lines.why_over(true, early).is_some());
    }
}
