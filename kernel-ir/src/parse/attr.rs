//! Reads what stands in brackets behind an operation's name.

use super::cursor::{Cursor, Parsed};
use crate::attr::{
    AtomicOp, Attr, BoxMode, CacheHint, CheckKind, Const, Dim, Eviction, Order, ReduceOp, Scope,
};
use crate::kernel::{Label, LocalId, SharedId, VarId};
use crate::mma::MmaShape;
use crate::op::{Opcode, Signature};
use crate::tcgen05::copy::{CopyShape, TensorCopy};
use crate::tcgen05::group::Group;
use crate::tcgen05::scales::{ScaleType, ScaledKind, Scales};
use crate::tcgen05::{Tcgen05, shape_from_name};
use crate::tensor_map::Swizzle;
use crate::types::Scalar;
use crate::wgmma::{SmemLayout, Wgmma};

/// The attribute of an operation.
pub(super) fn attr(text: &mut Cursor<'_>, op: Opcode) -> Parsed<Attr> {
    if !text.eat("[") {
        return Ok(match op.info().signature {
            Signature::TensorYield => Attr::Group(Group::One),
            Signature::TensorCommit => Attr::Commit { group: Group::One, multicast: false },
            _ => Attr::None,
        });
    }
    let attr = inner(text, op)?;
    text.expect("]")?;
    Ok(attr)
}

fn inner(text: &mut Cursor<'_>, op: Opcode) -> Parsed<Attr> {
    Ok(match op.info().signature {
        Signature::Const => Attr::Const(constant(text)?),
        Signature::Id(true) => Attr::Dim(named(text, "an axis", Dim::from_name)?),
        Signature::VarAccess => variable(text)?,
        Signature::Address if op == Opcode::SharedAddr => Attr::Shared(SharedId(text.tagged("s")?)),
        Signature::Address => Attr::Local(LocalId(text.tagged("l")?)),
        Signature::For | Signature::Loop | Signature::Block | Signature::Terminator => {
            Attr::Label(Label(text.tagged("$")?))
        }
        Signature::Load | Signature::Store => {
            text.expect("align")?;
            let align = text.number()?;
            let cache = match text.sees("]") {
                true => CacheHint::Normal,
                false => named(text, "a cache hint", CacheHint::from_name)?,
            };
            Attr::Mem { align, cache }
        }
        Signature::AtomicRmw | Signature::AtomicCas => Attr::Atomic {
            op: named(text, "an atomic operation", AtomicOp::from_name)?,
            order: named(text, "a memory ordering", Order::from_name)?,
            scope: named(text, "a scope", Scope::from_name)?,
        },
        Signature::Nothing if matches!(op, Opcode::BarrierSync | Opcode::BarrierArrive) => {
            let id = text.number()?;
            text.expect("threads")?;
            Attr::Barrier { id, threads: text.number()? }
        }
        Signature::Nothing if op == Opcode::SetMaxRegisters => {
            let count = text.number()?;
            let raise = text.eat("raise");
            if !raise {
                text.expect("lower")?;
            }
            Attr::Registers { count, raise }
        }
        Signature::Nothing
            if matches!(op, Opcode::CpAsyncWait | Opcode::BulkWait | Opcode::BulkWaitRead) =>
        {
            Attr::Count(text.number()?)
        }
        Signature::Nothing | Signature::AtomicLoad | Signature::AtomicStore => Attr::Fence {
            order: named(text, "a memory ordering", Order::from_name)?,
            scope: named(text, "a scope", Scope::from_name)?,
        },
        Signature::Reduce => Attr::Reduce(named(text, "a reduction", ReduceOp::from_name)?),
        Signature::Mma => Attr::Mma(named(text, "a matrix shape", MmaShape::from_name)?),
        Signature::VecExtract | Signature::VecInsert => Attr::Lane(text.number()?),
        Signature::Wgmma => wgmma(text)?,
        Signature::Tcgen05 => tcgen05(text)?,
        Signature::TensorCopy => {
            let shape = named(text, "a shape of copies", CopyShape::from_name)?;
            let group = group(text);
            Attr::Tcgen05Copy(TensorCopy { group, shape, layout: layout(text)? })
        }
        Signature::TensorAlloc | Signature::TensorFree => {
            Attr::Columns { count: text.number()?, group: group(text) }
        }
        Signature::TensorYield => Attr::Group(group(text)),
        Signature::TensorCommit => {
            Attr::Commit { group: group(text), multicast: text.eat("multicast") }
        }
        Signature::WgmmaWait if op == Opcode::Tcgen05WaitLoad => {
            return text.error(format!("`{}` takes nothing in brackets", op.name()));
        }
        Signature::TmaLoad
        | Signature::TmaStore
        | Signature::TmaFetch
        | Signature::BulkLoad
        | Signature::BulkStore
        | Signature::BulkFetch => {
            let eviction = named(text, "how long a cache keeps something", Eviction::from_name)?;
            let multicast = text.eat("multicast");
            let mut apart = [BoxMode::Rows, BoxMode::Pixels].into_iter();
            let mode = apart.find(|mode| text.eat(mode.name())).unwrap_or(BoxMode::Tile);
            let reduce = match text.sees("]") {
                true => None,
                false => Some(named(text, "a reduction", ReduceOp::from_name)?),
            };
            Attr::Bulk { multicast, reduce, eviction, mode }
        }
        Signature::Ldmatrix | Signature::Stmatrix => {
            Attr::Ldmatrix { count: text.number()?, trans: text.eat("trans") }
        }
        Signature::Check => {
            let kind = named(text, "the kind of a check", CheckKind::from_name)?;
            let message = if text.sees("\"") { Some(text.string()?.into()) } else { None };
            Attr::Check(kind, message)
        }
        Signature::CpAsync | Signature::WgmmaWait => Attr::Count(text.number()?),
        _ => return text.error(format!("`{}` takes nothing in brackets", op.name())),
    })
}

fn wgmma(text: &mut Cursor<'_>) -> Parsed<Attr> {
    let shape = named(text, "a matrix shape", MmaShape::from_name)?;
    let a = if text.eat("a") { Some(layout(text)?) } else { None };
    text.expect("b")?;
    Ok(Attr::Wgmma(Wgmma { shape, a, b: layout(text)? }))
}

fn tcgen05(text: &mut Cursor<'_>) -> Parsed<Attr> {
    let (m, n, ab, cd) = named(text, "a matrix shape", shape_from_name)?;
    let group = group(text);
    let a = if text.eat("a") { Some(layout(text)?) } else { None };
    text.expect("b")?;
    let b = layout(text)?;
    let scales = if text.eat("scales") { Some(scales(text)?) } else { None };
    Ok(Attr::Tcgen05(Tcgen05 { group, m, n, ab, cd, a, b, scales }))
}

/// The blocks that an instruction is of: one, unless it says that it is a pair.
fn group(text: &mut Cursor<'_>) -> Group {
    if text.eat(Group::Pair.name()) { Group::Pair } else { Group::One }
}

fn scales(text: &mut Cursor<'_>) -> Parsed<Scales> {
    let kind = named(text, "a kind of scaled products", ScaledKind::from_name)?;
    let ty = named(text, "a type of scales", ScaleType::from_name)?;
    let [count, a_byte, b_byte] = [text.number()?, text.number()?, text.number()?];
    Ok(Scales { kind, ty, count, a_byte, b_byte })
}

/// How a factor lies in shared memory.
fn layout(text: &mut Cursor<'_>) -> Parsed<SmemLayout> {
    let mn_major = text.eat("mn");
    if !mn_major {
        text.expect("k")?;
    }
    let swizzle = named(text, "a swizzle", Swizzle::from_name)?;
    let leading = text.number()?;
    Ok(SmemLayout { swizzle, mn_major, leading, stride: text.number()? })
}

fn variable(text: &mut Cursor<'_>) -> Parsed<Attr> {
    let var = VarId(text.tagged("v")?);
    if !text.eat("stride") {
        return Ok(Attr::Var { var, stride: 1, count: 1 });
    }
    let stride = text.number()?;
    text.expect("count")?;
    Ok(Attr::Var { var, stride, count: text.number()? })
}

fn constant(text: &mut Cursor<'_>) -> Parsed<Const> {
    let ty = scalar(text)?;
    if ty == Scalar::Bool {
        return match text.word()? {
            "true" => Ok(Const::bool(true)),
            "false" => Ok(Const::bool(false)),
            _ => text.error("expected `true` or `false`"),
        };
    }
    if !ty.is_int() {
        return Ok(Const::new(ty, text.bits()?));
    }
    let value: i128 = text.number()?;
    let c = Const::int(ty, value);
    if c.as_int() == value { Ok(c) } else { text.error(format!("{value} is no {ty}")) }
}

/// The name of a scalar type.
pub(super) fn scalar(text: &mut Cursor<'_>) -> Parsed<Scalar> {
    named(text, "a scalar type", Scalar::from_name)
}

/// Something known by name.
pub(super) fn named<T>(
    text: &mut Cursor<'_>,
    what: &str,
    find: impl Fn(&str) -> Option<T>,
) -> Parsed<T> {
    let name = text.word()?;
    match find(name) {
        Some(found) => Ok(found),
        None => text.error(format!("`{name}` is not {what}")),
    }
}
