//! A set of small numbers.

/// A set of numbers below a bound fixed when it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// The empty set of numbers below `bound`.
    pub(crate) fn new(bound: usize) -> BitSet {
        BitSet { words: vec![0; bound.div_ceil(64)] }
    }

    /// Adds a number.
    pub(crate) fn insert(&mut self, n: usize) {
        self.words[n / 64] |= 1 << (n % 64);
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, n: usize) {
        self.words[n / 64] &= !(1 << (n % 64));
    }

    /// Whether a number is in it.
    pub(crate) fn contains(&self, n: usize) -> bool {
        self.words[n / 64] & (1 << (n % 64)) != 0
    }

    /// Adds every number of another set of the same bound.
    pub(crate) fn union(&mut self, other: &BitSet) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// The numbers in both, ascending.
    pub(crate) fn common(&self, other: &BitSet) -> Vec<usize> {
        let mut numbers = Vec::new();
        for (i, (a, b)) in self.words.iter().zip(&other.words).enumerate() {
            let mut word = a & b;
            while word != 0 {
                numbers.push(i * 64 + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let (mut a, mut b) = (BitSet::new(200), BitSet::new(200));
        for n in [0, 63, 64, 199] {
            a.insert(n);
        }
        b.insert(64);
        b.insert(65);
        assert_eq!(a.common(&b), [64]);
        a.remove(64);
        assert!(a.common(&b).is_empty() && a.contains(63) && !a.contains(65));
        a.union(&b);
        assert_eq!(a.common(&b), [64, 65]);
    }
}
