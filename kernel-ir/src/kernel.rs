//! The data structure: a kernel is a tree of regions of instructions over numbered values.

use crate::attr::Attr;
use crate::check::CheckInfo;
use crate::contract::Requirement;
use crate::loc::{Loc, SourceMap};
use crate::op::Opcode;
use crate::tensor_map::TensorTile;
use crate::types::{Scalar, Space, Type};

/// Declares a dense index type.
macro_rules! index_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into the table it numbers.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index_type! {
    /// A value in SSA form: defined once, by an instruction, a region argument or a parameter.
    Value
}
index_type! {
    /// A mutable variable slot of the front end; gone after the mem2reg pass.
    VarId
}
index_type! {
    /// A shared array.
    SharedId
}
index_type! {
    /// A local array.
    LocalId
}
index_type! {
    /// The label of a `for`, `loop` or `block`, unique in its kernel.
    Label
}

/// What a kernel parameter is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParamKind {
    /// A value: a scalar argument, a length, an extent or a stride.
    Scalar,
    /// The address of memory the kernel only reads, and nobody writes while it runs.
    ReadOnly,
    /// The address of memory only reachable through this parameter while the kernel runs.
    Exclusive,
    /// What the copy engine must know of a tensor, with the box that this kernel's copies move.
    TensorMap(TensorTile),
    /// Filled in by the launch: the bytes of dynamic shared memory, as `u64`.
    SharedBytes,
    /// Filled in by the launch: the address of a [`PrintBuffer`](crate::printing::PrintBuffer), as
    /// `ptr<global, u32>`.
    PrintBuffer,
    /// Filled in by the launch: what the kernel's first print is numbered with, as `u32`.
    PrintBase,
}

impl ParamKind {
    /// The kinds that say nothing more, with their names in the text form.
    const PLAIN: [(ParamKind, &'static str); 6] = [
        (ParamKind::Scalar, "scalar"),
        (ParamKind::ReadOnly, "readonly"),
        (ParamKind::Exclusive, "exclusive"),
        (ParamKind::SharedBytes, "shared_bytes"),
        (ParamKind::PrintBuffer, "print_buffer"),
        (ParamKind::PrintBase, "print_base"),
    ];

    /// Whether the launch fills it in, so that callers do not see it.
    pub const fn is_hidden(self) -> bool {
        self.hidden_type().is_some()
    }

    /// The type of a parameter that the launch fills in.
    pub const fn hidden_type(self) -> Option<Type> {
        match self {
            ParamKind::SharedBytes => Some(Type::U64),
            ParamKind::PrintBuffer => Some(Type::Ptr(Space::Global, Scalar::U32)),
            ParamKind::PrintBase => Some(Type::U32),
            _ => None,
        }
    }

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ParamKind::TensorMap(tile) if tile.written => "tile_mut",
            ParamKind::TensorMap(_) => "tile",
            plain => {
                ParamKind::PLAIN.into_iter().find(|(k, _)| *k == plain).map_or("", |(_, name)| name)
            }
        }
    }

    /// The kind of that name, if it is one that says nothing more.
    pub(crate) fn from_name(name: &str) -> Option<ParamKind> {
        ParamKind::PLAIN.into_iter().find(|(_, n)| *n == name).map(|(kind, _)| kind)
    }
}

/// A kernel parameter. Arguments are packed in order at natural alignment, as a C struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// The user's name, or derived from it (`x.len`).
    pub name: String,
    /// The value that holds the argument in the body.
    pub value: Value,
    /// What it is.
    pub kind: ParamKind,
}

/// A mutable variable of the front end: one scalar, vector or pointer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VarDecl {
    /// The type.
    pub ty: Type,
    /// The user's name.
    pub name: String,
}

/// An array in the block's shared memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedDecl {
    /// The user's name.
    pub name: String,
    /// Element type.
    pub elem: Scalar,
    /// Number of elements; `None` for dynamic shared memory, whose bytes the launch sets. Dynamic
    /// arrays all begin at the same address, behind the static ones.
    pub len: Option<u32>,
    /// Alignment in bytes, a power of two.
    pub align: u32,
}

/// An array in a thread's own memory, for indices that are only known when it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalDecl {
    /// Element type.
    pub elem: Scalar,
    /// Number of elements.
    pub len: u32,
}

/// One instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inst {
    /// The operation.
    pub op: Opcode,
    /// What is fixed while compiling.
    pub attr: Attr,
    /// The values it reads, in the order the table in [`crate::op`] gives.
    pub operands: Vec<Value>,
    /// The values it defines.
    pub results: Vec<Value>,
    /// The regions it holds: `if` has two, `for`, `loop` and `block` one.
    pub regions: Vec<Region>,
    /// The user's line.
    pub loc: Loc,
}

impl Inst {
    /// The only result.
    ///
    /// # Panics
    /// If the instruction does not define exactly one value: a bug in the compiler.
    pub fn result(&self) -> Value {
        assert_eq!(self.results.len(), 1, "{} has {} results", self.op.name(), self.results.len());
        self.results[0]
    }
}

/// A sequence of instructions that ends in a terminator.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Region {
    /// Values defined on entry: a loop's induction and carried values.
    pub args: Vec<Value>,
    /// The instructions; the last is a terminator.
    pub insts: Vec<Inst>,
}

impl Region {
    /// The terminator.
    pub fn terminator(&self) -> Option<&Inst> {
        self.insts.last().filter(|i| i.op.is_terminator())
    }

    /// Visits every instruction, those of nested regions after their owner, in program order.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Inst)) {
        for inst in &self.insts {
            visit(inst);
            for region in &inst.regions {
                region.walk(visit);
            }
        }
    }

    /// Visits every instruction mutably, owners before their nested regions.
    pub fn walk_mut(&mut self, visit: &mut dyn FnMut(&mut Inst)) {
        for inst in &mut self.insts {
            visit(inst);
            for region in &mut inst.regions {
                region.walk_mut(visit);
            }
        }
    }
}

/// A kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// A name that is an identifier in every target's assembly.
    pub name: String,
    /// Parameters, in order.
    pub params: Vec<Param>,
    /// Types by value number.
    pub types: Vec<Type>,
    /// Variable slots.
    pub vars: Vec<VarDecl>,
    /// Shared arrays.
    pub shared: Vec<SharedDecl>,
    /// Local arrays.
    pub locals: Vec<LocalDecl>,
    /// What the kernel prints: [`Message`](crate::message::Message)s as text, by number.
    pub prints: Vec<String>,
    /// How many labels were given out.
    pub labels: u32,
    /// The block size every launch must have, where the kernel fixes it.
    pub block_dim: Option<[u32; 3]>,
    /// The blocks of a cluster along each axis, where the kernel fixes it; without, blocks stand
    /// alone.
    pub cluster_dim: Option<[u32; 3]>,
    /// What every launch's arguments must keep.
    pub requires: Vec<Requirement>,
    /// The body; its terminator is `return`.
    pub body: Region,
    /// Where the [`Loc`]s point.
    pub sources: SourceMap,
}

impl Kernel {
    /// An empty kernel.
    pub fn new(name: &str) -> Kernel {
        Kernel {
            name: name.to_owned(),
            params: Vec::new(),
            types: Vec::new(),
            vars: Vec::new(),
            shared: Vec::new(),
            locals: Vec::new(),
            prints: Vec::new(),
            labels: 0,
            block_dim: None,
            cluster_dim: None,
            requires: Vec::new(),
            body: Region::default(),
            sources: SourceMap::default(),
        }
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.types[value.index()]
    }

    /// A new value, to be defined by the caller.
    pub fn new_value(&mut self, ty: Type) -> Value {
        self.types.push(ty);
        Value(self.types.len() as u32 - 1)
    }

    /// A new label.
    pub fn new_label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Byte offset of each parameter in the packed argument block, and the block's size (rounded
    /// up to 8, without the hidden error-record pointer that backends append there).
    pub fn param_layout(&self) -> (Vec<u32>, u32) {
        let mut at = 0u32;
        let offsets = self
            .params
            .iter()
            .map(|p| {
                let ty = self.ty(p.value);
                let offset = at.next_multiple_of(ty.argument_align());
                at = offset + ty.size();
                offset
            })
            .collect();
        (offsets, at.next_multiple_of(8))
    }

    /// Byte offset of each static shared array, and their total size. Dynamic arrays get that
    /// total, rounded up to their own alignment.
    pub fn shared_layout(&self) -> (Vec<u32>, u32) {
        let mut at = 0u32;
        let mut offsets = vec![0; self.shared.len()];
        for (offset, decl) in offsets.iter_mut().zip(&self.shared) {
            if let Some(len) = decl.len {
                *offset = at.next_multiple_of(decl.align);
                at = *offset + len * decl.elem.size();
            }
        }
        for (offset, decl) in offsets.iter_mut().zip(&self.shared) {
            if decl.len.is_none() {
                *offset = at.next_multiple_of(decl.align);
            }
        }
        (offsets, at)
    }

    /// Whether every block surely fills its warps. Where one may not, its last warp lacks lanes.
    pub fn fills_warps(&self, warp_size: u32) -> bool {
        self.block_dim.is_some_and(|block| block.iter().product::<u32>().is_multiple_of(warp_size))
    }

    /// Every `check` in program order. A failing check is reported by its index in this list.
    pub fn checks(&self) -> Vec<CheckInfo> {
        let mut checks = Vec::new();
        self.body.walk(&mut |inst| {
            if let Attr::Check(kind, message) = &inst.attr {
                checks.push(CheckInfo {
                    kind: *kind,
                    message: message.as_deref().map(str::to_owned),
                    location: self.sources.get(inst.loc).map(|(f, l, c)| (f.to_owned(), l, c)),
                });
            }
        });
        checks
    }

    /// The address type of a shared array.
    pub fn shared_type(&self, id: SharedId) -> Type {
        Type::Ptr(Space::Shared, self.shared[id.index()].elem)
    }

    /// The address type of a local array.
    pub fn local_type(&self, id: LocalId) -> Type {
        Type::Ptr(Space::Local, self.locals[id.index()].elem)
    }
}
