//! The types a [`Buffer`](crate::Buffer) can hold.

use bytemuck::Pod;
use half::{bf16, f16};
use kernelsmith_ir::Scalar;

use crate::fp8::{e4m3, e5m2};

mod sealed {
    pub trait Sealed {}
}

/// A number that memory of every device holds in the same bits as the host.
///
/// `usize` and `isize` are 64 bits wide in kernels, so they are elements only on hosts where they
/// are that, too. `bool` is not here: not every byte a kernel may write is a valid Rust `bool`.
pub trait Element: Pod + Send + Sync + sealed::Sealed + 'static {
    /// The type's name in the IR.
    const SCALAR: Scalar;
}

macro_rules! elements {
    ($($ty:ty = $scalar:ident),* $(,)?) => {
        $(
            impl sealed::Sealed for $ty {}
            impl Element for $ty {
                const SCALAR: Scalar = Scalar::$scalar;
            }
            const _: () = assert!(size_of::<$ty>() == Scalar::$scalar.size() as usize);
        )*
    };
}

elements! {
    i8 = I8, i16 = I16, i32 = I32, i64 = I64,
    u8 = U8, u16 = U16, u32 = U32, u64 = U64,
    e4m3 = E4M3, e5m2 = E5M2, f16 = F16, bf16 = BF16, f32 = F32, f64 = F64,
}

#[cfg(target_pointer_width = "64")]
elements! { isize = I64, usize = U64 }
