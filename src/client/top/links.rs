//! The order of the links and which of them are shown. Pure.

use std::cmp::Ordering;

use super::answers::{ErrorText, Link};

/// What links are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Sort {
    /// Bucket, producer, connection.
    #[default]
    Name,
    /// Those that are not up first, then those that lack most streams.
    Trouble,
    Lag,
    Bytes,
    Frames,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Trouble => "trouble",
            Self::Lag => "lag",
            Self::Bytes => "bytes",
            Self::Frames => "frames",
        }
    }

    pub(super) const fn next(self) -> Self {
        match self {
            Self::Name => Self::Trouble,
            Self::Trouble => Self::Lag,
            Self::Lag => Self::Bytes,
            Self::Bytes => Self::Frames,
            Self::Frames => Self::Name,
        }
    }
}

/// The name of a link: its bucket, producer and connection.
pub(super) fn name(link: &Link) -> String {
    format!("{}/{}#{}", link.bucket, link.producer, link.connection)
}

/// Whether it is up.
pub(super) fn is_up(link: &Link) -> bool {
    link.phase == "up"
}

/// The links whose row has every word of the filter, sorted. Figures: the largest first, and one
/// that is not known before all others.
pub(super) fn arranged<'a>(
    links: &'a [Link],
    filter: &str,
    sort: Sort,
    is_reversed: bool,
) -> Vec<&'a Link> {
    let words: Vec<_> = filter.split_whitespace().map(str::to_lowercase).collect();
    let mut shown: Vec<_> = links.iter().filter(|link| has(link, &words)).collect();
    shown.sort_by(|a, b| {
        let order = order(sort, a, b).then_with(|| by_name(a, b));
        if is_reversed { order.reverse() } else { order }
    });
    shown
}

fn has(link: &Link, words: &[String]) -> bool {
    let error = link.last_error.as_ref().map(ErrorText::text).unwrap_or_default();
    let row = format!("{} {} {error}", name(link), link.phase).to_lowercase();
    words.iter().all(|word| row.contains(word))
}

fn by_name(a: &Link, b: &Link) -> Ordering {
    let key = |link: &Link| (link.bucket.clone(), link.producer.clone(), link.connection);
    key(a).cmp(&key(b))
}

fn order(sort: Sort, a: &Link, b: &Link) -> Ordering {
    match sort {
        Sort::Name => Ordering::Equal,
        Sort::Trouble => trouble(b).cmp(&trouble(a)),
        Sort::Lag => lag(b).cmp(&lag(a)),
        Sort::Bytes => figure(b.bytes_per_s).total_cmp(&figure(a.bytes_per_s)),
        Sort::Frames => figure(b.frames_per_s).total_cmp(&figure(a.frames_per_s)),
    }
}

/// What is not known counts as the worst.
fn trouble(link: &Link) -> (bool, u64, u64) {
    let missing = link.wanted.zip(link.open).map(|(wanted, open)| wanted.saturating_sub(open));
    (!is_up(link), missing.unwrap_or(u64::MAX), link.failures.unwrap_or(u64::MAX))
}

fn lag(link: &Link) -> (bool, u64, u64) {
    let unknown = link.lag_unknown.unwrap_or(u64::MAX);
    (link.lag_ms.is_none(), link.lag_ms.unwrap_or(u64::MAX), unknown)
}

fn figure(rate: Option<f64>) -> f64 {
    rate.unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(producer: &str, phase: &str, lag_ms: Option<u64>, bytes: Option<f64>) -> Link {
        Link {
            bucket: "default".to_owned(),
            producer: producer.to_owned(),
            phase: phase.to_owned(),
            wanted: Some(10),
            open: Some(10),
            failures: Some(0),
            lag_ms,
            lag_unknown: Some(0),
            bytes_per_s: bytes,
            frames_per_s: bytes.map(|bytes| -bytes),
            last_error: (phase != "up").then(|| ErrorText::Text("Connection refused".to_owned())),
            ..Link::default()
        }
    }

    fn shown(filter: &str, sort: Sort, is_reversed: bool) -> String {
        let links = [
            link("gamma", "up", Some(5), Some(100.0)),
            link("alpha", "up", Some(40), None),
            link("beta", "waiting", None, Some(0.0)),
            link("delta", "up", Some(5), Some(200.0)),
        ];
        let shown = arranged(&links, filter, sort, is_reversed);
        shown.iter().map(|link| link.producer.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_not_known_is_not_hidden_at_the_end() {
        for (sort, order) in [
            (Sort::Name, "alpha beta delta gamma"),
            (Sort::Trouble, "beta alpha delta gamma"),
            (Sort::Lag, "beta alpha delta gamma"),
            (Sort::Bytes, "alpha delta gamma beta"),
            (Sort::Frames, "alpha beta gamma delta"),
        ] {
            assert_eq!(shown("", sort, false), order, "{sort:?}");
            let mut back: Vec<_> = order.split(' ').collect();
            back.reverse();
            assert_eq!(shown("", sort, true), back.join(" "), "{sort:?} reversed");
        }
    }

    #[test]
    fn every_word_of_the_filter_is_in_the_row() {
        for (filter, order) in [
            ("", "alpha beta delta gamma"),
            ("TA", "beta delta"),
            ("ta wait", "beta"),
            ("refused", "beta"),
            ("default/alpha#0", "alpha"),
            ("nothing", ""),
        ] {
            assert_eq!(shown(filter, Sort::Name, false), order, "{filter:?}");
        }
    }

    #[test]
    fn every_column_has_its_turn() {
        let all = std::iter::successors(Some(Sort::Name), |sort| Some(sort.next()));
        let names: Vec<_> = all.take(6).map(Sort::name).collect();
        assert_eq!(names, ["name", "trouble", "lag", "bytes", "frames", "name"]);
    }
}
