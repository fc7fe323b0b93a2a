//! Where a sequence's rows are: all sequences as long, padded, one after another, or in pages.

use kernelsmith::prelude::*;

/// Which tensors have a place of its own along the first axis for each sequence, with as many rows as were
/// announced: what contracts say of them then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Apart {
    /// Queries and outputs.
    pub queries: bool,
    /// Keys and values.
    pub keys: bool,
}

/// The rows of a sequence in a tensor `outer x heads x rows x dimension`.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Span {
    /// Where along the first axis.
    pub(super) outer: Val<usize>,
    /// The first of its rows.
    pub(super) first: Val<usize>,
    /// How many they are.
    pub(super) len: Val<usize>,
}

/// The rows of a sequence, at most `most`. With `ends`, sequences follow each other in `rows` rows:
/// sequence `i` has those from `ends[i]` to `ends[i + 1]`. With `lengths`, each has the first of its own.
#[device]
pub(super) fn span(
    #[comptime] ends: Option<Slice<u32>>,
    #[comptime] lengths: Option<Slice<u32>>,
    sequence: usize,
    batch: usize,
    most: usize,
    rows: usize,
) -> Span {
    if let Some(ends) = ends {
        let (first, end) = (ends[sequence] as usize, ends[sequence + 1] as usize);
        device_assert!(
            first <= end
                && end <= rows
                && (sequence > 0 || first == 0)
                && (sequence + 1 < batch || end == rows),
            "cumulative lengths rise from 0 to the {rows} rows there are, but those of sequence \
             {sequence} are {first} and {end}"
        );
        device_assert!(
            end <= first + most,
            "sequence {sequence} has rows {first}..{end}, more than the {most} that were announced"
        );
        Span { outer: 0, first, len: end - first }
    } else if let Some(lengths) = lengths {
        let len = lengths[sequence] as usize;
        device_assert!(
            len <= most,
            "sequence {sequence} has the length {len}, more than the {most} that were announced"
        );
        Span { outer: sequence, first: 0, len }
    } else {
        Span { outer: sequence, first: 0, len: most }
    }
}

/// The sequence that a row is of, of those that end where the next begins: the last that begins there or before.
#[device]
pub(super) fn sequence_of(ends: &[u32], row: usize) -> usize {
    let mut sequence = 0usize;
    for i in 1..ends.len().saturating_sub(1) {
        if ends[i] as usize <= row {
            sequence = i;
        }
    }
    sequence
}

#[device]
impl Span {
    /// The same of a sequence that has a place of its own along the first axis.
    pub(super) fn alone(self, sequence: usize) -> Span {
        Span { outer: sequence, first: 0, len: self.len }
    }
}
