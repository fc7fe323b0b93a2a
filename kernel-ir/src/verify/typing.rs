//! Typing rules: one function for each form of signature.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Rule, Verifier};
use crate::attr::{Attr, CheckKind};
use crate::check::ErrorRecord;
use crate::kernel::Inst;
use crate::op::{Class, Opcode, Signature};
use crate::types::{Scalar, Type};

/// How many operands and results a signature has; `None` where what surrounds it decides.
fn counts(inst: &Inst) -> Option<(RangeInclusive<usize>, usize)> {
    let (operands, results) = match inst.op.info().signature {
        Signature::Const | Signature::Id(_) | Signature::Address => (0, 1),
        Signature::Unary(_) | Signature::Count(_) | Signature::Cast | Signature::Bitcast => (1, 1),
        Signature::VecExtract | Signature::Load | Signature::Ldmatrix => (1, 1),
        Signature::Vote | Signature::Ballot | Signature::Match | Signature::Reduce => (1, 1),
        Signature::AtomicLoad | Signature::PtrCast => (1, 1),
        Signature::Binary(_) | Signature::Shift | Signature::Compare(_) => (2, 1),
        Signature::VecInsert | Signature::PtrAdd | Signature::Shuffle => (2, 1),
        Signature::AtomicRmw => (2, 1),
        Signature::Ternary(_) | Signature::Select | Signature::AtomicCas | Signature::Mma => (3, 1),
        Signature::Dot4 | Signature::Dot2 => (3, 1),
        Signature::VecMake => return Some((2..=128, 1)),
        Signature::VarAccess => match inst.op {
            Opcode::VarLoad => (0, 1),
            Opcode::VarStore => (1, 0),
            Opcode::VarLoadAt => (1, 1),
            _ => (2, 0),
        },
        Signature::Store | Signature::AtomicStore | Signature::CpAsync => (2, 0),
        Signature::Nothing => (0, 0),
        Signature::Elect => (0, 1),
        Signature::Stmatrix | Signature::MbarrierInit => (2, 0),
        Signature::Wgmma => (4, 1),
        Signature::TensorAlloc | Signature::TensorFree => (1, 0),
        Signature::TensorYield => (0, 0),
        Signature::TensorCommit => match inst.attr {
            Attr::Commit { multicast: true, .. } => (2, 0),
            _ => (1, 0),
        },
        Signature::TensorLoad => (1, 1),
        Signature::TensorStore => (2, 0),
        Signature::Tcgen05 => match &inst.attr {
            Attr::Tcgen05(product) if product.scales.is_some() => (6, 0),
            _ => (4, 0),
        },
        Signature::TensorCopy => (2, 0),
        Signature::WgmmaWait => return Some((0..=64, inst.operands.len())),
        Signature::MbarrierArrive | Signature::TmaPrefetch => (1, 0),
        Signature::MbarrierExpect | Signature::MbarrierWait => (2, 0),
        Signature::MbarrierTest | Signature::MapShared => (2, 1),
        // To, map, barrier, five coordinates, three offsets, blocks.
        Signature::TmaLoad => return Some((4..=12, 0)),
        Signature::TmaStore => return Some((3..=7, 0)),
        Signature::TmaFetch => return Some((2..=9, 0)),
        Signature::BulkFetch => (2, 0),
        Signature::BulkLoad => return Some((4..=5, 0)),
        Signature::BulkStore => (3, 0),
        Signature::Prefetch => (1, 0),
        Signature::Check => match inst.attr {
            Attr::Check(CheckKind::Bounds, _) => (3, 0),
            Attr::Check(CheckKind::Assert, _) => {
                return Some((1..=1 + ErrorRecord::VALUE_COUNT, 0));
            }
            _ => (1, 0),
        },
        Signature::If | Signature::For | Signature::Loop => return None,
        Signature::Block | Signature::Terminator => return None,
    };
    Some((operands..=operands, results))
}

impl<'k> Verifier<'k> {
    /// Checks an operation by itself: its attribute, its operands, its results, and for control
    /// flow how it fits what encloses it.
    pub(super) fn form(&mut self, inst: &'k Inst) {
        let kind = self.attribute_kind(inst);
        self.region_count(inst);
        if !kind {
            return;
        }
        self.attribute_value(inst);
        let Some((operands, results)) = counts(inst) else {
            return self.control(inst);
        };
        let fits = self.operand_count(inst, operands);
        if self.result_count(inst, results) && fits {
            self.types(inst);
        }
    }

    pub(super) fn operand_count(&mut self, inst: &Inst, expected: RangeInclusive<usize>) -> bool {
        let fits = expected.contains(&inst.operands.len());
        if !fits {
            let (least, most) = (expected.start(), expected.end());
            let expected =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            let found = format!("{} operands", inst.operands.len());
            self.breach(Rule::OperandCount, Some(inst), found, expected);
        }
        fits
    }

    pub(super) fn result_count(&mut self, inst: &Inst, expected: usize) -> bool {
        let fits = inst.results.len() == expected;
        if !fits {
            let found = format!("{} results", inst.results.len());
            self.breach(Rule::ResultCount, Some(inst), found, expected);
        }
        fits
    }

    fn types(&mut self, inst: &Inst) {
        match inst.op.info().signature {
            Signature::Const => {
                if let Attr::Const(c) = inst.attr {
                    self.result_is(inst, c.ty.into());
                }
            }
            Signature::Id(_) => self.result_is(inst, Type::U32),
            Signature::Unary(class) | Signature::Binary(class) | Signature::Ternary(class) => {
                self.elementwise(inst, class);
            }
            Signature::Count(class) => {
                self.class_scalar(inst, class);
                self.result_is(inst, Type::U32);
            }
            Signature::Shift => self.shift(inst),
            Signature::Dot4 => self.dot4(inst),
            Signature::Dot2 => {
                self.operand_is(inst, 0, Type::U32);
                self.operand_is(inst, 1, Type::U32);
                self.operand_is(inst, 2, Scalar::F32.into());
                self.result_is(inst, Scalar::F32.into());
            }
            Signature::Compare(class) => self.compare(inst, class),
            Signature::Select => {
                self.operand_is(inst, 0, Type::BOOL);
                let ty = self.operand(inst, 1);
                self.operand_is(inst, 2, ty);
                self.result_is(inst, ty);
            }
            Signature::Cast => self.cast(inst),
            Signature::Bitcast => self.bitcast(inst),
            Signature::VecMake => self.vec_make(inst),
            Signature::VecExtract | Signature::VecInsert => self.lane(inst),
            Signature::Check => {
                self.operand_is(inst, 0, Type::BOOL);
                for i in 1..inst.operands.len() {
                    self.operand_is(inst, i, Type::U64);
                }
            }
            Signature::Shuffle
            | Signature::Vote
            | Signature::Ballot
            | Signature::Match
            | Signature::Reduce
            | Signature::Mma
            | Signature::Ldmatrix => self.collective(inst),
            Signature::Stmatrix
            | Signature::Elect
            | Signature::Wgmma
            | Signature::WgmmaWait
            | Signature::TensorAlloc
            | Signature::TensorFree
            | Signature::TensorYield
            | Signature::TensorCommit
            | Signature::TensorLoad
            | Signature::TensorStore
            | Signature::Tcgen05
            | Signature::TensorCopy
            | Signature::MbarrierInit
            | Signature::MbarrierArrive
            | Signature::MbarrierExpect
            | Signature::MbarrierWait
            | Signature::MbarrierTest
            | Signature::MapShared
            | Signature::TmaLoad
            | Signature::TmaStore
            | Signature::TmaPrefetch
            | Signature::TmaFetch
            | Signature::BulkFetch
            | Signature::BulkLoad
            | Signature::BulkStore => self.asynchronous(inst),
            _ => self.memory(inst),
        }
    }

    /// The type of an operand that is there.
    pub(super) fn operand(&self, inst: &Inst, index: usize) -> Type {
        self.ty(inst.operands[index])
    }

    /// The type of the only result.
    pub(super) fn result(&self, inst: &Inst) -> Type {
        self.ty(inst.results[0])
    }

    pub(super) fn operand_is(&mut self, inst: &Inst, index: usize, expected: Type) {
        self.operand_fits(inst, index, self.operand(inst, index) == expected, expected);
    }

    /// Notes an operand that does not fit; returns whether it does.
    pub(super) fn operand_fits(
        &mut self,
        inst: &Inst,
        index: usize,
        fits: bool,
        expected: impl Display,
    ) -> bool {
        if !fits {
            let found = format!("operand {index} of type {}", self.operand(inst, index));
            self.breach(Rule::OperandType, Some(inst), found, expected);
        }
        fits
    }

    pub(super) fn result_is(&mut self, inst: &Inst, expected: Type) {
        self.result_fits(inst, self.result(inst) == expected, expected);
    }

    pub(super) fn result_fits(&mut self, inst: &Inst, fits: bool, expected: impl Display) {
        if !fits {
            let found = format!("a result of type {}", self.result(inst));
            self.breach(Rule::ResultType, Some(inst), found, expected);
        }
    }

    /// Operands and result of one type, scalar or vector.
    fn elementwise(&mut self, inst: &Inst, class: Class) {
        let ty = self.operand(inst, 0);
        let fits = ty.is_data() && class.contains(ty.elem());
        let expected = format_args!("{} or a vector of it", class.describe());
        if !self.operand_fits(inst, 0, fits, expected) {
            return;
        }
        for i in 1..inst.operands.len() {
            self.operand_is(inst, i, ty);
        }
        self.result_is(inst, ty);
    }

    fn class_scalar(&mut self, inst: &Inst, class: Class) {
        let fits = matches!(self.operand(inst, 0), Type::Scalar(s) if class.contains(s));
        self.operand_fits(inst, 0, fits, class.describe());
    }

    fn shift(&mut self, inst: &Inst) {
        let ty = self.operand(inst, 0);
        let fits = ty.is_data() && ty.elem().is_int();
        if self.operand_fits(inst, 0, fits, "an integer or a vector of it") {
            self.operand_is(inst, 1, ty.with_elem(Scalar::U32));
            self.result_is(inst, ty);
        }
    }

    fn dot4(&mut self, inst: &Inst) {
        for i in 0..2 {
            let ty = self.operand(inst, i);
            let word = [Scalar::U32, Scalar::I32].map(Type::Scalar).contains(&ty);
            self.operand_fits(inst, i, word, "u32 or i32");
        }
        self.operand_is(inst, 2, Scalar::I32.into());
        self.result_is(inst, Scalar::I32.into());
    }

    fn compare(&mut self, inst: &Inst, class: Class) {
        let ty = self.operand(inst, 0);
        let fits = match ty {
            Type::Scalar(s) => class.contains(s),
            Type::Ptr(..) => class == Class::Any,
            Type::Vector(..) | Type::TensorMap(..) => false,
        };
        let or_pointer = if class == Class::Any { " or a pointer" } else { "" };
        self.operand_fits(inst, 0, fits, format_args!("{}{or_pointer}", class.describe()));
        self.operand_is(inst, 1, ty);
        self.result_is(inst, Type::BOOL);
    }

    fn cast(&mut self, inst: &Inst) {
        let (from, to) = (self.operand(inst, 0), self.result(inst));
        if !self.operand_fits(inst, 0, from.is_data(), "a scalar or vector") {
            return;
        }
        use Scalar::{E4M3, E5M2, TF32};
        let (a, b) = (from.elem(), to.elem());
        let there = a == b
            || (a.is_num() && b.is_num())
            || (a == Scalar::Bool && b.is_int())
            || matches!(
                (a, b),
                (Scalar::F32, TF32 | E4M3 | E5M2) | (TF32 | E4M3 | E5M2, Scalar::F32)
            );
        let same_shape = to.is_data() && from.with_elem(b) == to;
        self.result_fits(
            inst,
            there && same_shape,
            format_args!("what `as` makes of {from}, in the same number of lanes"),
        );
    }

    fn bitcast(&mut self, inst: &Inst) {
        let (from, to) = (self.operand(inst, 0), self.result(inst));
        if self.operand_fits(inst, 0, from.is_data(), "a scalar or vector") {
            let bits = |ty: Type| ty.elem().bits() * ty.lanes();
            let fits = to.is_data() && bits(from) == bits(to);
            self.result_fits(inst, fits, format_args!("{} bits", bits(from)));
        }
    }

    fn vec_make(&mut self, inst: &Inst) {
        let first = self.operand(inst, 0);
        if self.operand_fits(inst, 0, matches!(first, Type::Scalar(_)), "a scalar") {
            for i in 1..inst.operands.len() {
                self.operand_is(inst, i, first);
            }
            self.result_is(inst, Type::Vector(first.elem(), inst.operands.len() as u8));
        }
    }

    fn lane(&mut self, inst: &Inst) {
        let ty = self.operand(inst, 0);
        if !self.operand_fits(inst, 0, matches!(ty, Type::Vector(..)), "a vector") {
            return;
        }
        let scalar = Type::Scalar(ty.elem());
        if let Attr::Lane(lane) = inst.attr
            && u32::from(lane) >= ty.lanes()
        {
            let expected = format!("one below {}", ty.lanes());
            self.breach(Rule::LaneInRange, Some(inst), format!("lane {lane}"), expected);
        }
        if inst.op == Opcode::VecInsert {
            self.operand_is(inst, 1, scalar);
            self.result_is(inst, ty);
        } else {
            self.result_is(inst, scalar);
        }
    }
}
