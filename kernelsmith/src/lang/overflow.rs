//! Integer arithmetic that tells, or bounds, what does not fit: `checked_*`, `overflowing_*` and
//! `saturating_*`, named and defined as in `std`.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Opcode, Scalar};

use super::cast::cast;
use super::compare::{eq, lt, ne};
use super::control::select;
use super::element::{Int, Signed};
use super::integer::{Exponent, int, one, zero};
use super::option::RunOption;
use super::place::Place;
use super::ranges::{IntoLoop, range};
use super::stage::build;
use super::val::{IntoVal, Val};

/// The type of twice the width in which products of this one are exact, if the IR has it.
fn wider(scalar: Scalar) -> Option<Scalar> {
    match (scalar.bits(), scalar.is_signed()) {
        (8, true) => Some(Scalar::I16),
        (16, true) => Some(Scalar::I32),
        (32, true) => Some(Scalar::I64),
        (8, false) => Some(Scalar::U16),
        (16, false) => Some(Scalar::U32),
        (32, false) => Some(Scalar::U64),
        _ => None,
    }
}

/// The largest and smallest value of an integer type.
pub(super) fn limits(scalar: Scalar) -> (i128, i128) {
    let bits = scalar.bits();
    match scalar.is_signed() {
        true => ((1 << (bits - 1)) - 1, -(1 << (bits - 1))),
        false => ((1 << bits) - 1, 0),
    }
}

/// Whether two numbers of a signed type have different signs.
#[track_caller]
fn signs_differ<T: Int>(x: Val<T>, y: Val<T>) -> Val<bool> {
    lt(Val::<T>::from_id(build(|b| b.same(Opcode::Xor, &[x.id, y.id]))), zero())
}

/// `MIN` of a signed type.
#[track_caller]
fn least<T: Int>() -> Val<T> {
    int(limits(T::TYPE).1)
}

impl<T: Int> Val<T> {
    /// The wrapped sum, and whether it did not fit.
    #[track_caller]
    pub fn overflowing_add(self, other: impl IntoVal<T>) -> (Val<T>, Val<bool>) {
        let other = other.into_val();
        let sum = self + other;
        let lost = match T::TYPE.is_signed() {
            false => lt(sum, self),
            // Both operands have the sign that the sum lacks.
            true => signs_differ(self, sum) & signs_differ(other, sum),
        };
        (sum, lost)
    }

    /// The wrapped difference, and whether it did not fit.
    #[track_caller]
    pub fn overflowing_sub(self, other: impl IntoVal<T>) -> (Val<T>, Val<bool>) {
        let other = other.into_val();
        let difference = self - other;
        let lost = match T::TYPE.is_signed() {
            false => lt(self, other),
            // The operands' signs differ, and the difference has not the sign of `self`.
            true => signs_differ(self, other) & signs_differ(self, difference),
        };
        (difference, lost)
    }

    /// The wrapped product, and whether it did not fit.
    #[track_caller]
    pub fn overflowing_mul(self, other: impl IntoVal<T>) -> (Val<T>, Val<bool>) {
        let other = other.into_val();
        let product = self * other;
        let lost = build(|b| match wider(T::TYPE) {
            Some(wide) => {
                let (x, y) = (b.cast(self.id, wide), b.cast(other.id, wide));
                let exact = b.same(Opcode::Mul, &[x, y]);
                let kept = b.cast(product.id, wide);
                b.compare(Opcode::Ne, exact, kept)
            }
            // The upper half of a product that fits is the sign of the lower one.
            None => {
                let high = b.same(Opcode::MulHi, &[self.id, other.id]);
                let sign = match T::TYPE.is_signed() {
                    false => b.constant(Const::int(T::TYPE, 0)),
                    true => {
                        let bits = i128::from(T::TYPE.bits() - 1);
                        let by = b.constant(Const::int(Scalar::U32, bits));
                        b.same(Opcode::Shr, &[product.id, by])
                    }
                };
                b.compare(Opcode::Ne, high, sign)
            }
        });
        (product, Val::from_id(lost))
    }

    /// `self` to a power, wrapped, and whether it did not fit. Where the exponent is known only when
    /// the kernel runs, a loop over its bits.
    #[track_caller]
    pub fn overflowing_pow(self, exponent: impl Exponent) -> (Val<T>, Val<bool>) {
        let power = Power {
            square: Place::new("square", self),
            product: Place::new("power", one()),
            lost: Place::new("lost", false.into()),
        };
        match exponent.exponent() {
            Ok(host) => {
                let bits = u32::BITS - host.leading_zeros();
                for bit in 0..bits {
                    power.step((host >> bit & 1 == 1).into(), (bit + 1 < bits).into());
                }
            }
            Err(run) => {
                let bits = Val::<u32>::from(u32::BITS) - run.leading_zeros();
                let mut steps = range(0, cast::<Val<usize>, _>(bits)).into_loop();
                if let Some(bit) = steps.next_item() {
                    let bit = cast::<Val<u32>, _>(bit);
                    power.step(ne((run >> bit) & 1u32, 0u32), lt(bit + 1u32, bits));
                }
                steps.end();
            }
        }
        (power.product.get(), power.lost.get())
    }

    /// `-self`, wrapped, and whether it did not fit.
    #[track_caller]
    pub fn overflowing_neg(self) -> (Val<T>, Val<bool>) {
        let lost = match T::TYPE.is_signed() {
            false => ne(self, zero()),
            true => eq(self, least()),
        };
        (self.wrapping_neg(), lost)
    }

    /// `self + other`, if it fits.
    #[track_caller]
    pub fn checked_add(self, other: impl IntoVal<T>) -> RunOption<Val<T>> {
        fitting(self.overflowing_add(other))
    }

    /// `self - other`, if it fits.
    #[track_caller]
    pub fn checked_sub(self, other: impl IntoVal<T>) -> RunOption<Val<T>> {
        fitting(self.overflowing_sub(other))
    }

    /// `self * other`, if it fits.
    #[track_caller]
    pub fn checked_mul(self, other: impl IntoVal<T>) -> RunOption<Val<T>> {
        fitting(self.overflowing_mul(other))
    }

    /// `self` to a power, if it fits.
    #[track_caller]
    pub fn checked_pow(self, exponent: impl Exponent) -> RunOption<Val<T>> {
        fitting(self.overflowing_pow(exponent))
    }

    /// `-self`, if it fits.
    #[track_caller]
    pub fn checked_neg(self) -> RunOption<Val<T>> {
        fitting(self.overflowing_neg())
    }

    /// `self / other`, unless `other` is 0 or the quotient does not fit.
    #[track_caller]
    pub fn checked_div(self, other: impl IntoVal<T>) -> RunOption<Val<T>> {
        self.divided(Opcode::Div, other.into_val())
    }

    /// `self % other`, unless `other` is 0 or the quotient does not fit.
    #[track_caller]
    pub fn checked_rem(self, other: impl IntoVal<T>) -> RunOption<Val<T>> {
        self.divided(Opcode::Rem, other.into_val())
    }

    #[track_caller]
    fn divided(self, op: Opcode, other: Val<T>) -> RunOption<Val<T>> {
        let mut some = ne(other, zero());
        if T::TYPE.is_signed() {
            some = some & (ne(self, least()) | ne(other, int(-1)));
        }
        // Where there is no result anything may be divided by 1: no check is needed.
        let divisor = select(some, other, one());
        RunOption::when(some, self.with(op, divisor))
    }

    /// `self << amount`, unless the amount is the width or more.
    #[track_caller]
    pub fn checked_shl(self, amount: impl IntoVal<u32>) -> RunOption<Val<T>> {
        let amount = amount.into_val();
        RunOption::when(lt(amount, T::TYPE.bits()), self << amount)
    }

    /// `self >> amount`, unless the amount is the width or more.
    #[track_caller]
    pub fn checked_shr(self, amount: impl IntoVal<u32>) -> RunOption<Val<T>> {
        let amount = amount.into_val();
        RunOption::when(lt(amount, T::TYPE.bits()), self >> amount)
    }

    /// `self + other`, or the nearest value that the type has.
    #[track_caller]
    pub fn saturating_add(self, other: impl IntoVal<T>) -> Val<T> {
        let (sum, lost) = self.overflowing_add(other);
        select(lost, self.limit(lt(self, zero())), sum)
    }

    /// `self - other`, or the nearest value that the type has.
    #[track_caller]
    pub fn saturating_sub(self, other: impl IntoVal<T>) -> Val<T> {
        let other = other.into_val();
        if !T::TYPE.is_signed() {
            return self.max(other) - other;
        }
        let (difference, lost) = self.overflowing_sub(other);
        select(lost, self.limit(lt(self, zero())), difference)
    }

    /// `self * other`, or the nearest value that the type has.
    #[track_caller]
    pub fn saturating_mul(self, other: impl IntoVal<T>) -> Val<T> {
        let other = other.into_val();
        let (product, lost) = self.overflowing_mul(other);
        select(lost, self.limit(signs_differ(self, other)), product)
    }

    /// `self` to a power, or the nearest value that the type has.
    #[track_caller]
    pub fn saturating_pow(self, exponent: impl Exponent + Copy) -> Val<T> {
        let odd = match exponent.exponent() {
            Ok(host) => (host % 2 == 1).into(),
            Err(run) => ne(run & 1u32, 0u32),
        };
        let (power, lost) = self.overflowing_pow(exponent);
        select(lost, self.limit(lt(self, zero()) & odd), power)
    }

    /// The least value of the type where the exact result is negative, else the largest.
    #[track_caller]
    fn limit(self, negative: Val<bool>) -> Val<T> {
        match (limits(T::TYPE), T::TYPE.is_signed()) {
            ((max, _), false) => int(max),
            ((max, min), true) => select(negative, int(min), int(max)),
        }
    }
}

/// A power while it is being multiplied: by squares, from the exponent's lowest bit up.
struct Power<T: Int> {
    square: Place<Val<T>>,
    product: Place<Val<T>>,
    lost: Place<Val<bool>>,
}

impl<T: Int> Power<T> {
    /// One bit of the exponent, and whether a higher one is set: only then the next square counts.
    #[track_caller]
    fn step(&self, bit: Val<bool>, more: Val<bool>) {
        let (square, product) = (self.square.get(), self.product.get());
        let (next, too_large) = product.overflowing_mul(square);
        self.product.set(select(bit, next, product));
        let (next, no_square) = square.overflowing_mul(square);
        self.square.set(next);
        self.lost.set(self.lost.get() | bit & too_large | more & no_square);
    }
}

impl<T: Int + Signed> Val<T> {
    /// `self.abs()`, if it fits.
    #[track_caller]
    pub fn checked_abs(self) -> RunOption<Val<T>> {
        RunOption::when(ne(self, least()), self.abs())
    }

    /// `self.abs()`, or the largest value of the type.
    #[track_caller]
    pub fn saturating_abs(self) -> Val<T> {
        self.checked_abs().unwrap_or(int(limits(T::TYPE).0))
    }
}

/// The value, unless it was lost.
#[track_caller]
fn fitting<T: Int>((value, lost): (Val<T>, Val<bool>)) -> RunOption<Val<T>> {
    RunOption::when(!lost, value)
}
