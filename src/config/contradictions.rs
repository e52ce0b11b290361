//! Settings that contradict each other: each is allowed by itself, and together they are probably
//! not meant.

use std::time::Duration;

use replica::plan::VbSet;
use toml::Spanned;

use super::check::Checker;
use super::checked::Limits;
use super::file;

impl Checker<'_, '_> {
    /// Warns of settings that contradict each other.
    pub(super) fn warn_of_contradictions(&mut self, file: &file::File, limits: &Limits) {
        for bucket in &file.bucket {
            self.warn_of_bucket(bucket, file.desired.is_some() || file.cluster.is_some());
        }
        self.warn_of_limits(&file.limits, limits);
        if let Some(embedded) = &file.embedded {
            self.warn_of_embedded(embedded, file);
        }
        self.warn_of_admin(file);
    }

    fn warn_of_bucket(&mut self, bucket: &file::Bucket, has_other_source: bool) {
        let key = |field: &str| format!("bucket {:?}: {field}", bucket.name.as_ref());
        if bucket.replicate.is_empty() && !has_other_source {
            let text = "nothing is replicated: name a producer and its vBuckets, such as \
                        { alpha = \"0-1023\" }";
            self.warn(&bucket.name.span(), &key("replicate"), text);
        }
        let Some(connections) = &bucket.connections else { return };
        for (producer, written) in &bucket.replicate {
            let Ok(set) = written.as_ref().parse::<VbSet>() else { continue };
            let (count, most) = (*connections.as_ref(), set.iter().count());
            if usize::try_from(count).is_ok_and(|count| count > most) {
                let producer = producer.as_ref();
                let text = format!(
                    "{count} connections for the {most} vBuckets from {producer}: some carry \
                     nothing, give at most {most}"
                );
                self.warn(&connections.span(), &key("connections"), text);
                return;
            }
        }
    }

    fn warn_of_limits(&mut self, written: &file::Limits, limits: &Limits) {
        let ms = |limit: Duration| limit.as_millis();
        let Limits { close, data_move, stall, .. } = *limits;
        let Limits { once_idle, shutdown, retry_max, loop_window, .. } = *limits;
        let (shutdown_ms, close_ms) = (&written.shutdown_ms, &written.close_ms);
        let text = format!(
            "a clean stop ends after {} ms, before the {} ms for closing streams: give \
             shutdown_ms >= close_ms",
            ms(shutdown),
            ms(close)
        );
        let of_stop = [("shutdown_ms", shutdown_ms), ("close_ms", close_ms)];
        self.unless(shutdown >= close, of_stop, &text);
        let (move_ms, stall_ms) = (&written.data_move_ms, &written.stall_ms);
        let text = format!(
            "a move gives up after {} ms, before a stalled link is restarted ({} ms): give \
             data_move_ms >= stall_ms",
            ms(data_move),
            ms(stall)
        );
        self.unless(data_move >= stall, [("data_move_ms", move_ms), ("stall_ms", stall_ms)], &text);
        let (once_ms, retry_ms) = (&written.once_idle_ms, &written.retry_ms_max);
        let text = format!(
            "--once gives up after {} ms, within one pause between attempts ({} ms at most): \
             give once_idle_ms >= retry_ms_max / 2",
            ms(once_idle),
            ms(retry_max)
        );
        let of_once = [("once_idle_ms", once_ms), ("retry_ms_max", retry_ms)];
        self.unless(once_idle * 2 >= retry_max, of_once, &text);
        let window_ms = &written.loop_window_ms;
        let text = format!(
            "pauses of up to {} ms are longer than the {} ms within which failures are counted: \
             give retry_ms_max <= loop_window_ms",
            ms(retry_max),
            ms(loop_window)
        );
        let of_window = [("retry_ms_max", retry_ms), ("loop_window_ms", window_ms)];
        self.unless(retry_max <= loop_window, of_window, &text);
        self.warn_of_loops(written, limits);
    }

    /// Warns where so many failures as make a loop never fall within its window, because of the
    /// pauses between them.
    fn warn_of_loops(&mut self, written: &file::Limits, limits: &Limits) {
        let mut pause = limits.retry_min;
        let mut least = Duration::ZERO;
        for _ in 1..limits.loop_failures {
            least += pause;
            pause = (pause * 2).min(limits.retry_max);
        }
        let text = format!(
            "{} failures take at least {} ms with the pauses between them, more than the {} ms \
             within which they are counted: no loop is ever found",
            limits.loop_failures,
            least.as_millis(),
            limits.loop_window.as_millis()
        );
        let keys = [
            ("loop_failures", &written.loop_failures),
            ("loop_window_ms", &written.loop_window_ms),
        ];
        self.unless(least <= limits.loop_window, keys, &text);
    }

    /// Warns of two limits at the first of them that is written; defaults do not contradict each
    /// other.
    fn unless(&mut self, good: bool, limits: [(&str, &Option<Spanned<u64>>); 2], text: &str) {
        let mut written = limits.iter().filter_map(|(key, limit)| Some((key, limit.as_ref()?)));
        if let (false, Some((key, limit))) = (good, written.next()) {
            self.warn(&limit.span(), &format!("limits: {key}"), text);
        }
    }

    fn warn_of_embedded(&mut self, embedded: &file::Embedded, file: &file::File) {
        if let (Some(username), None) = (&embedded.username, &embedded.password) {
            let text = "nobody can log in as this user, whose password is random: give a password";
            self.warn(&username.span(), "embedded: username", text);
        }
        for node in &embedded.node {
            let name = node.name.as_ref();
            let mut used = file.node.iter().chain(&file.producer);
            if !used.any(|used| used.name.as_ref() == name) {
                let key = format!("embedded node {name:?}");
                let text = "nothing uses it: name it in [node] or in a [[producer]]";
                self.warn(&node.name.span(), &key, text);
            }
        }
    }

    /// Warns of an address that several want to listen on.
    fn warn_of_admin(&mut self, file: &file::File) {
        let nodes = file.embedded.iter().flat_map(|embedded| &embedded.node);
        let listens =
            nodes.map(|node| (format!("embedded node {:?}", node.name.as_ref()), &node.listen));
        let remote = file.node.iter().map(|node| ("node".to_owned(), &node.address));
        let admin = std::iter::once(("admin".to_owned(), &file.admin.listen));
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (key, written) in remote.chain(admin).chain(listens) {
            let Some(written) = written else { continue };
            let address = written.as_ref().as_str();
            if address.ends_with(":0") {
                continue;
            }
            match seen.iter().find(|(_, other)| *other == address) {
                Some((other, _)) => {
                    let text =
                        format!("{address} is the address of {other} too: give another port");
                    self.warn(&written.span(), &format!("{key}: listen"), text);
                }
                None => seen.push((key, address)),
            }
        }
    }
}
