//! Dot products of bytes and of bf16 without an instruction for them.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::{Writer, llvm_type, splat, suffix};

impl Writer {
    /// The operation `dot4` on words `a` and `b` and a sum, for each lane: each byte is moved to the
    /// top of its word and back down, by a shift that extends it as `signed` says, then multiplied.
    pub fn dot4(&mut self, [a, b, c]: [&str; 3], signed: [bool; 2], lanes: Option<u32>) -> String {
        let mut sum = c.to_owned();
        for i in 0..4 {
            let x = self.byte(a, i, signed[0], lanes);
            let y = self.byte(b, i, signed[1], lanes);
            let ty = llvm_type(Scalar::I32, lanes);
            let product = self.value(format!("mul {ty} {x}, {y}"));
            sum = self.value(format!("add {ty} {sum}, {product}"));
        }
        sum
    }

    /// The operation `dot2` on words `a` and `b` of bf16, which are the upper halves of f32, and a sum.
    pub fn dot2(&mut self, [a, b, c]: [&str; 3], lanes: Option<u32>) -> String {
        let float = llvm_type(Scalar::F32, lanes);
        let name = format!("llvm.fma.{}", suffix(Scalar::F32, lanes));
        let mut sum = c.to_owned();
        for (op, by) in [("and", 0xffff_0000), ("shl", 16)] {
            let [x, y] = [a, b].map(|word| self.upper_half(op, word, by, lanes));
            let arguments = [x, y, sum].map(|x| (float.clone(), x));
            sum = self.call(&float, &name, &arguments);
        }
        sum
    }

    fn upper_half(&mut self, op: &str, word: &str, by: u32, lanes: Option<u32>) -> String {
        let (int, float) = (llvm_type(Scalar::I32, lanes), llvm_type(Scalar::F32, lanes));
        let by = splat(Const::int(Scalar::U32, by.into()), lanes);
        let bits = self.value(format!("{op} {int} {word}, {by}"));
        self.value(format!("bitcast {int} {bits} to {float}"))
    }

    fn byte(&mut self, word: &str, i: u32, signed: bool, lanes: Option<u32>) -> String {
        let ty = llvm_type(Scalar::I32, lanes);
        let by = |n: u32| splat(Const::int(Scalar::U32, n.into()), lanes);
        let top = self.value(format!("shl {ty} {word}, {}", by(24 - 8 * i)));
        let shift = if signed { "ashr" } else { "lshr" };
        self.value(format!("{shift} {ty} {top}, {}", by(24)))
    }
}
