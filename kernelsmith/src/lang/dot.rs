//! Dot products of four bytes, which most processors have an instruction for.

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
