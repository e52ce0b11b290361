//! The subcommand `capture`: writes what passes a link to a file.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;

use serde_json::json;

use super::capture_args::CaptureArgs;
use super::capture_copy::{Asking, Over, copy};
use super::capture_file::{self, Lines, Written};
use super::error::{AskError, Exit};
use super::http::{Call, Http};
use super::output;
use super::views::{Link, Replication, Replications};
use crate::session::escaped;

/// The reason of an end that nobody wanted.
const STOPS: &str = "the sidecar stops";

/// Captures to the file.
pub(super) fn run(args: &CaptureArgs, http: &Http) -> Result<Exit, AskError> {
    let is_stdout = args.file.as_os_str() == "-";
    if !is_stdout && !args.force && capture_file::is_taken(&args.file) {
        return Err(AskError::Usage(format!(
            "{} exists: name another file, or give --force to overwrite it",
            args.file.display()
        )));
    }
    let seconds = args.seconds.or(args.last.then_some(0));
    if seconds == Some(0) && !args.last {
        let text = "--seconds 0 is for --last alone: give 1 to 86400".to_owned();
        return Err(AskError::Usage(text));
    }
    let all: Replications = http.read(&http.get("/api/v1/replications")?)?;
    let (bucket, link) = found(&args.link, &all.buckets).map_err(AskError::Usage)?;
    let mut what = json!({ "bytes": args.bytes, "last": args.last, "anonymise": args.anonymise });
    if let (Some(seconds), Some(fields)) = (seconds, what.as_object_mut()) {
        fields.insert("seconds".to_owned(), seconds.into());
    }
    let call = Call::new("POST", path(bucket, link)).body(what);
    let (body, place) = http.lines(&call).map_err(AskError::or_older)?;
    let failed = |error| AskError::Failed(format!("{}: {error}", args.file.display()));
    let file = if is_stdout {
        io::stdout().as_fd().try_clone_to_owned().map(File::from)
    } else {
        capture_file::open(&args.file, args.force)
    };
    let mut out = Lines::new(file.map_err(failed)?);
    if let Some(state) = not_up(link) {
        output::say(format!("{state}; the capture waits for what comes"));
    }
    let over = copy(body, &mut out, &Asking { http, place });
    let exit = ended(args, out.written(), over);
    state_at_end(http, link, out.written());
    Ok(exit)
}

/// What state a link has that is not open, and why.
fn not_up(link: &Link) -> Option<String> {
    let Link { name, phase, last_error, .. } = link;
    let why = last_error.as_ref().map(|error| format!(": {}", error.detail));
    (phase != "up").then(|| format!("{name} is {phase}, not up{}", why.unwrap_or_default()))
}

/// Says why a capture has little or nothing, where that is known.
fn state_at_end(http: &Http, link: &Link, written: &Written) {
    let now = http.get("/api/v1/replications").and_then(|all| http.read::<Replications>(&all));
    let Ok(Replications { buckets, .. }) = now else {
        return output::say(format!("the sidecar does not tell the state of {} now", link.name));
    };
    match found(&link.name, &buckets) {
        Ok((_, link)) => match not_up(link) {
            Some(state) => output::say(format!("at the end {state}")),
            None if written.frames == 0 => {
                output::say(format!("{} is open: no frame has passed it", link.name));
            }
            None => {}
        },
        Err(_) => output::say(format!("{} is not there any more", link.name)),
    }
}

/// The path of the request for a link.
fn path(bucket: &str, link: &Link) -> String {
    let (bucket, producer) = (escaped(bucket), escaped(&link.producer));
    format!("/api/v1/buckets/{bucket}/links/{producer}/{}/capture", link.connection)
}

/// The bucket and the link that `named` means.
fn found<'a>(named: &str, buckets: &'a [Replication]) -> Result<(&'a str, &'a Link), String> {
    let mut all = Vec::new();
    for Replication { bucket, links, .. } in buckets {
        all.extend(links.iter().map(|link| (bucket.as_str(), link)));
    }
    let short =
        |(bucket, link): &(&str, &Link)| format!("{bucket}/{}/{}", link.producer, link.connection);
    let is_meant = |one: &&(&str, &Link)| {
        let short = short(one);
        let without = format!("{}/{}", one.0, one.1.producer);
        one.1.name == named || short == named || without == named
    };
    let names = |links: &[(&str, &Link)]| links.iter().map(short).collect::<Vec<_>>().join(", ");
    let found: Vec<_> = all.iter().filter(is_meant).copied().collect();
    match &found[..] {
        [one] => Ok(*one),
        [] if all.is_empty() => {
            Err(format!("no link {named:?}: the sidecar has no links, nothing is replicated"))
        }
        [] => Err(format!("no link {named:?}: give one of {}", names(&all))),
        _ => Err(format!("{named:?} has several connections: give one of {}", names(&found))),
    }
}

/// Says what was captured. Returns the exit code.
fn ended(args: &CaptureArgs, written: &Written, over: io::Result<Over>) -> Exit {
    let Written { frames, bytes, missing } = written;
    let lost = "the file has whole lines and no END, and what waited at the sidecar is lost";
    let (why, exit) = match over {
        Ok(Over::Said(why)) if why == STOPS => {
            (format!("{why}: the file has what had passed before"), Exit::Failed)
        }
        Ok(Over::Said(why)) => (why, Exit::Done),
        Ok(Over::Interrupted(why)) => (format!("interrupted, {why}: {lost}"), Exit::Failed),
        Ok(Over::CutOff(why)) => {
            (format!("the sidecar did not end it, {why}: {lost}"), Exit::Failed)
        }
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            ("the reader has closed the pipe".to_owned(), Exit::Done)
        }
        Err(error) => {
            let file = args.file.display();
            (format!("{file} takes no more, {error}: {lost}"), Exit::Failed)
        }
    };
    output::say(format!("{frames} frames in {bytes} bytes; {why}"));
    if *missing > 0 {
        output::say(format!("{missing} frames are missing: DROPPED says where"));
    }
    let keys = if args.anonymise {
        "values, keys and passwords are replaced"
    } else {
        "values and passwords are replaced, keys are not (--anonymise)"
    };
    output::say(format!("{keys}; lengths are kept, and equal ones of this file stay equal"));
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replication(links: &[(&str, u64)]) -> Replication {
        let link = |(producer, connection): &(&str, u64)| {
            let suffix = if *connection == 0 { String::new() } else { format!("/{connection}") };
            json!({ "producer": producer, "connection": connection, "phase": "up",
                "name": format!("replication:{producer}->beta:a b{suffix}"),
                "last_error": null, "streams": [] })
        };
        let links: Vec<_> = links.iter().map(link).collect();
        let bucket = json!({ "bucket": "a b", "links": links, "moves": [] });
        serde_json::from_value(bucket).unwrap()
    }

    #[test]
    fn a_link_is_named_as_in_the_status_or_in_short() {
        let buckets = [replication(&[("alpha", 0), ("alpha", 1), ("gamma", 0)])];
        let path = |named: &str| found(named, &buckets).map(|(bucket, link)| path(bucket, link));
        let gamma = Ok("/api/v1/buckets/a%20b/links/gamma/0/capture".to_owned());
        for named in ["a b/gamma", "a b/gamma/0", "replication:gamma->beta:a b"] {
            assert_eq!(path(named), gamma, "{named}");
        }
        assert!(path("replication:alpha->beta:a b/1").unwrap().contains("/alpha/1/"));
        let several = path("a b/alpha").unwrap_err();
        assert!(several.contains("several connections: give one of a b/alpha/0, a b/alpha/1"));
        let none = path("b/alpha").unwrap_err();
        assert!(none.ends_with("give one of a b/alpha/0, a b/alpha/1, a b/gamma/0"), "{none}");
        assert!(found("x", &[]).unwrap_err().ends_with("nothing is replicated"));
    }

    #[test]
    fn a_link_that_is_not_open_says_why() {
        let mut buckets = [replication(&[("alpha", 0)])];
        let link = &mut buckets[0].links[0];
        assert_eq!(not_up(link), None);
        link.phase = "down".to_owned();
        let name = "replication:alpha->beta:a b";
        assert_eq!(not_up(link), Some(format!("{name} is down, not up")));
        link.last_error = serde_json::from_value(json!({ "detail": "refused" })).unwrap();
        assert_eq!(not_up(link), Some(format!("{name} is down, not up: refused")));
    }
}
