//! Polynomials over values, as the integers they are.

use std::collections::BTreeMap;

use crate::kernel::Value;

/// A sum of products of values, each with a factor that is not 0.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Polynomial(BTreeMap<Vec<Value>, i128>);

impl Polynomial {
    pub(super) fn constant(c: i128) -> Polynomial {
        Polynomial::default().plus(1, &[], c).unwrap_or_default()
    }

    pub(super) fn of(value: Value) -> Polynomial {
        Polynomial(BTreeMap::from([(vec![value], 1)]))
    }

    /// With `factor * c` times a product more. `None` if a factor leaves 128 bits.
    pub(super) fn plus(mut self, factor: i128, values: &[Value], c: i128) -> Option<Polynomial> {
        let mut product = values.to_vec();
        product.sort_unstable();
        let old = self.0.get(&product).copied().unwrap_or(0);
        match old.checked_add(factor.checked_mul(c)?)? {
            0 => drop(self.0.remove(&product)),
            sum => drop(self.0.insert(product, sum)),
        }
        Some(self)
    }

    /// With `factor` times another polynomial more.
    pub(super) fn add(self, factor: i128, other: &Polynomial) -> Option<Polynomial> {
        other.0.iter().try_fold(self, |sum, (values, &c)| sum.plus(factor, values, c))
    }

    pub(super) fn mul(&self, other: &Polynomial) -> Option<Polynomial> {
        let mut product = Polynomial::default();
        for (a, &c) in &self.0 {
            for (b, &d) in &other.0 {
                product = product.plus(c, &[&a[..], b].concat(), d)?;
            }
        }
        Some(product)
    }

    /// The factor of a product.
    pub(super) fn factor(&self, product: &[Value]) -> i128 {
        self.0.get(product).copied().unwrap_or(0)
    }

    /// Every product with its factor.
    pub(super) fn terms(&self) -> impl Iterator<Item = (&[Value], i128)> {
        self.0.iter().map(|(values, &c)| (&values[..], c))
    }

    /// Every value, each once.
    pub(super) fn values(&self) -> Vec<Value> {
        let mut values: Vec<Value> = self.0.keys().flatten().copied().collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Whether a value occurs, everywhere once and with a negative factor.
    pub(super) fn only_lowers(&self, value: Value) -> bool {
        let of = |p: &[Value]| p.iter().filter(|&&v| v == value).count();
        let mut occurs = false;
        for (product, factor) in self.terms() {
            match of(product) {
                0 => {}
                1 if factor < 0 => occurs = true,
                _ => return false,
            }
        }
        occurs
    }

    /// With another polynomial in a value's place, where the value occurs at most once in a product.
    pub(super) fn replace(&self, value: Value, by: &Polynomial) -> Option<Polynomial> {
        let mut out = Polynomial::default();
        for (product, factor) in self.terms() {
            match product.iter().position(|&v| v == value) {
                None => out = out.plus(factor, product, 1)?,
                Some(at) => {
                    let rest = [&product[..at], &product[at + 1..]].concat();
                    let rest = Polynomial::default().plus(factor, &rest, 1)?;
                    out = out.add(1, &rest.mul(by)?)?;
                }
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_and_replacement() {
        let [m, n, i, j] = [0, 1, 2, 3].map(Value);
        let of = Polynomial::of;
        // i * n + j
        let index = of(i).mul(&of(n)).unwrap().add(1, &of(j)).unwrap();
        assert_eq!(index.factor(&[n, i]), 1);
        assert_eq!(index.values(), [n, i, j]);
        // m * n - 1 - (i * n + j) with i = m - 1 and j = n - 1 is 0.
        let room = of(m).mul(&of(n)).unwrap().add(-1, &index).unwrap().plus(-1, &[], 1).unwrap();
        assert!(room.only_lowers(i) && room.only_lowers(j));
        assert!(!room.only_lowers(n) && !room.only_lowers(m));
        let below = |v| of(v).plus(-1, &[], 1).unwrap();
        let left = room.replace(i, &below(m)).unwrap().replace(j, &below(n)).unwrap();
        assert_eq!(left, Polynomial::constant(0));
        assert_eq!(left.terms().count(), 0);
    }

    #[test]
    fn factors_that_leave_128_bits_are_told() {
        let big = Polynomial::constant(i128::MAX);
        assert_eq!(big.mul(&Polynomial::constant(2)), None);
        assert_eq!(big.clone().add(1, &big), None);
    }
}
