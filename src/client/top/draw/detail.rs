//! The chosen vBucket: its stream, its last error, its move and its last events.

use ratatui_core::text::Line;

use super::lists::{happened, move_text};
use super::theme::Theme;
use super::{Row, note, title};
use crate::client::top::answers::{Detail, ErrorText, Stream};
use crate::client::top::state::{Chosen, State};
use crate::client::top::text::{UNKNOWN, count, cut, ms, plain, wrap};

/// The pane of the details.
pub(super) fn detail(state: &State, theme: Theme, columns: usize, rows: usize) -> Vec<Row> {
    let at = state.view.cursor;
    let bucket = state.bucket().map(|bucket| bucket.bucket.as_str());
    let name = plain(bucket.unwrap_or(UNKNOWN));
    let mut lines = vec![title(&format!("vb:{at} of {name}"), columns, false, theme)];
    let is_it = |it: &&Chosen| it.vbucket == at && Some(it.bucket.as_str()) == bucket;
    match state.chosen.as_ref().filter(is_it).map(|chosen| &chosen.detail) {
        None if state.view.paused.is_some() => {
            lines.push(note(&cut("not read while paused: p continues", columns), theme));
        }
        None => lines.push(note(&cut("not read yet", columns), theme)),
        Some(Err(error)) => {
            let text = format!("cannot be read: {}", plain(error));
            lines.extend(wrap(&text, columns).into_iter().map(Line::raw));
        }
        Some(Ok(detail)) => lines.extend(whole(state, detail, columns, theme)),
    }
    lines.truncate(rows);
    lines
}

fn whole(state: &State, detail: &Detail, columns: usize, theme: Theme) -> Vec<Row> {
    let mut texts = vec![state_text(detail), where_text(detail)];
    if let Some(moving) = &detail.moving {
        texts.push(format!("move: {}", move_text(moving)));
    }
    match &detail.stream {
        Some(stream) => texts.extend(stream_texts(stream)),
        None => texts.push("it has no stream".to_owned()),
    }
    let texts = texts.iter().flat_map(|text| wrap(&plain(text), columns));
    let mut lines: Vec<_> = texts.map(Line::raw).collect();
    let error = detail.stream.as_ref().and_then(|stream| stream.last_error.as_ref());
    if let Some(error) = error.map(ErrorText::text) {
        let text = format!("last error: {}", plain(error));
        let wrapped = wrap(&text, columns).into_iter();
        lines.extend(wrapped.map(|line| Line::styled(line, theme.severity("warning"))));
    }
    let today = state.overview.as_ref().and_then(|overview| overview.at.as_deref());
    let heading = if detail.events.is_empty() { "no event is known" } else { "last events:" };
    lines.push(Line::styled(cut(heading, columns), theme.strong()));
    // The newest first: where there is no room, the oldest are left out.
    let events = detail.events.iter().rev();
    lines.extend(events.map(|event| happened(event, today, columns, theme)));
    lines
}

fn state_text(detail: &Detail) -> String {
    let Detail { state, meaning, paused, active_here, .. } = detail;
    let meaning = meaning.as_ref().map(|meaning| format!(": {meaning}")).unwrap_or_default();
    let yes_no = |it: &Option<bool>| match it {
        Some(true) => "yes",
        Some(false) => "no",
        None => UNKNOWN,
    };
    format!("{state}{meaning}; paused: {}; active here: {}", yes_no(paused), yes_no(active_here))
}

fn where_text(detail: &Detail) -> String {
    let Detail { producer, connection, .. } = detail;
    match producer {
        Some(producer) => format!("from {producer}, connection {}", count(*connection)),
        None => "from no producer".to_owned(),
    }
}

fn stream_texts(stream: &Stream) -> Vec<String> {
    let Stream { phase, failures, seqno, producer_seqno, lag_seqnos, lag_ms, .. } = stream;
    let mut texts = vec![
        format!("stream {phase}, {} failures", count(*failures)),
        format!("seqno {} here, {} at the producer", count(*seqno), count(*producer_seqno)),
        format!("lag {} changes, {}", count(*lag_seqnos), ms(*lag_ms)),
    ];
    if let Some(closed) = stream.not_open_ms {
        texts.push(format!("not open for {}", ms(Some(closed))));
    }
    if let Some(progress) = stream.progress_ms {
        texts.push(format!("progress {} ago", ms(Some(progress))));
    }
    texts
}
