//! An event from a log line of the machine of a bucket. The words of a line name its kind; a test
//! here reads the source of the machine and fails where a line has words that are not listed.

use logline::{Field, split, value};
use mcbp::VbId;
use replica::bucket::LogLine;
use replica::plan::{VBUCKETS_MAX, VbSet};

use crate::event::Event;
use crate::kind::Kind;

/// The words of log lines, and the kind of event that each means.
const WORDS: [(&str, Kind); 27] = [
    ("link up", Kind::LinkUp),
    ("link down", Kind::LinkDown),
    ("link in retry loop", Kind::LinkBroken),
    ("link works again", Kind::LinkSteady),
    ("link closed", Kind::LinkClosed),
    ("error answer", Kind::ErrorAnswer),
    ("streams settled", Kind::StreamsSettled),
    ("stream failed", Kind::StreamFailed),
    ("stream ended", Kind::StreamEnded),
    ("stream stalled", Kind::StreamStalled),
    ("vbucket in retry loop", Kind::StreamBroken),
    ("rollback requested", Kind::Rollback),
    ("copy rolled back", Kind::Rollback),
    ("copy may miss rows", Kind::CopyIncomplete),
    ("copy is complete", Kind::CopyComplete),
    ("stopping with copies that may miss rows", Kind::CopiesLeft),
    ("takeover begins", Kind::TakeoverBegun),
    ("vbucket moved", Kind::Moved),
    ("vbucket not moved", Kind::MoveFailed),
    ("stopping with a vBucket that may be active nowhere", Kind::MoveFailed),
    ("node is unresponsive", Kind::NodeUnresponsive),
    ("node is responsive again", Kind::NodeResponsive),
    ("lag is unknown", Kind::LagUnknown),
    ("lag is known again", Kind::LagKnown),
    ("node is in no topology", Kind::Topology),
    ("topology warning cleared", Kind::TopologyCleared),
    ("this process did not run, silence counts anew", Kind::ProcessHalted),
];

impl Event {
    /// The event that a log line of a bucket tells.
    #[must_use]
    pub fn of_line(line: &LogLine, bucket: &str) -> Self {
        let (words, fields) = split(&line.text);
        let field = |key: &str| fields.iter().find(|field| field.key == key);
        let text_of = |key: &str| field(key).map(|field| field.value.clone());
        let is_rival = field("kind").is_some_and(|kind| kind.value == "rival");
        let kind = match kind_of(words) {
            Kind::LinkBroken if is_rival => Kind::Rival,
            kind => kind,
        };
        let more = field("more").and_then(|more| more.value.parse().ok()).unwrap_or(0);
        let mut event = Self::new(line.level.into(), kind, text(words, &fields));
        event.bucket = Some(text_of("bucket").unwrap_or_else(|| bucket.to_owned()));
        event.link = text_of("link");
        event.node = text_of("node").or_else(|| text_of("producer")).or_else(|| text_of("from"));
        event.vbuckets = vbuckets(field("vb"), field("reason"));
        event.more = more;
        event
    }
}

fn kind_of(words: &str) -> Kind {
    WORDS.iter().find(|(known, _)| *known == words).map_or(Kind::Other, |(_, kind)| *kind)
}

/// The words, and the fields that the event does not have by themselves.
fn text(words: &str, fields: &[Field<'_>]) -> String {
    let mut text = words.to_owned();
    let is_told = |field: &&Field<'_>| !matches!(field.key, "bucket" | "link" | "more");
    for Field { key, value: of_it, is_quoted } in fields.iter().filter(is_told) {
        let of_it = if *is_quoted { value(of_it).to_string() } else { of_it.clone() };
        text.push_str(&format!(" {key}={of_it}"));
    }
    text
}

/// The vBuckets of a line: the field `vb`, or the one that the reason begins with.
fn vbuckets(vb: Option<&Field<'_>>, reason: Option<&Field<'_>>) -> VbSet {
    if let Some(vb) = vb {
        return vb.value.parse().unwrap_or_default();
    }
    let number = reason.and_then(|reason| reason.value.strip_prefix("vb:"));
    let number = number.and_then(|rest| rest.split_once(':')?.0.parse().ok());
    number.filter(|number| *number < VBUCKETS_MAX).map(VbId).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use replica::bucket::LogLevel;

    use super::*;
    use crate::kind::Level;

    fn event(text: &str) -> Event {
        let line = LogLine { level: LogLevel::Warn, text: text.to_owned() };
        Event::of_line(&line, "default")
    }

    #[test]
    fn a_line_has_its_kind_its_names_and_its_vbuckets() {
        let failed = event(r#"stream failed link=a->b times=1 reason="vb:7: refused: \"x\"""#);
        assert_eq!((failed.level, failed.kind), (Level::Warn, Kind::StreamFailed));
        assert_eq!(
            (failed.bucket.as_deref(), failed.link.as_deref()),
            (Some("default"), Some("a->b"))
        );
        assert_eq!(failed.vbuckets.to_string(), "7");
        assert_eq!(failed.text, r#"stream failed times=1 reason="vb:7: refused: \"x\"""#);

        let more = event("stream ended link=a more=1019");
        assert_eq!((more.more, more.text.as_str()), (1019, "stream ended"));

        let moved = event("vbucket moved bucket=other vb=3 from=alpha ms=12");
        assert_eq!(
            (moved.bucket.as_deref(), moved.node.as_deref()),
            (Some("other"), Some("alpha"))
        );
        assert_eq!((moved.kind, moved.vbuckets.to_string()), (Kind::Moved, "3".to_owned()));

        let left = event("stopping with copies that may miss rows bucket=b vb=1,2,9 remedy=\"x\"");
        assert_eq!(left.vbuckets.to_string(), "1-2,9");

        let rival = event("link in retry loop link=a times=5 retry_ms=1 kind=rival reason=x");
        assert_eq!(rival.kind, Kind::Rival);
        let broken = event("link in retry loop link=a times=5 retry_ms=1 kind=flapping reason=x");
        assert_eq!(broken.kind, Kind::LinkBroken);
        assert_eq!(event("something new bucket=b").kind, Kind::Other);
        assert_eq!(event("link down reason=vb:5000: x").vbuckets.len(), 0);
    }

    /// The words of every log line in a source file: literals that go on with ` bucket=` or
    /// ` link=`, and names of events that stand alone.
    fn words_in(source: &str) -> Vec<String> {
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let literals = source.split('"').skip(1).step_by(2);
        let begins = literals.filter_map(|text| {
            let end = text.find(" bucket={").or_else(|| text.find(" link={"))?;
            Some(text[..end].to_owned())
        });
        begins.filter(|words| !words.contains('{')).collect()
    }

    #[test]
    fn every_line_of_the_machine_has_a_kind() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../replica/src/bucket");
        let (mut seen, mut unknown) = (0, Vec::new());
        for entry in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for words in words_in(&source) {
                seen += 1;
                if kind_of(&words) == Kind::Other {
                    unknown.push(words);
                }
            }
        }
        assert!(seen >= 13, "the lines are found: {seen}");
        assert!(unknown.is_empty(), "give them a kind in WORDS: {unknown:?}");
        let lines = include_str!("../../replica/src/bucket/lines.rs");
        let named = lines.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<_> = named.collect();
        assert!(named.len() >= 9, "{named:?}");
        assert!(named.iter().all(|words| kind_of(words) != Kind::Other), "{named:?}");
    }
}
