//! What kernels and the code that launches them use: `use kernelsmith::prelude::*;`.

pub use crate::lang::atomic::{Atomic, Ordering, Scope, fence};
pub use crate::lang::bulk::{bulk_commit, bulk_wait, bulk_wait_read};
pub use crate::lang::cluster::*;
pub use crate::lang::collectives::*;
pub use crate::lang::contract::assume;
pub use crate::lang::copies::{cp_async, cp_async_commit, cp_async_unchecked, cp_async_wait};
pub use crate::lang::dot::{bf16_pair, dot2, dot4};
pub use crate::lang::element::{Bits, Element, Float, Int, Num, Signed, Stored};
pub use crate::lang::halves::Pair;
pub use crate::lang::matrix::{
    Accumulator, FactorRole, Fragment, LdmatrixAtom, MatrixA, MatrixB, MatrixLayout, MatrixRole,
    Mfma, MmaAtom, MmaSync, WmmaGfx11, WmmaGfx12, mma,
};
pub use crate::lang::mbarrier::{Mbarrier, Mbarriers, mbarrier_fence, mbarriers};
pub use crate::lang::memory::{Slice, SliceMut, ViewMut, ViewRef};
pub use crate::lang::part::Part;
pub use crate::lang::pipeline::{
    Consumer, EmptyStage, FullStage, Held, Pipeline, Producer, pipeline,
};
pub use crate::lang::ranges::{array, range, unroll};
pub use crate::lang::shared::{Shared, SharedTile, dynamic_shared, shared, shared_tile};
pub use crate::lang::swizzled::{Factor, Tile, Tiles, async_fence, tiles};
pub use crate::lang::tensor_map::{Swizzle, TensorMap, TensorMapMut, TensorTile, TensorTileMut};
pub use crate::lang::tensor_memory::{
    E2m1, ScaleFormat, TensorFactor, TensorMemory, TensorScales, TensorSums, tensor_commit,
    tensor_fence_after, tensor_fence_before, tensor_memory, tensor_memory_of_pair, tensor_mma,
    tensor_mma_scaled,
};
pub use crate::lang::thread::*;
pub use crate::lang::wgmma::{
    InFlight, LeftFactor, SumsAsFactor, Wgmma, WgmmaAtom, wgmma, wgmma_commit, wgmma_fence,
    wgmma_wait,
};
pub use crate::lang::window::{Window, WindowTile};
pub use crate::lang::{RunOption, Staged, Val};
pub use crate::launch::{Launch, Partition, View};
pub use crate::{Buffer, Device, KernelValue, Stream, bf16, device, e4m3, e5m2, f16, kernel};
pub use crate::{device_assert, device_print};
pub use kernelsmith_ir::attr::Eviction;
