//! The methods of floats, and those that integers have too, named and defined as in `std`.

use kernelsmith_ir::Opcode;

use super::compare::{eq, lt, ne};
use super::element::{Bits, Float, Num, Signed};
use super::stage::build;
use super::val::{IntoVal, Val};

impl<T: Num> Val<T> {
    /// The smaller; of floats, the other one if one is NaN.
    #[track_caller]
    pub fn min(self, other: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Min, other)
    }

    /// The larger; of floats, the other one if one is NaN.
    #[track_caller]
    pub fn max(self, other: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Max, other)
    }

    /// Between `min` and `max`, which must be in order; NaN stays NaN.
    #[track_caller]
    pub fn clamp(self, min: impl IntoVal<T>, max: impl IntoVal<T>) -> Val<T> {
        let (min, max) = (min.into_val(), max.into_val());
        if T::TYPE.is_int() {
            return self.max(min).min(max);
        }
        // `min` and `max` of floats would lose NaN.
        let above = super::control::select(lt(self, min), min, self);
        super::control::select(super::compare::gt(above, max), max, above)
    }

    #[track_caller]
    pub(super) fn with(self, op: Opcode, other: impl IntoVal<T>) -> Val<T> {
        let other = other.into_val();
        Val::from_id(build(|b| b.same(op, &[self.id, other.id])))
    }

    #[track_caller]
    pub(super) fn unary(self, op: Opcode) -> Val<T> {
        Val::from_id(build(|b| b.same(op, &[self.id])))
    }
}

impl<T: Signed> Val<T> {
    /// The absolute value; integers wrap.
    #[track_caller]
    pub fn abs(self) -> Val<T> {
        self.unary(Opcode::Abs)
    }
}

macro_rules! float_methods {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        impl<T: Float> Val<T> {
            $(
                $(#[$meta])*
                #[track_caller]
                pub fn $name(self) -> Val<T> {
                    self.unary(Opcode::$op)
                }
            )*
        }
    };
}

float_methods! {
    /// The square root.
    sqrt Sqrt;
    /// `1 / sqrt(self)`.
    rsqrt Rsqrt;
    /// Rounded toward minus infinity.
    floor Floor;
    /// Rounded toward plus infinity.
    ceil Ceil;
    /// Rounded toward zero.
    trunc Trunc;
    /// Rounded to nearest, ties to even.
    round_ties_even RoundEven;
    /// `e^self`.
    exp Exp;
    /// `2^self`.
    exp2 Exp2;
    /// The natural logarithm.
    ln Log;
    /// The logarithm to base 2.
    log2 Log2;
    /// The sine, in radians.
    sin Sin;
    /// The cosine, in radians.
    cos Cos;
    /// The hyperbolic tangent.
    tanh Tanh;
    /// The error function.
    erf Erf;
}

impl<T: Float> Val<T> {
    /// A constant, for literals in generic code.
    #[track_caller]
    pub fn lit(x: f64) -> Val<T> {
        T::lit(x).into()
    }

    /// `self * a + b`, rounded once.
    #[track_caller]
    pub fn mul_add(self, a: impl IntoVal<T>, b: impl IntoVal<T>) -> Val<T> {
        let (x, y) = (a.into_val(), b.into_val());
        Val::from_id(build(|b| b.same(Opcode::Fma, &[self.id, x.id, y.id])))
    }

    /// `self` to the power of a float.
    #[track_caller]
    pub fn powf(self, exponent: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::Pow, exponent)
    }

    /// `self` to the power of an integer of the host, by repeated multiplication.
    #[track_caller]
    pub fn powi(self, exponent: i32) -> Val<T> {
        let one: Val<T> = T::lit(1.0).into();
        let (mut result, mut square, mut rest) = (one, self, exponent.unsigned_abs());
        while rest > 0 {
            if rest & 1 == 1 {
                result = result * square;
            }
            square = square * square;
            rest >>= 1;
        }
        if exponent < 0 { one / result } else { result }
    }

    /// The magnitude of `self` with the sign of `sign`.
    #[track_caller]
    pub fn copysign(self, sign: impl IntoVal<T>) -> Val<T> {
        self.with(Opcode::CopySign, sign)
    }

    /// `1 / self`.
    #[track_caller]
    pub fn recip(self) -> Val<T> {
        let one: Val<T> = T::lit(1.0).into();
        one / self
    }

    /// Whether this is NaN.
    #[track_caller]
    pub fn is_nan(self) -> Val<bool> {
        ne(self, self)
    }

    /// Rounded to nearest, ties away from zero.
    #[track_caller]
    pub fn round(self) -> Val<T> {
        let whole = self.trunc();
        // Exact, as |self - whole| < 1 is a multiple of the last place of `self`.
        let part = (self - whole).abs();
        let one: Val<T> = T::lit(1.0).into();
        let up = whole + one.copysign(self);
        let half: Val<T> = T::lit(0.5).into();
        // A float without fraction, an infinity or NaN stays as it is, and so does the sign of 0.
        super::control::select(super::compare::ge(part, half), up, whole)
    }

    /// `self - self.trunc()`.
    #[track_caller]
    pub fn fract(self) -> Val<T> {
        self - self.trunc()
    }

    /// 1 or -1 with the sign of `self`; NaN of NaN.
    #[track_caller]
    pub fn signum(self) -> Val<T> {
        let one: Val<T> = T::lit(1.0).into();
        super::control::select(self.is_nan(), self, one.copysign(self))
    }

    /// Whether this is an infinity.
    #[track_caller]
    pub fn is_infinite(self) -> Val<bool> {
        let infinity: Val<T> = T::lit(f64::INFINITY).into();
        eq(self.abs(), infinity)
    }

    /// Whether this is neither an infinity nor NaN.
    #[track_caller]
    pub fn is_finite(self) -> Val<bool> {
        let infinity: Val<T> = T::lit(f64::INFINITY).into();
        lt(self.abs(), infinity)
    }

    /// Whether the sign bit is set: also of -0 and some NaNs.
    #[track_caller]
    pub fn is_sign_negative(self) -> Val<bool> {
        let one: Val<T> = T::lit(1.0).into();
        let zero: Val<T> = T::lit(0.0).into();
        lt(one.copysign(self), zero)
    }

    /// Whether the sign bit is clear.
    #[track_caller]
    pub fn is_sign_positive(self) -> Val<bool> {
        !self.is_sign_negative()
    }
}

macro_rules! by_type {
    ($($ty:ident: $degrees:expr;)*) => {$(
        impl Val<$ty> {
            /// The rest of [`div_euclid`](Self::div_euclid), which is not negative.
            #[track_caller]
            pub fn rem_euclid(self, divisor: impl IntoVal<$ty>) -> Val<$ty> {
                let divisor = divisor.into_val();
                let rest = self % divisor;
                super::control::select(lt(rest, 0.0), rest + divisor.abs(), rest)
            }

            /// The whole number of times that a divisor goes into this.
            #[track_caller]
            pub fn div_euclid(self, divisor: impl IntoVal<$ty>) -> Val<$ty> {
                let divisor = divisor.into_val();
                let times = (self / divisor).trunc();
                let positive = super::compare::gt(divisor, 0.0);
                let other = super::control::select(positive, times - 1.0, times + 1.0);
                super::control::select(lt(self % divisor, 0.0), other, times)
            }

            /// Radians as degrees.
            #[track_caller]
            pub fn to_degrees(self) -> Val<$ty> {
                self * $degrees
            }

            /// Degrees as radians.
            #[track_caller]
            pub fn to_radians(self) -> Val<$ty> {
                self * (std::$ty::consts::PI / 180.0)
            }
        }
    )*};
}

by_type! {
    // The nearest float to 180 / pi; the quotient of the rounded numbers is another.
    f32: 57.295_78_f32;
    f64: 180.0 / std::f64::consts::PI;
}

impl Val<f32> {
    /// `2^self` by the target's approximation, to a relative error of 2^-21.
    #[track_caller]
    pub fn exp2_fast(self) -> Val<f32> {
        self.unary(Opcode::Exp2Fast)
    }
}

impl<T: Bits> Val<T> {
    /// `self & !mask`: the bits of `self` outside a mask.
    #[track_caller]
    pub fn and_not(self, mask: Val<T>) -> Val<T> {
        self & !mask
    }
}

/// The smaller of two values.
#[track_caller]
pub fn min<T: Num>(a: Val<T>, b: impl IntoVal<T>) -> Val<T> {
    a.min(b)
}

/// The larger of two values.
#[track_caller]
pub fn max<T: Num>(a: Val<T>, b: impl IntoVal<T>) -> Val<T> {
    a.max(b)
}
