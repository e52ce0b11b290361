//! The lists: DCP streams, events.

use super::{if_fits, wrapped};
use crate::client::table::Table;
use crate::explain::facts::{DcpStream, Event, Facts, Node};

/// The DCP streams of the vBucket: a line each, or where that does not fit, a table each.
pub(super) fn streams(facts: &Facts, width: Option<u16>) -> Option<String> {
    let of = |node: &'_ Node| node.copy().map(|copy| copy.streams.clone()).unwrap_or_default();
    let rows: Vec<_> = facts
        .nodes()
        .flat_map(|node| of(node).into_iter().map(|stream| stream_fields(node, &stream)))
        .collect();
    let heading = rows.first()?.iter().map(|(name, _)| (*name).to_owned());
    let mut table = Table::new_of(heading);
    for row in &rows {
        table.push_all(row.iter().map(|(_, text)| text.as_str().into()).collect());
    }
    if let Some(text) = if_fits(&table, width) {
        return Some(text);
    }
    let one = |row: &[(&'static str, String); 9]| {
        let [(name, node), rest @ ..] = row;
        let mut table = Table::new_of([(*name).to_owned(), node.clone()]);
        for (name, text) in rest.iter().filter(|(_, text)| text != "-") {
            table.push([name.to_lowercase().as_str().into(), text.as_str().into()]);
        }
        table.text(width)
    };
    Some(rows.iter().map(one).collect::<Vec<_>>().join("\n"))
}

fn stream_fields(node: &Node, stream: &DcpStream) -> [(&'static str, String); 9] {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    let number =
        |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        ("STREAM AT", node.name.clone()),
        ("AS", word(&stream.role)),
        ("STATE", word(&stream.state)),
        ("SENT", number(stream.last_sent)),
        ("RECEIVED", number(stream.last_received)),
        ("SNAPSHOT END", number(stream.snapshot_end)),
        ("BUFFERED", number(stream.buffered_bytes)),
        ("UNACKED", number(stream.unacked_bytes)),
        ("CONNECTION", stream.connection.clone()),
    ]
}

/// The last events, in one line each.
pub(super) fn events(facts: &Facts, width: Option<u16>) -> Option<String> {
    let view = facts.view().filter(|view| !view.events.is_empty())?;
    let mut table = Table::new(["EVENT AT", "LEVEL", "KIND", "TEXT"]);
    let words =
        |event: &Event| [&event.time, &event.level, &event.kind, &event.text].map(String::clone);
    for event in &view.events {
        table.push(words(event).map(|word| word.as_str().into()));
    }
    let narrow = || {
        let lines = view.events.iter().map(|event| wrapped(&words(event).join(" "), width));
        "EVENTS\n".to_owned() + &lines.collect::<String>()
    };
    Some(if_fits(&table, width).unwrap_or_else(narrow))
}
