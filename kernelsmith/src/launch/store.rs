//! Compiled kernels of this process.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use kernelsmith_runtime::{CompiledKernel, Device};
use rustc_hash::FxHashMap;

use super::Error;
use super::id::Key;
use crate::lang::stage::stage;

/// A kernel on a device.
pub(crate) struct Entry {
    pub(crate) kernel: CompiledKernel,
    /// The block size that the kernel fixes.
    pub(crate) block: Option<[u32; 3]>,
    /// The blocks of a cluster, where it fixes them.
    pub(crate) cluster: Option<[u32; 3]>,
}

/// A kernel, where it runs, and for which blocks: code for the CPU is compiled for one block size.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    key: Key,
    device: (kernelsmith_runtime::DeviceKind, u32),
    block: Option<[u32; 3]>,
}

/// The compiled kernel; stages and compiles it if this is the first time.
pub(crate) fn get(
    name: &'static str,
    key: Key,
    device: &Device,
    block: Option<[u32; 3]>,
    staging: Box<dyn FnOnce() + '_>,
) -> Result<Arc<Entry>, Error> {
    static STORE: OnceLock<RwLock<FxHashMap<Place, Arc<Entry>>>> = OnceLock::new();
    let store = STORE.get_or_init(RwLock::default);
    let place = Place { key, device: (device.kind(), device.index()), block };
    let found = store.read().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
    if let Some(entry) = found {
        return Ok(entry);
    }
    // Two threads may compile the same kernel at once; either result will do.
    let ir = stage(name, device.target(), staging)
        .map_err(|error| Error::Staging { kernel: name, error })?;
    let kernel = device.compile(&ir, block)?;
    let entry = Arc::new(Entry { kernel, block: ir.block_dim, cluster: ir.cluster_dim });
    store.write().unwrap_or_else(PoisonError::into_inner).insert(place, entry.clone());
    Ok(entry)
}
