//! Where shared and local arrays lie.

use std::fmt::Write;

use kernelsmith_ir::kernel::{LocalId, SharedId};
use kernelsmith_ir::target::{Ptx, Target};
use kernelsmith_ir::{Inst, Kernel, Space};

use crate::address::{Address, Base, Symbol};
use crate::emit::{Binding, Emitter};
use crate::error::Error;

/// Most bytes of shared memory a module may declare itself; more is only had as dynamic shared
/// memory (CUDA C++ Programming Guide, "Technical Specifications per Compute Capability").
const MOST_STATIC: u32 = 48 * 1024;

/// What vector accesses of local arrays need.
const LOCAL_ALIGN: u32 = 16;

/// Where each shared array lies.
#[derive(Clone, Debug)]
pub(crate) struct SharedPlan {
    offsets: Vec<u32>,
    total: u32,
    /// Whether the static arrays lie at the beginning of the dynamic ones, being too large.
    hidden: bool,
}

impl SharedPlan {
    pub(crate) fn new(kernel: &Kernel, target: Ptx) -> Result<SharedPlan, Error> {
        let (offsets, total) = kernel.shared_layout();
        let most = Target::Ptx(target).max_shared_bytes();
        if total > most {
            let kernel = kernel.name.clone();
            return Err(Error::SharedTooLarge { kernel, bytes: total, most, target });
        }
        Ok(SharedPlan { offsets, total, hidden: total > MOST_STATIC })
    }

    /// Bytes the module declares.
    pub(crate) fn static_bytes(&self) -> u32 {
        if self.hidden { 0 } else { self.total }
    }

    /// Bytes to be added to a launch's dynamic shared memory.
    pub(crate) fn hidden_bytes(&self) -> u32 {
        if self.hidden { self.total } else { 0 }
    }

    fn address(&self, kernel: &Kernel, id: SharedId) -> Address {
        let dynamic = kernel.shared[id.index()].len.is_none();
        if self.hidden {
            let offset = self.offsets[id.index()].into();
            Address { offset, ..Address::of(Base::Symbol(Symbol::Dynamic), Space::Shared) }
        } else if dynamic {
            Address::of(Base::Symbol(Symbol::Dynamic), Space::Shared)
        } else {
            Address::of(Base::Symbol(Symbol::Shared(id.0)), Space::Shared)
        }
    }

    /// The declarations, which stand before the function. Arrays get a symbol each, so that the
    /// assembler knows them apart.
    pub(crate) fn declarations(&self, kernel: &Kernel) -> String {
        let mut out = String::new();
        let mut dynamic = None;
        for (i, decl) in kernel.shared.iter().enumerate() {
            match decl.len.filter(|_| !self.hidden) {
                Some(len) => {
                    let bytes = len * decl.elem.size();
                    let symbol = Symbol::Shared(i as u32).name(kernel);
                    writeln!(out, ".shared .align {} .b8 {symbol}[{bytes}];", decl.align)
                        .expect("writing to a String");
                }
                None => dynamic = dynamic.max(Some(decl.align.max(LOCAL_ALIGN))),
            }
        }
        if let Some(align) = dynamic {
            let symbol = Symbol::Dynamic.name(kernel);
            writeln!(out, ".extern .shared .align {align} .b8 {symbol}[];")
                .expect("writing to a String");
        }
        out
    }
}

/// The declarations of local arrays, which stand in the function.
pub(crate) fn local_declarations(kernel: &Kernel) -> String {
    let mut out = String::new();
    for (i, decl) in kernel.locals.iter().enumerate() {
        let bytes = decl.len * decl.elem.size();
        let symbol = Symbol::Local(i as u32).name(kernel);
        writeln!(out, "\t.local .align {LOCAL_ALIGN} .b8 {symbol}[{bytes}];")
            .expect("writing to a String");
    }
    out
}

impl<'k> Emitter<'k> {
    pub(crate) fn shared_addr(&mut self, inst: &Inst, id: SharedId) {
        let address = self.shared.address(self.kernel, id);
        self.bind(inst.result(), Binding::Address(address));
    }

    pub(crate) fn local_addr(&mut self, inst: &Inst, id: LocalId) {
        let address = Address::of(Base::Symbol(Symbol::Local(id.0)), Space::Local);
        self.bind(inst.result(), Binding::Address(address));
    }
}
