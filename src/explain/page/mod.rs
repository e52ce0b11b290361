//! The story as text, and as JSON for programs. Pure.
//!
//! The first line is the sentence; sections follow. Two copies stand side by side where that fits
//! the terminal, else one below the other. There are no colours.

mod fields;
mod json;
mod lists;

pub(super) use self::json::json;

use self::fields::{copy_fields, sidecar_fields, state};
use self::lists::{events, streams};
use super::facts::{Answer, Dropped, Facts, Node, Sidecar, Wanted};
use super::history::{Parting, Request};
use super::rules;
use super::situation::Story;
use crate::client::plain;
use crate::client::table::{Cell, Table};

/// The whole text. `width` is that of the terminal; `None` where there is none.
pub(super) fn text(facts: &Facts, story: &Story, width: Option<u16>) -> String {
    let mut sections = vec![head(facts, story, width)];
    sections.push(copies(facts, width));
    sections.extend(histories(facts, width));
    sections.extend(streams(facts, width));
    sections.push(sidecar(facts, width));
    sections.extend(events(facts, width));
    sections.join("\n")
}

/// The sentence, what else was found, and which vBucket it is about.
fn head(facts: &Facts, story: &Story, width: Option<u16>) -> String {
    let mut text = String::new();
    for situation in std::iter::once(&story.first).chain(&story.others) {
        text += &wrapped(&situation.sentence(), width);
    }
    for unasked in &story.unasked {
        text += &wrapped(&format!("{unasked}."), width);
    }
    let wanted = match &facts.wanted {
        Wanted::From(producer) => format!("wanted from {producer}"),
        Wanted::Nobody => "not wanted from any producer".to_owned(),
        Wanted::Unknown => "whether it is wanted is unknown".to_owned(),
    };
    text + &wrapped(&format!("\nvBucket {} of bucket {}, {wanted}", facts.vb, facts.bucket), width)
}

/// Text of at most so many columns in a line; one line where there is no terminal.
fn wrapped(text: &str, width: Option<u16>) -> String {
    let Some(width) = width else { return text_line(text) };
    let width = usize::from(width).max(20);
    let mut lines = String::new();
    for line in text.split('\n') {
        let mut column = 0;
        for word in plain(line).split(' ') {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                lines.push('\n');
                column = 0;
            } else if column > 0 {
                lines.push(' ');
                column += 1;
            }
            lines += word;
            column += length;
        }
        lines.push('\n');
    }
    lines
}

fn text_line(text: &str) -> String {
    text.split('\n').map(|line| plain(line) + "\n").collect()
}

/// What the nodes say, side by side.
fn copies(facts: &Facts, width: Option<u16>) -> String {
    let nodes: Vec<_> = facts.nodes().collect();
    let title = |node: &Node| match node.name == facts.our_name {
        true => format!("{} (our node)", node.name),
        false => node.name.clone(),
    };
    let columns: Vec<_> = nodes.iter().map(|node| copy_fields(facts, node)).collect();
    let mut wide =
        Table::new_of(std::iter::once("AT".to_owned()).chain(nodes.iter().map(|node| title(node))));
    for (at, (name, _)) in columns.first().into_iter().flatten().enumerate() {
        let cells = columns.iter().filter_map(|fields| fields.get(at));
        let cells: Vec<_> = cells.map(|(_, text)| text.as_str()).collect();
        if cells.iter().any(|text| *text != "-") {
            wide.push_all(std::iter::once(*name).chain(cells).map(Cell::from).collect());
        }
    }
    if let Some(text) = if_fits(&wide, width) {
        return text;
    }
    let one = |(node, fields): (&&Node, &Vec<(&'static str, String)>)| {
        let mut table = Table::new_of(["AT".to_owned(), title(node)]);
        let known = fields.iter().filter(|(_, text)| text != "-");
        known.for_each(|(name, text)| table.push([(*name).into(), text.as_str().into()]));
        table.text(width)
    };
    nodes.iter().zip(&columns).map(one).collect::<Vec<_>>().join("\n")
}

/// The failover logs side by side (the columns of seqnos are named after the nodes), where they
/// part, and what a stream request would do.
fn histories(facts: &Facts, width: Option<u16>) -> Option<String> {
    let producer = facts.producer()?;
    let (ours, theirs) = (facts.ours.copy()?, producer.copy()?);
    if ours.log.is_empty() && theirs.log.is_empty() {
        return None;
    }
    let heading = ["BRANCH", &facts.our_name, &producer.name, ""];
    let mut table = Table::new_of(heading.map(str::to_owned));
    let mut uuids: Vec<_> = ours.log.iter().map(|entry| entry.uuid).collect();
    uuids.extend(
        theirs
            .log
            .iter()
            .map(|entry| entry.uuid)
            .filter(|uuid| !ours.log.iter().any(|e| e.uuid == *uuid)),
    );
    for uuid in uuids {
        let began = |log: &[mcbp::dcp::FailoverEntry]| {
            log.iter().find(|entry| entry.uuid == uuid).map(|entry| entry.seqno.0)
        };
        let (here, there) = (began(&ours.log), began(&theirs.log));
        let common = if here.is_some() && there.is_some() { "common" } else { "" };
        table.push([uuid.0.into(), here.into(), there.into(), common.into()]);
    }
    let mut text = wrapped("failover logs: the seqno after which each branch began", width);
    text += &table.text(width);
    text += &match rules::parting(facts) {
        Some(parting) => wrapped(&parted(facts, &parting, &producer.name), width),
        None => "where the histories part is unknown\n".to_owned(),
    };
    if let Some(dropped) = &facts.dropped {
        text += &wrapped(&lost(dropped), width);
    }
    Some(text)
}

fn parted(facts: &Facts, parting: &Parting, producer: &str) -> String {
    let common = match parting.has_common_branch {
        true => format!("the histories agree up to seqno {}", parting.common),
        false if parting.ours == 0 => "our copy is empty".to_owned(),
        false => "the histories have no branch in common".to_owned(),
    };
    let would = match parting.request {
        Request::Accepted => format!("{producer} would accept a stream from there"),
        Request::RolledBack { to, .. } => {
            let last = parting.ours;
            let seqnos = last.saturating_sub(to);
            format!(
                "{producer} would answer ROLLBACK to {to}, and {} would drop seqno {} to {last} \
                 ({seqnos} seqnos, or more where it keeps no snapshot at {to})",
                facts.our_name,
                to.saturating_add(1)
            )
        }
    };
    format!("{common}; {would}")
}

fn lost(dropped: &Dropped) -> String {
    match dropped {
        Dropped::Unknown(why) => format!("which rows that drops is unknown: {why}"),
        Dropped::Rows { count, more, lost, keys } => {
            let (over, shown) = (if *more { "more than " } else { "" }, keys.join(", "));
            let lost = lost.filter(|lost| (1..*count).contains(lost));
            let of_which = lost.map(|lost| format!(", of which only our copy has {lost}"));
            let listed = lost.unwrap_or(*count);
            let rest = u64::try_from(keys.len()).is_ok_and(|n| n < listed);
            let (rest, of_which) = (if rest { ", ..." } else { "" }, of_which.unwrap_or_default());
            format!("rows that are dropped: {over}{count}{of_which}: {shown}{rest}")
        }
    }
}

/// The table without wrapped cells, if that fits the terminal.
fn if_fits(table: &Table, width: Option<u16>) -> Option<String> {
    let text = table.text(None);
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    width.is_none_or(|width| longest <= usize::from(width)).then_some(text)
}

fn sidecar(facts: &Facts, width: Option<u16>) -> String {
    match &facts.sidecar {
        Sidecar::NotRunning(why) => wrapped(&format!("no sidecar runs: {why}"), width),
        Sidecar::Elsewhere(why) => wrapped(&format!("a sidecar runs elsewhere: {why}"), width),
        Sidecar::Unknown(why) => wrapped(&format!("the sidecar is unknown: {why}"), width),
        Sidecar::Says(told) => {
            let mut table = Table::new(["SIDECAR", ""]);
            for (name, text) in sidecar_fields(&told.view) {
                table.push([name.into(), text.as_str().into()]);
            }
            table.text(width)
        }
    }
}

/// What a node answered, in a word or a sentence.
fn answer(node: &Node) -> String {
    match &node.answer {
        Answer::Copy(copy) => state(copy.state),
        Answer::Missing => "no such vBucket".to_owned(),
        Answer::WarmingUp => "loads its data".to_owned(),
        Answer::Failed(why) | Answer::NotAsked(why) => format!("unknown: {why}"),
    }
}

#[cfg(test)]
mod tests;
