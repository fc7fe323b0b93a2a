//! The methods of integers, named and defined as in `std`. Arithmetic wraps, as operators do in
//! kernels.

use kernelsmith_ir::{Attr, Opcode, Scalar, Type};

use super::cast::cast;
use super::compare::{eq, gt, lt, ne};
use super::control::select;
use super::element::{Int, Signed};
use super::stage::build;
use super::val::{IntoVal, Val};

macro_rules! count_methods {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        impl<T: Int> Val<T> {
            $(
                $(#[$meta])*
                #[track_caller]
                pub fn $name(self) -> Val<u32> {
                    Val::from_id(build(|b| {
                        b.emit1(Opcode::$op, Attr::None, &[self.id], Type::U32)
                    }))
                }
            )*
        }
    };
}

count_methods! {
    /// The number of one bits.
    count_ones CountOnes;
    /// The number of leading zero bits.
    leading_zeros LeadingZeros;
    /// The number of trailing zero bits.
    trailing_zeros TrailingZeros;
}

impl<T: Int> Val<T> {
    /// `self + other`, wrapping (as `+` does in kernels).
    #[track_caller]
    pub fn wrapping_add(self, other: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Add, other)
    }

    /// `self - other`, wrapping (as `-` does in kernels).
    #[track_caller]
    pub fn wrapping_sub(self, other: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Sub, other)
    }

    /// `self * other`, wrapping (as `*` does in kernels).
    #[track_caller]
    pub fn wrapping_mul(self, other: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Mul, other)
    }

    /// `0 - self`, wrapping.
    #[track_caller]
    pub fn wrapping_neg(self) -> Val<T> {
        zero::<T>().with(Opcode::Sub, self)
    }

    /// `self << (amount % bits)` (as `<<` does in kernels).
    #[track_caller]
    pub fn wrapping_shl(self, amount: impl IntoVal<u32>) -> Val<T> {
        self << amount.into_val()
    }

    /// `self >> (amount % bits)` (as `>>` does in kernels).
    #[track_caller]
    pub fn wrapping_shr(self, amount: impl IntoVal<u32>) -> Val<T> {
        self >> amount.into_val()
    }

    /// The number of leading one bits.
    #[track_caller]
    pub fn leading_ones(self) -> Val<u32> {
        (!self).leading_zeros()
    }

    /// The number of trailing one bits.
    #[track_caller]
    pub fn trailing_ones(self) -> Val<u32> {
        (!self).trailing_zeros()
    }

    /// The logarithm to base 2, rounded down, of a positive number: checked.
    #[track_caller]
    pub fn ilog2(self) -> Val<u32> {
        super::printing::check_text(
            gt(self, zero()),
            "argument of integer logarithm must be positive",
        );
        T::TYPE.bits() - 1 - self.leading_zeros()
    }

    /// The number of zero bits.
    #[track_caller]
    pub fn count_zeros(self) -> Val<u32> {
        T::TYPE.bits() - self.count_ones()
    }

    /// The bits in reverse order.
    #[track_caller]
    pub fn reverse_bits(self) -> Val<T> {
        self.unary(Opcode::ReverseBits)
    }

    /// The number whose bytes are in the other order.
    #[track_caller]
    pub fn swap_bytes(self) -> Val<T> {
        let (reversed, scalar) = (self.reverse_bits(), T::TYPE);
        // The bytes are in place, each of them backwards: exchange neighbours, pairs and halves.
        let swap = |x: Val<T>, by: u32, low: u64| {
            let mask =
                kernelsmith_ir::attr::Const::new(scalar, low & (u64::MAX >> (64 - scalar.bits())));
            Val::<T>::from_id(build(|b| {
                let (mask, by) = (b.constant(mask), b.constant(by_u32(by)));
                let high = b.same(Opcode::Shr, &[x.id, by]);
                let high = b.same(Opcode::And, &[high, mask]);
                let low = b.same(Opcode::And, &[x.id, mask]);
                let low = b.same(Opcode::Shl, &[low, by]);
                b.same(Opcode::Or, &[high, low])
            }))
        };
        let bits = swap(reversed, 1, 0x5555_5555_5555_5555);
        swap(swap(bits, 2, 0x3333_3333_3333_3333), 4, 0x0f0f_0f0f_0f0f_0f0f)
    }

    /// The bits moved left by `amount % bits`, those that leave coming back on the right.
    #[track_caller]
    pub fn rotate_left(self, amount: impl IntoVal<u32>) -> Val<T> {
        self.rotate(Opcode::Shl, amount.into_val())
    }

    /// The bits moved right by `amount % bits`, those that leave coming back on the left.
    #[track_caller]
    pub fn rotate_right(self, amount: impl IntoVal<u32>) -> Val<T> {
        self.rotate(Opcode::Shr, amount.into_val())
    }

    #[track_caller]
    fn rotate(self, op: Opcode, amount: Val<u32>) -> Val<T> {
        let back = 0u32 - amount;
        Val::from_id(build(|b| {
            let unsigned = unsigned(T::TYPE);
            let bits = b.cast(self.id, unsigned);
            // Shifts take their amount modulo the width, and so both parts are right for 0 too.
            let other = if op == Opcode::Shl { Opcode::Shr } else { Opcode::Shl };
            let (there, back) = (b.same(op, &[bits, amount.id]), b.same(other, &[bits, back.id]));
            let all = b.same(Opcode::Or, &[there, back]);
            b.cast(all, T::TYPE)
        }))
    }

    /// `self` to the power of a number known when the kernel runs or before it, wrapping.
    #[track_caller]
    pub fn pow(self, exponent: impl Exponent) -> Val<T> {
        match exponent.exponent() {
            Ok(host) => self.pow_bits(host.checked_ilog2().map_or(0, |n| n + 1), |bit| {
                Err(host >> bit & 1 == 1)
            }),
            Err(run) => self.pow_bits(32, |bit| Ok(ne((run >> bit) & 1u32, 0))),
        }
    }

    /// [`pow`](Val::pow), which wraps.
    #[track_caller]
    pub fn wrapping_pow(self, exponent: impl Exponent) -> Val<T> {
        self.pow(exponent)
    }

    /// The product of the squares that the exponent's bits pick, from the highest bit down.
    #[track_caller]
    fn pow_bits(self, bits: u32, bit: impl Fn(u32) -> Result<Val<bool>, bool>) -> Val<T> {
        let mut result = one::<T>();
        for i in (0..bits).rev() {
            result = result * result;
            result = match bit(i) {
                Ok(condition) => super::control::select(condition, result * self, result),
                Err(true) => result * self,
                Err(false) => result,
            };
        }
        result
    }
}

/// The exponent of [`Val::pow`].
pub trait Exponent {
    /// Of the host, or known when the kernel runs.
    fn exponent(self) -> Result<u32, Val<u32>>;
}

impl Exponent for u32 {
    fn exponent(self) -> Result<u32, Val<u32>> {
        Ok(self)
    }
}

impl Exponent for Val<u32> {
    fn exponent(self) -> Result<u32, Val<u32>> {
        Err(self)
    }
}

fn by_u32(x: u32) -> kernelsmith_ir::attr::Const {
    kernelsmith_ir::attr::Const::int(Scalar::U32, i128::from(x))
}

#[track_caller]
pub(super) fn int<T: Int>(x: i128) -> Val<T> {
    Val::from_id(build(|b| b.constant(kernelsmith_ir::attr::Const::int(T::TYPE, x))))
}

#[track_caller]
pub(super) fn zero<T: Int>() -> Val<T> {
    int(0)
}

#[track_caller]
pub(super) fn one<T: Int>() -> Val<T> {
    int(1)
}

/// The unsigned type of the same width.
fn unsigned(scalar: Scalar) -> Scalar {
    match scalar.bits() {
        8 => Scalar::U8,
        16 => Scalar::U16,
        32 => Scalar::U32,
        _ => Scalar::U64,
    }
}

impl<T: Int> Val<T> {
    /// The quotient of which [`rem_euclid`](Val::rem_euclid) is the rest. A zero divisor and
    /// `MIN / -1` are errors, as of `/`.
    #[track_caller]
    pub fn div_euclid(self, divisor: impl IntoVal<T>) -> Val<T> {
        let divisor = divisor.into_val();
        let quotient = self / divisor;
        if !T::TYPE.is_signed() {
            return quotient;
        }
        let rest = self % divisor;
        let step = super::control::select(gt(divisor, zero()), int(-1), one());
        super::control::select(lt(rest, zero()), quotient + step, quotient)
    }

    /// The rest of division that is not negative. A zero divisor and `MIN % -1` are errors, as of
    /// `%`.
    #[track_caller]
    pub fn rem_euclid(self, divisor: impl IntoVal<T>) -> Val<T> {
        let divisor = divisor.into_val();
        let rest = self % divisor;
        if !T::TYPE.is_signed() {
            return rest;
        }
        let size = super::control::select(lt(divisor, zero()), divisor.wrapping_neg(), divisor);
        super::control::select(lt(rest, zero()), rest + size, rest)
    }
}

impl<T: Int + Signed> Val<T> {
    /// The absolute value, wrapping.
    #[track_caller]
    pub fn wrapping_abs(self) -> Val<T> {
        self.abs()
    }
}

macro_rules! unsigned {
    ($($ty:ty),*) => {$(
        impl Val<$ty> {
            /// `ceil(self / divisor)`.
            #[track_caller]
            pub fn div_ceil(self, divisor: impl IntoVal<$ty>) -> Val<$ty> {
                let divisor = divisor.into_val();
                let (quotient, rest) = (self / divisor, self % divisor);
                quotient + cast::<Val<$ty>, _>(ne(rest, 0))
            }

            /// The least multiple of `divisor` that is not less; wraps around, as in Rust's release mode.
            #[track_caller]
            pub fn next_multiple_of(self, divisor: impl IntoVal<$ty>) -> Val<$ty> {
                let divisor = divisor.into_val();
                let rest = self % divisor;
                select(ne(rest, 0), self + (divisor - rest), self)
            }

            /// The distance between two numbers.
            #[track_caller]
            pub fn abs_diff(self, other: impl IntoVal<$ty>) -> Val<$ty> {
                let other = other.into_val();
                self.max(other) - self.min(other)
            }

            /// Whether this is a multiple of another number; of 0 only 0 is.
            #[track_caller]
            pub fn is_multiple_of(self, other: impl IntoVal<$ty>) -> Val<bool> {
                let other = other.into_val();
                let some = super::control::select(eq(other, 0), Val::from(1 as $ty), other);
                let rest = super::control::select(eq(other, 0), self, self % some);
                eq(rest, 0)
            }

            /// The smallest power of two that is no less: 0 (wrapping) if the type has none.
            #[track_caller]
            pub fn next_power_of_two(self) -> Val<$ty> {
                // All bits below the highest of `self - 1`, and one more.
                let bits = <$ty>::BITS;
                let below = self - cast::<Val<$ty>, _>(ne(self, 0));
                let empty = below.leading_zeros();
                let mask = super::control::select(
                    eq(empty, bits),
                    Val::from(0 as $ty),
                    Val::from(<$ty>::MAX) >> empty,
                );
                mask + 1 as $ty
            }

            /// Whether exactly one bit is set.
            #[track_caller]
            pub fn is_power_of_two(self) -> Val<bool> {
                eq(self.count_ones(), 1)
            }
        }
    )*};
}

unsigned!(u8, u16, u32, u64, usize);

macro_rules! signed {
    ($($ty:ty as $unsigned:ty),*) => {$(
        impl Val<$ty> {
            /// -1, 0 or 1.
            #[track_caller]
            pub fn signum(self) -> Val<$ty> {
                let (more, less) = (gt(self, 0), lt(self, 0));
                cast::<Val<$ty>, _>(more) - cast::<Val<$ty>, _>(less)
            }

            /// The distance between two numbers.
            #[track_caller]
            pub fn abs_diff(self, other: impl IntoVal<$ty>) -> Val<$unsigned> {
                let other = other.into_val();
                cast(self.max(other) - self.min(other))
            }

            /// The absolute value, as the unsigned type that always has it.
            #[track_caller]
            pub fn unsigned_abs(self) -> Val<$unsigned> {
                cast(self.abs())
            }

            /// Whether this is less than 0.
            #[track_caller]
            pub fn is_negative(self) -> Val<bool> {
                lt(self, 0)
            }

            /// Whether this is more than 0.
            #[track_caller]
            pub fn is_positive(self) -> Val<bool> {
                gt(self, 0)
            }
        }
    )*};
}

signed!(i8 as u8, i16 as u16, i32 as u32, i64 as u64, isize as usize);
