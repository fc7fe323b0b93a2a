//! Integer quotients and remainders. What ptxas makes of `div` and `rem` (13.0, sm_90a) is the same whether the
//! divisor is a constant or not: about 20 instructions with 32 bits, and with 64 the call of a function of 70, for
//! which everything around it leaves its registers. So constants become shifts and products here, and 64 bits are
//! divided as 32 where both numbers are that small.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Inst, Opcode, Scalar, Type};

use crate::emit::{Emitter, ins};
use crate::reg::{Class, Operand, Reg};

/// An unsigned number of `bits` is divided by a constant: shifted by `before`, multiplied by `factor`, of which the
/// upper half is taken, and shifted by `after`. With `adds`, the factor has one bit more, 2^bits, which is added as
/// half of the difference between the number and the product.
///
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994, figure 4.2.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Unsigned {
    before: u32,
    factor: u64,
    after: u32,
    adds: bool,
}

impl Unsigned {
    /// By a divisor that is no power of two.
    fn by(divisor: u64, bits: u32) -> Unsigned {
        let even = divisor.trailing_zeros();
        // The first factor that is exact enough for all numbers that are left; of odd divisors, perhaps none.
        let (divisor, left) = (u128::from(divisor >> even), bits - even);
        let ceil = 128 - (divisor - 1).leading_zeros();
        for after in 0..ceil {
            let power = 1u128 << (bits + after);
            let factor = power.div_ceil(divisor);
            let too_much = factor * divisor - power;
            if factor >> bits == 0 && too_much <= 1 << (after + bits - left) {
                return Unsigned { before: even, factor: factor as u64, after, adds: false };
            }
        }
        // All of the divisor's bits, with the number as it is.
        let divisor = divisor << even;
        let ceil = 128 - (divisor - 1).leading_zeros();
        let factor = (((1u128 << ceil) - divisor) << bits) / divisor + 1;
        Unsigned { before: 0, factor: factor as u64, after: ceil - 1, adds: true }
    }
}

/// The factor, less 2^bits, and the shift that divide a signed number of `bits` by one that is no power of two:
/// the number is added to the upper half of the product.
///
/// (Warren, "Hacker's Delight", 2nd edition, 10-1; Granlund and Montgomery, figure 5.2.)
fn signed(divisor: i64, bits: u32) -> (i64, u32) {
    let size = u128::from(divisor.unsigned_abs());
    let ceil = 128 - (size - 1).leading_zeros();
    let factor = (1u128 << (bits + ceil - 1)) / size + 1;
    ((factor as i128 - (1 << bits)) as i64, ceil - 1)
}

impl<'k> Emitter<'k> {
    /// `Div` or `Rem` of integers. A divisor of 0, and the least number by -1, end the thread before they come
    /// here.
    pub(crate) fn divide(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Reg {
        let Operand::Const(by) = x[1] else { return self.divide_by_any(op, elem, x) };
        if by.as_int() == 0 {
            return self.divide_by_any(op, elem, x);
        }
        let number = self.in_reg(x[0]);
        let bits = bits(number);
        let size = by.as_int() as u64;
        if op == Opcode::Rem && !elem.is_signed() && size.is_power_of_two() {
            let mask = immediate(bits, size - 1);
            return self.op(&format!("and.b{bits}"), number.class, &[number.into(), mask]);
        }
        let quotient = match elem.is_signed() {
            true => self.signed_quotient(number, by.as_int() as i64),
            false => self.unsigned_quotient(number, size),
        };
        if op == Opcode::Div {
            return quotient;
        }
        let less = signed_immediate(bits, (by.as_int() as i64).wrapping_neg());
        self.op(&format!("mad.lo.s{bits}"), number.class, &[quotient.into(), less, number.into()])
    }

    fn unsigned_quotient(&mut self, number: Reg, by: u64) -> Reg {
        let (class, bits) = (number.class, bits(number));
        let shr = format!("shr.u{bits}");
        if by.is_power_of_two() {
            return self.moved(&shr, number, by.trailing_zeros());
        }
        let Unsigned { before, factor, after, adds } = Unsigned::by(by, bits);
        let shorter = self.moved(&shr, number, before);
        let high = format!("mul.hi.u{bits}");
        let product = self.op(&high, class, &[shorter.into(), immediate(bits, factor)]);
        if !adds {
            return self.moved(&shr, product, after);
        }
        let sub = format!("sub.s{bits}");
        let difference = self.op(&sub, class, &[number.into(), product.into()]);
        let half = self.moved(&shr, difference, 1);
        let sum = self.op(&format!("add.s{bits}"), class, &[half.into(), product.into()]);
        self.moved(&shr, sum, after)
    }

    fn signed_quotient(&mut self, number: Reg, by: i64) -> Reg {
        let (class, bits) = (number.class, bits(number));
        let [add, sub, neg] = ["add", "sub", "neg"].map(|name| format!("{name}.s{bits}"));
        let (down, logical) = (format!("shr.s{bits}"), format!("shr.u{bits}"));
        let size = by.unsigned_abs();
        if size.is_power_of_two() {
            // Towards zero: a negative number is rounded up by what is cut off.
            let power = size.trailing_zeros();
            let up = match power {
                0 => number,
                _ => {
                    let sign = self.moved(&down, number, bits - 1);
                    let all = self.moved(&logical, sign, bits - power);
                    self.op(&add, class, &[number.into(), all.into()])
                }
            };
            let quotient = self.moved(&down, up, power);
            return if by < 0 { self.op(&neg, class, &[quotient.into()]) } else { quotient };
        }
        let (factor, after) = signed(by, bits);
        let high = format!("mul.hi.s{bits}");
        let product = self.op(&high, class, &[number.into(), signed_immediate(bits, factor)]);
        let quotient = self.op(&add, class, &[product.into(), number.into()]);
        let quotient = self.moved(&down, quotient, after);
        // Of a negative number it was rounded down.
        let sign = self.moved(&down, number, bits - 1);
        match by < 0 {
            true => self.op(&sub, class, &[sign.into(), quotient.into()]),
            false => self.op(&sub, class, &[quotient.into(), sign.into()]),
        }
    }

    fn moved(&mut self, op: &str, number: Reg, amount: u32) -> Reg {
        match amount {
            0 => number,
            _ => self.op(op, number.class, &[number.into(), Operand::u32(amount)]),
        }
    }

    /// By a number that is not known.
    fn divide_by_any(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Reg {
        let (class, name) = (Class::of(elem), if op == Opcode::Div { "div" } else { "rem" });
        let sign = if elem.is_signed() { 's' } else { 'u' };
        match class {
            Class::B64 => self.divide_where_small(&format!("{name}.{sign}64"), name, x),
            _ => self.op(&format!("{name}.{sign}32"), class, x),
        }
    }

    /// With 32 bits where both numbers, as they are without a sign, have no more.
    fn divide_where_small(&mut self, whole: &str, name: &str, x: &[Operand]) -> Reg {
        let class = Class::B64;
        let result = self.new_reg(class);
        let [number, by] = [0, 1].map(|i| self.in_reg(x[i]));
        let both = self.op("or.b64", class, &[number.into(), by.into()]);
        let [_, upper] = self.split(both);
        let large = self.op("setp.ne.u32", Class::Pred, &[upper.into(), Operand::u32(0)]);
        let (slow, end) = (self.new_label("divide"), self.new_label("divided"));
        ins!(self, "@{large} bra {slow};");
        let [number_low, by_low] = [number, by].map(|x| self.split(x)[0].into());
        let low = self.op(&format!("{name}.u32"), Class::B32, &[number_low, by_low]);
        ins!(self, "cvt.u64.u32 {result}, {low};");
        ins!(self, "bra {end};");
        self.place(slow);
        ins!(self, "{whole} {result}, {number}, {by};");
        self.place(end);
        result
    }

    /// A quotient or remainder of two numbers that were widened from 32 bits, or of one and a constant that fits.
    pub(crate) fn narrow_quotient(&mut self, inst: &Inst) -> Option<Reg> {
        if !matches!(inst.op, Opcode::Div | Opcode::Rem)
            || self.ty(inst.result()) != Type::Scalar(Scalar::U64)
        {
            return None;
        }
        let [number, by] = [inst.operands[0], inst.operands[1]];
        let x = [self.widened(number, false)?, self.widened(by, false)?];
        let low = self.divide(inst.op, Scalar::U32, &x);
        Some(self.op("cvt.u64.u32", Class::B64, &[low.into()]))
    }
}

fn bits(number: Reg) -> u32 {
    if number.class == Class::B64 { 64 } else { 32 }
}

/// An immediate of these low bits.
fn immediate(bits: u32, x: u64) -> Operand {
    match bits {
        64 => Operand::Const(Const::new(Scalar::U64, x)),
        _ => Operand::u32(x as u32),
    }
}

/// The same of a number with a sign.
fn signed_immediate(bits: u32, x: i64) -> Operand {
    Operand::Const(Const::new(if bits == 64 { Scalar::I64 } else { Scalar::I32 }, x as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIVISORS: [u64; 17] = [
        3,
        5,
        6,
        7,
        10,
        11,
        14,
        25,
        28,
        60,
        100,
        125,
        641,
        1000,
        1 << 20 | 1,
        u32::MAX as u64,
        65537,
    ];

    fn quotient(number: u64, u: Unsigned, bits: u32) -> u64 {
        let mask = u64::MAX >> (64 - bits);
        let high = |x: u64| ((u128::from(x) * u128::from(u.factor)) >> bits) as u64;
        if !u.adds {
            return high(number >> u.before) >> u.after;
        }
        let product = high(number);
        ((((number.wrapping_sub(product) & mask) >> 1) + product) & mask) >> u.after
    }

    /// Around every multiple that a wrong factor would show at: the first and the last ones.
    #[test]
    fn unsigned_quotients() {
        for bits in [32u32, 64] {
            let most = u64::MAX >> (64 - bits);
            let large = [most, most - 1, most / 2 + 2, most / 3, most - 12];
            for by in DIVISORS.into_iter().chain(large).filter(|d| !d.is_power_of_two()) {
                let found = Unsigned::by(by, bits);
                assert!(found.factor <= most, "{by}");
                let near =
                    [0, by, 2 * (by.min(most / 2)), most / by * by, most, most / 2, most / by];
                for number in
                    near.into_iter().flat_map(|n| [n.saturating_sub(1), n, n + u64::from(n < most)])
                {
                    assert_eq!(
                        quotient(number, found, bits),
                        number / by,
                        "{number} by {by}, {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn signed_quotients() {
        for bits in [32u32, 64] {
            let most = i64::MAX >> (64 - bits);
            let large = [most, most - 1, most / 3 + 1];
            for by in DIVISORS.map(|d| (d as i64).min(most - 2)).into_iter().chain(large) {
                if (by as u64).is_power_of_two() {
                    continue;
                }
                let (factor, after) = signed(by, bits);
                let near = [0, by, most / by * by, most, most / 2, -most - 1];
                for number in near
                    .into_iter()
                    .flat_map(|n| [n.saturating_sub(1).max(-most - 1), n, -(n.max(-most))])
                {
                    let high = ((i128::from(number) * i128::from(factor)) >> bits) as i64;
                    let found = ((high + number) >> after) - (number >> 63);
                    assert_eq!(found, number / by, "{number} by {by}");
                }
            }
        }
    }
}
