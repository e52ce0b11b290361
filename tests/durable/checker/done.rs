//! A set of operations: a bit for each, and how many of the first are all in it.

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Done {
    bits: Vec<u64>,
    count: usize,
    whole: usize,
}

impl Done {
    pub(super) fn new(operations: usize) -> Self {
        Self { bits: vec![0; operations.div_ceil(64)], count: 0, whole: 0 }
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }

    pub(super) fn add(&mut self, at: usize) {
        self.bits[at / 64] |= 1 << (at % 64);
        self.count += 1;
        while self.whole < self.bits.len() * 64 && self.has(self.whole) {
            self.whole += 1;
        }
    }

    /// How many are in it.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The first so many are all in it.
    pub(super) const fn whole(&self) -> usize {
        self.whole
    }
}
