//! Computing with scalars: what kernels do most goes straight, the rest as [`eval`] says.
//!
//! [`eval`]: crate::eval

use crate::attr::Const;
use crate::eval::reference;
use crate::op::Opcode;
use crate::types::Scalar;

/// The result's bits; `None` for a division without result.
pub(super) fn compute(op: Opcode, operands: &[Const], result: Scalar) -> Option<u64> {
    let fast = match operands[0].ty {
        Scalar::F32 => float(op, operands),
        Scalar::U32 | Scalar::U64 => unsigned(op, operands, result),
        _ => None,
    };
    match fast {
        Some(bits) => Some(bits),
        None => reference(op, operands, result).map(|c| c.bits),
    }
}

fn float(op: Opcode, operands: &[Const]) -> Option<u64> {
    let at = |i: usize| f32::from_bits(operands[i].bits as u32);
    let x = at(0);
    let value = match op {
        Opcode::Add => x + at(1),
        Opcode::Sub => x - at(1),
        Opcode::Mul => x * at(1),
        Opcode::Fma => x.mul_add(at(1), at(2)),
        Opcode::Lt => return Some((x < at(1)).into()),
        Opcode::Gt => return Some((x > at(1)).into()),
        _ => return None,
    };
    Some(value.to_bits().into())
}

fn unsigned(op: Opcode, operands: &[Const], result: Scalar) -> Option<u64> {
    let x = operands[0].bits;
    let y = || operands[1].bits;
    let value = match op {
        Opcode::Add => x.wrapping_add(y()),
        Opcode::Sub => x.wrapping_sub(y()),
        Opcode::Mul => x.wrapping_mul(y()),
        Opcode::And => x & y(),
        Opcode::Or => x | y(),
        Opcode::Xor => x ^ y(),
        Opcode::Shr => x >> (y() as u32 & (result.bits() - 1)),
        Opcode::Shl => x << (y() as u32 & (result.bits() - 1)),
        Opcode::Eq => return Some((x == y()).into()),
        Opcode::Ne => return Some((x != y()).into()),
        Opcode::Lt => return Some((x < y()).into()),
        Opcode::Le => return Some((x <= y()).into()),
        Opcode::Gt => return Some((x > y()).into()),
        Opcode::Ge => return Some((x >= y()).into()),
        Opcode::Cast if result.is_int() => x,
        _ => return None,
    };
    Some(Const::new(result, value).bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::TABLE;

    /// The short way gives what the definition gives.
    #[test]
    fn short_ways_agree_with_the_definition() {
        let numbers = [0, 1, 2, 31, 33, 0x7fff_ffff, 0x8000_0000, 0x3f80_0000, 0xc2f7_1234u64];
        let mut compared = 0;
        for row in TABLE.iter().filter(|row| row.op.is_pure()) {
            for n in 0..numbers.len().pow(3) {
                let at = |place: u32| numbers[n / numbers.len().pow(place) % numbers.len()];
                let [a, b, c] = [at(0), at(1), at(2)];
                for ty in [Scalar::F32, Scalar::U32, Scalar::U64] {
                    let operands = [a, b << 1 | a, c].map(|bits| Const::new(ty, bits));
                    let fast = match ty {
                        Scalar::F32 => float(row.op, &operands),
                        _ => unsigned(row.op, &operands, ty),
                    };
                    let Some(fast) = fast else { continue };
                    let expected = reference(row.op, &operands, ty).unwrap();
                    // Which of two NaNs comes out is open.
                    let nan = |bits: u64| f32::from_bits(bits as u32).is_nan();
                    let same = expected.bits == fast
                        || (expected.ty == Scalar::F32 && nan(fast) && nan(expected.bits));
                    assert!(same, "{} {operands:?}: {fast:#x}", row.name);
                    compared += 1;
                }
            }
        }
        assert!(compared > 10_000, "{compared}");
    }
}
