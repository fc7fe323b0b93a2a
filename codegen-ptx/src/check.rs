//! Checks: a branch to a cold tail that claims the launch's error record and ends the thread.

use kernelsmith_ir::Inst;
use kernelsmith_ir::check::ErrorRecord;

use crate::emit::{Emitter, TextLabel, ins};
use crate::reg::{Class, Operand, Reg};

/// A check to be written at the end of the function.
pub(crate) struct Failure {
    label: TextLabel,
    check: u32,
    /// What the check shows.
    values: Vec<Operand>,
}

impl<'k> Emitter<'k> {
    pub(crate) fn check(&mut self, inst: &Inst) {
        // Numbered as `Kernel::checks` lists them: in program order, removable ones included.
        let check = self.checks;
        self.checks += 1;
        if self.constant(inst.operands[0]).is_some_and(|c| c.bits != 0) {
            return;
        }
        let condition = self.reg(inst.operands[0]);
        let values = inst.operands[1..].iter().map(|&v| self.operand(v)).collect();
        let label = self.new_label("failed");
        ins!(self, "@!{condition} bra {label};");
        self.failures.push(Failure { label, check, values });
    }

    /// The tail that all checks share. `record` is the name of the hidden parameter.
    ///
    /// Every thread that fails ends by `exit`, which counts as its arrival at barriers (PTX ISA,
    /// `exit`), so the others of its block go on.
    pub(crate) fn failure_tail(&mut self, record: &str) {
        let failures = std::mem::take(&mut self.failures);
        if failures.is_empty() {
            return;
        }
        let check = self.new_reg(Class::B32);
        let most = failures.iter().map(|f| f.values.len()).max().unwrap_or(0);
        let shown: Vec<Reg> = (0..most).map(|_| self.new_reg(Class::B64)).collect();
        let report = self.new_label("report");
        for failure in failures {
            self.place(failure.label);
            self.mov(check, Operand::u32(failure.check));
            let zero =
                Operand::Const(kernelsmith_ir::attr::Const::new(kernelsmith_ir::Scalar::U64, 0));
            let values = failure.values.into_iter().chain(std::iter::repeat(zero));
            // The sources are values of the kernel, never the targets.
            shown.iter().zip(values).for_each(|(&to, from)| self.mov(to, from));
            ins!(self, "bra.uni {report};");
        }
        self.place(report);
        self.report(record, check, &shown);
    }

    fn report(&mut self, record: &str, check: Reg, shown: &[Reg]) {
        let generic = self.new_reg(Class::B64);
        ins!(self, "ld.param.u64 {generic}, [{record}];");
        let at = self.op("cvta.to.global.u64", Class::B64, &[generic.into()]);
        let old = self.new_reg(Class::B32);
        ins!(self, "atom.relaxed.gpu.global.cas.b32 {old}, [{at}+{}], 0, 1;", ErrorRecord::STATE);
        let claimed = self.op("setp.ne.u32", Class::Pred, &[old.into(), Operand::u32(0)]);
        ins!(self, "@{claimed} exit;");
        ins!(self, "st.global.u32 [{at}+{}], {check};", ErrorRecord::CHECK);
        for (i, value) in shown.iter().enumerate() {
            ins!(self, "st.global.u64 [{at}+{}], {value};", ErrorRecord::VALUES + 8 * i as u32);
        }
        for (name, offset) in [("ctaid", ErrorRecord::BLOCK), ("tid", ErrorRecord::THREAD)] {
            for (i, axis) in ["x", "y", "z"].into_iter().enumerate() {
                let reg = self.new_reg(Class::B32);
                ins!(self, "mov.u32 {reg}, %{name}.{axis};");
                ins!(self, "st.global.u32 [{at}+{}], {reg};", offset + 4 * i as u32);
            }
        }
        ins!(self, "exit;");
    }
}
