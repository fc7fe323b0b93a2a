//! Tensor maps in the opaque form that the copy engine reads, which only the driver can write.

use std::collections::HashMap;
use std::sync::Mutex;

use cudarc::driver::sys;
use kernelsmith_ir::Scalar;
use kernelsmith_ir::tensor_map::{BYTES, Swizzle, TensorMap};

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
pub(super) struct Descriptors(Mutex<HashMap<[u8; BYTES], Descriptor>>);

impl Descriptors {
    /// How many are kept. When there are more, all are forgotten: writing one takes a microsecond.
    const MOST: usize = 256;

    /// The descriptors of a launch's tensor maps, in order.
    pub(super) fn of(&self, args: &PackedArgs<'_>) -> Result<Vec<Descriptor>> {
        if args.tensor_maps.is_empty() {
            return Ok(Vec::new());
        }
        let mut known = lock(&self.0);
        let each = args.tensor_maps.iter().map(|&at| {
            let mut portable = [0; BYTES];
            portable.copy_from_slice(&args.bytes[at as usize..at as usize + BYTES]);
            if let Some(descriptor) = known.get(&portable) {
                return Ok(*descriptor);
            }
            let descriptor = encode(&portable)?;
            if known.len() >= Self::MOST {
                known.clear();
            }
            known.insert(portable, descriptor);
            Ok(descriptor)
        });
        each.collect()
    }
}

fn encode(portable: &[u8; BYTES]) -> Result<Descriptor> {
    let invalid =
        || Error::invalid("tensor map", "no portable form", "must be written by a launch");
    let map = TensorMap::decode(portable).ok_or_else(invalid)?;
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
