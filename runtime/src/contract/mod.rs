//! Launch contracts: a kernel's requirements, tested on the arguments of each launch.
//!
//! Code was compiled in the belief that they hold (`kernelsmith_ir::contract`), so nothing is
//! enqueued that breaks one. A test is a few multiplications, in 128 bits where 64 do not do.

use std::fmt;
use std::panic::Location;

use kernelsmith_ir::contract::Requirement;
use kernelsmith_ir::{Kernel, Scalar, Type, Value};

use crate::error::{Error, Result};

use self::narrow::Sums;

mod narrow;

/// A launch whose arguments are not what the kernel requires. Nothing was enqueued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContractBroken {
    /// The kernel's name.
    pub kernel: String,
    /// The requirement, in its author's words.
    pub requirement: String,
    /// File, line and column of the requirement, where they are known.
    pub location: Option<(String, u32, u32)>,
    /// The parameters it names, with this launch's values.
    pub values: Vec<(String, i128)>,
    /// File, line and column of the launch.
    pub launched_at: (String, u32, u32),
}

impl fmt::Display for ContractBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, column) = &self.launched_at;
        write!(f, "{file}:{line}:{column}: kernel `{}` ", self.kernel)?;
        if let Some((file, line, column)) = &self.location {
            write!(f, "at {file}:{line}:{column} ")?;
        }
        write!(f, "requires `{}`, but ", self.requirement)?;
        for (i, (name, value)) in self.values.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name} is {value}")?;
        }
        Ok(())
    }
}

impl From<ContractBroken> for Error {
    fn from(broken: ContractBroken) -> Error {
        Error::ContractBroken(Box::new(broken))
    }
}

/// File, line and column.
type Place = (String, u32, u32);

/// The contract of a compiled kernel.
#[derive(Default, Debug)]
pub(crate) struct Contract {
    requirements: Vec<(Requirement, Option<Place>)>,
    /// The parameters that they name, in rising order of their values.
    params: Vec<Param>,
    /// The requirements in short; not all can be said so.
    sums: Option<Sums>,
}

#[derive(Debug)]
struct Param {
    value: Value,
    name: String,
    ty: Scalar,
    offset: usize,
}

impl Contract {
    pub(crate) fn of(kernel: &Kernel) -> Contract {
        let (offsets, _) = kernel.param_layout();
        let named: Vec<Value> = kernel.requires.iter().flat_map(Requirement::params).collect();
        let params = kernel.params.iter().zip(offsets).filter_map(|(param, offset)| {
            let Type::Scalar(ty) = kernel.ty(param.value) else { return None };
            let (value, offset) = (param.value, offset as usize);
            let name = spelling(&param.name);
            named.contains(&value).then_some(Param { value, name, ty, offset })
        });
        let located = |r: &Requirement| {
            let at = kernel.sources.get(r.loc).map(|(f, l, c)| (f.to_owned(), l, c));
            (r.clone(), at)
        };
        let mut params: Vec<Param> = params.collect();
        params.sort_unstable_by_key(|p| p.value);
        let values: Vec<Value> = params.iter().map(|p| p.value).collect();
        let sums = Sums::of(kernel.requires.iter(), &values);
        Contract { params, sums, requirements: kernel.requires.iter().map(located).collect() }
    }

    /// Tests packed arguments, whose layout is the kernel's.
    pub(crate) fn check(
        &self,
        kernel: &str,
        args: &[u8],
        launch: &'static Location<'static>,
    ) -> Result<()> {
        let values = self.params.iter().map(|p| p.read(args));
        if self.sums.as_ref().is_some_and(|sums| sums.hold(values)) {
            return Ok(());
        }
        // Broken, or more than 64 bits.
        let of = |value: Value| {
            let at = self.params.binary_search_by_key(&value, |p| p.value);
            self.params[at.expect("a verified contract")].read(args)
        };
        for (requirement, location) in &self.requirements {
            // A sum that leaves 128 bits is not known to be kept.
            if requirement.holds(of) != Some(true) {
                let named = requirement.params();
                let named = self.params.iter().filter(|p| named.contains(&p.value));
                return Err(Error::from(ContractBroken {
                    kernel: kernel.to_owned(),
                    requirement: requirement.text.clone(),
                    location: location.clone(),
                    values: named.map(|p| (p.name.clone(), p.read(args))).collect(),
                    launched_at: (launch.file().to_owned(), launch.line(), launch.column()),
                }));
            }
        }
        Ok(())
    }
}

/// A parameter's name as the kernel's source has it: `c.len()`, `c.shape(0)`.
fn spelling(name: &str) -> String {
    let Some((object, property)) = name.split_once('.') else { return name.to_owned() };
    let word = property.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{object}.{word}({})", &property[word.len()..])
}

impl Param {
    fn read(&self, args: &[u8]) -> i128 {
        let size = self.ty.size() as usize;
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&args[self.offset..self.offset + size]);
        kernelsmith_ir::attr::Const::new(self.ty, u64::from_le_bytes(bytes)).as_int()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_it_is_told_with_both_lines() {
        let text = r#"kernel @k(%0 "c": ptr<global, f32> exclusive, %1 "c.len": u64 scalar, %2 "m": u32 scalar, %3 "s": i16 scalar) {
            file f0 "src/k.rs"
            requires "c.len() >= m * s": 1 * %1 + -1 * %2 * %3 >= 0 at f0:3:20
            return
        }"#;
        let contract = Contract::of(&text.parse().unwrap());
        let here = Location::caller();
        let check = |len: u64, m: u32, s: i16| {
            let mut args = vec![0; 8];
            args.extend(len.to_le_bytes());
            args.extend(m.to_le_bytes());
            args.extend(s.to_le_bytes());
            contract.check("k", &args, here)
        };
        check(6, 2, 3).unwrap();
        check(0, 7, -3).unwrap();
        let error = check(5, 2, 3).unwrap_err().to_string();
        let (file, line, column) = (here.file(), here.line(), here.column());
        let expected = format!(
            "{file}:{line}:{column}: kernel `k` at src/k.rs:3:20 requires `c.len() >= m * s`, but \
             c.len() is 5, m is 2, s is 3"
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn products_beyond_the_machine_break_it() {
        let text = r#"kernel @k(%0 "len": u64 scalar, %1 "m": u64 scalar) {
            requires "len >= m * m * m": 1 * %0 + -1 * %1 * %1 * %1 >= 0
            return
        }"#;
        let contract = Contract::of(&text.parse().unwrap());
        for m in [1u64 << 32, 1 << 63] {
            let args = [0u64.to_le_bytes(), m.to_le_bytes()].concat();
            // In 64 bits m * m * m is 0, and 0 >= 0.
            assert!(contract.check("k", &args, Location::caller()).is_err());
        }
    }
}
