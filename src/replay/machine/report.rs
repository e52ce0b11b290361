//! What is printed of a machine that was fed: a line for each frame, and how it ended.

use std::fmt::Write as _;

use mcbp::Side;
use replica::link::{Command, ConsumerMachine, Effect, LinkStep, Verdict};

use super::super::recording::Step;

/// What the machine did, in the order of the recording.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The lines.
    pub(crate) rows: Vec<Row>,
    /// How what the machine does differs from what was recorded.
    pub(crate) differences: Vec<String>,
    /// How it ended: the phase of the machine, and each stream.
    pub(crate) end: Vec<String>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Row {
    /// The number of the frame; 0 for a deadline that passed.
    pub(crate) n: u64,
    /// Seconds since the recording began.
    pub(crate) t: f64,
    /// What happened.
    pub(crate) text: String,
    /// Whether the machine had to do with it.
    pub(crate) is_judged: bool,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// The machine judged it.
    Judged(Side, Verdict),
    /// It passes without the machine.
    Unseen(Side),
    /// It cannot be read, which ends the link.
    Malformed(Side),
    /// The recording's proxy sent it, and the machine too or not.
    Own(Side, bool),
    /// A node closed its connection.
    Closed(Side),
    /// A deadline passed.
    Overdue(LinkStep),
}

impl Report {
    pub(super) fn row(&mut self, step: &Step, what: &str, told: Told) {
        let text = match told {
            Told::Judged(side, Verdict::Forward) => format!("{side}: {what}: forwarded"),
            Told::Judged(side, Verdict::Withhold) => format!("{side}: {what}: withheld"),
            Told::Unseen(side) => format!("{side}: {what}"),
            Told::Malformed(side) => format!("{side}: {what}: malformed, the link ends"),
            Told::Own(side, true) => format!("to the {side}: {what}: sent here too"),
            Told::Own(side, false) => format!("to the {side}: {what}: not sent here"),
            Told::Closed(side) => format!("{side}: closed its connection"),
            Told::Overdue(waited) => format!("the deadline of {waited} passed"),
        };
        self.push(step, text, !matches!(told, Told::Unseen(_)));
    }

    pub(super) fn command(&mut self, step: &Step, command: &Command) {
        self.push(step, format!("command: {}", in_words(command)), true);
    }

    pub(super) fn effect(&mut self, step: &Step, effect: &Effect) {
        let text = match effect {
            Effect::Send(side, own) => {
                let bytes = own.encode();
                let what = mcbp::Frame::parse(&bytes).map(|frame| wirelog::what(&frame));
                format!("sends to the {side}: {}", what.unwrap_or_default())
            }
            Effect::Arm(_) | Effect::Progress => return,
            Effect::Answer(ticket, outcome) => answered(ticket.0, outcome),
            Effect::Ended(error) => format!("reports: {error}"),
            Effect::Incomplete(vb, to) => {
                format!("reports: {vb}: the copy is complete up to seqno {} only", to.0)
            }
            Effect::Complete(vb) => format!("reports: {vb}: the copy is complete"),
            Effect::Opened(vb) => format!("reports: {vb}: opened"),
            Effect::Note(note) => format!("logs: {note}"),
            Effect::Stop(reason) => format!("stops: {reason}"),
        };
        self.push(step, format!("  {text}"), true);
    }

    fn push(&mut self, step: &Step, text: String, is_judged: bool) {
        self.rows.push(Row { n: step.n, t: step.t.as_secs_f64(), text, is_judged });
    }

    pub(super) fn differs(&mut self, text: String) {
        self.differences.push(text);
    }

    pub(super) fn finish(&mut self, machine: &ConsumerMachine, is_over: bool) {
        let snapshot = machine.snapshot();
        let mut text = format!("the link is {}", snapshot.phase);
        if let Some(reason) = machine.stopped().filter(|_| is_over) {
            _ = write!(text, ": {reason}");
        }
        self.end.push(text);
        for row in &snapshot.vbuckets {
            let phase = serde_json::to_value(row.phase).unwrap_or_default();
            let phase = phase.as_str().unwrap_or_default().to_owned();
            self.end.push(format!("vb:{}: {phase}", row.vbucket));
        }
    }
}

fn in_words(command: &Command) -> String {
    let list = |vbs: &std::collections::BTreeSet<mcbp::VbId>| {
        vbs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    match command {
        Command::SetupStreams { wanted, reopen, incomplete } => {
            let mut text = format!("set up {}", list(wanted));
            if !reopen.is_empty() {
                _ = write!(text, ", open {} again", list(reopen));
            }
            for (vb, to) in incomplete {
                _ = write!(text, ", {vb} is complete up to seqno {} only", to.0);
            }
            text
        }
        Command::AddStreams { vbs } => format!("add {}", list(vbs)),
        Command::CloseStreams { vbs } => format!("close {}", list(vbs)),
        Command::Takeover { vb } => format!("take {vb} over"),
        Command::Shut => "shut down".to_owned(),
    }
}

fn answered(ticket: u64, outcome: &replica::link::Outcome) -> String {
    use replica::link::{Outcome, VbOutcome};
    match outcome {
        Outcome::Busy => format!("answers #{ticket}: another command is running"),
        Outcome::Down(reason) => format!("answers #{ticket}: {reason}"),
        Outcome::Done(vbs) => {
            let each = vbs.iter().map(|(vb, outcome)| match outcome {
                VbOutcome::Opened => format!("{vb} opened"),
                VbOutcome::AlreadyOpen => format!("{vb} was open"),
                VbOutcome::Finished => format!("{vb} finished"),
                VbOutcome::Closed => format!("{vb} closed"),
                VbOutcome::TakenOver => format!("{vb} taken over"),
                VbOutcome::RolledBack => format!("{vb} rolled back"),
                VbOutcome::Failed(error) => error.to_string(),
            });
            format!("answers #{ticket}: {}", each.collect::<Vec<_>>().join("; "))
        }
    }
}
