//! The question before streams are closed, or something else is lost.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};

use console::Term;
use replica::plan::VbSet;
use serde_json::{Value, json};

use super::caller;
use super::error::AskError;
use super::output::{say, width};
use super::page::Page;
use super::plain::plain;
use super::table::{Cell, Table};
use super::views::Preview;

/// What becomes of a change that somebody may not want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Consent {
    Given,
    /// A person has to be asked.
    Ask,
    /// Nobody can be asked.
    Refused,
}

const fn consent(is_harmless: bool, yes: bool, at_terminal: bool) -> Consent {
    match (is_harmless || yes, at_terminal) {
        (true, _) => Consent::Given,
        (false, true) => Consent::Ask,
        (false, false) => Consent::Refused,
    }
}

/// What a command would do, for the person who has to decide.
pub(super) struct Plan {
    /// What would happen, as a sentence without a period.
    pub(super) sentence: String,
    /// The details.
    pub(super) page: Page,
    /// The details for programs.
    pub(super) json: Value,
    /// Whether nothing is lost by it.
    pub(super) is_harmless: bool,
}

/// Returns an error unless the plan is harmless, `yes` was given, or the person at the terminal
/// agrees.
pub(super) fn confirm(plan: &Plan, yes: bool) -> Result<(), AskError> {
    let Plan { sentence, page, json, is_harmless } = plan;
    match consent(*is_harmless, yes, caller::is_at_terminal()) {
        Consent::Given => Ok(()),
        Consent::Ask => {
            say(page.render(width(&Term::stderr())).trim_end());
            if agrees(sentence) { Ok(()) } else { Err(AskError::Declined) }
        }
        Consent::Refused => {
            let text = format!(
                "{sentence}: nothing was changed, because nobody can be asked here; give --yes to \
                 do it"
            );
            let mut body = json.clone();
            if let Some(body) = body.as_object_mut() {
                body.insert("error".to_owned(), Value::from(text.as_str()));
            }
            Err(AskError::Unconfirmed { text, body })
        }
    }
}

/// Asks the person at the terminal. Anything but yes, also the end of the input, is no.
fn agrees(sentence: &str) -> bool {
    let mut screen = io::stderr().lock();
    let asked = write!(screen, "{}. Go on? [y/N] ", plain(sentence)).and_then(|()| screen.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What opens, closes and stays in these buckets.
pub(super) fn plan(previews: &BTreeMap<String, Preview>) -> Plan {
    let closes: usize = previews.values().map(Preview::closes).sum();
    let buckets: Vec<_> = previews.iter().filter(|(_, preview)| preview.closes() > 0).collect();
    let names: Vec<_> = buckets.iter().map(|(name, _)| name.as_str()).collect();
    let streams = if closes == 1 { "stream" } else { "streams" };
    let paused: usize = previews.values().filter_map(|it| Some(it.paused.as_ref()?.len())).sum();
    let paused = if paused > 0 { format!(" ({paused} of them paused)") } else { String::new() };
    Plan {
        sentence: format!("{closes} {streams} of {} would close{paused}", names.join(", ")),
        page: Page::default().table(table(previews)),
        json: json!({ "buckets": previews }),
        is_harmless: closes == 0,
    }
}

/// What opens, closes and stays in these buckets, as a table.
pub(super) fn table(previews: &BTreeMap<String, Preview>) -> Table {
    let mut table = Table::new(["BUCKET", "CHANGE", "PRODUCER", "STREAMS", "VBUCKETS"]);
    for (bucket, Preview { opens, closes, stays, .. }) in previews {
        for (word, map) in [("opens", opens), ("closes", closes), ("stays", stays)] {
            for (producer, set) in map {
                table.push(row(bucket, word, producer, set));
            }
        }
    }
    table
}

fn row(bucket: &str, word: &str, producer: &str, set: &VbSet) -> [Cell; 5] {
    let count = u64::try_from(set.len()).unwrap_or(u64::MAX);
    let set = set.to_string();
    [bucket.into(), word.into(), producer.into(), count.into(), set.as_str().into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_something_needs_yes_or_a_person() {
        for (is_harmless, yes, at_terminal, want) in [
            (true, false, false, Consent::Given),
            (true, false, true, Consent::Given),
            (false, true, false, Consent::Given),
            (false, true, true, Consent::Given),
            (false, false, true, Consent::Ask),
            (false, false, false, Consent::Refused),
        ] {
            assert_eq!(consent(is_harmless, yes, at_terminal), want);
        }
    }

    #[test]
    fn the_sentence_counts_what_closes() {
        let set = |text: &str| BTreeMap::from([("alpha".to_owned(), text.parse().unwrap())]);
        let preview = |closes: &str| Preview { closes: set(closes), ..Preview::default() };
        let mut previews = BTreeMap::from([
            ("a".to_owned(), preview("0-6,8-1023")),
            ("b".to_owned(), Preview::default()),
        ]);
        let plan_of = |previews: &_| {
            let Plan { sentence, is_harmless, .. } = plan(previews);
            (sentence, is_harmless)
        };
        assert_eq!(plan_of(&previews), ("1023 streams of a would close".to_owned(), false));
        previews.insert("c".to_owned(), preview("5"));
        assert_eq!(plan_of(&previews).0, "1024 streams of a, c would close");
        previews.retain(|name, _| name == "b");
        assert!(plan_of(&previews).1);
    }
}
