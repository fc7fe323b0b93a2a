//! Kernels that are loaded on a device, and launching them.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use kernelsmith_ir::tensor_map::TensorTile;
use kernelsmith_ir::{Kernel, ParamKind, Scalar};

use crate::args::Args;
use crate::compile::Loaded;
use crate::contract::Contract;
use crate::device::Device;
use crate::driver::PackedArgs;
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;
use crate::limits::{self, KernelNeeds};
use crate::records::KernelInfo;
use crate::stream::Stream;
use crate::sync::lock;

/// A kernel compiled for a device and loaded there. Clones are the same kernel.
#[derive(Clone)]
pub struct CompiledKernel(Arc<Inner>);

struct Inner {
    device: Device,
    info: Arc<KernelInfo>,
    /// What callers pass; behind it comes what launches fill in.
    params: Vec<ParamLayout>,
    hidden: Vec<ParamKind>,
    /// Where all of these begin, and the error record's address behind them.
    offsets: Vec<u32>,
    /// Where tensor maps begin.
    tensor_maps: Vec<u32>,
    needs: KernelNeeds,
    contract: Contract,
    loaded: Loaded,
}

/// Where a parameter lies in the packed arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ParamLayout {
    pub name: String,
    pub offset: u32,
    pub size: u32,
    /// Of a tensor map, the elements and the box.
    pub tensor: Option<(Scalar, TensorTile)>,
}

impl ParamLayout {
    /// Where tensor maps begin.
    fn tensor_maps(params: &[ParamLayout]) -> Vec<u32> {
        params.iter().filter(|p| p.tensor.is_some()).map(|p| p.offset).collect()
    }
}

impl CompiledKernel {
    /// Joins compiled code with what launches must know of the IR it was made from.
    pub(crate) fn new(
        device: Device,
        kernel: &Kernel,
        block: Option<[u32; 3]>,
        loaded: Loaded,
    ) -> CompiledKernel {
        let (mut offsets, record_offset) = kernel.param_layout();
        let params = kernel.params.iter().zip(&offsets).filter(|(p, _)| !p.kind.is_hidden());
        let params: Vec<_> = params
            .map(|(param, &offset)| {
                let ty = kernel.ty(param.value);
                let tensor = match param.kind {
                    ParamKind::TensorMap(tile) => Some((ty.elem(), tile)),
                    _ => None,
                };
                ParamLayout { name: param.name.clone(), offset, size: ty.size(), tensor }
            })
            .collect();
        offsets.push(record_offset);
        let tensor_maps = ParamLayout::tensor_maps(&params);
        let (_, static_shared) = kernel.shared_layout();
        let needs = KernelNeeds { block, cluster: kernel.cluster_dim, static_shared };
        let hidden = kernel.params.iter().map(|p| p.kind).filter(|kind| kind.is_hidden()).collect();
        let info = Arc::new(KernelInfo {
            name: kernel.name.clone(),
            checks: kernel.checks(),
            prints: kernel.prints.iter().filter_map(|text| text.parse().ok()).collect(),
        });
        let contract = Contract::of(kernel);
        CompiledKernel(Arc::new(Inner {
            device,
            info,
            params,
            hidden,
            offsets,
            tensor_maps,
            needs,
            contract,
            loaded,
        }))
    }

    #[cfg(test)]
    pub(crate) fn from_parts(
        device: Device,
        name: &str,
        params: Vec<ParamLayout>,
        checks: Vec<kernelsmith_ir::check::CheckInfo>,
        needs: KernelNeeds,
        loaded: Loaded,
    ) -> CompiledKernel {
        let info = Arc::new(KernelInfo { name: name.to_owned(), checks, prints: Vec::new() });
        let end = params.last().map_or(0, |p| p.offset + p.size).next_multiple_of(8);
        let offsets = params.iter().map(|p| p.offset).chain([end]).collect();
        let tensor_maps = ParamLayout::tensor_maps(&params);
        CompiledKernel(Arc::new(Inner {
            device,
            info,
            params,
            hidden: Vec::new(),
            offsets,
            tensor_maps,
            needs,
            contract: Contract::default(),
            loaded,
        }))
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        &self.0.info.name
    }

    /// The device it is loaded on.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// How many checks are left in it.
    pub fn checks(&self) -> usize {
        self.0.info.checks.len()
    }
}

impl Stream {
    /// Enqueues a launch. A grid without blocks is a launch of nothing: it is checked, and done.
    ///
    /// A check that fails in the kernel comes back from [`Stream::synchronize`].
    ///
    /// # Safety
    /// The arguments are what the kernel's parameters mean: an address points to elements of the
    /// parameter's type, a length belongs to its address, extents and strides stay inside. What a
    /// kernel does beyond checked accesses is its author's promise.
    ///
    /// # Errors
    /// The launch breaks a limit of the device or the kernel's contract; number or sizes of the arguments differ from the
    /// parameters'; kernel or buffers are on another device; the driver's.
    #[track_caller]
    pub unsafe fn launch(
        &self,
        kernel: &CompiledKernel,
        config: &LaunchConfig,
        mut args: Args<'_>,
    ) -> Result<()> {
        let Inner { device, info, params, hidden, needs, contract, loaded, .. } = &*kernel.0;
        self.device().expect_same("kernel", device)?;
        limits::check(config, device.limits(), *needs)?;
        args.check(params)?;
        contract.check(&info.name, args.bytes(), Location::caller())?;
        args.write_tensor_maps(params, config.grid.contains(&0))?;
        for used in args.buffers() {
            if used.buffer.device() != device {
                let name = &params[used.argument].name;
                self.device().expect_same(name, used.buffer.device())?;
            }
            used.buffer.order(self.core(), used.access)?;
        }
        if config.grid.contains(&0) {
            return Ok(());
        }
        let (core, driver) = (self.core(), &**device.driver());
        // What the interpreter finds is collected as failed checks are.
        let sanitized = matches!(loaded, Loaded::Interpreted { .. });
        let checked = !info.checks.is_empty();
        let record = match checked {
            true => lock(core.records()).of(info, driver, core.handle())?,
            false => 0,
        };
        let extents = args.extents();
        // Held until the launch is enqueued (on the CPU, done), so that nobody reads half a record.
        let mut printing = (!info.prints.is_empty()).then(|| lock(core.prints()));
        let (buffer, base) = match &mut printing {
            Some(prints) => prints.of(info, driver, core.handle())?,
            None => (0, 0),
        };
        for kind in hidden {
            match kind {
                ParamKind::SharedBytes => args.scalar(u64::from(config.shared_bytes)),
                ParamKind::PrintBuffer => args.scalar(buffer),
                ParamKind::PrintBase => args.scalar(base),
                ParamKind::Scalar
                | ParamKind::ReadOnly
                | ParamKind::Exclusive
                | ParamKind::TensorMap(_) => &mut args,
            };
        }
        let bytes = args.pack(record);
        let packed = PackedArgs {
            bytes: &bytes,
            record,
            extents: &extents,
            offsets: &kernel.0.offsets,
            tensor_maps: &kernel.0.tensor_maps,
        };
        let config = &LaunchConfig { cluster: needs.cluster.or(config.cluster), ..*config };
        // SAFETY: the caller vouches for the arguments' meaning; their layout, the launch's limits
        // and the buffers' lives and order are checked above.
        unsafe { driver.launch(core.handle(), loaded, config, packed) }
            .map_err(|error| explain_launch(error, self.device(), info))?;
        if checked || sanitized {
            lock(core.records()).launched();
        }
        Ok(())
    }
}

/// Names the kernel in a driver's error.
fn explain_launch(mut error: Error, device: &Device, info: &KernelInfo) -> Error {
    if let Error::Driver { message, .. } = &mut error {
        *message = format!("{message}; launching kernel `{}` on {device}", info.name);
    }
    error
}

impl fmt::Debug for CompiledKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledKernel")
            .field("name", &self.name())
            .field("device", self.device())
            .finish_non_exhaustive()
    }
}
