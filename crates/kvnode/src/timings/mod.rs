//! How long commands took, for each opcode: from the moment a command is executed until its answer
//! is true, which for a change is after its commit.
//!
//! - `times`: the times of one opcode, counted without a lock; `text`: their JSON text
//!
//! What waits in the read buffer, and the way of the answer to the client, is not in it.

mod text;
mod times;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use mcbp::Opcode;

pub(crate) use self::times::Reading;
use self::times::Times;

/// The times of a bucket, or of the commands that clients without a bucket have sent.
pub(crate) struct Timings([OnceLock<Box<Times>>; 256]);

impl Default for Timings {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.seen()).finish()
    }
}

impl Timings {
    /// Counts one command.
    pub(crate) fn observe(&self, opcode: Opcode, took: Duration) {
        if let Some(place) = self.0.get(usize::from(opcode.0)) {
            place.get_or_init(Box::default).observe(took);
        }
    }

    /// The times of these opcodes together.
    pub(crate) fn of(&self, opcodes: impl IntoIterator<Item = Opcode>) -> Reading {
        let mut sum = Reading::default();
        let places = opcodes.into_iter().filter_map(|it| self.0.get(usize::from(it.0))?.get());
        places.for_each(|times| sum.add(&times.read()));
        sum
    }

    /// The opcodes that were executed.
    pub(crate) fn seen(&self) -> impl Iterator<Item = Opcode> {
        (0..=u8::MAX).zip(&self.0).filter(|(_, it)| it.get().is_some()).map(|(it, _)| Opcode(it))
    }
}
