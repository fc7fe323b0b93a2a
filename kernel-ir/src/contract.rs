//! Launch contracts: what a kernel requires of its arguments.
//!
//! A contract is a list of [`Requirement`]s, each a polynomial in integer parameters that must not
//! be negative: `c.len() >= m * n` is `c.len - m * n >= 0`. It speaks of the integers that the
//! parameters are, not of their machine types: `m * n` does not wrap. The host computes every
//! polynomial once a launch, by [`Requirement::holds`], and launches nothing that breaks one; so
//! passes may take requirements for granted in the whole kernel.

use crate::kernel::Value;
use crate::loc::Loc;

/// A product of parameters with a factor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    /// The factor.
    pub factor: i64,
    /// The parameters; none for a constant.
    pub params: Vec<Value>,
}

/// A sum of terms that is not negative.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requirement {
    /// The sum.
    pub terms: Vec<Term>,
    /// The user's words, for errors.
    pub text: String,
    /// The user's line.
    pub loc: Loc,
}

impl Requirement {
    /// Whether the requirement holds where `of` gives the parameters' values. `None` if a product
    /// or the sum leaves 128 bits: then nobody can tell, and a launch must not be.
    pub fn holds(&self, of: impl Fn(Value) -> i128) -> Option<bool> {
        let mut sum = 0i128;
        for term in &self.terms {
            let mut product = i128::from(term.factor);
            for &param in &term.params {
                product = product.checked_mul(of(param))?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum >= 0)
    }

    /// The parameters it names, each once.
    pub fn params(&self) -> Vec<Value> {
        let mut params: Vec<Value> = self.terms.iter().flat_map(|t| t.params.clone()).collect();
        params.sort_unstable();
        params.dedup();
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_least_product() -> Requirement {
        let [len, m, n] = [0, 1, 2].map(Value);
        let terms =
            vec![Term { factor: 1, params: vec![len] }, Term { factor: -1, params: vec![m, n] }];
        Requirement { terms, text: "len >= m * n".into(), loc: Loc::NONE }
    }

    #[test]
    fn products_do_not_wrap() {
        let contract = at_least_product();
        let holds = |len: u64, m: u64, n: u64| contract.holds(|v| [len, m, n][v.index()].into());
        assert_eq!(holds(6, 2, 3), Some(true));
        assert_eq!(holds(5, 2, 3), Some(false));
        // In 64 bits the product is 0.
        assert_eq!(holds(0, 1 << 32, 1 << 32), Some(false));
        // Beyond 127 bits nothing is claimed.
        assert_eq!(holds(0, u64::MAX, u64::MAX), None);
        assert_eq!(contract.params(), [0, 1, 2].map(Value));
    }
}
