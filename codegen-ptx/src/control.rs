//! Structured control flow as labels and branches.
//!
//! Results and carried values have registers of their own, which the ends of regions write by
//! parallel copies. The results of a `for` are the registers of its carried values.

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::{Inst, Label, Opcode, Region, Value};

use crate::emit::{Emitter, TextLabel, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

/// An operation whose region is being written.
pub(crate) struct Frame {
    label: Option<Label>,
    results: Vec<Reg>,
    carried: Vec<Reg>,
    /// Where `break` goes.
    end: TextLabel,
    /// Where `continue` goes.
    next: TextLabel,
    end_used: bool,
    next_used: bool,
}

impl<'k> Emitter<'k> {
    /// Writes a region; its terminator jumps unless control falls through to where it leads.
    pub(crate) fn region(&mut self, region: &'k Region) -> Result<(), Error> {
        let mark = self.bases.mark();
        for (i, inst) in region.insts.iter().enumerate() {
            self.locate(inst);
            match inst.op {
                Opcode::WgmmaFence => self.wgmma_fence(&region.insts[i + 1..]),
                Opcode::If => self.if_(inst)?,
                Opcode::For => self.for_(inst)?,
                Opcode::Loop => self.loop_(inst)?,
                Opcode::Block => self.block(inst)?,
                Opcode::Yield => {
                    let results = self.top().results.clone();
                    self.copy_values(&results, &inst.operands);
                }
                Opcode::Break => self.break_(inst),
                Opcode::Continue => self.continue_(inst),
                Opcode::Return => ins!(self, "ret;"),
                _ => self.inst(inst)?,
            }
        }
        self.bases.reset(mark);
        Ok(())
    }

    fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the kernel is verified: the terminator has an owner")
    }

    fn copy_values(&mut self, to: &[Reg], values: &[Value]) {
        let from: Vec<Operand> = values.iter().flat_map(|&v| self.parts(v)).collect();
        self.copy(to, &from);
    }

    /// New registers for the results, bound to them.
    fn result_regs(&mut self, inst: &Inst) -> Vec<Reg> {
        let mut all = Vec::new();
        for &result in &inst.results {
            let regs = self.new_regs(self.ty(result));
            all.extend(&regs);
            self.bind_regs(result, regs);
        }
        all
    }

    /// New registers for a region's arguments from `first` on, set to the values.
    fn carried_regs(&mut self, region: &Region, first: usize, values: &[Value]) -> Vec<Reg> {
        let mut all = Vec::new();
        for &arg in &region.args[first..] {
            let regs = self.new_regs(self.ty(arg));
            all.extend(&regs);
            self.bind_regs(arg, regs);
        }
        self.copy_values(&all, values);
        all
    }

    fn push_frame(&mut self, inst: &Inst, results: Vec<Reg>, carried: Vec<Reg>) {
        let label = match inst.attr {
            Attr::Label(label) => Some(label),
            _ => None,
        };
        let (end, next) = (self.new_label("end"), self.new_label("next"));
        let (end_used, next_used) = (false, false);
        self.frames.push(Frame { label, results, carried, end, next, end_used, next_used });
    }

    fn pop_frame(&mut self) -> Frame {
        self.frames.pop().expect("pushed by the same function")
    }

    fn frame_of(&mut self, inst: &Inst) -> &mut Frame {
        let Attr::Label(label) = inst.attr else {
            unreachable!("the kernel is verified: {} has a label", inst.op.name())
        };
        let frame = self.frames.iter_mut().rev().find(|f| f.label == Some(label));
        frame.expect("the kernel is verified: the label encloses its use")
    }

    fn break_(&mut self, inst: &Inst) {
        let frame = self.frame_of(inst);
        frame.end_used = true;
        let (end, results) = (frame.end, frame.results.clone());
        self.copy_values(&results, &inst.operands);
        ins!(self, "bra.uni {end};");
    }

    fn continue_(&mut self, inst: &Inst) {
        let frame = self.frame_of(inst);
        frame.next_used = true;
        let (next, carried, label) = (frame.next, frame.carried.clone(), frame.label);
        self.copy_values(&carried, &inst.operands);
        // The loop's own region ends where its next iteration begins.
        if self.top().label != label {
            ins!(self, "bra.uni {next};");
        }
    }

    /// Where a region that does nothing but jump leads.
    fn bare_jump(&mut self, region: &Region) -> Option<TextLabel> {
        let [inst] = region.insts.as_slice() else { return None };
        if !inst.operands.is_empty() || !matches!(inst.op, Opcode::Break | Opcode::Continue) {
            return None;
        }
        let frame = self.frame_of(inst);
        Some(if inst.op == Opcode::Break {
            frame.end_used = true;
            frame.end
        } else {
            frame.next_used = true;
            frame.next
        })
    }

    fn if_(&mut self, inst: &'k Inst) -> Result<(), Error> {
        let condition = self.reg(inst.operands[0]);
        let results = self.result_regs(inst);
        let [then, other] = inst.regions.as_slice() else {
            unreachable!("the kernel is verified: `if` has two regions")
        };
        self.push_frame(inst, results, Vec::new());
        if let Some(target) = self.bare_jump(then) {
            ins!(self, "@{condition} bra {target};");
            self.region(other)?;
        } else if let Some(target) = self.bare_jump(other) {
            ins!(self, "@!{condition} bra {target};");
            self.region(then)?;
        } else if is_empty(other) {
            let end = self.top().end;
            ins!(self, "@!{condition} bra {end};");
            self.region(then)?;
            self.place(end);
        } else {
            self.both(condition, then, other)?;
        }
        self.pop_frame();
        Ok(())
    }

    fn both(&mut self, condition: Reg, then: &'k Region, other: &'k Region) -> Result<(), Error> {
        let (end, else_) = (self.top().end, self.new_label("else"));
        ins!(self, "@!{condition} bra {else_};");
        self.region(then)?;
        let joins = then.terminator().is_some_and(|t| t.op == Opcode::Yield);
        if joins {
            ins!(self, "bra.uni {end};");
        }
        self.place(else_);
        self.region(other)?;
        if joins {
            self.place(end);
        }
        Ok(())
    }

    fn for_(&mut self, inst: &'k Inst) -> Result<(), Error> {
        let region = &inst.regions[0];
        let (lo, hi) = (self.operand(inst.operands[0]), self.operand(inst.operands[1]));
        let elem = self.ty(region.args[0]).elem();
        let bits = if elem.size() == 8 { 64 } else { 32 };
        let sign = if elem.is_signed() { 's' } else { 'u' };
        let carried = self.carried_regs(region, 1, &inst.operands[2..]);
        let mut rest = carried.as_slice();
        for &result in &inst.results {
            let (regs, others) = rest.split_at(crate::reg::classes(self.ty(result)).len());
            self.bind_regs(result, regs.to_vec());
            rest = others;
        }
        let iv = self.new_reg(Class::of(elem));
        self.mov(iv, lo);
        self.bind_reg(region.args[0], iv);
        self.push_frame(inst, carried.clone(), carried);
        let end = self.top().end;
        if !runs_once(lo, hi) {
            self.top().end_used = true;
            let done = self.op(&format!("setp.ge.{sign}{bits}"), Class::Pred, &[iv.into(), hi]);
            ins!(self, "@{done} bra {end};");
        }
        let body = self.new_label("for");
        self.place(body);
        self.region(region)?;
        let frame = self.pop_frame();
        if frame.next_used {
            self.place(frame.next);
            ins!(self, "add.s{bits} {iv}, {iv}, 1;");
            let more = self.op(&format!("setp.lt.{sign}{bits}"), Class::Pred, &[iv.into(), hi]);
            ins!(self, "@{more} bra {body};");
        }
        if frame.end_used {
            self.place(end);
        }
        Ok(())
    }

    fn loop_(&mut self, inst: &'k Inst) -> Result<(), Error> {
        let region = &inst.regions[0];
        let results = self.result_regs(inst);
        let carried = self.carried_regs(region, 0, &inst.operands);
        self.push_frame(inst, results, carried);
        let next = self.top().next;
        self.place(next);
        self.region(region)?;
        if region.terminator().is_some_and(|t| t.op == Opcode::Continue && t.attr == inst.attr) {
            ins!(self, "bra.uni {next};");
        }
        let frame = self.pop_frame();
        if frame.end_used {
            self.place(frame.end);
        }
        Ok(())
    }

    fn block(&mut self, inst: &'k Inst) -> Result<(), Error> {
        let results = self.result_regs(inst);
        self.push_frame(inst, results, Vec::new());
        self.region(&inst.regions[0])?;
        let frame = self.pop_frame();
        if frame.end_used {
            self.place(frame.end);
        }
        Ok(())
    }
}

/// Whether a region neither does nor yields anything.
fn is_empty(region: &Region) -> bool {
    matches!(region.insts.as_slice(), [inst] if inst.op == Opcode::Yield && inst.operands.is_empty())
}

/// Whether the bounds are known to enclose an integer.
fn runs_once(lo: Operand, hi: Operand) -> bool {
    matches!((lo, hi), (Operand::Const(lo), Operand::Const(hi)) if lo.as_int() < hi.as_int())
}
