//! Dot products of four bytes and of two bf16, which many processors have an instruction for.

use half::bf16;
use kernelsmith_ir::{Attr, Opcode, Scalar};

use super::stage::build;
use super::val::Val;

/// Words of four bytes that have a dot product: `u32` of unsigned bytes and `i32` of signed ones, in
/// kernels and on the host.
pub trait Dot4<B> {
    /// The type of the sum: `i32`.
    type Sum;

    /// See [`dot4`](dot4()).
    #[track_caller]
    fn dot4(self, b: B, sum: Self::Sum) -> Self::Sum;
}

/// `sum` and the products of the four bytes of `a` with those of `b`, wrapping. The bytes of an `i32`
/// are signed, those of a `u32` are not; the lowest bits are the first byte.
///
/// One instruction for `u32` with `i32` on CPUs with VNNI, for all types on NVIDIA (`dp4a`) and RDNA,
/// and for two of one type on CDNA; the same bits everywhere. It is there on the host, too:
///
/// ```
/// use kernelsmith::prelude::*;
///
/// let a = u32::from_le_bytes([1, 2, 3, 255]);
/// let b = i32::from_le_bytes([10i8, -10, 1, -1].map(|x| x as u8));
/// assert_eq!(dot4(a, b, 1000), 1000 + 10 - 20 + 3 - 255);
/// ```
#[track_caller]
pub fn dot4<A: Dot4<B>, B>(a: A, b: B, sum: A::Sum) -> A::Sum {
    a.dot4(b, sum)
}

macro_rules! words {
    ($($a:ty as $a_byte:ty, $b:ty as $b_byte:ty;)*) => {$(
        impl Dot4<$b> for $a {
            type Sum = i32;

            fn dot4(self, b: $b, sum: i32) -> i32 {
                let pairs = self.to_le_bytes().into_iter().zip(b.to_le_bytes());
                pairs.fold(sum, |sum, (x, y)| {
                    sum.wrapping_add(i32::from(x as $a_byte) * i32::from(y as $b_byte))
                })
            }
        }

        impl Dot4<Val<$b>> for Val<$a> {
            type Sum = Val<i32>;

            fn dot4(self, b: Val<$b>, sum: Val<i32>) -> Val<i32> {
                let operands = [self.id, b.id, sum.id];
                Val::from_id(build(|builder| {
                    builder.emit1(Opcode::Dot4, Attr::None, &operands, Scalar::I32.into())
                }))
            }
        }
    )*};
}

words! {
    u32 as u8, u32 as u8;
    u32 as u8, i32 as i8;
    i32 as i8, u32 as u8;
    i32 as i8, i32 as i8;
}

/// Words of two bf16: `u32`, in kernels and on the host.
pub trait Dot2 {
    /// The type of the sum: `f32`.
    type Sum;

    /// See [`dot2`](dot2()).
    #[track_caller]
    fn dot2(self, b: Self, sum: Self::Sum) -> Self::Sum;
}

/// `sum` and the products of the two bf16 of `a` with those of `b`: the product of the upper halves is
/// added first, then that of the lower ones, each rounded once, as
/// `a_low.mul_add(b_low, a_high.mul_add(b_high, sum))`.
///
/// One instruction on CPUs with AVX512-BF16, which takes denormals for zero, among the operands, the
/// sums and the result, and keeps their sign (Intel SDM volume 2, VDPBF16PS); elsewhere two
/// multiply-adds, and denormals are what they are. All else is the same bits everywhere, but for the
/// payload of a NaN. [`bf16_pair`](bf16_pair()) makes words.
///
/// ```
/// use kernelsmith::prelude::*;
///
/// let [x, y, z] = [1.5, -2.0, 0.5].map(bf16::from_f32);
/// assert_eq!(dot2(bf16_pair(x, y), bf16_pair(z, x), 10.0), 10.0 + 1.5 * 0.5 - 2.0 * 1.5);
/// ```
#[track_caller]
pub fn dot2<W: Dot2>(a: W, b: W, sum: W::Sum) -> W::Sum {
    a.dot2(b, sum)
}

impl Dot2 for u32 {
    type Sum = f32;

    fn dot2(self, b: u32, sum: f32) -> f32 {
        // A bf16 is the upper half of an f32.
        let step = |sum, x, y| f32::from_bits(x).mul_add(f32::from_bits(y), sum);
        step(step(sum, self & 0xffff_0000, b & 0xffff_0000), self << 16, b << 16)
    }
}

impl Dot2 for Val<u32> {
    type Sum = Val<f32>;

    fn dot2(self, b: Val<u32>, sum: Val<f32>) -> Val<f32> {
        let operands = [self.id, b.id, sum.id];
        Val::from_id(build(|builder| {
            builder.emit1(Opcode::Dot2, Attr::None, &operands, Scalar::F32.into())
        }))
    }
}

/// Two of which make a word for [`dot2`](dot2()): bf16, in kernels and on the host.
pub trait Bf16Pair {
    /// The type of the word: `u32`.
    type Word;

    /// See [`bf16_pair`](bf16_pair()).
    #[track_caller]
    fn bf16_pair(self, high: Self) -> Self::Word;
}

/// The word of two bf16, as they lie in memory one after the other.
#[track_caller]
pub fn bf16_pair<T: Bf16Pair>(low: T, high: T) -> T::Word {
    low.bf16_pair(high)
}

impl Bf16Pair for bf16 {
    type Word = u32;

    fn bf16_pair(self, high: bf16) -> u32 {
        u32::from(self.to_bits()) | u32::from(high.to_bits()) << 16
    }
}

impl Bf16Pair for Val<bf16> {
    type Word = Val<u32>;

    fn bf16_pair(self, high: Val<bf16>) -> Val<u32> {
        let [low, high] = [self, high].map(|x| x.to_bits().cast::<u32>());
        low | high << 16
    }
}
