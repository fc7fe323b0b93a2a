//! Tensor maps in the opaque form that the copy engine reads, which only the driver can write.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;

use cudarc::driver::sys;
use kernelsmith_ir::Scalar;
use kernelsmith_ir::tensor_map::{BYTES, Swizzle, TensorMap, Walk};

use super::error::check;
use crate::driver::PackedArgs;
use crate::error::{Error, Result};
use crate::sync::lock;

/// What the driver writes. It wants its address to be a multiple of 64 (CUDA Driver API, "Tensor Map
/// Object Management").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub(super) struct Descriptor([u8; BYTES]);

/// The descriptors of the last tensor maps, by their portable form: a training step launches the same
/// kernels on the same tensors again and again.
#[derive(Default)]
pub(super) struct Descriptors(Mutex<HashMap<[u8; BYTES], Descriptor, BuildHasherDefault<Words>>>);

/// A hash in a few nanoseconds, for keys that nobody chooses to collide.
#[derive(Default)]
pub(super) struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks_exact(8) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            // Odd, without pattern: the fraction of the golden ratio.
            let product = (self.0 ^ u64::from_ne_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 = product ^ product >> 32;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Descriptors {
    /// How many are kept. When there are more, all are forgotten: writing one takes a microsecond.
    const MOST: usize = 256;

    /// The descriptors of a launch's tensor maps, in order.
    pub(super) fn of(&self, args: &PackedArgs<'_>) -> Result<Vec<Descriptor>> {
        if args.tensor_maps.is_empty() {
            return Ok(Vec::new());
        }
        let mut known = lock(&self.0);
        let mut descriptors = Vec::with_capacity(args.tensor_maps.len());
        for &at in args.tensor_maps {
            let (portable, _) =
                args.bytes[at as usize..].split_first_chunk().ok_or_else(invalid)?;
            let descriptor = match known.get(portable) {
                Some(descriptor) => *descriptor,
                None => {
                    let descriptor = encode(portable)?;
                    if known.len() >= Self::MOST {
                        known.clear();
                    }
                    known.insert(*portable, descriptor);
                    descriptor
                }
            };
            descriptors.push(descriptor);
        }
        Ok(descriptors)
    }
}

fn invalid() -> Error {
    Error::invalid("tensor map", "no portable form", "must be written by a launch")
}

fn encode(portable: &[u8; BYTES]) -> Result<Descriptor> {
    let map = TensorMap::decode(portable).ok_or_else(invalid)?;
    if let Some(walk) = map.tile.walk {
        return encode_pixels(&map, walk);
    }
    let mut descriptor = Descriptor([0; BYTES]);
    let boxes = map.tile.extents.map(u32::from);
    let steps = [1u32; 5];
    // SAFETY: a CUDA device exists, so the driver is here; it writes the 128 bytes of the descriptor
    // and reads `rank` entries of each array (`rank - 1` of the strides), of which there are five.
    let result = unsafe {
        sys::cuTensorMapEncodeTiled(
            (&raw mut descriptor).cast(),
            data_type(map.elem)?,
            map.tile.rank.into(),
            map.address as *mut _,
            map.extents.as_ptr(),
            // That of the innermost axis is the element's size, and not asked for.
            map.strides[1..].as_ptr(),
            boxes.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle(map.tile.swizzle),
            // What neighbouring boxes need next is then in the L2 cache already.
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    check("cuTensorMapEncodeTiled", result)?;
    Ok(descriptor)
}

/// A tensor map for a window that walks over images (CUDA Driver API, `cuTensorMapEncodeIm2col`). Its
/// corners are along the axes between the first and the last, innermost first, as coordinates are.
fn encode_pixels(map: &TensorMap, walk: Walk) -> Result<Descriptor> {
    let mut descriptor = Descriptor([0; BYTES]);
    let [lower, upper] = [walk.lower, walk.upper].map(|corners| corners.map(i32::from));
    let mut steps = [1u32; 5];
    for (to, step) in steps[1..].iter_mut().zip(walk.steps).take(walk.axes.into()) {
        *to = step.into();
    }
    // SAFETY: a CUDA device exists, so the driver is here; it writes the 128 bytes of the descriptor
    // and reads `rank` entries of the extents and steps, `rank - 1` of the strides and `rank - 2` of
    // the corners, of which there are five, four and three.
    let result = unsafe {
        sys::cuTensorMapEncodeIm2col(
            (&raw mut descriptor).cast(),
            data_type(map.elem)?,
            map.tile.rank.into(),
            map.address as *mut _,
            map.extents.as_ptr(),
            map.strides[1..].as_ptr(),
            lower.as_ptr(),
            upper.as_ptr(),
            map.tile.extents[0].into(),
            map.tile.extents[1].into(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle(map.tile.swizzle),
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    check("cuTensorMapEncodeIm2col", result)?;
    Ok(descriptor)
}

/// Copies do not look at signs or exponents, so small numbers without a type of their own pass as
/// unsigned integers of their size.
fn data_type(scalar: Scalar) -> Result<sys::CUtensorMapDataType> {
    use sys::CUtensorMapDataType::*;
    Ok(match scalar {
        Scalar::I8 | Scalar::U8 | Scalar::E4M3 | Scalar::E5M2 => CU_TENSOR_MAP_DATA_TYPE_UINT8,
        Scalar::I16 | Scalar::U16 => CU_TENSOR_MAP_DATA_TYPE_UINT16,
        Scalar::I32 => CU_TENSOR_MAP_DATA_TYPE_INT32,
        Scalar::U32 => CU_TENSOR_MAP_DATA_TYPE_UINT32,
        Scalar::I64 => CU_TENSOR_MAP_DATA_TYPE_INT64,
        Scalar::U64 => CU_TENSOR_MAP_DATA_TYPE_UINT64,
        Scalar::F16 => CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        Scalar::BF16 => CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        Scalar::F32 => CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        Scalar::F64 => CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
        other => return Err(Error::invalid("tensor map", other.name(), "has no TMA data type")),
    })
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
