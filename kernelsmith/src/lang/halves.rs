//! Two 16-bit floats in a word, as chips compute with both at once.

use std::marker::PhantomData;

use kernelsmith_ir::mma::Operand;
use kernelsmith_ir::{Attr, Opcode, Scalar, Type, Value};

use super::element::{Element, Float};
use super::matrix::{Fragment, MatrixA};
use super::stage::{build, fail};
use super::val::Val;
use super::wgmma::WgmmaAtom;

/// Two `f16` or `bf16` in a word of 32 bits, the first in its lower half. [`mul_add`](Pair::mul_add) is one
/// instruction on NVIDIA (PTX ISA, `fma`: `.f16x2`, and `.bf16x2` from sm_80 on).
///
/// ```
/// use kernelsmith::prelude::*;
///
/// /// Unsigned integers of 4 bits, from bits 0 and 16 on of a word, minus 8. What an f16 of 1024 has in its
/// /// last bits counts as an integer.
/// fn centred(word: Val<u32>) -> Val<u32> {
///     let both = |x| Pair::splat(Val::<f16>::lit(x));
///     Pair::<f16>::from_bits(word & 0x000f_000f | 0x6400_6400).mul_add(both(1.0), both(-1032.0)).to_bits()
/// }
/// ```
pub struct Pair<T: Float> {
    id: Value,
    ty: PhantomData<T>,
}

impl<T: Float> Clone for Pair<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Float> Copy for Pair<T> {}

impl<T: Float> Pair<T> {
    const TYPE: Type = Type::Vector(T::TYPE, 2);

    /// A value, if the type has 16 bits.
    #[track_caller]
    fn made(op: Opcode, operands: &[Value]) -> Self {
        if T::TYPE.size() != 2 {
            fail(format!("pairs are of f16 or bf16, not of {}", T::TYPE));
        }
        let id = build(|b| b.emit1(op, Attr::None, operands, Self::TYPE));
        Pair { id, ty: PhantomData }
    }

    /// Two numbers.
    #[track_caller]
    pub fn new(low: Val<T>, high: Val<T>) -> Self {
        Self::made(Opcode::VecMake, &[low.id, high.id])
    }

    /// A number twice.
    #[track_caller]
    pub fn splat(x: Val<T>) -> Self {
        Self::new(x, x)
    }

    /// The two whose bits these are.
    #[track_caller]
    pub fn from_bits(word: Val<u32>) -> Self {
        Self::made(Opcode::Bitcast, &[word.id])
    }

    /// Both rounded to nearest, ties to even, by one instruction (PTX ISA, `cvt`: `.f16x2`, `.bf16x2`).
    #[track_caller]
    pub fn from_f32(low: Val<f32>, high: Val<f32>) -> Self {
        let ty = Type::Vector(Scalar::F32, 2);
        let wide = build(|b| b.emit1(Opcode::VecMake, Attr::None, &[low.id, high.id], ty));
        Self::made(Opcode::Cast, &[wide])
    }

    /// The word.
    #[track_caller]
    pub fn to_bits(self) -> Val<u32> {
        let ty = Scalar::U32.into();
        Val::from_id(build(|b| b.emit1(Opcode::Bitcast, Attr::None, &[self.id], ty)))
    }

    /// `self * a + b` of both, each rounded once.
    #[track_caller]
    pub fn mul_add(self, a: Pair<T>, b: Pair<T>) -> Self {
        Self::made(Opcode::Fma, &[self.id, a.id, b.id])
    }

    /// One of the two.
    #[track_caller]
    fn lane(self, lane: u8) -> Value {
        let ty = T::TYPE.into();
        build(|b| b.emit1(Opcode::VecExtract, Attr::Lane(lane), &[self.id], ty))
    }

    /// The first one.
    #[track_caller]
    pub fn low(self) -> Val<T> {
        Val::from_id(self.lane(0))
    }

    /// The second one.
    #[track_caller]
    pub fn high(self) -> Val<T> {
        Val::from_id(self.lane(1))
    }
}

impl<S: WgmmaAtom> Fragment<S, MatrixA>
where
    S::Input: Float,
{
    /// The left factor of which a thread's elements are these, two by two in their order.
    #[track_caller]
    pub fn from_pairs(pairs: &[Pair<S::Input>]) -> Self {
        let ty = S::SHAPE.fragment_type(Operand::A);
        if ty != Type::Vector(S::Input::TYPE, 2 * pairs.len() as u8) {
            fail(format!("{} pairs for a left factor of {}, a {ty}", pairs.len(), S::SHAPE.name()));
        }
        // No closure, so that operations stand at the caller's line.
        let mut elements = Vec::new();
        for pair in pairs {
            elements.extend([pair.lane(0), pair.lane(1)]);
        }
        Fragment::of(build(|b| b.emit1(Opcode::VecMake, Attr::None, &elements, ty)))
    }
}
