//! The instructions that multiply factors of one type.

use kernelsmith::lang::wgmma::Tf32;
use kernelsmith::prelude::*;

use crate::matmul::Summed;

/// What `wgmma` there is for a type: one for each width of a tile.
pub(in crate::matmul) trait Family: 'static {
    /// As records of searches name it.
    const NAME: &'static str;
    /// An element of a factor in memory.
    type Input: Stored;
    /// What products are summed in.
    type Sum: Num + Summed;
    /// Of 16 columns.
    type N16: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
    /// Of 32.
    type N32: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
    /// Of 64.
    type N64: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
    /// Of 128.
    type N128: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
    /// Of 192.
    type N192: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
    /// Of 256.
    type N256: WgmmaAtom<Input = Self::Input, Sum = Self::Sum>;
}

macro_rules! families {
    ($($name:ty: $input:ty => $sum:ty;)*) => {$(
        impl Family for $name {
            const NAME: &'static str = stringify!($name);
            type Input = $input;
            type Sum = $sum;
            type N16 = Wgmma<$name, 16>;
            type N32 = Wgmma<$name, 32>;
            type N64 = Wgmma<$name, 64>;
            type N128 = Wgmma<$name, 128>;
            type N192 = Wgmma<$name, 192>;
            type N256 = Wgmma<$name, 256>;
        }
    )*};
}

families! {
    f16: f16 => f32;
    bf16: bf16 => f32;
    Tf32: f32 => f32;
    e4m3: e4m3 => f32;
    e5m2: e5m2 => f32;
    i8: i8 => i32;
    u8: u8 => i32;
}
