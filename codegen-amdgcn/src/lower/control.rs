//! Structured control flow as basic blocks and phis.

use kernelsmith_ir::{Attr, Inst, Label, Opcode, Region, Value};

use super::{Lowering, text};
use crate::Error;

/// Where a label's `break` and `continue` go, and with what.
pub(super) struct Target {
    exit: String,
    head: String,
    /// Block and values of each `break`.
    breaks: Vec<(String, Vec<String>)>,
    /// Block and values of each `continue`.
    continues: Vec<(String, Vec<String>)>,
}

impl Lowering<'_> {
    /// The instructions of a region, its terminator included.
    pub(super) fn region(&mut self, region: &Region) -> Result<(), Error> {
        for inst in &region.insts {
            self.inst(inst)?;
        }
        Ok(())
    }

    /// Writes the start of a block and makes it the current one.
    pub(super) fn start(&mut self, label: &str) {
        self.w.begin_block(label);
        label.clone_into(&mut self.block);
    }

    /// A phi for each value, from the given predecessors.
    fn phis(&mut self, values: &[Value], from: &[(String, Vec<String>)]) {
        for (i, &value) in values.iter().enumerate() {
            let incoming: Vec<String> =
                from.iter().map(|(block, values)| format!("[ {}, %{block} ]", values[i])).collect();
            let ty = text(self.ty(value));
            let phi = match incoming.is_empty() {
                true => "poison".to_owned(),
                false => self.w.value(format!("phi {ty} {}", incoming.join(", "))),
            };
            self.values.insert(value, phi);
        }
    }

    pub(super) fn branch(&mut self, inst: &Inst) -> Result<(), Error> {
        let condition = self.get(inst.operands[0]);
        let [then, otherwise, join] = ["then", "else", "join"].map(|what| self.w.label(what));
        self.w.line(format!("br i1 {condition}, label %{then}, label %{otherwise}"));
        let mut from = Vec::new();
        for (label, region) in [then, otherwise].iter().zip(&inst.regions) {
            self.start(label);
            self.region(region)?;
            if let Some(end) = region.terminator().filter(|t| t.op == Opcode::Yield) {
                let values = end.operands.iter().map(|&v| self.get(v)).collect();
                from.push((self.block.clone(), values));
                self.w.line(format!("br label %{join}"));
            }
        }
        self.start(&join);
        self.w.at(inst.loc);
        if from.is_empty() {
            self.w.line("unreachable");
            // What follows is never reached, but must be well-formed.
            let dead = self.w.label("dead");
            self.start(&dead);
        }
        self.phis(&inst.results, &from);
        Ok(())
    }

    pub(super) fn labelled(&mut self, inst: &Inst, label: Label) -> Result<(), Error> {
        let [head, exit] = ["head", "exit"].map(|what| self.w.label(what));
        let target = Target {
            exit: exit.clone(),
            head: head.clone(),
            breaks: Vec::new(),
            continues: Vec::new(),
        };
        self.targets.insert(label, target);
        let region = &inst.regions[0];
        match inst.op {
            Opcode::Block => {
                self.region(region)?;
                if let Some(end) = region.terminator().filter(|t| t.op == Opcode::Yield) {
                    let values = end.operands.iter().map(|&v| self.get(v)).collect();
                    let from = (self.block.clone(), values);
                    self.target(label).breaks.push(from);
                    self.w.line(format!("br label %{exit}"));
                }
            }
            op => self.looped(op, inst, label)?,
        }
        let target = self.targets.remove(&label).expect("inserted above");
        self.start(&exit);
        self.w.at(inst.loc);
        if target.breaks.is_empty() {
            self.w.line("unreachable");
            let dead = self.w.label("dead");
            self.start(&dead);
        }
        self.phis(&inst.results, &target.breaks);
        Ok(())
    }

    fn target(&mut self, label: Label) -> &mut Target {
        self.targets.get_mut(&label).expect("labels enclose their jumps")
    }

    /// `for` and `loop`: a head block with phis, whose text is completed once all `continue`s are
    /// known.
    fn looped(&mut self, op: Opcode, inst: &Inst, label: Label) -> Result<(), Error> {
        let is_for = op == Opcode::For;
        let region = &inst.regions[0];
        let (head, exit) = (self.target(label).head.clone(), self.target(label).exit.clone());
        // A `for` has its counter before the carried values.
        let mut first: Vec<String> = inst.operands.iter().map(|&v| self.get(v)).collect();
        if is_for {
            first.remove(1);
        }
        let entry = (self.block.clone(), first);
        self.w.line(format!("br label %{head}"));
        self.start(&head);
        let names: Vec<String> = region.args.iter().map(|_| self.w.temporary()).collect();
        for (&arg, name) in region.args.iter().zip(&names) {
            self.values.insert(arg, name.clone());
        }
        let phis_at = self.w.body.len();
        let mut step = None;
        if is_for {
            let (counter, hi) = (region.args[0], self.get(inst.operands[1]));
            let ty = self.ty(counter).elem();
            let operands = [names[0].clone(), hi];
            let below = self.w.pure(Opcode::Lt, &operands, ty, ty, None).expect("a comparison");
            let body = self.w.label("body");
            let carried = names[1..].to_vec();
            self.target(label).breaks.push((head.clone(), carried));
            self.w.line(format!("br i1 {below}, label %{body}, label %{exit}"));
            self.start(&body);
            let next = self.w.label("next");
            self.target(label).head.clone_from(&next);
            step = Some((next, ty));
        }
        self.region(region)?;
        let continues = std::mem::take(&mut self.target(label).continues);
        let mut from = vec![entry];
        match step {
            None => from.extend(continues),
            // All `continue`s meet where the counter is stepped.
            Some((next, ty)) if !continues.is_empty() => {
                self.start(&next);
                let carried = &region.args[1..];
                let merged: Vec<String> = (0..carried.len())
                    .map(|i| {
                        let incoming: Vec<String> = continues
                            .iter()
                            .map(|(block, values)| format!("[ {}, %{block} ]", values[i]))
                            .collect();
                        let ty = text(self.ty(carried[i]));
                        self.w.value(format!("phi {ty} {}", incoming.join(", ")))
                    })
                    .collect();
                let stepped = self.w.value(format!("add {} {}, 1", text(ty.into()), names[0]));
                self.w.line(format!("br label %{head}"));
                from.push((next, [vec![stepped], merged].concat()));
            }
            Some(_) => {}
        }
        let mut phis = String::new();
        for (i, (name, &arg)) in names.iter().zip(&region.args).enumerate() {
            let incoming: Vec<String> =
                from.iter().map(|(block, values)| format!("[ {}, %{block} ]", values[i])).collect();
            phis += &format!("  {name} = phi {} {}\n", text(self.ty(arg)), incoming.join(", "));
        }
        self.w.body.insert_str(phis_at, &phis);
        Ok(())
    }

    pub(super) fn jump(&mut self, inst: &Inst) {
        match (inst.op, &inst.attr) {
            (Opcode::Break, Attr::Label(label)) => {
                let values = inst.operands.iter().map(|&v| self.get(v)).collect();
                let from = (self.block.clone(), values);
                let target = self.target(*label);
                target.breaks.push(from);
                let exit = target.exit.clone();
                self.w.line(format!("br label %{exit}"));
            }
            (Opcode::Continue, Attr::Label(label)) => {
                let values = inst.operands.iter().map(|&v| self.get(v)).collect();
                let from = (self.block.clone(), values);
                let target = self.target(*label);
                target.continues.push(from);
                let head = target.head.clone();
                self.w.line(format!("br label %{head}"));
            }
            (Opcode::Return, _) => self.w.line("ret void"),
            // `yield` is written by the region's owner.
            _ => {}
        }
    }
}
