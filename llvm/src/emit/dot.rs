//! Dot products of bytes without an instruction for them.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::{Writer, splat};

impl Writer {
    /// The operation `dot4` on words `a` and `b` and a sum, for each lane: each byte is moved to the
    /// top of its word and back down, by a shift that extends it as `signed` says, then multiplied.
    pub fn dot4(&mut self, [a, b, c]: [&str; 3], signed: [bool; 2], lanes: Option<u32>) -> String {
        let mut sum = c.to_owned();
        for i in 0..4 {
            let x = self.byte(a, i, signed[0], lanes);
            let y = self.byte(b, i, signed[1], lanes);
            let ty = super::llvm_type(Scalar::I32, lanes);
            let product = self.value(format!("mul {ty} {x}, {y}"));
            sum = self.value(format!("add {ty} {sum}, {product}"));
        }
        sum
    }

    fn byte(&mut self, word: &str, i: u32, signed: bool, lanes: Option<u32>) -> String {
        let ty = super::llvm_type(Scalar::I32, lanes);
        let by = |n: u32| splat(Const::int(Scalar::U32, n.into()), lanes);
        let top = self.value(format!("shl {ty} {word}, {}", by(24 - 8 * i)));
        let shift = if signed { "ashr" } else { "lshr" };
        self.value(format!("{shift} {ty} {top}, {}", by(24)))
    }
}
