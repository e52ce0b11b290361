//! When to look at the files, and which changes to tell. Pure: the caller brings time and contents.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::content::Content;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// The files must be quiet this long before they are read.
    pub(crate) quiet: Duration,
    /// They are read after this time even if they are not quiet. A file that is missing is waited
    /// for this long.
    pub(crate) longest: Duration,
}

/// Returns `files`, those of `known` with the content that they have there.
pub(crate) fn keep_content(
    files: Vec<(PathBuf, Content)>,
    known: &[(PathBuf, Content)],
) -> Vec<(PathBuf, Content)> {
    let kept = |path: &PathBuf| known.iter().find(|(known, _)| known == path);
    let files = files.into_iter().map(|(path, content)| {
        let content = kept(&path).map_or(content, |(_, content)| *content);
        (path, content)
    });
    files.collect()
}

/// See the module.
pub(crate) struct Settle {
    waits: Waits,
    /// The files, and what was told of them last.
    told: Vec<(PathBuf, Content)>,
    unrest: Option<Unrest>,
}

/// A change is suspected.
struct Unrest {
    since: Instant,
    last: Instant,
    /// What a look without notification has found. It may have met a half-written file.
    found: Option<Vec<Content>>,
}

impl Settle {
    pub(crate) const fn new(waits: Waits) -> Self {
        Self { waits, told: Vec::new(), unrest: None }
    }

    /// Watches these files from now on; of those that are new, `contents` has the content with
    /// which to compare.
    pub(crate) fn set_files(&mut self, files: Vec<(PathBuf, Content)>) {
        self.told = keep_content(files, &self.told);
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.told.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Something that leads to the files has changed.
    pub(crate) fn hint(&mut self, now: Instant) {
        match &mut self.unrest {
            Some(unrest) => unrest.last = now,
            None => self.unrest = Some(Unrest { since: now, last: now, found: None }),
        }
    }

    /// When to look; `None` while no change is suspected.
    pub(crate) fn due(&self) -> Option<Instant> {
        let Waits { quiet, longest } = self.waits;
        self.unrest.as_ref().map(|unrest| (unrest.last + quiet).min(unrest.since + longest))
    }

    /// The files hold `contents`, in the order of [`Settle::files`]. Returns those whose change is
    /// to be told.
    pub(crate) fn looked(&mut self, now: Instant, contents: &[Content]) -> Vec<PathBuf> {
        let told = self.told.iter().map(|(_, content)| content);
        if told.eq(contents) {
            self.unrest = None;
            return Vec::new();
        }
        let Some(unrest) = &mut self.unrest else {
            let found = Some(contents.to_vec());
            self.unrest = Some(Unrest { since: now, last: now, found });
            return Vec::new();
        };
        let missing =
            self.told.iter().zip(contents).any(|((_, told), content)| {
                *content == Content::Missing && *told != Content::Missing
            });
        let moving = unrest.found.as_ref().is_some_and(|found| found != contents);
        if (missing || moving) && now < unrest.since + self.waits.longest {
            unrest.last = now;
            unrest.found = unrest.found.as_ref().map(|_| contents.to_vec());
            return Vec::new();
        }
        self.unrest = None;
        let mut changed = Vec::new();
        for ((path, told), content) in self.told.iter_mut().zip(contents) {
            if told != content {
                *told = *content;
                changed.push(path.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits =
        Waits { quiet: Duration::from_millis(200), longest: Duration::from_secs(2) };

    fn bytes(hash: u128) -> Content {
        Content::Bytes(1, hash)
    }

    /// What happens at a millisecond: a notification, or a look that finds this content.
    enum Event {
        Hint,
        Look(Content),
    }
    use Event::{Hint, Look};

    /// Plays the events; returns when each look was due and when a change was told.
    fn play(events: Vec<(u64, Event)>) -> (Vec<Option<u64>>, Vec<u64>) {
        let start = Instant::now();
        let mut settle = Settle::new(WAITS);
        settle.set_files(vec![("/a".into(), bytes(0))]);
        let (mut due, mut told) = (Vec::new(), Vec::new());
        for (at, event) in events {
            let now = start + Duration::from_millis(at);
            match event {
                Hint => settle.hint(now),
                Look(content) => {
                    let changed = settle.looked(now, &[content]);
                    told.extend(changed.iter().map(|_| at));
                }
            }
            due.push(settle.due().map(|due| due.duration_since(start).as_millis() as u64));
        }
        (due, told)
    }

    /// A name, the events, when each look was due, when a change was told.
    type Case = (&'static str, Vec<(u64, Event)>, Vec<Option<u64>>, Vec<u64>);

    #[test]
    fn changes_are_told_once_the_files_are_quiet() {
        let gone = Content::Missing;
        let cases: Vec<Case> = vec![
            ("a write", vec![(0, Hint), (200, Look(bytes(1)))], vec![Some(200), None], vec![200]),
            ("a touch", vec![(0, Hint), (200, Look(bytes(0)))], vec![Some(200), None], vec![]),
            (
                "writes that go on",
                vec![(0, Hint), (150, Hint), (1900, Hint), (2000, Look(bytes(1)))],
                vec![Some(200), Some(350), Some(2000), None],
                vec![2000],
            ),
            (
                "missing for a moment",
                vec![(0, Hint), (200, Look(gone)), (400, Look(bytes(1)))],
                vec![Some(200), Some(400), None],
                vec![400],
            ),
            (
                "deleted",
                vec![(0, Hint), (200, Look(gone)), (1900, Look(gone)), (2000, Look(gone))],
                vec![Some(200), Some(400), Some(2000), None],
                vec![2000],
            ),
            (
                "found without a notification",
                vec![(0, Look(bytes(1))), (200, Look(bytes(2))), (400, Look(bytes(2)))],
                vec![Some(200), Some(400), None],
                vec![400],
            ),
            (
                "there and back",
                vec![(0, Look(bytes(1))), (200, Look(bytes(0)))],
                vec![Some(200), None],
                vec![],
            ),
            (
                "changed again",
                vec![(0, Hint), (200, Look(bytes(1))), (300, Hint), (500, Look(bytes(0)))],
                vec![Some(200), None, Some(500), None],
                vec![200, 500],
            ),
        ];
        for (what, events, due, told) in cases {
            assert_eq!(play(events), (due, told), "{what}");
        }
    }

    #[test]
    fn files_that_stay_keep_what_was_told_of_them() {
        let mut settle = Settle::new(WAITS);
        settle.set_files(vec![("/a".into(), bytes(0)), ("/b".into(), bytes(0))]);
        settle.set_files(vec![("/b".into(), bytes(1)), ("/c".into(), bytes(1))]);
        let now = Instant::now();
        settle.hint(now);
        let changed = settle.looked(now + WAITS.quiet, &[bytes(1), bytes(1)]);
        assert_eq!(changed, [PathBuf::from("/b")], "it changed before the list did");
    }
}
