//! Where the left factors are that `wgmma`s take from registers.
//!
//! A part of a vector need not be copied to be a factor: it may stay in the vector's registers, as it does in
//! PTX. So both must be left alone while the product is computed.

use std::collections::HashMap;

use super::program::Reg;
use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Value};
use crate::op::Opcode;

/// By the first register of each left factor in registers: all that it may be read from.
pub(super) fn sources(kernel: &Kernel, reg: &dyn Fn(Value) -> Reg) -> HashMap<u32, Vec<u32>> {
    let (mut definitions, mut factors) = (HashMap::new(), Vec::new());
    kernel.body.walk(&mut |inst| {
        definitions.extend(inst.results.iter().map(|&result| (result, inst)));
        if matches!(&inst.attr, Attr::Wgmma(wgmma) if wgmma.a.is_none()) {
            factors.push(inst.operands[0]);
        }
    });
    let all = |value: Value| {
        let own = reg(value);
        let mut all: Vec<u32> = (own.at..own.at + own.len() as u32).collect();
        if let Some((vector, first)) = slice(&definitions, value) {
            let from = reg(vector).at + first;
            all.extend(from..from + own.len() as u32);
        }
        (own.at, all)
    };
    factors.into_iter().map(all).collect()
}

/// The vector that a value is neighbouring elements of, and the first of them.
fn slice(definitions: &HashMap<Value, &Inst>, value: Value) -> Option<(Value, u32)> {
    let made = definitions.get(&value).filter(|inst| inst.op == Opcode::VecMake)?;
    let mut found = None;
    for (element, i) in made.operands.iter().zip(0..) {
        let part = definitions.get(element).filter(|inst| inst.op == Opcode::VecExtract)?;
        let Attr::Lane(lane) = part.attr else { return None };
        let own = (part.operands[0], u32::from(lane).checked_sub(i)?);
        if found.replace(own).is_some_and(|before| before != own) {
            return None;
        }
    }
    found
}
