//! Dot products of bytes: by VNNI where the processor has it, else by products of 16-bit pairs; and of
//! bf16, by AVX512-BF16 or as multiply-adds.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Inst, Scalar, Type};
use kernelsmith_llvm::emit::splat;

use super::value::{LANES, Lanes};
use super::{Lowering, vector_text};

/// What the processor has for dot products of bytes, and the bits of its registers for that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dot {
    /// Nothing known.
    Plain,
    /// `pmaddwd`: two products of 16 bits and their sum (Intel SDM volume 2, PMADDWD).
    Pairs(u32),
    /// `vpdpbusd`: four products of an unsigned and a signed byte, and a sum that wraps (Intel SDM
    /// volume 2, VPDPBUSD).
    Quads(u32),
}

const INT: Type = Type::Scalar(Scalar::I32);
const FLOAT: Type = Type::Scalar(Scalar::F32);

/// A vector of all lanes' words.
const WORDS: &str = "<32 x i32>";
const FLOATS: &str = "<32 x float>";

impl Lowering<'_> {
    pub(super) fn dot4(&mut self, inst: &Inst) {
        let operands = [0, 1, 2].map(|i| self.get(inst.operands[i]));
        let signed = [0, 1].map(|i| self.ty(inst.operands[i]).elem().is_signed());
        let [a, b, c] = operands.each_ref().map(|o| o.uniform());
        if let (Some(a), Some(b), Some(c)) = (a, b, c) {
            let value = self.w.dot4([a, b, c], signed, None);
            return self.define(inst, Lanes::Uniform(value));
        }
        debug_assert_eq!(vector_text(INT), WORDS);
        let [a, b, c] = operands.map(|o| self.vector(&o, INT));
        let value = match self.features.dot {
            Dot::Plain => self.w.dot4([&a, &b, &c], signed, Some(LANES)),
            Dot::Pairs(bits) => self.dot_of_pairs(bits, [a, b, c], signed),
            Dot::Quads(bits) => self.dot_of_quads(bits, [a, b, c], signed),
        };
        self.define(inst, Lanes::Vector(value));
    }

    /// Also of scalars: so a kernel's sums do not depend on whether all lanes agree on a word.
    pub(super) fn dot2(&mut self, inst: &Inst) {
        let operands = [0, 1, 2].map(|i| self.get(inst.operands[i]));
        let [a, b, c] = operands.each_ref().map(|o| o.uniform());
        let uniform = if let (Some(a), Some(b), Some(c)) = (a, b, c) {
            if !self.features.dot_of_bf16 {
                let value = self.w.dot2([a, b, c], None);
                return self.define(inst, Lanes::Uniform(value));
            }
            true
        } else {
            false
        };
        let [a, b] = [0, 1].map(|i| self.vector(&operands[i], Type::U32));
        let c = self.vector(&operands[2], FLOAT);
        let value = match self.features.dot_of_bf16 {
            true => self.dot_of_bf16([c, a, b]),
            false => self.w.dot2([&a, &b, &c], Some(LANES)),
        };
        let value = match uniform {
            true => Lanes::Uniform(self.w.value(format!("extractelement {FLOATS} {value}, i32 0"))),
            false => Lanes::Vector(value),
        };
        self.define(inst, value);
    }

    /// `vdpbf16ps` takes the upper products first (Intel SDM volume 2, VDPBF16PS).
    fn dot_of_bf16(&mut self, [sum, a, b]: [String; 3]) -> String {
        let sum = self.w.value(format!("bitcast {FLOATS} {sum} to {WORDS}"));
        let words = self.by_pieces(512, [&sum, &a, &b], |lowering, [sum, a, b]| {
            let mut cast = |x: &str, ty: &str| {
                (ty.to_owned(), lowering.w.value(format!("bitcast <16 x i32> {x} to {ty}")))
            };
            let sum = cast(&sum, "<16 x float>");
            let factors = [a, b].map(|x| cast(&x, "<32 x bfloat>"));
            let [a, b] = factors;
            let name = "llvm.x86.avx512bf16.dpbf16ps.512";
            let sum = lowering.w.call("<16 x float>", name, &[sum, a, b]);
            lowering.w.value(format!("bitcast <16 x float> {sum} to <16 x i32>"))
        });
        self.w.value(format!("bitcast {WORDS} {words} to {FLOATS}"))
    }

    /// Factors of one sign become an unsigned and a signed one by flipping the highest bits of one,
    /// which moves its bytes by 128; what that adds is taken from the sum.
    fn dot_of_quads(&mut self, bits: u32, [a, b, c]: [String; 3], signed: [bool; 2]) -> String {
        let high = splat(Const::int(Scalar::U32, 0x8080_8080), Some(LANES));
        let mut flip = |x: &str| self.w.value(format!("xor {WORDS} {x}, {high}"));
        let (unsigned, other, moved) = match signed {
            [false, true] => return self.quads(bits, &c, &a, &b),
            [true, false] => return self.quads(bits, &c, &b, &a),
            // (a + 128) * b - 128 * b.
            [true, true] => (flip(&a), b.clone(), [high.as_str(), b.as_str()]),
            // a * (b - 128) - a * -128.
            [false, false] => (a.clone(), flip(&b), [a.as_str(), high.as_str()]),
        };
        let moved = self.quads(bits, "zeroinitializer", moved[0], moved[1]);
        let sum = self.w.value(format!("sub {WORDS} {c}, {moved}"));
        self.quads(bits, &sum, &unsigned, &other)
    }

    fn quads(&mut self, bits: u32, sum: &str, unsigned: &str, signed: &str) -> String {
        let piece = format!("<{} x i32>", bits / 32);
        // The types of LLVM up to 21, which newer ones take as well.
        let name = format!("llvm.x86.avx512.vpdpbusd.{bits}");
        self.by_pieces(bits, [sum, unsigned, signed], |lowering, pieces| {
            let arguments = pieces.map(|x| (piece.clone(), x));
            lowering.w.call(&piece, &name, &arguments)
        })
    }

    /// Bytes 0 and 2 of each word are one pair of 16-bit numbers, 1 and 3 the other.
    fn dot_of_pairs(&mut self, bits: u32, [a, b, c]: [String; 3], signed: [bool; 2]) -> String {
        let [a, b] = [(a, signed[0]), (b, signed[1])].map(|(x, signed)| self.pairs(&x, signed));
        let even = self.pair_products(bits, &a[0], &b[0]);
        let odd = self.pair_products(bits, &a[1], &b[1]);
        let sum = self.w.value(format!("add {WORDS} {even}, {odd}"));
        self.w.value(format!("add {WORDS} {sum}, {c}"))
    }

    /// The even and the odd bytes, extended to 16 bits, as words again.
    fn pairs(&mut self, words: &str, signed: bool) -> [String; 2] {
        let halves = self.w.value(format!("bitcast {WORDS} {words} to <64 x i16>"));
        let shift = if signed { "ashr" } else { "lshr" };
        let low = self.w.value(format!("shl <64 x i16> {halves}, splat (i16 8)"));
        [low, halves].map(|x| {
            let extended = self.w.value(format!("{shift} <64 x i16> {x}, splat (i16 8)"));
            self.w.value(format!("bitcast <64 x i16> {extended} to {WORDS}"))
        })
    }

    fn pair_products(&mut self, bits: u32, a: &str, b: &str) -> String {
        let name = match bits {
            512 => "llvm.x86.avx512.pmaddw.d.512",
            256 => "llvm.x86.avx2.pmadd.wd",
            _ => "llvm.x86.sse2.pmadd.wd",
        };
        let (words, halves) = (format!("<{} x i32>", bits / 32), format!("<{} x i16>", bits / 16));
        self.by_pieces(bits, [a, b], |lowering, pieces| {
            let arguments = pieces.map(|x| {
                let x = lowering.w.value(format!("bitcast {words} {x} to {halves}"));
                (halves.clone(), x)
            });
            lowering.w.call(&words, name, &arguments)
        })
    }

    /// Applies an intrinsic for registers of some width to all lanes.
    fn by_pieces<const N: usize>(
        &mut self,
        bits: u32,
        operands: [&str; N],
        mut apply: impl FnMut(&mut Self, [String; N]) -> String,
    ) -> String {
        let len = bits / 32;
        let mut parts = Vec::new();
        for first in (0..LANES).step_by(len as usize) {
            let pieces = operands.map(|x| {
                let picked = indices(first..first + len);
                self.w.value(format!(
                    "shufflevector {WORDS} {x}, {WORDS} poison, <{len} x i32> {picked}"
                ))
            });
            parts.push(apply(self, pieces));
        }
        let mut len = len;
        while parts.len() > 1 {
            let ty = format!("<{len} x i32>");
            let all = indices(0..2 * len);
            len *= 2;
            let join = |pair: &[String]| {
                let [low, high] = [&pair[0], &pair[1]];
                let text = format!("shufflevector {ty} {low}, {ty} {high}, <{len} x i32> {all}");
                self.w.value(text)
            };
            parts = parts.chunks(2).map(join).collect();
        }
        parts.swap_remove(0)
    }
}

/// A mask of `shufflevector`.
fn indices(range: std::ops::Range<u32>) -> String {
    format!("<{}>", range.map(|i| format!("i32 {i}")).collect::<Vec<_>>().join(", "))
}
