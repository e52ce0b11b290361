//! One data folder through many crashes, and what must hold after each.
//!
//! vBuckets 0 to 5 are written to, 6 changes its state all the time, 7 is left alone.

use std::sync::mpsc::{RecvTimeoutError, channel};

use fastrand::Rng;
use mcbp::VbState;
use tempfile::TempDir;

use crate::client::DEADLINE;
use crate::contents::{self, Table};
use crate::folder::folder;
use crate::load::{Flipper, Ledger};
use crate::node::{ACTIVE, Settings, Starting, TestNode, VBUCKETS};

const FLIPPED: u16 = 6;
/// How many branches a table keeps.
const ENTRIES_MAX: usize = 25;

pub(crate) struct Campaign {
    pub(crate) folder: TempDir,
    rng: Rng,
    ledgers: [Ledger; 2],
    flipper: Flipper,
    /// The histories that the node showed last.
    tables: Option<Vec<Table>>,
    /// Starts since then; each may have begun a branch that was not observed.
    starts: usize,
    /// How it is started by default.
    pub(crate) settings: Settings,
}

/// How a time under load ends.
pub(crate) enum Until {
    /// The test kills the node after so many acknowledged changes.
    Killed(u64),
    /// The node ends at a failpoint.
    Aborted,
    /// The node is asked to stop after so many changes, and ends at a failpoint while it does.
    AbortedStopping(u64),
}

impl Campaign {
    /// A folder without data. `failpoints` hold for every start that names none.
    pub(crate) fn new(seed: u64, failpoints: &'static str) -> Self {
        Self {
            folder: folder(),
            rng: Rng::with_seed(seed),
            ledgers: [Ledger::new(0), Ledger::new(1)],
            flipper: Flipper::new(FLIPPED),
            tables: None,
            starts: 0,
            settings: ACTIVE.failing_at(failpoints),
        }
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    pub(crate) fn start(&mut self) -> Starting {
        self.start_failing_at(self.settings.failpoints)
    }

    pub(crate) fn start_failing_at(&mut self, failpoints: &'static str) -> Starting {
        self.starts += 1;
        Starting::new(self.folder.path(), self.settings.failing_at(failpoints))
    }

    /// Starts the node and checks everything that it acknowledged.
    pub(crate) fn start_and_check(&mut self) -> Result<TestNode, String> {
        let node = self.start().listening().expect("the node comes up");
        self.check(&node)?;
        Ok(node)
    }

    /// Checks a node that was not written to since it was started.
    pub(crate) fn check(&mut self, node: &TestNode) -> Result<(), String> {
        let mut client = node.plain_client();
        let flipped = self.flipper.check(&mut client)?;
        // A replica's documents are not for clients.
        for ledger in &mut self.ledgers {
            ledger.check(&mut client)?;
        }
        let tables = contents::tables(&mut client);
        for (vb, table) in (0..VBUCKETS).zip(&tables) {
            let before = self.tables.as_ref().map(|tables| &tables[usize::from(vb)]);
            let high = contents::high_seqno(&mut client, vb);
            let active = vb != FLIPPED || flipped == VbState::Active;
            check_table(before, table, high, active.then_some(self.starts), vb != FLIPPED)
                .map_err(|flaw| {
                    format!("failover table of vb:{vb}: {flaw}; {before:?} {table:?}")
                })?;
        }
        (self.tables, self.starts) = (Some(tables), 0);
        Ok(())
    }

    /// Every stream gives all changes in order, up to its end.
    pub(crate) fn check_streams(&self, node: &TestNode) -> Result<usize, String> {
        let mut count = 0;
        for vb in 0..VBUCKETS {
            let changes = contents::changes(node, vb);
            if !changes.is_sorted_by(|a, b| a.3[..8] < b.3[..8]) {
                return Err(format!("the stream of vb:{vb} is out of order"));
            }
            count += changes.len();
        }
        Ok(count)
    }

    /// Puts the node under load; returns how many changes were acknowledged.
    pub(crate) fn load(&mut self, node: TestNode, until: &Until) -> u64 {
        let (progress, seen) = channel();
        let seeds = [self.rng.u64(..), self.rng.u64(..)];
        let wanted = match *until {
            Until::Killed(count) | Until::AbortedStopping(count) => count,
            Until::Aborted => u64::MAX,
        };
        let clients = [node.plain_client(), node.plain_client()];
        let flipping = node.plain_client();
        std::thread::scope(|scope| {
            for ((ledger, client), seed) in self.ledgers.iter_mut().zip(clients).zip(seeds) {
                let progress = progress.clone();
                scope.spawn(move || ledger.write(client, &mut Rng::with_seed(seed), &progress));
            }
            let flipper = &mut self.flipper;
            scope.spawn(move || flipper.flip(flipping, &progress));
            let mut count = 0;
            while count < wanted {
                match seen.recv_timeout(DEADLINE) {
                    Ok(more) => count += more,
                    // The node is gone.
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("no change is acknowledged"),
                }
            }
            match until {
                Until::Killed(_) => node.kill(),
                Until::Aborted => node.aborted(),
                Until::AbortedStopping(_) => node.abort_while_stopping(),
            };
            count
        })
    }
}

/// Compares a table with the one that was read before `starts` starts, all after crashes.
///
/// An active vBucket begins a branch at each start, at the seqno where it is then; one that was
/// begun and seen is never gone. `exactly` if nothing else begins branches.
fn check_table(
    before: Option<&Table>,
    table: &Table,
    high: u64,
    starts: Option<usize>,
    exactly: bool,
) -> Result<(), String> {
    if table.is_empty() || table.len() > ENTRIES_MAX || table.iter().any(|(uuid, _)| *uuid == 0) {
        return Err("no valid table".to_owned());
    }
    if !table.is_sorted_by(|newer, older| newer.1 >= older.1) {
        return Err("out of order".to_owned());
    }
    let Some(before) = before else { return Ok(()) };
    let Some(new) = table.iter().position(|entry| *entry == before[0]) else {
        // The branch that was read is forgotten only if one run begins many branches.
        return match exactly || table.len() < ENTRIES_MAX {
            true => Err("a branch that was shown is lost".to_owned()),
            false => Ok(()),
        };
    };
    let kept = (table.len() - new).min(before.len());
    if table[new..] != before[..kept] {
        return Err("older branches have changed".to_owned());
    }
    let Some(starts) = starts else { return Ok(()) };
    if table[0].1 != high {
        return Err(format!("the newest branch does not begin at {high}"));
    }
    if new == 0 || (exactly && new > starts) {
        return Err(format!("{new} branches were begun in {starts} starts"));
    }
    Ok(())
}
