//! Random damage to kernels: what the verifier is there for.

use kernelsmith_ir::kernel::Value;
use kernelsmith_ir::op::TABLE;
use kernelsmith_ir::{Attr, Inst, Kernel, Region, Scalar, Space, Type};

use crate::random_kernel::Rng;

/// Changes one thing somewhere, to something that may or may not be right there.
pub(crate) fn damage(kernel: &mut Kernel, rng: &mut Rng) {
    let values = kernel.types.len() as u64;
    if rng.below(8) == 0 {
        kernel.types[rng.below(values) as usize] = some_type(rng);
        return;
    }
    let mut attrs: Vec<Attr> = Vec::new();
    let mut count = 0;
    kernel.body.walk(&mut |inst| {
        count += 1;
        if !matches!(inst.attr, Attr::None) {
            attrs.push(inst.attr.clone());
        }
    });
    let chosen = rng.below(count);
    let mut body = std::mem::take(&mut kernel.body);
    let mut at = 0;
    region(&mut body, chosen, &mut at, &mut |insts, i| one(insts, i, values, &attrs, rng));
    kernel.body = body;
}

fn some_type(rng: &mut Rng) -> Type {
    let scalar = Scalar::ALL[rng.below(16) as usize];
    match rng.below(4) {
        0 => Type::Vector(scalar, rng.below(5) as u8),
        1 => Type::Ptr(Space::Global, scalar),
        _ => scalar.into(),
    }
}

/// Calls `change` with the list that holds instruction number `chosen`, and its place there.
fn region(
    region: &mut Region,
    chosen: u64,
    at: &mut u64,
    change: &mut dyn FnMut(&mut Vec<Inst>, usize),
) {
    for i in 0..region.insts.len() {
        if *at == chosen {
            *at += 1;
            return change(&mut region.insts, i);
        }
        *at += 1;
        for inner in &mut region.insts[i].regions {
            self::region(inner, chosen, at, change);
        }
        if *at > chosen {
            return;
        }
    }
}

fn one(insts: &mut Vec<Inst>, i: usize, values: u64, attrs: &[Attr], rng: &mut Rng) {
    let n = insts.len() as u64;
    // One past the last value, now and then.
    let value = Value(rng.below(values + 1) as u32);
    let inst = &mut insts[i];
    let operand = rng.below(inst.operands.len().max(1) as u64) as usize;
    match rng.below(12) {
        0..=2 if !inst.operands.is_empty() => inst.operands[operand] = value,
        3 if !inst.operands.is_empty() => drop(inst.operands.remove(operand)),
        4 => inst.operands.push(value),
        5 => inst.results.push(value),
        6 => drop(inst.results.pop()),
        7 => inst.op = TABLE[rng.below(TABLE.len() as u64) as usize].op,
        8 if !attrs.is_empty() => inst.attr = attrs[rng.below(attrs.len() as u64) as usize].clone(),
        9 => drop(insts.remove(i)),
        10 => insts.swap(i, rng.below(n) as usize),
        11 => drop(inst.regions.pop()),
        _ => inst.operands.reverse(),
    }
}
