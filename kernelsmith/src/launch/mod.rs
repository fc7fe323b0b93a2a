//! Launching kernels: from typed arguments to a compiled kernel on a device.

mod args;
mod error;
mod id;
mod partition;
mod store;

pub use args::{SliceArg, SliceArgument, SliceMutArg, SliceMutArgument, View, ViewArg, ViewMutArg};
pub use error::Error;
pub use id::StageId;
pub use partition::{PartArg, Partition};

use std::fmt::Debug;
use std::hash::Hash;

use kernelsmith_ir::Kernel;
use kernelsmith_runtime::{Args, Device, Element, LaunchConfig, Stream};

use crate::Target;
use crate::lang::stage::stage;
use id::Key;
use partition::Asked;

/// Anything that gives up to three extents: `256`, `(32, 8)`, `[4, 4, 4]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no size of a grid or block",
    note = "one to three extents are: `256`, `(32, 8)`, `[4, 4, 4]`"
)]
pub trait Extents {
    /// The extents along x, y and z.
    fn extents(self) -> [usize; 3];
}

macro_rules! extents {
    ($($ty:ty: $pattern:pat => $value:expr;)*) => {$(
        impl Extents for $ty {
            fn extents(self) -> [usize; 3] {
                let $pattern = self;
                $value
            }
        }
    )*};
}

extents! {
    usize: x => [x, 1, 1];
    u32: x => [x as usize, 1, 1];
    i32: x => [usize::try_from(x).unwrap_or(usize::MAX), 1, 1];
    (usize, usize): (x, y) => [x, y, 1];
    (usize, usize, usize): (x, y, z) => [x, y, z];
    [usize; 2]: [x, y] => [x, y, 1];
    [usize; 3]: xyz => xyz;
    [u32; 3]: xyz => xyz.map(|d| d as usize);
}

/// What a `#[comptime]` parameter can be: compiled kernels are found again by its hash.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[comptime]` parameter: compiled kernels are kept by the hash of \
               their comptime values",
    note = "derive `Hash`; pass a float as its bits (`to_bits`), or as a number of the kernel"
)]
pub trait ComptimeValue: Hash {}

#[diagnostic::do_not_recommend]
impl<T: Hash + ?Sized> ComptimeValue for T {}

/// A kernel with its arguments, ready to be launched.
#[must_use = "a kernel runs when `launch` is called"]
pub struct Launch<'a> {
    name: &'static str,
    key: Key,
    args: Args<'a>,
    staging: Option<Box<dyn FnOnce() + 'a>>,
    grid: Option<[usize; 3]>,
    /// What partitioned outputs ask of grid and block.
    asked: Option<Asked>,
    block: Option<[usize; 3]>,
    shared_bytes: u32,
    overlap_previous: bool,
    /// The first thing that was wrong with an argument; reported by `launch`.
    error: Option<Error>,
}

impl<'a> Launch<'a> {
    /// What the macro's launch function begins with.
    #[doc(hidden)]
    pub fn new(name: &'static str, id: StageId) -> Launch<'a> {
        Launch {
            name,
            key: Key::new(id),
            args: Args::new(),
            staging: None,
            grid: None,
            asked: None,
            block: None,
            shared_bytes: 0,
            overlap_previous: false,
            error: None,
        }
    }

    #[doc(hidden)]
    pub fn scalar<T: Element>(&mut self, value: T) {
        self.args.scalar(value);
    }

    #[doc(hidden)]
    pub fn slice<T: Element>(&mut self, _name: &str, slice: SliceArg<'a, T>) {
        self.args.slice(slice.0);
    }

    #[doc(hidden)]
    pub fn slice_mut<T: Element>(&mut self, _name: &str, slice: SliceMutArg<'a, T>) {
        self.args.slice_mut(slice.0);
    }

    #[doc(hidden)]
    pub fn view<T: Element, const R: usize>(&mut self, name: &str, view: ViewArg<'a, T, R>) {
        if let Err(error) = view.check(name) {
            self.error.get_or_insert(error);
        }
        self.args.pointer(view.data);
        self.extents(view.layout());
    }

    #[doc(hidden)]
    pub fn view_mut<T: Element, const R: usize>(&mut self, name: &str, view: ViewMutArg<'a, T, R>) {
        if let Err(error) = view.check(name) {
            self.error.get_or_insert(error);
        }
        let layout = view.layout();
        self.args.pointer_mut(view.data);
        self.extents(layout);
    }

    /// Shape, then strides, as the parameters have them.
    fn extents<const R: usize>(&mut self, (shape, strides): ([usize; R], [usize; R])) {
        // Two loops of known length: each launch passes here, and a chain of both is ten times slower.
        for n in shape {
            self.args.scalar(n as u64);
        }
        for n in strides {
            self.args.scalar(n as u64);
        }
    }

    #[doc(hidden)]
    pub fn tensor_map<T: Element, const R: usize>(&mut self, name: &str, view: ViewArg<'a, T, R>) {
        if let Err(error) = view.check_elements(name) {
            self.error.get_or_insert(error);
        }
        let (shape, strides) = layout(view.layout());
        self.args.tensor_map(view.data, &shape, &strides);
        shape.into_iter().for_each(|n| {
            self.args.scalar(n);
        });
    }

    #[doc(hidden)]
    pub fn tensor_map_mut<T: Element, const R: usize>(
        &mut self,
        name: &str,
        view: ViewMutArg<'a, T, R>,
    ) {
        if let Err(error) = view.check_elements(name) {
            self.error.get_or_insert(error);
        }
        let (shape, strides) = layout(view.layout());
        self.args.tensor_map_mut(view.data, &shape, &strides);
        shape.into_iter().for_each(|n| {
            self.args.scalar(n);
        });
    }

    #[doc(hidden)]
    pub fn part<T: Element, const R: usize>(&mut self, name: &str, part: PartArg<'a, T, R>) {
        let tiles = part.tiles(name).and_then(|tiles| {
            let asked =
                Asked { argument: name.to_owned(), blocks: tiles.iter().product(), axes: R };
            self.asked = Some(match self.asked.take() {
                Some(other) => other.and(asked)?,
                None => asked,
            });
            Ok(tiles)
        });
        let (shape, strides) = part.view.layout();
        self.args.pointer_mut(part.view.data);
        for n in shape.into_iter().chain(part.tile).chain(strides) {
            self.args.scalar(n as u64);
        }
        match tiles {
            Ok(tiles) => tiles.into_iter().for_each(|n| {
                self.args.scalar(n as u32);
            }),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }

    #[doc(hidden)]
    pub fn comptime<T: ComptimeValue>(&mut self, value: &T) {
        self.key.add(value);
    }

    #[doc(hidden)]
    pub fn function<F>(&mut self, name: &'static str, _: &F) {
        if size_of::<F>() != 0 {
            self.error.get_or_insert(Error::Argument {
                argument: name.to_owned(),
                value: "a closure that captures values of the host".to_owned(),
                rule: "functions given to kernels capture nothing: pass what they need as \
                       arguments, or in consts"
                    .to_owned(),
            });
        }
    }

    #[doc(hidden)]
    pub fn staging(mut self, staging: impl FnOnce() + 'a) -> Launch<'a> {
        self.staging = Some(Box::new(staging));
        self
    }

    /// Sets the number of blocks, 1 at first. Where an output is partitioned it is the number of tiles.
    pub fn grid(mut self, grid: impl Extents) -> Launch<'a> {
        self.grid = Some(grid.extents());
        self
    }

    /// Sets the number of threads of a block. Not needed where the kernel fixes it.
    pub fn block(mut self, block: impl Extents) -> Launch<'a> {
        self.block = Some(block.extents());
        self
    }

    /// Sets block and grid so that there are at least `threads` threads along x.
    pub fn threads(self, threads: usize, block: usize) -> Launch<'a> {
        self.grid(threads.div_ceil(block.max(1))).block(block)
    }

    /// Sets the bytes of dynamic shared memory of each block.
    pub fn shared_bytes(mut self, bytes: u32) -> Launch<'a> {
        self.shared_bytes = bytes;
        self
    }

    /// Lets the kernel begin while the launch ahead of it in the stream still runs, on devices that
    /// can (programmatic dependent launch, Hopper and newer). The kernel itself then waits with
    /// `grid_wait` before it touches what that launch wrote, or still reads; devices that cannot run
    /// launches one after the other, so that its results are the same.
    pub fn overlap_previous(mut self) -> Launch<'a> {
        self.overlap_previous = true;
        self
    }

    /// Stages the kernel for a target and returns its IR, before any pass.
    ///
    /// # Errors
    /// An argument breaks a rule, or the kernel does not stage.
    pub fn ir(self, target: &Target) -> Result<Kernel, Error> {
        let Launch { name: kernel, staging, error, .. } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let staging = staging.expect("set by the launch function");
        stage(kernel, target, staging).map_err(|error| Error::Staging { kernel, error })
    }

    /// Launches the kernel on a device's default stream and returns at once. The first launch
    /// compiles it.
    ///
    /// # Errors
    /// The kernel does not stage or compile, an argument lives on another device, or the launch
    /// breaks a limit or the kernel's contract. What a check in the kernel finds comes back from the stream's
    /// `synchronize`, or when results are copied to the host.
    #[track_caller]
    pub fn launch(self, device: &Device) -> Result<(), Error> {
        self.launch_on(&device.default_stream())
    }

    /// Launches the kernel on a stream.
    ///
    /// # Errors
    /// As for [`Launch::launch`].
    #[track_caller]
    pub fn launch_on(self, stream: &Stream) -> Result<(), Error> {
        let Launch { name, key, args, staging, grid, asked, block, error, .. } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let grid = match &asked {
            Some(asked) => asked.grid(grid)?,
            None => grid.unwrap_or([1; 3]),
        };
        let grid = narrow("grid", grid)?;
        let block = block.map(|b| narrow("block", b)).transpose()?;
        let staging = staging.expect("set by the launch function");
        let entry = store::get(name, key, stream.device(), block, staging)?;
        let block = block.or(entry.block).ok_or_else(|| Error::Argument {
            argument: "block".to_owned(),
            value: "not set".to_owned(),
            rule: format!("kernel `{name}` fixes no block size: call .block(..)"),
        })?;
        if let Some(asked) = &asked {
            asked.check_block(block)?;
            entry.cluster.map_or(Ok(()), |cluster| asked.check_cluster(cluster))?;
        }
        let (shared_bytes, overlap_previous) = (self.shared_bytes, self.overlap_previous);
        let config =
            LaunchConfig { shared_bytes, overlap_previous, ..LaunchConfig::new(grid, block) };
        // SAFETY: the launch function packed the arguments in the order in which staging declared
        // the parameters, from the same list, with addresses, lengths and extents of live buffers.
        unsafe { stream.launch(&entry.kernel, &config, args) }?;
        Ok(())
    }
}

/// Shape and strides as the runtime takes them.
fn layout<const R: usize>((shape, strides): ([usize; R], [usize; R])) -> ([u64; R], [u64; R]) {
    (shape.map(|n| n as u64), strides.map(|n| n as u64))
}

fn narrow(what: &str, extents: [usize; 3]) -> Result<[u32; 3], Error> {
    let mut out = [0; 3];
    for (out, n) in out.iter_mut().zip(extents) {
        *out = u32::try_from(n).map_err(|_| Error::Argument {
            argument: what.to_owned(),
            value: format!("{extents:?}"),
            rule: "each extent is at most 4294967295".to_owned(),
        })?;
    }
    Ok(out)
}

impl Debug for Launch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("kernel", &self.name)
            .field("grid", &self.grid)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}
