//! Checks: a test that is never taken, and the block's end.

use kernelsmith_ir::attr::CheckKind;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Attr, Inst, Type};

use super::value::{LANES, Lanes};
use super::{Lowering, MASK};

impl Lowering<'_> {
    pub(super) fn check(&mut self, inst: &Inst) {
        let number = self.plan.check_number(inst);
        let [fail, pass] = ["fail", "pass"].map(|what| self.w.label(what));
        let condition = self.get(inst.operands[0]);
        let bounds = match (&inst.attr, &inst.operands[..]) {
            (Attr::Check(CheckKind::Bounds, _), [_, index, len]) => {
                Some((self.get(*index), self.get(*len)))
            }
            _ => None,
        };
        let ok = match (&condition, &bounds) {
            (Lanes::Uniform(ok), _) => ok.clone(),
            // So that indices of a warp wrap at most once.
            (_, Some((Lanes::Affine { base, stride, .. }, Lanes::Uniform(len))))
                if stride.unsigned_abs() < 1 << 32 =>
            {
                self.affine_check(base, *stride, len)
            }
            _ => {
                let failing = self.failing(&condition);
                let any = self.any(&failing);
                self.w.value(format!("xor i1 {any}, true"))
            }
        };
        self.w.line(format!(
            "br i1 {ok}, label %{pass}, label %{fail}, !prof !{{!\"branch_weights\", i32 1048575, i32 1}}"
        ));
        self.w.begin_block(&fail);
        let values: Vec<Lanes> = inst.operands[1..].iter().map(|&v| self.get(v)).collect();
        self.report(number, &condition, &values);
        self.w.line("ret void");
        self.w.begin_block(&pass);
    }

    /// The active lanes for which a condition does not hold.
    fn failing(&mut self, condition: &Lanes) -> String {
        let condition = self.vector(condition, Type::BOOL);
        let opposite = self.mask_not(&condition);
        self.mask_and(&opposite)
    }

    /// Evenly spaced indices are in bounds if the first and last active ones are, in order.
    fn affine_check(&mut self, base: &str, stride: i64, len: &str) -> String {
        let ends = [self.first_lane(), self.last_lane()].map(|lane| {
            let lane = self.w.value(format!("zext i32 {lane} to i64"));
            let offset = self.w.value(format!("mul i64 {lane}, {stride}"));
            self.w.value(format!("add i64 {base}, {offset}"))
        });
        let [low, high] = if stride < 0 { [&ends[1], &ends[0]] } else { [&ends[0], &ends[1]] };
        // Out of order means that some lane wrapped.
        let ordered = self.w.value(format!("icmp ule i64 {low}, {high}"));
        let inside = self.w.value(format!("icmp ult i64 {high}, {len}"));
        self.w.value(format!("and i1 {ordered}, {inside}"))
    }

    /// Claims the error record for the first failing lane.
    fn report(&mut self, number: u32, condition: &Lanes, values: &[Lanes]) {
        let lane = match condition {
            Lanes::Uniform(_) => self.first_lane(),
            condition => {
                let failing = self.failing(condition);
                let bits = self.w.value(format!("bitcast {MASK} {failing} to i32"));
                self.w.declare("declare i32 @llvm.cttz.i32(i32, i1)");
                self.w.value(format!("call i32 @llvm.cttz.i32(i32 {bits}, i1 false)"))
            }
        };
        let pair = self.w.value("cmpxchg ptr %record, i32 0, i32 1 monotonic monotonic");
        let won = self.w.value(format!("extractvalue {{ i32, i1 }} {pair}, 1"));
        let [claimed, ended] = ["claimed", "ended"].map(|what| self.w.label(what));
        self.w.line(format!("br i1 {won}, label %{claimed}, label %{ended}"));
        self.w.begin_block(&claimed);
        self.field(ErrorRecord::CHECK, "i32", &number.to_string());
        for (i, value) in values.iter().enumerate() {
            let vector = self.vector(value, Type::U64);
            let value =
                self.w.value(format!("extractelement <{LANES} x i64> {vector}, i32 {lane}"));
            self.field(ErrorRecord::VALUES + 8 * i as u32, "i64", &value);
        }
        let thread = self.w.value(format!("mul i32 {}, {LANES}", self.warp));
        let thread = self.w.value(format!("add i32 {thread}, {lane}"));
        let [dx, dy, _] = self.block;
        let x = self.w.value(format!("urem i32 {thread}, {dx}"));
        let row = self.w.value(format!("udiv i32 {thread}, {dx}"));
        let y = self.w.value(format!("urem i32 {row}, {dy}"));
        let z = self.w.value(format!("udiv i32 {row}, {dy}"));
        for (axis, thread) in [x, y, z].iter().enumerate() {
            let offset = 4 * axis as u32;
            self.field(ErrorRecord::THREAD + offset, "i32", thread);
            self.field(ErrorRecord::BLOCK + offset, "i32", ["%bx", "%by", "%bz"][axis]);
        }
        self.w.line(format!("br label %{ended}"));
        self.w.begin_block(&ended);
    }

    fn field(&mut self, offset: u32, ty: &str, value: &str) {
        let at = self.w.value(format!("getelementptr i8, ptr %record, i64 {offset}"));
        self.w.line(format!("store {ty} {value}, ptr {at}, align 4"));
    }
}
