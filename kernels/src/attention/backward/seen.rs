//! Which queries see a key.

use kernelsmith::lang::Val;
use kernelsmith::prelude::*;

use crate::attention::form::{Form, end_seen, first_seen};

/// Which keys of `n` a query of `m` sees, and which queries see a key.
#[derive(Clone, Copy)]
pub(in crate::attention) struct Seen {
    pub(in crate::attention) form: Form,
    pub(in crate::attention) m: Val<usize>,
    pub(in crate::attention) n: Val<usize>,
    pub(in crate::attention) window: Val<usize>,
}

#[device]
impl Seen {
    /// The first key that a query sees.
    pub(in crate::attention) fn first_key(&self, query: usize) -> usize {
        first_seen(self.form, query, self.m, self.n, self.window)
    }

    /// The end of the keys that a query sees.
    pub(in crate::attention) fn end_key(&self, query: usize) -> usize {
        end_seen(self.form, query, self.m, self.n)
    }

    /// The first query that sees a key: for query `i` keys end at `i + n + 1 - m`.
    pub(in crate::attention) fn first_query(&self, key: usize) -> usize {
        if self.form.causal { (key + self.m).saturating_sub(self.n) } else { 0 }
    }

    /// The end of the queries that see a key: `i` sees none below `i + n + 1 - m - window`.
    pub(in crate::attention) fn end_query(&self, key: usize) -> usize {
        if self.form.windowed {
            (key + self.window + self.m).saturating_sub(self.n).min(self.m)
        } else {
            self.m
        }
    }
}
