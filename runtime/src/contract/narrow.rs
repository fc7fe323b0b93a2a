//! Requirements as each launch tests them: in 64 bits, over parameters read once.
//!
//! A launch of a small kernel takes about a microsecond, and matrix products require some dozens of
//! sums, so they lie flat in memory. What this form cannot say is left to `Requirement::holds`.

use kernelsmith_ir::Value;
use kernelsmith_ir::contract::{Requirement, Term};

/// Parameters of a term.
const FACTORS: usize = 4;
/// Parameters of a contract, and the number 1 before them.
const VALUES: usize = 64;

/// A product of a number and values; what it lacks of [`FACTORS`] is the value 0, which is 1.
#[derive(Debug)]
struct Product {
    factor: i64,
    values: [u8; FACTORS],
}

/// The sums of a contract.
#[derive(Debug)]
pub(super) struct Sums {
    products: Vec<Product>,
    /// Where the products of each sum end.
    ends: Vec<usize>,
}

impl Sums {
    /// `None` if a term has too many parameters, or the contract has. `params` are those it names,
    /// in rising order.
    pub(super) fn of<'a>(
        requirements: impl Iterator<Item = &'a Requirement>,
        params: &[Value],
    ) -> Option<Sums> {
        if params.len() >= VALUES {
            return None;
        }
        let mut sums = Sums { products: Vec::new(), ends: Vec::new() };
        for requirement in requirements {
            for Term { factor, params: named } in &requirement.terms {
                let mut values = [0; FACTORS];
                for (i, param) in named.iter().enumerate() {
                    *values.get_mut(i)? = params.binary_search(param).ok()? as u8 + 1;
                }
                sums.products.push(Product { factor: *factor, values });
            }
            sums.ends.push(sums.products.len());
        }
        Some(sums)
    }

    /// Whether no sum is negative, for the values of the parameters. False too if one leaves 64 bits.
    pub(super) fn hold(&self, params: impl Iterator<Item = i128>) -> bool {
        let mut values = [1; VALUES];
        for (value, param) in values[1..].iter_mut().zip(params) {
            let Ok(param) = i64::try_from(param) else { return false };
            *value = param;
        }
        let product = |p: &Product| {
            let factors = p.values.iter().map(|&v| values[usize::from(v) % VALUES]);
            factors.into_iter().try_fold(p.factor, i64::checked_mul)
        };
        let mut begin = 0;
        self.ends.iter().all(|&end| {
            let terms = &self.products[begin..end];
            begin = end;
            let sum = terms.iter().try_fold(0i64, |sum, p| sum.checked_add(product(p)?));
            sum.is_some_and(|sum| sum >= 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use kernelsmith_ir::loc::Loc;
    use proptest::prelude::*;

    use super::*;

    /// Random sums, and values that often leave 64 bits.
    fn cases() -> impl Strategy<Value = (Vec<Requirement>, Vec<i128>)> {
        let params = 1..6usize;
        params.prop_flat_map(|n| {
            let term = (-3i64..4, prop::collection::vec(0..n as u32, 0..=FACTORS));
            let sum = prop::collection::vec(term, 0..4);
            let number =
                prop_oneof![-9i128..10, Just(1 << 31), Just(1 << 62), Just(u64::MAX.into())];
            let sums = prop::collection::vec(sum, 0..4);
            (sums.prop_map(|sums| sums.into_iter().map(requirement).collect()), vec![number; n])
        })
    }

    fn requirement(terms: Vec<(i64, Vec<u32>)>) -> Requirement {
        let value = |i: u32| Value(10 + i);
        let term = |(factor, params): (i64, Vec<u32>)| Term {
            factor,
            params: params.into_iter().map(value).collect(),
        };
        let terms = terms.into_iter().map(term).collect();
        Requirement { terms, text: String::new(), loc: Loc::NONE }
    }

    proptest! {
        #[test]
        fn it_holds_only_where_the_requirements_do((requirements, values) in cases()) {
            let params: Vec<Value> = (0..values.len() as u32).map(|i| Value(10 + i)).collect();
            let sums = Sums::of(requirements.iter(), &params).unwrap();
            let of = |v: Value| values[v.index() - 10];
            let expected = requirements.iter().all(|r| r.holds(of) == Some(true));
            let narrow = sums.hold(values.iter().copied());
            prop_assert!(!narrow || expected);
            // Where nothing is near the limits of 64 bits, both say the same.
            if values.iter().all(|v| v.abs() < 10) {
                prop_assert_eq!(narrow, expected);
            }
        }
    }

    #[test]
    fn more_than_it_can_say_is_left_to_others() {
        let five = requirement(vec![(1, vec![0; FACTORS + 1])]);
        assert!(Sums::of([&five].into_iter(), &[Value(10)]).is_none());
        let many: Vec<Value> = (0..VALUES as u32).map(Value).collect();
        assert!(Sums::of([].into_iter(), &many).is_none());
        assert!(Sums::of([].into_iter(), &many[1..]).is_some());
    }
}
