//! Control flow of a warp: branches where its lanes agree, masks where they do not.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::eval::bounds;
use kernelsmith_ir::{Attr, Inst, Label, Opcode, Region, Scalar, Type, Value};
use kernelsmith_llvm::emit::{splat, suffix};

use super::operation::elements;
use super::plan::{escapes, has_exit, is_straight_innermost};
use super::value::{LANES, Lanes};
use super::{Lowering, MASK, scalar_text, vector_text};
use crate::Error;

/// Stack slots for a merged value: one, or one for each element of a thread's vector.
#[derive(Clone)]
pub(super) struct Merge {
    pub(super) slots: Vec<String>,
    pub(super) ty: Type,
    pub(super) uniform: bool,
}

/// What jumps to a label do.
pub(super) struct Target {
    /// Lanes jump at different times, by mask.
    divergent: bool,
    exit: String,
    next: String,
    results: Vec<Merge>,
    carried: Vec<Merge>,
    /// The lanes that left, where that may differ from those that came.
    exit_mask: Option<String>,
    /// The lanes that go on with the next iteration.
    next_mask: Option<String>,
}

impl Lowering<'_> {
    /// The instructions of a region. Whether control reaches its end, perhaps with an empty mask.
    pub(super) fn region(&mut self, region: &Region) -> Result<bool, Error> {
        for inst in &region.insts {
            if !self.inst(inst)? {
                return Ok(false);
            }
            self.rest_needs_lanes(inst);
        }
        Ok(true)
    }

    /// After an operation that lanes may have left for good: what follows runs for at least one
    /// lane. What a warp does as one, such as a store to one place, asks no mask, and a loop that
    /// all lanes have left would not end.
    pub(super) fn rest_needs_lanes(&mut self, inst: &Inst) {
        let leaves = |region| match inst.attr {
            Attr::Label(label) => escapes(region, label),
            _ => has_exit(region),
        };
        if !inst.regions.iter().any(leaves) {
            return;
        }
        let Some(mask) = self.mask.clone() else { return };
        let rest = self.w.label("rest");
        let any = self.any(&mask);
        let idle = self.idle.clone();
        self.w.line(format!("br i1 {any}, label %{rest}, label %{idle}"));
        self.w.begin_block(&rest);
    }

    fn merge(&mut self, value: Value, uniform: bool) -> Merge {
        let ty = self.ty(value);
        let text = if uniform { scalar_text(ty) } else { vector_text(ty) };
        let slots = (0..ty.lanes()).map(|_| self.slot(&text)).collect();
        Merge { slots, ty, uniform }
    }

    /// Slots for values, each as uniform as the analysis says.
    fn merges(&mut self, values: &[Value]) -> Vec<Merge> {
        values.iter().map(|&v| self.merge(v, self.is_uniform(v))).collect()
    }

    fn put(&mut self, merge: &Merge, value: &Lanes) {
        for (slot, part) in merge.slots.iter().zip(elements(value, merge.ty.lanes())) {
            let (text, value) = match merge.uniform {
                true => (scalar_text(merge.ty), self.scalar(&part, merge.ty)),
                false => (vector_text(merge.ty), self.vector(&part, merge.ty)),
            };
            self.w.line(format!("store {text} {value}, ptr {slot}"));
        }
    }

    /// Writes the active lanes only.
    fn put_active(&mut self, merge: &Merge, value: &Lanes) {
        let Some(mask) = self.mask.clone().filter(|_| !merge.uniform) else {
            return self.put(merge, value);
        };
        let text = vector_text(merge.ty);
        for (slot, part) in merge.slots.iter().zip(elements(value, merge.ty.lanes())) {
            let value = self.vector(&part, merge.ty);
            let old = self.w.value(format!("load {text}, ptr {slot}"));
            let new = self.w.value(format!("select {MASK} {mask}, {text} {value}, {text} {old}"));
            self.w.line(format!("store {text} {new}, ptr {slot}"));
        }
    }

    fn take(&mut self, merge: &Merge) -> Lanes {
        let text = if merge.uniform { scalar_text(merge.ty) } else { vector_text(merge.ty) };
        let mut parts = merge.slots.iter().map(|slot| {
            let value = self.w.value(format!("load {text}, ptr {slot}"));
            if merge.uniform { Lanes::Uniform(value) } else { Lanes::Vector(value) }
        });
        match merge.ty {
            Type::Vector(..) => Lanes::Parts(parts.collect()),
            _ => parts.next().expect("a scalar has one slot"),
        }
    }

    fn take_all(&mut self, values: &[Value], merges: &[Merge]) {
        for (&value, merge) in values.iter().zip(merges) {
            let lanes = self.take(merge);
            self.values.insert(value, lanes);
        }
    }

    fn operands(&self, inst: &Inst) -> Vec<Lanes> {
        inst.operands.iter().map(|&v| self.get(v)).collect()
    }

    fn store_mask(&mut self, slot: &str) {
        let mask = self.mask_text();
        self.w.line(format!("store {MASK} {mask}, ptr {slot}"));
    }

    fn load_mask(&mut self, slot: &str) -> String {
        self.w.value(format!("load {MASK}, ptr {slot}"))
    }

    /// Adds the active lanes to a mask in a slot.
    fn add_active(&mut self, slot: &str) {
        let old = self.load_mask(slot);
        let mask = self.mask_text();
        let new = self.w.value(format!("or {MASK} {old}, {mask}"));
        self.w.line(format!("store {MASK} {new}, ptr {slot}"));
    }

    pub(super) fn branch(&mut self, inst: &Inst) -> Result<bool, Error> {
        match self.get(inst.operands[0]) {
            Lanes::Uniform(condition) => self.uniform_branch(inst, &condition),
            condition => {
                let condition = self.vector(&condition, Type::BOOL);
                self.masked_branch(inst, &condition)?;
                Ok(true)
            }
        }
    }

    fn uniform_branch(&mut self, inst: &Inst, condition: &str) -> Result<bool, Error> {
        let merges = self.merges(&inst.results);
        let before = self.mask.clone();
        let mask_slot = inst.regions.iter().any(has_exit).then(|| self.slot(MASK));
        let [then, otherwise, join] = ["then", "else", "join"].map(|what| self.w.label(what));
        self.w.line(format!("br i1 {condition}, label %{then}, label %{otherwise}"));
        let mut joined = false;
        for (label, region) in [then, otherwise].iter().zip(&inst.regions) {
            self.w.begin_block(label);
            self.mask.clone_from(&before);
            if !self.region(region)? {
                continue;
            }
            if let Some(end) = region.terminator().filter(|t| t.op == Opcode::Yield) {
                let values = self.operands(end);
                for (merge, value) in merges.iter().zip(&values) {
                    self.put(merge, value);
                }
            }
            if let Some(slot) = &mask_slot {
                self.store_mask(slot);
            }
            self.w.line(format!("br label %{join}"));
            joined = true;
        }
        if !joined {
            return Ok(false);
        }
        self.w.begin_block(&join);
        self.w.at(inst.loc);
        self.mask = match &mask_slot {
            Some(slot) => Some(self.load_mask(slot)),
            None => before,
        };
        // Two branches without exits leave the mask as it was.
        self.take_all(&inst.results, &merges);
        Ok(true)
    }

    /// Both branches, each for its lanes; a branch without lanes is jumped over.
    fn masked_branch(&mut self, inst: &Inst, condition: &str) -> Result<(), Error> {
        let before = self.mask.clone();
        let opposite = self.mask_not(condition);
        let exits = inst.regions.iter().any(has_exit);
        self.varying += 1;
        let mut sides = Vec::new();
        for (region, condition) in inst.regions.iter().zip([condition, &opposite]) {
            self.mask.clone_from(&before);
            let mask = self.mask_and(condition);
            let merges: Vec<Merge> = inst.results.iter().map(|&v| self.merge(v, false)).collect();
            let end_mask = exits.then(|| self.slot(MASK));
            if let Some(slot) = &end_mask {
                self.w.line(format!("store {MASK} zeroinitializer, ptr {slot}"));
            }
            let [run, skip] = ["lanes", "skip"].map(|what| self.w.label(what));
            let idle = std::mem::replace(&mut self.idle, skip.clone());
            let any = self.any(&mask);
            self.w.line(format!("br i1 {any}, label %{run}, label %{skip}"));
            self.w.begin_block(&run);
            self.mask = Some(mask);
            if self.region(region)? {
                if let Some(end) = region.terminator().filter(|t| t.op == Opcode::Yield) {
                    let values = self.operands(end);
                    for (merge, value) in merges.iter().zip(&values) {
                        self.put(merge, value);
                    }
                }
                if let Some(slot) = &end_mask {
                    self.store_mask(slot);
                }
                self.w.line(format!("br label %{skip}"));
            }
            self.w.begin_block(&skip);
            self.w.at(inst.loc);
            self.w.at(inst.loc);
            self.idle = idle;
            sides.push((merges, end_mask));
        }
        self.varying -= 1;
        self.mask = before;
        for (i, &result) in inst.results.iter().enumerate() {
            let ty = self.ty(result);
            let [yes, no] = [0, 1].map(|side: usize| self.take(&sides[side].0[i]));
            let condition = Lanes::Vector(condition.to_owned());
            let value = self.select_parts(&condition, &yes, &no, ty);
            self.values.insert(result, value);
        }
        if let [(_, Some(a)), (_, Some(b))] = &sides[..] {
            let (a, b) = (self.load_mask(a), self.load_mask(b));
            self.mask = Some(self.w.value(format!("or {MASK} {a}, {b}")));
        }
        Ok(())
    }

    pub(super) fn labelled(&mut self, inst: &Inst, label: Label) -> Result<bool, Error> {
        let divergent = self.plan.is_divergent(label);
        let region = &inst.regions[0];
        let before = self.mask.clone();
        let [exit, next] = ["exit", "next"].map(|what| self.w.label(what));
        let head_args = usize::from(inst.op == Opcode::For);
        let carried = self.carried(inst, &region.args[head_args..]);
        let results = match inst.op {
            Opcode::For => carried.clone(),
            _ if divergent => inst.results.iter().map(|&v| self.merge(v, false)).collect(),
            _ => self.merges(&inst.results),
        };
        let exit_mask = escapes(region, label).then(|| self.slot(MASK));
        if let Some(slot) = &exit_mask {
            self.w.line(format!("store {MASK} zeroinitializer, ptr {slot}"));
        }
        let next_mask = (inst.op != Opcode::Block && (divergent || exit_mask.is_some()))
            .then(|| self.slot(MASK));
        let target = Target {
            divergent,
            exit: exit.clone(),
            next: next.clone(),
            results: results.clone(),
            carried: carried.clone(),
            exit_mask: exit_mask.clone(),
            next_mask,
        };
        self.targets.insert(label, target);
        self.varying += u32::from(divergent);
        let idle = self.idle.clone();
        if divergent {
            // The lanes that are gone may wait there.
            self.idle = if inst.op == Opcode::Block { exit.clone() } else { next.clone() };
        }
        let reached = match inst.op {
            Opcode::Block => self.block(inst, label)?,
            _ => self.looped(inst, label, &carried)?,
        };
        self.varying -= u32::from(divergent);
        self.idle = idle;
        self.targets.remove(&label);
        self.w.begin_block(&exit);
        self.w.at(inst.loc);
        if !reached {
            self.w.line("unreachable");
            return Ok(false);
        }
        self.mask = match &exit_mask {
            Some(slot) => Some(self.load_mask(slot)),
            None => before,
        };
        self.take_all(&inst.results, &results);
        Ok(true)
    }

    /// Slots for what a loop carries. A `for` hands its results out from there: lanes may leave
    /// with different values, at different times or by a `break`, though those that go on agree.
    fn carried(&mut self, inst: &Inst, args: &[Value]) -> Vec<Merge> {
        let hands_out = inst.op == Opcode::For;
        let results = &inst.results;
        let agreed = |this: &Self, k: usize| !hands_out || this.is_uniform(results[k]);
        args.iter()
            .enumerate()
            .map(|(k, &arg)| self.merge(arg, self.is_uniform(arg) && agreed(self, k)))
            .collect()
    }

    /// A value on which the active lanes agree, as scalars.
    fn agreed(&mut self, value: Value) {
        let ty = self.ty(value);
        let parts = elements(&self.get(value), ty.lanes());
        let parts = parts.iter().map(|part| Lanes::Uniform(self.scalar(part, ty))).collect();
        let value_of = |mut parts: Vec<Lanes>| match ty {
            Type::Vector(..) => Lanes::Parts(parts),
            _ => parts.swap_remove(0),
        };
        self.values.insert(value, value_of(parts));
    }

    fn block(&mut self, inst: &Inst, label: Label) -> Result<bool, Error> {
        let region = &inst.regions[0];
        if self.region(region)? {
            if let Some(end) = region.terminator().filter(|t| t.op == Opcode::Yield) {
                let values = self.operands(end);
                self.leave(label, &values);
            }
            let exit = self.targets[&label].exit.clone();
            self.w.line(format!("br label %{exit}"));
        }
        Ok(true)
    }

    /// Hands values and lanes to what follows a label's operation.
    fn leave(&mut self, label: Label, values: &[Lanes]) {
        let target = &self.targets[&label];
        let (results, exit_mask) = (target.results.clone(), target.exit_mask.clone());
        let divergent = target.divergent;
        for (merge, value) in results.iter().zip(values) {
            if divergent { self.put_active(merge, value) } else { self.put(merge, value) }
        }
        if let Some(slot) = exit_mask {
            self.add_active(&slot);
        }
    }

    fn looped(&mut self, inst: &Inst, label: Label, carried: &[Merge]) -> Result<bool, Error> {
        let region = &inst.regions[0];
        let is_for = inst.op == Opcode::For;
        let divergent = self.plan.is_divergent(label);
        let operands = self.operands(inst);
        let counter = is_for.then(|| {
            let uniform = operands[0].uniform().is_some();
            let merge = self.merge(region.args[0], uniform);
            self.put(&merge, &operands[0]);
            merge
        });
        for (merge, value) in carried.iter().zip(&operands[if is_for { 2 } else { 0 }..]) {
            self.put(merge, value);
        }
        if let (Some(counter), true) = (&counter, divergent && is_straight_innermost(region, label))
        {
            self.common_iterations(inst, label, counter, carried)?;
        }
        let next_mask = self.targets[&label].next_mask.clone();
        if let Some(slot) = &next_mask {
            self.store_mask(slot);
        }
        let (exit, next) = {
            let target = &self.targets[&label];
            (target.exit.clone(), target.next.clone())
        };
        let [head, body] = ["head", "body"].map(|what| self.w.label(what));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&head);
        if let Some(slot) = &next_mask {
            self.mask = Some(self.load_mask(slot));
        }
        self.take_all(&region.args[usize::from(is_for)..], carried);
        let go = match &counter {
            Some(counter) => {
                let iv = self.take(counter);
                self.values.insert(region.args[0], iv.clone());
                self.for_test(label, counter.ty, &iv, &operands[1], divergent)
            }
            None if divergent => {
                let mask = self.mask_text();
                Some(self.any(&mask))
            }
            None => None,
        };
        match &go {
            Some(go) => self.w.line(format!("br i1 {go}, label %{body}, label %{exit}")),
            None => self.w.line(format!("br label %{body}")),
        }
        self.w.begin_block(&body);
        if divergent && let Some(slot) = &next_mask {
            self.w.line(format!("store {MASK} zeroinitializer, ptr {slot}"));
        }
        for (&arg, merge) in region.args[usize::from(is_for)..].iter().zip(carried) {
            if !merge.uniform && self.is_uniform(arg) {
                self.agreed(arg);
            }
        }
        if self.region(region)? {
            self.w.line(format!("br label %{next}"));
        }
        self.w.begin_block(&next);
        self.w.at(inst.loc);
        if let Some(counter) = &counter {
            let iv = self.values[&region.args[0]].clone();
            let stepped = self.step(&iv, counter);
            self.put(counter, &stepped);
        }
        self.w.line(format!("br label %{head}"));
        let breaks = {
            let mut found = false;
            region.walk(&mut |i| {
                found |= i.op == Opcode::Break && i.attr == Attr::Label(label);
            });
            found
        };
        Ok(is_for || breaks || divergent)
    }

    /// The iterations of a ragged `for` that every active lane runs, as a loop of its own before the
    /// one whose lanes end at different times: its mask does not change, so that a whole warp needs
    /// none, and its test is one comparison. Worth a second copy of the body in innermost loops,
    /// where a kernel's time goes: `for j in (lane..n).step_by(32)` is the usual way over a row.
    fn common_iterations(
        &mut self,
        inst: &Inst,
        label: Label,
        counter: &Merge,
        carried: &[Merge],
    ) -> Result<(), Error> {
        let (Some(lo), hi) =
            (self.get(inst.operands[0]).uniform().map(str::to_owned), inst.operands[1])
        else {
            return Ok(());
        };
        let (scalar, text) = (counter.ty.elem(), scalar_text(counter.ty));
        let hi = self.get(hi);
        let hi = self.vector(&hi, counter.ty);
        let all = self.least_of_active(&hi, &lo, scalar);
        let [head, body, next, rest] =
            ["allhead", "all", "allnext", "rest"].map(|what| self.w.label(what));
        let ragged = self.targets.remove(&label).expect("the loop is open");
        let uniform = Target {
            divergent: false,
            exit: rest.clone(),
            next: next.clone(),
            results: Vec::new(),
            carried: carried.to_vec(),
            exit_mask: None,
            next_mask: None,
        };
        self.targets.insert(label, uniform);
        let region = &inst.regions[0];
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&head);
        self.take_all(&region.args[1..], carried);
        let iv = self.take(counter);
        self.values.insert(region.args[0], iv.clone());
        let iv = self.scalar(&iv, counter.ty);
        let below = if scalar.is_signed() { "slt" } else { "ult" };
        let go = self.w.value(format!("icmp {below} {text} {iv}, {all}"));
        self.w.line(format!("br i1 {go}, label %{body}, label %{rest}"));
        self.w.begin_block(&body);
        self.region(region)?;
        self.w.begin_block(&next);
        self.w.at(inst.loc);
        let stepped = self.w.value(format!("add {text} {iv}, 1"));
        self.put(counter, &Lanes::Uniform(stepped));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&rest);
        self.targets.insert(label, ragged);
        Ok(())
    }

    /// The least of the active lanes' integers; `without` if there are no active lanes.
    fn least_of_active(&mut self, value: &str, without: &str, scalar: Scalar) -> String {
        let ty = Type::Scalar(scalar);
        let (text, vector) = (scalar_text(ty), vector_text(ty));
        let mask = self.mask.clone();
        let value = match &mask {
            None => value.to_owned(),
            Some(mask) => {
                let most = splat(Const::int(scalar, bounds(scalar).1), Some(LANES));
                self.w.value(format!("select {MASK} {mask}, {vector} {value}, {vector} {most}"))
            }
        };
        let op = if scalar.is_signed() { "smin" } else { "umin" };
        let name = format!("llvm.vector.reduce.{op}.{}", suffix(scalar, Some(LANES)));
        let least = self.w.call(&text, &name, &[(vector, value)]);
        match &mask {
            None => least,
            Some(mask) => {
                let any = self.any(mask);
                self.w.value(format!("select i1 {any}, {text} {least}, {text} {without}"))
            }
        }
    }

    /// The test at the head of a `for`; narrows the mask where lanes have different bounds.
    fn for_test(
        &mut self,
        label: Label,
        ty: Type,
        iv: &Lanes,
        hi: &Lanes,
        divergent: bool,
    ) -> Option<String> {
        let scalar = ty.elem();
        let exit_mask = self.targets[&label].exit_mask.clone();
        if let (Some(iv), Some(hi), false) = (iv.uniform(), hi.uniform(), divergent) {
            let operands = [iv.to_owned(), hi.to_owned()];
            if let Some(slot) = exit_mask {
                // Who comes here and goes no further has left.
                self.store_mask(&slot);
            }
            return self.w.pure(Opcode::Lt, &operands, scalar, Scalar::Bool, None);
        }
        let (iv, hi) = (self.vector(iv, ty), self.vector(hi, ty));
        let below = self.w.pure(Opcode::Lt, &[iv, hi], scalar, Scalar::Bool, Some(32))?;
        if let Some(slot) = exit_mask {
            let done = self.mask_not(&below);
            let all = self.mask.clone();
            let done = self.mask_and(&done);
            self.mask = Some(done);
            self.add_active(&slot);
            self.mask = all;
        }
        let mask = self.mask_and(&below);
        self.mask = Some(mask.clone());
        Some(self.any(&mask))
    }

    fn step(&mut self, iv: &Lanes, counter: &Merge) -> Lanes {
        if let Some(iv) = iv.uniform() {
            let text = scalar_text(counter.ty);
            return Lanes::Uniform(self.w.value(format!("add {text} {iv}, 1")));
        }
        let (text, iv) = (vector_text(counter.ty), self.vector(iv, counter.ty));
        let one = format!("splat ({} 1)", scalar_text(counter.ty));
        Lanes::Vector(self.w.value(format!("add {text} {iv}, {one}")))
    }

    /// `break`, `continue` and `return`: control does not go on here.
    pub(super) fn jump(&mut self, inst: &Inst) -> bool {
        let values = self.operands(inst);
        let label = match (inst.op, &inst.attr) {
            (Opcode::Break | Opcode::Continue, Attr::Label(label)) => *label,
            (Opcode::Return, _) => return self.ret(),
            _ => return true,
        };
        let divergent = self.targets[&label].divergent;
        let to = if inst.op == Opcode::Break {
            self.leave(label, &values);
            self.targets[&label].exit.clone()
        } else {
            let target = &self.targets[&label];
            let (carried, next_mask) = (target.carried.clone(), target.next_mask.clone());
            let next = target.next.clone();
            for (merge, value) in carried.iter().zip(&values) {
                if divergent { self.put_active(merge, value) } else { self.put(merge, value) }
            }
            if let Some(slot) = next_mask {
                if divergent { self.add_active(&slot) } else { self.store_mask(&slot) }
            }
            next
        };
        // Other lanes may be on their way to a divergent target.
        let to = if divergent { self.idle.clone() } else { to };
        self.w.line(format!("br label %{to}"));
        false
    }

    fn ret(&mut self) -> bool {
        if let Some(live) = self.live.clone() {
            let at = self.warp_element(&live, "i32");
            let left = match (self.varying, self.mask.clone()) {
                (0, _) | (_, None) => "0".to_owned(),
                (_, Some(mask)) => {
                    let old = self.w.value(format!("load i32, ptr {at}"));
                    let bits = self.mask_bits(&mask);
                    let keep = self.w.value(format!("xor i32 {bits}, -1"));
                    self.w.value(format!("and i32 {old}, {keep}"))
                }
            };
            self.w.line(format!("store i32 {left}, ptr {at}"));
        }
        let to = if self.varying == 0 { self.warp_end.clone() } else { self.idle.clone() };
        self.w.line(format!("br label %{to}"));
        false
    }
}
