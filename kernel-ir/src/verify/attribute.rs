//! Which attribute an operation has.

use super::{Rule, Verifier};
use crate::attr::{Attr, CheckKind, Order};
use crate::kernel::Inst;
use crate::message::Message;
use crate::op::{Opcode, Signature};

/// The attribute that an operation has, in words, and whether this is one.
fn expected(op: Opcode, attr: &Attr) -> (&'static str, bool) {
    match op.info().signature {
        Signature::Const => ("a constant", matches!(attr, Attr::Const(_))),
        Signature::Id(true) => ("an axis", matches!(attr, Attr::Dim(_))),
        Signature::VarAccess => ("a variable slot", matches!(attr, Attr::Var { .. })),
        Signature::Address if op == Opcode::SharedAddr => {
            ("a shared array", matches!(attr, Attr::Shared(_)))
        }
        Signature::Address => ("a local array", matches!(attr, Attr::Local(_))),
        Signature::For | Signature::Loop | Signature::Block => {
            ("a label", matches!(attr, Attr::Label(_)))
        }
        Signature::Terminator if matches!(op, Opcode::Break | Opcode::Continue) => {
            ("a label", matches!(attr, Attr::Label(_)))
        }
        Signature::Load | Signature::Store => ("an alignment", matches!(attr, Attr::Mem { .. })),
        Signature::AtomicRmw | Signature::AtomicCas => {
            ("an atomic operation, ordering and scope", matches!(attr, Attr::Atomic { .. }))
        }
        Signature::Nothing if op == Opcode::Fence => {
            ("an ordering and scope", matches!(attr, Attr::Fence { .. }))
        }
        Signature::AtomicLoad | Signature::AtomicStore => {
            ("an ordering and scope", matches!(attr, Attr::Fence { .. }))
        }
        Signature::Nothing if matches!(op, Opcode::BarrierSync | Opcode::BarrierArrive) => {
            ("a named barrier", matches!(attr, Attr::Barrier { .. }))
        }
        Signature::Nothing
            if matches!(op, Opcode::CpAsyncWait | Opcode::BulkWait | Opcode::BulkWaitRead) =>
        {
            ("a number of groups", matches!(attr, Attr::Count(_)))
        }
        Signature::WgmmaWait if op == Opcode::Tcgen05WaitLoad => {
            ("no attribute", matches!(attr, Attr::None))
        }
        Signature::TensorAlloc | Signature::TensorFree => {
            ("a number of columns", matches!(attr, Attr::Columns { .. }))
        }
        Signature::TensorYield => ("a group of blocks", matches!(attr, Attr::Group(_))),
        Signature::TensorCommit => ("a group of blocks", matches!(attr, Attr::Commit { .. })),
        Signature::Tcgen05 => ("a shape and layouts", matches!(attr, Attr::Tcgen05(_))),
        Signature::TensorCopy => ("a shape and layout", matches!(attr, Attr::Tcgen05Copy(_))),
        Signature::WgmmaWait => ("a number of groups", matches!(attr, Attr::Count(_))),
        Signature::Nothing if op == Opcode::SetMaxRegisters => {
            ("a number of registers", matches!(attr, Attr::Registers { .. }))
        }
        Signature::Wgmma => ("a shape and layouts", matches!(attr, Attr::Wgmma(_))),
        Signature::TmaLoad
        | Signature::TmaStore
        | Signature::TmaFetch
        | Signature::BulkLoad
        | Signature::BulkStore
        | Signature::BulkFetch => ("how to copy", matches!(attr, Attr::Bulk { .. })),
        Signature::CpAsync => ("a number of bytes", matches!(attr, Attr::Count(_))),
        Signature::Reduce => ("a reduction", matches!(attr, Attr::Reduce(_))),
        Signature::Mma => ("a matrix shape", matches!(attr, Attr::Mma(_))),
        Signature::VecExtract | Signature::VecInsert => ("a lane", matches!(attr, Attr::Lane(_))),
        Signature::Ldmatrix | Signature::Stmatrix => {
            ("a number of matrices", matches!(attr, Attr::Ldmatrix { .. }))
        }
        Signature::Check => ("the kind of a check", matches!(attr, Attr::Check(..))),
        _ => ("no attribute", matches!(attr, Attr::None)),
    }
}

/// The attribute that an operation has, in words.
pub(crate) fn attribute_of(op: Opcode) -> Option<&'static str> {
    let (what, none) = expected(op, &Attr::None);
    (!none).then_some(what)
}

impl Verifier<'_> {
    /// Whether the attribute is of the kind that the operation has.
    pub(super) fn attribute_kind(&mut self, inst: &Inst) -> bool {
        let (expected, fits) = expected(inst.op, &inst.attr);
        if !fits {
            let found = format_args!("{}", attr_text(&inst.attr));
            self.breach(Rule::AttributeKind, Some(inst), found, expected);
        }
        fits
    }

    /// What is wrong with an attribute by itself, whatever the operands.
    pub(super) fn attribute_value(&mut self, inst: &Inst) {
        match &inst.attr {
            Attr::Const(c) if c.ty.bits() < 64 && c.bits >> c.ty.bits() != 0 => {
                let found = format!("{} with bits {:#x}", c.ty, c.bits);
                let expected = format!("{} bits", c.ty.bits());
                self.breach(Rule::ConstantFits, Some(inst), found, expected);
            }
            Attr::Count(bytes) if inst.op == Opcode::CpAsync && ![4, 8, 16].contains(bytes) => {
                self.breach(Rule::CopyWidth, Some(inst), format!("{bytes} bytes"), "4, 8 or 16");
            }
            Attr::Barrier { id, threads }
                if !(1..=15).contains(id)
                    || *threads == 0
                    || *threads > 1024
                    || threads % 32 != 0 =>
            {
                let found = format!("barrier {id} of {threads} threads");
                let expected = "one of 1 to 15, of a multiple of 32 threads up to 1024";
                self.breach(Rule::NamedBarrier, Some(inst), found, expected);
            }
            Attr::Fence { order, .. } => self.access_order(inst, *order),
            Attr::Ldmatrix { count, .. } if ![1, 2, 4].contains(count) => {
                self.breach(Rule::CopyWidth, Some(inst), format!("{count} matrices"), "1, 2 or 4");
            }
            Attr::Check(kind, Some(message)) if *kind != CheckKind::Assert => {
                let found = format!("{message:?} on a check of kind `{}`", kind.name());
                self.breach(Rule::CheckMessage, Some(inst), found, "no message");
            }
            Attr::Check(CheckKind::Assert, Some(message)) => {
                let holes = message.parse::<Message>().map(|m| m.holes().count());
                let values = inst.operands.len().saturating_sub(1);
                if holes != Ok(values) {
                    let found = format!("{message:?} with {values} values");
                    let expected = "a message with a hole for each value";
                    self.breach(Rule::CheckMessage, Some(inst), found, expected);
                }
            }
            Attr::Wgmma(wgmma) => {
                if let Some(fault) = wgmma.fault() {
                    self.breach(Rule::WgmmaShape, Some(inst), fault, "a `wgmma` that there is");
                }
            }
            Attr::Tcgen05(product) => {
                if let Some(fault) = product.fault() {
                    let expected = "a `tcgen05_mma` that there is";
                    self.breach(Rule::TensorMemory, Some(inst), fault, expected);
                }
            }
            Attr::Tcgen05Copy(copy) => {
                if let Some(fault) = copy.fault() {
                    let expected = "a `tcgen05_copy` that there is";
                    self.breach(Rule::TensorMemory, Some(inst), fault, expected);
                }
            }
            Attr::Columns { count, .. }
                if !(count.is_power_of_two() && (32..=512).contains(count)) =>
            {
                let found = format!("{count} columns");
                let expected = "a power of two from 32 to 512";
                self.breach(Rule::TensorMemory, Some(inst), found, expected);
            }
            Attr::Registers { count, .. } if !(24..=256).contains(count) || count % 8 != 0 => {
                let expected = "a multiple of 8 from 24 to 256";
                self.breach(
                    Rule::RegisterShare,
                    Some(inst),
                    format!("{count} registers"),
                    expected,
                );
            }
            Attr::Mma(shape) if !crate::mma::SHAPES.contains(shape) => {
                self.breach(Rule::MatrixShape, Some(inst), shape.name(), "a shape of the table");
            }
            _ => {}
        }
    }
}

impl Verifier<'_> {
    /// A load has nothing to release, and a store nothing to acquire.
    fn access_order(&mut self, inst: &Inst, order: Order) {
        let (fits, expected) = match inst.op {
            Opcode::AtomicLoad => {
                (matches!(order, Order::Relaxed | Order::Acquire), "relaxed or acquire")
            }
            Opcode::AtomicStore => {
                (matches!(order, Order::Relaxed | Order::Release), "relaxed or release")
            }
            _ => return,
        };
        if !fits {
            self.breach(Rule::AccessOrder, Some(inst), order.name(), expected);
        }
    }
}

/// An attribute as it prints, or that there is none.
fn attr_text(attr: &Attr) -> String {
    match attr {
        Attr::None => "none".to_owned(),
        attr => crate::print::attr_text(attr),
    }
}
