//! Arguments of `sin` and `cos` less their multiples of `pi / 2`.
//!
//! Up to a limit by subtracting `n * pi / 2` with `pi / 2` in three parts (W. J. Cody, W. Waite,
//! "Software Manual for the Elementary Functions", 1980); fused multiply-adds keep every step but
//! the last exact. Beyond, by multiplying with just those bits of `2 / pi` that matter (M. Payne,
//! R. Hanek, "Radian reduction for trigonometric functions", 1983), in a branch: few kernels ever
//! take it.

use super::math::Math;
use super::polynomials as poly;
use crate::attr::{Attr, Const};
use crate::kernel::Value;
use crate::op::Opcode;
use crate::types::Scalar;

/// `x = quadrant * pi / 2 + r`, `|r|` at most about `pi / 4`.
pub(super) struct Reduced {
    /// An integer, of which only the two lowest bits mean something.
    pub(super) quadrant: Value,
    pub(super) r: Value,
}

/// Reduces `x >= 0` and adds `offset` to the quadrant.
pub(super) fn reduce(m: &mut Math<'_>, x: Value, offset: i64) -> Reduced {
    let rounder = m.rounder(offset);
    let rounder = m.float(rounder);
    let factor = m.floats(&poly::TWO_OVER_PI)[0];
    let factor = m.float(factor);
    let sum = m.fma(x, factor, rounder);
    let n = m.sub(sum, rounder);
    let mut r = x;
    for part in m.floats(&poly::HALF_PI) {
        let part = m.float(-part);
        r = m.fma(n, part, r);
    }
    let quadrant = m.bits(sum);
    // In f32 the product with `2 / pi` must still round to the right n, nearly.
    let limit = m.pick(2f64.powi(17), 2f64.powi(40));
    let far = m.compare_to(Opcode::Gt, x, limit);
    let types = [m.int_ty(), m.ty];
    let long = m.region(Vec::new(), |m| {
        let Reduced { quadrant, r } = reduce_far(m, x, offset);
        (Opcode::Yield, Attr::None, vec![quadrant, r])
    });
    let short = m.region(Vec::new(), |_| (Opcode::Yield, Attr::None, vec![quadrant, r]));
    let results = m.control(Opcode::If, Attr::None, &[far], &types, vec![long, short]);
    Reduced { quadrant: results[0], r: results[1] }
}

/// For `x` of 2^17 and up.
fn reduce_far(m: &mut Math<'_>, x: Value, offset: i64) -> Reduced {
    let mantissa = m.mantissa();
    let bits = m.bits(x);
    let exponent = m.shr(bits, mantissa);
    let fraction_mask = m.int((1 << mantissa) - 1);
    let fraction = m.and(bits, fraction_mask);
    let hidden = m.int(1 << mantissa);
    let significand = m.or(fraction, hidden);
    let significand = m.cast(significand, Scalar::U64);
    // x is the significand times 2^s. Bits of 2 / pi of weight 2^-(s - 2) or more make multiples
    // of 4 of it, which are whole turns; those from 2^-(s - 1) on count. The first bit has the
    // weight 2^-1 and follows 64 zeros, so that the window never begins before the first word.
    let s_of_zero = -(m.bias() + i64::from(mantissa));
    let shift = m.int(s_of_zero - 2 + 64);
    let start = m.add(exponent, shift);
    let start = m.cast(start, Scalar::U32);
    let words = m.pick(2, 3);
    let window = window(m, start, words);
    let (high, low) = if words == 2 {
        (multiply_short(m, significand, &window), None)
    } else {
        let (high, low) = multiply_long(m, significand, &window);
        (high, Some(low))
    };
    // Two bits of quadrant, then the fraction; from one half on the next quadrant is nearer.
    let half = u64_constant(m, 1 << 61);
    let quadrant = m.add(high, half);
    let quadrant = m.shr(quadrant, 62);
    let quadrant = m.cast(quadrant, m.int_ty());
    let offset = m.int(offset);
    let quadrant = m.add(quadrant, offset);
    let r = match low {
        None => fraction_single(m, high),
        Some(low) => fraction_double(m, high, low),
    };
    let finite = m.compare_to(Opcode::Lt, x, f64::INFINITY);
    let nan = m.float(f64::NAN);
    Reduced { quadrant, r: m.select(finite, r, nan) }
}

fn u64_constant(m: &mut Math<'_>, x: u64) -> Value {
    m.constant(Const::new(Scalar::U64, x))
}

fn u32_constant(m: &mut Math<'_>, x: u32) -> Value {
    m.constant(Const::new(Scalar::U32, x.into()))
}

/// `count` words of the bits of `2 / pi`, with a word of zeros before them, from bit `start` on.
/// The words are immediate operands of selects, one step for each bit of the word's index.
fn window(m: &mut Math<'_>, start: Value, count: usize) -> Vec<Value> {
    // Where the greatest finite number's window ends.
    let last_start = m.pick(254 - 88, 2046 - 1013);
    let last = last_start / 64;
    let mut words = vec![u64_constant(m, 0)];
    for &word in &poly::TWO_OVER_PI_BITS[..last + count] {
        words.push(u64_constant(m, word));
    }
    let mut step = (last + 1).next_power_of_two();
    while step > 1 {
        step /= 2;
        let mask = u32_constant(m, 64 * step as u32);
        let bit = m.and(start, mask);
        let zero = u32_constant(m, 0);
        let on = m.compare(Opcode::Ne, bit, zero);
        // What the smaller steps can still reach.
        let needed = (step + count).min(words.len());
        for i in 0..needed {
            if i + step < words.len() {
                words[i] = m.select(on, words[i + step], words[i]);
            }
        }
        words.truncate(needed);
    }
    let mask = u32_constant(m, 63);
    let left = m.and(start, mask);
    let right = m.xor(left, mask);
    (0..count)
        .map(|i| {
            let high = m.op(Opcode::Shl, [words[i], left]);
            // Right by 64 - left, which may be 64: first by 1, then by 63 - left.
            let low = m.shr(words[i + 1], 1);
            let low = m.op(Opcode::Shr, [low, right]);
            m.or(high, low)
        })
        .collect()
}

/// The upper word of `a` times two words, modulo 2^128.
fn multiply_short(m: &mut Math<'_>, a: Value, words: &[Value]) -> Value {
    let high = m.mul(a, words[0]);
    let carried = m.op(Opcode::MulHi, [a, words[1]]);
    m.add(high, carried)
}

/// The two upper words of `a` times three words, modulo 2^192.
fn multiply_long(m: &mut Math<'_>, a: Value, words: &[Value]) -> (Value, Value) {
    let carried = m.op(Opcode::MulHi, [a, words[2]]);
    let low = m.mul(a, words[1]);
    let low = m.add(low, carried);
    let overflow = m.compare(Opcode::Lt, low, carried);
    let overflow = m.cast(overflow, Scalar::U64);
    let high = m.mul(a, words[0]);
    let carried = m.op(Opcode::MulHi, [a, words[1]]);
    let high = m.add(high, carried);
    (m.add(high, overflow), low)
}

/// `pi / 2` times the signed fraction below the two upper bits; through f64, to round once.
fn fraction_single(m: &mut Math<'_>, high: Value) -> Value {
    let fraction = m.shl(high, 2);
    let fraction = m.bitcast(fraction, Scalar::I64);
    let wide = m.cast(fraction, Scalar::F64);
    let scale = Const::f64(std::f64::consts::FRAC_PI_2 * 2f64.powi(-64));
    let scale = m.constant(scale);
    let r = m.mul(wide, scale);
    m.cast(r, Scalar::F32)
}

/// The same for f64 and 126 bits of fraction. An argument can be so near a multiple of `pi / 2`
/// that 61 of them are zero; what is left is normalised to 64.
fn fraction_double(m: &mut Math<'_>, high: Value, low: Value) -> Value {
    let upper = m.shl(high, 2);
    let middle = m.shr(low, 62);
    let signed = m.or(upper, middle);
    let low = m.shl(low, 2);
    // The magnitude, less one unit in the last of 128 bits where negative.
    let sign = m.bitcast(signed, Scalar::I64);
    let negative = m.shr(sign, 63);
    let negative = m.bitcast(negative, Scalar::U64);
    let high = m.xor(signed, negative);
    let low = m.xor(low, negative);
    let zeros = m.emit(Opcode::LeadingZeros, Attr::None, &[high], Scalar::U32.into());
    let mask = u32_constant(m, 63);
    let right = m.xor(zeros, mask);
    let high = m.op(Opcode::Shl, [high, zeros]);
    let low = m.shr(low, 1);
    let low = m.op(Opcode::Shr, [low, right]);
    let bits = m.or(high, low);
    // 53 and 11 bits, each an exact float, times pi / 2 in two parts, rounded once.
    let top = m.shr(bits, 11);
    let top = m.cast(top, Scalar::F64);
    let mask = u64_constant(m, (1 << 11) - 1);
    let rest = m.and(bits, mask);
    let rest = m.cast(rest, Scalar::F64);
    let half_pi = m.floats(&poly::HALF_PI);
    let first = m.float(half_pi[0] * 2f64.powi(-53));
    let second = m.float(half_pi[1] * 2f64.powi(-53));
    let last = m.float(half_pi[0] * 2f64.powi(-64));
    let product = m.mul(top, first);
    let minus = m.neg(product);
    let error = m.fma(top, first, minus);
    let error = m.fma(top, second, error);
    let error = m.fma(rest, last, error);
    let r = m.add(product, error);
    // times 2^-zeros, with the sign
    let zeros = m.cast(zeros, Scalar::I64);
    let bias = m.int(m.bias());
    let exponent = m.sub(bias, zeros);
    let exponent = m.shl(exponent, m.mantissa());
    let power = m.of_bits(exponent);
    let r = m.mul(r, power);
    let sign = m.bitcast(sign, Scalar::F64);
    m.op(Opcode::CopySign, [r, sign])
}
