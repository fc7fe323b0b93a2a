//! TMA descriptors: how a kernel's bulk copies walk a tensor in global memory.

use std::fmt;

use cudarc::driver::sys;
use kernelsmith_ir::{Scalar, Target};

use super::error::check;
use crate::buffer::{Access, BufferView, BufferViewMut, RawBuffer};
use crate::element::Element;
use crate::error::{Error, Result};

/// How a box of a tensor is laid out in shared memory beyond plain row order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Swizzle {
    /// Not at all.
    #[default]
    None,
    /// Within 32 bytes.
    B32,
    /// Within 64 bytes.
    B64,
    /// Within 128 bytes.
    B128,
}

/// How channels are interleaved in global memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Interleave {
    /// Not at all.
    #[default]
    None,
    /// By 16 bytes.
    B16,
    /// By 32 bytes.
    B32,
}

/// How much the L2 cache fetches around what is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum L2Promotion {
    /// Nothing more.
    #[default]
    None,
    /// 64 bytes.
    B64,
    /// 128 bytes.
    B128,
    /// 256 bytes.
    B256,
}

/// What reads outside of the tensor give.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OutOfBounds {
    /// Zero.
    #[default]
    Zero,
    /// A NaN that a fused multiply-add takes for zero.
    NanAsZero,
}

/// The shape of a tensor and of the boxes that are copied from it. Axes count from the one whose
/// elements are next to each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TileLayout {
    /// Elements along each axis; 1 to 5 axes.
    pub extents: Vec<u64>,
    /// Bytes from one index to the next, along each axis but the first.
    pub strides: Vec<u64>,
    /// Elements of a box along each axis.
    pub tile: Vec<u32>,
    /// Step along each axis; all 1 for a dense box.
    pub steps: Vec<u32>,
    /// Layout of the box in shared memory.
    pub swizzle: Swizzle,
    /// Interleaving in global memory.
    pub interleave: Interleave,
    /// L2 fetches.
    pub l2_promotion: L2Promotion,
    /// What lies outside.
    pub out_of_bounds: OutOfBounds,
}

impl TileLayout {
    /// Boxes of `rows` by `columns` of a row-major matrix whose rows are `pitch` bytes apart.
    pub fn matrix(extents: [u64; 2], pitch: u64, [rows, columns]: [u32; 2]) -> TileLayout {
        let [height, width] = extents;
        TileLayout {
            extents: vec![width, height],
            strides: vec![pitch],
            tile: vec![columns, rows],
            steps: vec![1, 1],
            swizzle: Swizzle::None,
            interleave: Interleave::None,
            l2_promotion: L2Promotion::None,
            out_of_bounds: OutOfBounds::Zero,
        }
    }

    /// Sets the layout in shared memory.
    #[must_use]
    pub fn swizzle(mut self, swizzle: Swizzle) -> TileLayout {
        self.swizzle = swizzle;
        self
    }

    /// Sets how much the L2 cache fetches.
    #[must_use]
    pub fn l2_promotion(mut self, promotion: L2Promotion) -> TileLayout {
        self.l2_promotion = promotion;
        self
    }

    /// The rules of `cuTensorMapEncodeTiled` (CUDA Driver API, "Tensor Map Object Management"),
    /// and that the tensor lies within its buffer.
    fn check(&self, scalar: Scalar, address: u64, bytes: u64) -> Result<()> {
        self.check_axes()?;
        self.check_memory(scalar, address, bytes)?;
        self.check_box(scalar)
    }

    fn check_axes(&self) -> Result<()> {
        let rank = self.extents.len();
        let least = if self.interleave == Interleave::None { 1 } else { 3 };
        if !(least..=5).contains(&rank) {
            let rule = format!("must have {least} to 5 axes");
            return Err(Error::invalid("extents", format!("{:?}", self.extents), rule));
        }
        let lengths = [
            ("strides", self.strides.len(), rank - 1),
            ("tile", self.tile.len(), rank),
            ("steps", self.steps.len(), rank),
        ];
        for (name, len, expected) in lengths {
            if len != expected {
                let rule = format!("must have {expected} entries for {rank} axes");
                return Err(Error::invalid(name, format!("{len} entries long"), rule));
            }
        }
        each("extents", &self.extents, "must be 1 to 2^32", |&n| (1..=1 << 32).contains(&n))?;
        each("tile", &self.tile, "must be 1 to 256", |&n| (1..=256).contains(&n))?;
        each("steps", &self.steps, "must be 1 to 8", |&n| (1..=8).contains(&n))
    }

    fn check_memory(&self, scalar: Scalar, address: u64, bytes: u64) -> Result<()> {
        let align = if self.interleave == Interleave::B32 { 32 } else { 16 };
        if !address.is_multiple_of(align) {
            let rule = format!("must be a multiple of {align}");
            return Err(Error::invalid("view's address", format!("{address:#x}"), rule));
        }
        let rule = format!("must be a multiple of {align} below 2^40");
        each("strides", &self.strides, &rule, |&n| n.is_multiple_of(align) && n < 1 << 40)?;
        let size = u64::from(scalar.size());
        let strides = [size].into_iter().chain(self.strides.iter().copied());
        let last: u128 = strides
            .zip(&self.extents)
            .map(|(stride, &extent)| u128::from(stride) * u128::from(extent - 1))
            .sum();
        let end = last + u128::from(size);
        if end > u128::from(bytes) {
            let rule = format!("reach byte {end} of a view of {bytes}");
            return Err(Error::invalid("extents", format!("{:?}", self.extents), rule));
        }
        Ok(())
    }

    fn check_box(&self, scalar: Scalar) -> Result<()> {
        let row = u64::from(self.tile[0]) * u64::from(scalar.size());
        let invalid = |rule: String| Err(Error::invalid("tile[0]", self.tile[0], rule));
        if self.interleave == Interleave::None && !row.is_multiple_of(16) {
            return invalid(format!("makes rows of {row} bytes, which must be a multiple of 16"));
        }
        let width = match self.swizzle {
            Swizzle::None => u64::MAX,
            Swizzle::B32 => 32,
            Swizzle::B64 => 64,
            Swizzle::B128 => 128,
        };
        if self.interleave == Interleave::None && row > width {
            return invalid(format!(
                "makes rows of {row} bytes; the swizzle takes {width} at most"
            ));
        }
        if self.interleave == Interleave::B32 && self.swizzle != Swizzle::B32 {
            let rule = "interleaving by 32 bytes needs the swizzle within 32 bytes";
            return Err(Error::invalid("swizzle", format!("{:?}", self.swizzle), rule));
        }
        if self.out_of_bounds == OutOfBounds::NanAsZero && !scalar.is_float() {
            let rule = format!("is for floats, and the elements are {}", scalar.name());
            return Err(Error::invalid("out_of_bounds", "NanAsZero", rule));
        }
        Ok(())
    }
}

fn each<T: fmt::Display>(
    name: &str,
    values: &[T],
    rule: &str,
    ok: impl Fn(&T) -> bool,
) -> Result<()> {
    match values.iter().position(|value| !ok(value)) {
        Some(i) => Err(Error::invalid(format!("{name}[{i}]"), &values[i], rule)),
        None => Ok(()),
    }
}

/// The opaque bits, as a kernel parameter takes them. The driver wants them aligned to 64 bytes.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(128))]
pub(crate) struct Descriptor([u64; 16]);

/// A TMA descriptor: passed by value to a kernel of a Hopper or newer GPU, which then copies boxes
/// of the tensor to and from shared memory. It borrows the elements it describes.
pub struct TensorMap<'a> {
    descriptor: Descriptor,
    buffer: &'a RawBuffer,
    access: Access,
}

impl<'a> TensorMap<'a> {
    /// Describes elements the kernel reads.
    ///
    /// # Errors
    /// The layout breaks a rule or leaves the view; the device has no TMA.
    pub fn tiled<T: Element>(view: BufferView<'a, T>, layout: &TileLayout) -> Result<Self> {
        let bytes = view.size_in_bytes() as u64;
        let descriptor = encode(T::SCALAR, view.raw(), view.address(), bytes, layout)?;
        Ok(TensorMap { descriptor, buffer: view.raw(), access: Access::Read })
    }

    /// Describes elements the kernel reads and writes.
    ///
    /// # Errors
    /// The layout breaks a rule or leaves the view; the device has no TMA.
    pub fn tiled_mut<T: Element>(view: BufferViewMut<'a, T>, layout: &TileLayout) -> Result<Self> {
        let bytes = view.size_in_bytes() as u64;
        let descriptor = encode(T::SCALAR, view.raw(), view.address(), bytes, layout)?;
        Ok(TensorMap { descriptor, buffer: view.raw(), access: Access::Write })
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    pub(crate) fn buffer(&self) -> (&'a RawBuffer, Access) {
        (self.buffer, self.access)
    }
}

impl fmt::Debug for TensorMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorMap")
            .field("buffer", &self.buffer)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

fn encode(
    scalar: Scalar,
    buffer: &RawBuffer,
    address: u64,
    bytes: u64,
    layout: &TileLayout,
) -> Result<Descriptor> {
    layout.check(scalar, address, bytes)?;
    let device = buffer.device();
    if !matches!(device.target(), Target::Ptx(ptx) if ptx.sm >= 90) {
        let rule = "TMA descriptors need a CUDA device of compute capability 9.0 or newer";
        return Err(Error::invalid("view", format!("on {device}"), rule));
    }
    let mut descriptor = Descriptor([0; 16]);
    let rank = layout.extents.len() as u32;
    // SAFETY: a CUDA device exists, so the driver is here; it writes the 128 bytes of the
    // descriptor and reads `rank` entries of each array (`rank - 1` of the strides).
    let result = unsafe {
        sys::cuTensorMapEncodeTiled(
            (&raw mut descriptor).cast(),
            data_type(scalar)?,
            rank,
            address as *mut _,
            layout.extents.as_ptr(),
            layout.strides.as_ptr(),
            layout.tile.as_ptr(),
            layout.steps.as_ptr(),
            interleave(layout.interleave),
            swizzle(layout.swizzle),
            l2_promotion(layout.l2_promotion),
            out_of_bounds(layout.out_of_bounds),
        )
    };
    check("cuTensorMapEncodeTiled", result)?;
    Ok(descriptor)
}

/// Copies do not look at signs, so signed 8- and 16-bit integers pass as unsigned ones.
fn data_type(scalar: Scalar) -> Result<sys::CUtensorMapDataType> {
    use sys::CUtensorMapDataType::*;
    Ok(match scalar {
        Scalar::I8 | Scalar::U8 => CU_TENSOR_MAP_DATA_TYPE_UINT8,
        Scalar::I16 | Scalar::U16 => CU_TENSOR_MAP_DATA_TYPE_UINT16,
        Scalar::I32 => CU_TENSOR_MAP_DATA_TYPE_INT32,
        Scalar::U32 => CU_TENSOR_MAP_DATA_TYPE_UINT32,
        Scalar::I64 => CU_TENSOR_MAP_DATA_TYPE_INT64,
        Scalar::U64 => CU_TENSOR_MAP_DATA_TYPE_UINT64,
        Scalar::F16 => CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        Scalar::BF16 => CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        Scalar::F32 => CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        Scalar::F64 => CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
        other => return Err(Error::invalid("element", other.name(), "has no TMA data type")),
    })
}

fn interleave(value: Interleave) -> sys::CUtensorMapInterleave {
    use sys::CUtensorMapInterleave::*;
    match value {
        Interleave::None => CU_TENSOR_MAP_INTERLEAVE_NONE,
        Interleave::B16 => CU_TENSOR_MAP_INTERLEAVE_16B,
        Interleave::B32 => CU_TENSOR_MAP_INTERLEAVE_32B,
    }
}

fn swizzle(value: Swizzle) -> sys::CUtensorMapSwizzle {
    use sys::CUtensorMapSwizzle::*;
    match value {
        Swizzle::None => CU_TENSOR_MAP_SWIZZLE_NONE,
        Swizzle::B32 => CU_TENSOR_MAP_SWIZZLE_32B,
        Swizzle::B64 => CU_TENSOR_MAP_SWIZZLE_64B,
        Swizzle::B128 => CU_TENSOR_MAP_SWIZZLE_128B,
    }
}

fn l2_promotion(value: L2Promotion) -> sys::CUtensorMapL2promotion {
    use sys::CUtensorMapL2promotion::*;
    match value {
        L2Promotion::None => CU_TENSOR_MAP_L2_PROMOTION_NONE,
        L2Promotion::B64 => CU_TENSOR_MAP_L2_PROMOTION_L2_64B,
        L2Promotion::B128 => CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
        L2Promotion::B256 => CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
    }
}

fn out_of_bounds(value: OutOfBounds) -> sys::CUtensorMapFloatOOBfill {
    use sys::CUtensorMapFloatOOBfill::*;
    match value {
        OutOfBounds::Zero => CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        OutOfBounds::NanAsZero => CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Device};

    /// 64 x 64 boxes of a 512 x 1024 bf16 matrix, as a Hopper matmul loads them.
    fn good() -> TileLayout {
        TileLayout::matrix([512, 1024], 2048, [64, 64]).swizzle(Swizzle::B128)
    }

    fn error(layout: &TileLayout) -> String {
        layout.check(Scalar::BF16, 4096, 512 * 2048).unwrap_err().to_string()
    }

    #[test]
    fn a_good_layout_passes() {
        good().check(Scalar::BF16, 4096, 512 * 2048).unwrap();
    }

    #[test]
    fn every_rule_is_named() {
        let with = |change: &dyn Fn(&mut TileLayout)| {
            let mut layout = good();
            change(&mut layout);
            error(&layout)
        };
        assert_eq!(with(&|l| l.tile[1] = 257), "`tile[1]` is 257: must be 1 to 256");
        assert_eq!(with(&|l| l.steps[0] = 9), "`steps[0]` is 9: must be 1 to 8");
        assert_eq!(
            with(&|l| l.strides[0] = 2040),
            "`strides[0]` is 2040: must be a multiple of 16 below 2^40"
        );
        assert_eq!(
            with(&|l| l.tile[0] = 128),
            "`tile[0]` is 128: makes rows of 256 bytes; the swizzle takes 128 at most"
        );
        assert_eq!(
            with(&|l| l.tile[0] = 4),
            "`tile[0]` is 4: makes rows of 8 bytes, which must be a multiple of 16"
        );
        assert_eq!(
            with(&|l| l.extents[1] = 513),
            "`extents` is [1024, 513]: reach byte 1050624 of a view of 1048576"
        );
        assert_eq!(
            with(&|l| l.strides.clear()),
            "`strides` is 0 entries long: must have 1 entries for 2 axes"
        );
        assert_eq!(with(&|l| l.extents.clear()), "`extents` is []: must have 1 to 5 axes");
        let misplaced = good().check(Scalar::BF16, 4104, 1 << 30).unwrap_err().to_string();
        assert_eq!(misplaced, "`view's address` is 0x1008: must be a multiple of 16");
        let integers = TileLayout { out_of_bounds: OutOfBounds::NanAsZero, ..good() };
        let integers = integers.check(Scalar::I16, 4096, 1 << 30).unwrap_err().to_string();
        assert!(integers.contains("the elements are i16"), "{integers}");
    }

    #[test]
    fn the_cpu_has_none() {
        let x = Buffer::<half::bf16>::zeros(&Device::cpu(), 512 * 1024).unwrap();
        let error = TensorMap::tiled(x.view(), &good()).unwrap_err().to_string();
        assert!(error.contains("compute capability 9.0"), "{error}");
    }
}
