//! `as`, with Rust's exact meaning.

use kernelsmith_ir::Scalar;
use kernelsmith_runtime::{e4m3, e5m2};

use super::element::{Element, Num};
use super::stage::build;
use super::val::Val;

/// What `x as T` accepts.
#[diagnostic::on_unimplemented(message = "kernels cannot cast `{Self}` with `as` to `{To}`")]
pub trait CastTo<To> {
    /// The cast.
    fn cast_to(self) -> To;
}

impl<A: Element, B: Num> CastTo<Val<B>> for Val<A> {
    #[track_caller]
    fn cast_to(self) -> Val<B> {
        if A::TYPE == B::TYPE {
            return Val::from_id(self.id);
        }
        Val::from_id(build(|b| {
            // All others know 8-bit floats by way of f32.
            let eighth = matches!(A::TYPE, Scalar::E4M3 | Scalar::E5M2);
            let wide = if eighth { b.cast(self.id, Scalar::F32) } else { self.id };
            if eighth && B::TYPE == Scalar::F32 { wide } else { b.cast(wide, B::TYPE) }
        }))
    }
}

macro_rules! host {
    ($($from:ty),*) => {$(
        impl<B: Num> CastTo<Val<B>> for $from {
            #[track_caller]
            fn cast_to(self) -> Val<B> {
                Val::<$from>::from(self).cast_to()
            }
        }
    )*};
}

host!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, half::f16, half::bf16, f32, f64);

macro_rules! lossless {
    ($($from:ty => $($to:ty),*;)*) => {$($(
        impl From<Val<$from>> for Val<$to> {
            #[track_caller]
            fn from(x: Val<$from>) -> Val<$to> {
                x.cast_to()
            }
        }
    )*)*};
}

// As `std` has them.
lossless! {
    bool => i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    u8 => u16, u32, u64, usize, i16, i32, i64, isize, half::f16, half::bf16, f32, f64;
    i8 => i16, i32, i64, isize, half::f16, half::bf16, f32, f64;
    u16 => u32, u64, usize, i32, i64, f32, f64;
    i16 => i32, i64, isize, f32, f64;
    u32 => u64, i64, f64;
    i32 => i64, f64;
    e4m3 => f32;
    e5m2 => f32;
    half::f16 => f32, f64;
    half::bf16 => f32, f64;
    f32 => f64;
}

/// `x as B`.
#[track_caller]
pub fn cast<To, A: CastTo<To>>(x: A) -> To {
    x.cast_to()
}

impl<T: Num> Val<T> {
    /// `self as U`, also where `U` is a generic parameter.
    #[track_caller]
    pub fn cast<U: Num>(self) -> Val<U> {
        self.cast_to()
    }

    /// `self as f32`.
    #[track_caller]
    pub fn to_f32(self) -> Val<f32> {
        self.cast()
    }

    /// `self as f64`.
    #[track_caller]
    pub fn to_f64(self) -> Val<f64> {
        self.cast()
    }
}

/// Same-size reinterpretation of bits.
#[track_caller]
pub(crate) fn bitcast<A: Element, B: Element>(x: Val<A>) -> Val<B> {
    Val::from_id(build(|b| {
        let ty = kernelsmith_ir::Type::Scalar(B::TYPE);
        b.emit1(kernelsmith_ir::Opcode::Bitcast, kernelsmith_ir::Attr::None, &[x.id], ty)
    }))
}

macro_rules! bits {
    ($($float:ty as $int:ty),*) => {$(
        impl Val<$float> {
            /// The bits of the float.
            #[track_caller]
            pub fn to_bits(self) -> Val<$int> {
                bitcast(self)
            }

            /// The float of these bits.
            #[track_caller]
            pub fn from_bits(bits: Val<$int>) -> Val<$float> {
                bitcast(bits)
            }
        }
    )*};
}

bits!(e4m3 as u8, e5m2 as u8, half::f16 as u16, half::bf16 as u16, f32 as u32, f64 as u64);

macro_rules! eighths {
    ($($eighth:ty: $($from:ty),*;)*) => {$(
        $(impl CastTo<Val<$eighth>> for Val<$from> {
            #[track_caller]
            fn cast_to(self) -> Val<$eighth> {
                let wide = CastTo::<Val<f32>>::cast_to(self);
                Val::from_id(build(|b| b.cast(wide.id, <$eighth>::TYPE)))
            }
        })*

        impl Val<$eighth> {
            /// The nearest value of the type: what is too large becomes the largest finite one.
            #[track_caller]
            pub fn from_f32(x: Val<f32>) -> Val<$eighth> {
                x.cast_to()
            }

            /// `self as f32`, exactly.
            #[track_caller]
            pub fn to_f32(self) -> Val<f32> {
                self.cast_to()
            }
        }
    )*};
}

// Once rounded: 16-bit floats are exact in f32, as are 8-bit ones.
eighths! {
    e4m3: f32, half::f16, half::bf16, e5m2;
    e5m2: f32, half::f16, half::bf16, e4m3;
}

macro_rules! halves {
    ($($half:ty),*) => {$(
        impl Val<$half> {
            /// The nearest value of the type.
            #[track_caller]
            pub fn from_f32(x: Val<f32>) -> Val<$half> {
                x.cast()
            }

            /// The nearest value of the type.
            #[track_caller]
            pub fn from_f64(x: Val<f64>) -> Val<$half> {
                x.cast()
            }
        }
    )*};
}

halves!(half::f16, half::bf16);
