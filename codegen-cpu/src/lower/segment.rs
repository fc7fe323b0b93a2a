//! A block as loops over its warps, split at barriers.
//!
//! Without a barrier between several warps, a block is one loop. Otherwise the top of the kernel
//! (and of every control operation that holds a barrier, which the whole block executes as one) is
//! cut into segments, each a loop over warps. A value that one segment computes and another needs
//! is computed again if that is cheap, else kept in a slot for each warp.

use std::collections::{HashMap, HashSet};

use kernelsmith_ir::passes::uniformity::Level;
use kernelsmith_ir::{Attr, Inst, Label, Opcode, Region, Type, Value};

use super::operation::elements;
use super::value::{LANES, Lanes};
use super::{Lowering, MASK, scalar_text, threads, vector_text};
use crate::Error;

/// Where a value is kept between segments.
#[derive(Clone)]
pub(super) struct Kept {
    /// One, or one for each element of a thread's vector.
    slots: Vec<String>,
    /// One scalar for the block, one for each warp, or one vector for each warp.
    level: Level,
}

/// Where jumps of the whole block go.
struct BlockTarget {
    exit: String,
    next: String,
    results: Vec<Value>,
    carried: Vec<Value>,
}

/// The state of a split block.
#[derive(Default)]
pub(super) struct Split {
    kept: HashMap<Value, Kept>,
    /// Values that are valid in every segment.
    global: HashMap<Value, Lanes>,
    targets: HashMap<Label, BlockTarget>,
}

impl Lowering<'_> {
    pub(super) fn block_body(&mut self) -> Result<(), Error> {
        let kernel = self.kernel;
        let split = self.warps() > 1 && {
            let mut barrier = false;
            kernel.body.walk(&mut |i| barrier |= i.op == Opcode::Barrier);
            barrier
        };
        if !split {
            self.warp_loop(|this| {
                if !this.region(&kernel.body)? {
                    let dead = this.w.label("dead");
                    this.w.begin_block(&dead);
                }
                Ok(())
            })?;
            self.w.line("ret void");
            return Ok(());
        }
        if has_divergent_return(&kernel.body) {
            let warps = self.warps();
            let live = self.slot(&format!("[{warps} x i32]"));
            for warp in 0..warps {
                let lanes = (threads(self.block) - warp * LANES).min(LANES);
                let bits = if lanes == LANES { -1 } else { (1i64 << lanes) - 1 };
                let at = self.w.value(format!("getelementptr i32, ptr {live}, i32 {warp}"));
                self.w.line(format!("store i32 {bits}, ptr {at}"));
            }
            self.live = Some(live);
        }
        self.split.global = self.values.clone();
        let crossing = self.crossing(&kernel.body);
        for value in crossing {
            self.keep(value);
        }
        if self.block_region(&kernel.body)? {
            self.w.line("ret void");
        }
        Ok(())
    }

    /// Runs code for each warp, with its mask.
    fn warp_loop(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let warps = self.warps();
        let [head, run, end, done] =
            ["warps", "warp", "warpend", "warpsdone"].map(|what| self.w.label(what));
        let counter = self.slot("i32");
        self.w.line(format!("store i32 0, ptr {counter}"));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&head);
        let warp = self.w.value(format!("load i32, ptr {counter}"));
        let more = self.w.value(format!("icmp ult i32 {warp}, {warps}"));
        self.w.line(format!("br i1 {more}, label %{run}, label %{done}"));
        self.w.begin_block(&run);
        self.warp = if warps == 1 { "0".to_owned() } else { warp.clone() };
        self.warp_end.clone_from(&end);
        self.idle.clone_from(&end);
        self.mask = self.start_mask();
        if let (Some(_), Some(mask)) = (&self.live, self.mask.clone()) {
            let live = self.w.label("live");
            let any = self.any(&mask);
            self.w.line(format!("br i1 {any}, label %{live}, label %{end}"));
            self.w.begin_block(&live);
        }
        body(self)?;
        self.w.line(format!("br label %{end}"));
        self.w.begin_block(&end);
        let next = self.w.value(format!("add i32 {warp}, 1"));
        self.w.line(format!("store i32 {next}, ptr {counter}"));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&done);
        Ok(())
    }

    /// The lanes of the warp that are threads, and have not returned in an earlier segment.
    fn start_mask(&mut self) -> Option<String> {
        if let Some(live) = self.live.clone() {
            let at = self.warp_element(&live, "i32");
            let bits = self.w.value(format!("load i32, ptr {at}"));
            return Some(self.w.value(format!("bitcast i32 {bits} to {MASK}")));
        }
        let threads = threads(self.block);
        if threads.is_multiple_of(LANES) {
            return None;
        }
        let first = self.w.value(format!("mul i32 {}, {LANES}", self.warp));
        let rest = self.w.value(format!("sub i32 {threads}, {first}"));
        let rest = self.splat(&rest, Type::U32);
        let lanes = self.lane_multiples(1, "i32");
        Some(self.w.value(format!("icmp ult <{LANES} x i32> {lanes}, {rest}")))
    }

    /// The address of the warp's element of an array.
    pub(super) fn warp_element(&mut self, array: &str, ty: &str) -> String {
        let warp = self.warp.clone();
        self.w.value(format!("getelementptr {ty}, ptr {array}, i32 {warp}"))
    }

    // ---- what crosses segments ----

    fn keep(&mut self, value: Value) {
        if self.split.kept.contains_key(&value) {
            return;
        }
        let (level, ty, warps) = (self.uniformity.level(value), self.ty(value), self.warps());
        let text = match level {
            Level::Grid | Level::Block => scalar_text(ty),
            Level::Warpgroup | Level::Warp => format!("[{warps} x {}]", scalar_text(ty)),
            Level::Varying => format!("[{warps} x {}]", vector_text(ty)),
        };
        let slots = (0..ty.lanes()).map(|_| self.slot(&text)).collect();
        self.split.kept.insert(value, Kept { slots, level });
    }

    fn save(&mut self, value: Value, lanes: &Lanes) {
        let Some(Kept { slots, level }) = self.split.kept.get(&value).cloned() else { return };
        let ty = self.ty(value);
        for (slot, part) in slots.iter().zip(elements(lanes, ty.lanes())) {
            let (text, part) = match level {
                Level::Varying => (vector_text(ty), self.vector(&part, ty)),
                _ => (scalar_text(ty), self.scalar(&part, ty)),
            };
            let at = self.kept_at(slot, level, &text);
            self.w.line(format!("store {text} {part}, ptr {at}"));
        }
    }

    /// Where the warp finds its part of a slot.
    fn kept_at(&mut self, slot: &str, level: Level, text: &str) -> String {
        match level {
            Level::Grid | Level::Block => slot.to_owned(),
            Level::Warpgroup | Level::Warp | Level::Varying => self.warp_element(slot, text),
        }
    }

    fn restore(&mut self, value: Value) -> Option<Lanes> {
        let Kept { slots, level } = self.split.kept.get(&value).cloned()?;
        let ty = self.ty(value);
        let varying = level == Level::Varying;
        let text = if varying { vector_text(ty) } else { scalar_text(ty) };
        let mut parts = Vec::new();
        for slot in &slots {
            let at = self.kept_at(slot, level, &text);
            let part = self.w.value(format!("load {text}, ptr {at}"));
            parts.push(if varying { Lanes::Vector(part) } else { Lanes::Uniform(part) });
        }
        Some(match ty {
            Type::Vector(..) => Lanes::Parts(parts),
            _ => parts.swap_remove(0),
        })
    }

    /// Whether a value is computed again where it is needed: ids, constants, addresses and integer
    /// arithmetic on such, which also keeps the form of addresses known.
    fn is_cheap(&self, value: Value) -> bool {
        use Opcode::{
            Add, And, BlockDim, BlockIdx, Cast, Const, GridDim, LaneId, LocalAddr, Max, Min, Mul,
            PtrAdd, SharedAddr, Shl, Sub, ThreadIdx, WarpId,
        };
        let Some(inst) = self.plan.definitions.get(&value) else { return false };
        let integer = !self.ty(value).elem().is_float() || self.ty(value).is_ptr();
        match inst.op {
            Const | ThreadIdx | BlockIdx | BlockDim | GridDim | LaneId | WarpId | SharedAddr
            | LocalAddr | PtrAdd => true,
            Add | Sub | Mul | Shl | And | Min | Max => integer,
            Cast => integer && !self.ty(inst.operands[0]).elem().is_float(),
            _ => false,
        }
    }

    /// The values that must be kept: used in a segment (or by the block as a whole) other than
    /// their own, directly or by something that is computed again there.
    fn crossing(&self, body: &Region) -> Vec<Value> {
        let mut scan = Scan::default();
        self.scan(body, &mut scan);
        let mut crossing = Vec::new();
        let mut seen = HashSet::new();
        let mut work = scan.uses;
        while let Some((value, segment)) = work.pop() {
            let home = scan.homes.get(&value);
            if home.is_none() || home == Some(&segment) || !seen.insert((value, segment)) {
                continue;
            }
            if self.is_cheap(value) {
                let inst = &self.plan.definitions[&value];
                work.extend(inst.operands.iter().map(|&o| (o, segment)));
            } else {
                crossing.push(value);
            }
        }
        crossing.sort_unstable();
        crossing.dedup();
        crossing
    }

    fn scan(&self, region: &Region, scan: &mut Scan) {
        scan.segment += 1;
        for inst in &region.insts {
            if !self.is_block_level(inst) {
                scan.inst(inst);
                continue;
            }
            // A place of its own: what it uses and defines is kept.
            scan.segment += 1;
            let own = scan.segment;
            scan.uses.extend(inst.operands.iter().map(|&o| (o, own)));
            let values = inst.results.iter().chain(inst.regions.iter().flat_map(|r| &r.args));
            scan.homes.extend(values.map(|&v| (v, 0)));
            inst.regions.iter().for_each(|r| self.scan(r, scan));
            scan.segment += 1;
        }
    }

    /// Whether the whole block executes an instruction that stands outside segments.
    fn is_block_level(&self, inst: &Inst) -> bool {
        inst.op == Opcode::Barrier || inst.op.is_terminator() || self.plan.is_whole_block(inst)
    }

    // ---- the block's own control flow ----

    /// A region executed by the whole block; whether its end is reached.
    fn block_region(&mut self, region: &Region) -> Result<bool, Error> {
        let mut at = 0;
        while at < region.insts.len() {
            let rest = &region.insts[at..];
            let len = rest.iter().position(|i| self.is_block_level(i)).unwrap_or(rest.len());
            if len > 0 {
                self.segment(&rest[..len])?;
                at += len;
                continue;
            }
            if !self.block_inst(&rest[0])? {
                return Ok(false);
            }
            at += 1;
        }
        Ok(true)
    }

    fn block_inst(&mut self, inst: &Inst) -> Result<bool, Error> {
        match (inst.op, inst.attr.clone()) {
            (Opcode::Barrier | Opcode::Yield, _) => Ok(true),
            (Opcode::If, _) => self.block_if(inst),
            (Opcode::For | Opcode::Loop | Opcode::Block, Attr::Label(label)) => {
                self.block_labelled(inst, label)
            }
            (Opcode::Break, Attr::Label(label)) => {
                let target = &self.split.targets[&label];
                let (to, exit) = (target.results.clone(), target.exit.clone());
                self.copy(&inst.operands, &to)?;
                self.w.line(format!("br label %{exit}"));
                Ok(false)
            }
            (Opcode::Continue, Attr::Label(label)) => {
                let target = &self.split.targets[&label];
                let (to, next) = (target.carried.clone(), target.next.clone());
                self.copy(&inst.operands, &to)?;
                self.w.line(format!("br label %{next}"));
                Ok(false)
            }
            (Opcode::Return, _) => {
                self.w.line("ret void");
                Ok(false)
            }
            _ => Err(self.unsupported(inst, "a barrier stands in it")),
        }
    }

    /// A value the block agrees on, outside any warp.
    fn block_scalar(&mut self, inst: &Inst, value: Value) -> Result<String, Error> {
        self.outside_warps();
        match self.brought(value)? {
            Lanes::Uniform(v) => Ok(v),
            _ => Err(self.unsupported(
                inst,
                "a barrier stands under control flow that differs between the block's threads",
            )),
        }
    }

    fn block_if(&mut self, inst: &Inst) -> Result<bool, Error> {
        let condition = self.block_scalar(inst, inst.operands[0])?;
        for &result in &inst.results {
            self.keep(result);
        }
        let [then, otherwise, join] = ["then", "else", "join"].map(|what| self.w.label(what));
        self.w.line(format!("br i1 {condition}, label %{then}, label %{otherwise}"));
        let mut joined = false;
        for (label, region) in [then, otherwise].iter().zip(&inst.regions) {
            self.w.begin_block(label);
            if self.block_region(region)? {
                if let Some(end) = region.terminator() {
                    self.copy(&end.operands, &inst.results)?;
                }
                self.w.line(format!("br label %{join}"));
                joined = true;
            }
        }
        if joined {
            self.w.begin_block(&join);
        }
        Ok(joined)
    }

    fn block_labelled(&mut self, inst: &Inst, label: Label) -> Result<bool, Error> {
        let region = &inst.regions[0];
        let is_for = inst.op == Opcode::For;
        let head_args = usize::from(is_for);
        let carried = region.args[head_args..].to_vec();
        for &value in carried.iter().chain(&inst.results) {
            self.keep(value);
        }
        let results = if is_for { self.handed_out(inst, &carried) } else { inst.results.clone() };
        let [head, body, next, exit] =
            ["head", "body", "next", "exit"].map(|what| self.w.label(what));
        let counter = match is_for {
            true => {
                let lo = self.block_scalar(inst, inst.operands[0])?;
                let hi = self.block_scalar(inst, inst.operands[1])?;
                let ty = self.ty(region.args[0]);
                let slot = self.slot(&scalar_text(ty));
                self.w.line(format!("store {} {lo}, ptr {slot}", scalar_text(ty)));
                Some((slot, ty, hi))
            }
            false => None,
        };
        self.copy(&inst.operands[2 * head_args..], &carried)?;
        let target = BlockTarget {
            exit: exit.clone(),
            next: next.clone(),
            results: results.clone(),
            carried: carried.clone(),
        };
        self.split.targets.insert(label, target);
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&head);
        if let Some((slot, ty, hi)) = &counter {
            let iv = self.w.value(format!("load {}, ptr {slot}", scalar_text(*ty)));
            self.split.global.insert(region.args[0], Lanes::Uniform(iv.clone()));
            let scalar = ty.elem();
            let go = self
                .w
                .pure(Opcode::Lt, &[iv, hi.clone()], scalar, kernelsmith_ir::Scalar::Bool, None)
                .expect("a comparison");
            let done = self.w.label("done");
            self.w.line(format!("br i1 {go}, label %{body}, label %{done}"));
            self.w.begin_block(&done);
            let own = carried.iter().zip(&results).filter(|(arg, result)| arg != result);
            let (from, to): (Vec<Value>, Vec<Value>) = own.unzip();
            self.copy(&from, &to)?;
            self.w.line(format!("br label %{exit}"));
        } else {
            self.w.line(format!("br label %{body}"));
        }
        self.w.begin_block(&body);
        if self.block_region(region)? {
            // The end of a `block`.
            if let Some(end) = region.terminator() {
                self.copy(&end.operands, &inst.results)?;
            }
            self.w.line(format!("br label %{exit}"));
        }
        self.w.begin_block(&next);
        if let Some((slot, ty, _)) = &counter {
            let text = scalar_text(*ty);
            let iv = self.w.value(format!("load {text}, ptr {slot}"));
            let stepped = self.w.value(format!("add {text} {iv}, 1"));
            self.w.line(format!("store {text} {stepped}, ptr {slot}"));
        }
        self.w.line(if inst.op == Opcode::Block {
            "unreachable".to_owned()
        } else {
            format!("br label %{head}")
        });
        self.w.begin_block(&exit);
        self.split.targets.remove(&label);
        Ok(true)
    }

    /// Where a `for` puts its results: where it carries them, unless threads agree on what is
    /// carried but not on what a `break` hands out.
    fn handed_out(&mut self, inst: &Inst, carried: &[Value]) -> Vec<Value> {
        let mut places = Vec::new();
        for (&result, &arg) in inst.results.iter().zip(carried) {
            let kept = self.split.kept[&arg].clone();
            if self.uniformity.level(result) > kept.level {
                places.push(result);
            } else {
                self.split.kept.insert(result, kept);
                places.push(arg);
            }
        }
        places
    }

    /// Moves values to where others are kept; all are read before any is written. What the block
    /// has once is moved once: a warp that computes `i + 1` again must not find another's.
    fn copy(&mut self, from: &[Value], to: &[Value]) -> Result<(), Error> {
        let once = |to: Value| self.split.kept[&to].level <= Level::Block;
        let pairs = from.iter().copied().zip(to.iter().copied());
        let (block, warps): (Vec<_>, Vec<_>) = pairs.partition(|&(_, to)| once(to));
        self.outside_warps();
        let block = block
            .into_iter()
            .map(|(from, to)| Ok((self.brought(from)?, to)))
            .collect::<Result<Vec<_>, Error>>()?;
        if !warps.is_empty() {
            self.warp_loop(|this| {
                this.values = this.split.global.clone();
                let warps = warps
                    .into_iter()
                    .map(|(from, to)| Ok((this.brought(from)?, to)))
                    .collect::<Result<Vec<_>, Error>>()?;
                warps.iter().for_each(|(lanes, to)| this.save(*to, lanes));
                Ok(())
            })?;
        }
        self.outside_warps();
        block.iter().for_each(|(lanes, to)| self.save(*to, lanes));
        Ok(())
    }

    /// What follows is for the block as one.
    fn outside_warps(&mut self) {
        self.values = self.split.global.clone();
        self.warp = "0".to_owned();
        self.mask = None;
    }

    fn brought(&mut self, value: Value) -> Result<Lanes, Error> {
        self.bring(value)?;
        Ok(self.get(value))
    }

    /// Instructions between barriers, for each warp.
    fn segment(&mut self, insts: &[Inst]) -> Result<(), Error> {
        let mut inside = HashSet::new();
        let mut needed = Vec::new();
        for inst in insts {
            collect(inst, &mut inside, &mut needed);
        }
        self.warp_loop(|this| {
            this.values = this.split.global.clone();
            for &value in needed.iter().filter(|v| !inside.contains(v)) {
                this.bring(value)?;
            }
            for inst in insts {
                if !this.inst(inst)? {
                    // All lanes returned; nothing after this runs, but its block must begin.
                    let dead = this.w.label("dead");
                    this.w.begin_block(&dead);
                    break;
                }
                this.rest_needs_lanes(inst);
                for &result in &inst.results {
                    let lanes = this.get(result);
                    this.save(result, &lanes);
                }
            }
            Ok(())
        })?;
        self.end_without_threads(insts);
        Ok(())
    }

    /// Ends the block if the last of its threads returned in these instructions: no warp would
    /// compute what the block's own control flow asks for.
    fn end_without_threads(&mut self, insts: &[Inst]) {
        let Some(live) = self.live.clone().filter(|_| insts.iter().any(returns)) else { return };
        let bits = self.warps() * 32;
        let lanes = self.w.value(format!("load i{bits}, ptr {live}"));
        let any = self.w.value(format!("icmp ne i{bits} {lanes}, 0"));
        let [on, ended] = ["on", "ended"].map(|what| self.w.label(what));
        self.w.line(format!("br i1 {any}, label %{on}, label %{ended}"));
        self.w.begin_block(&ended);
        self.w.line("ret void");
        self.w.begin_block(&on);
    }

    /// Makes a value of another segment available here.
    fn bring(&mut self, value: Value) -> Result<(), Error> {
        if self.values.contains_key(&value) {
            return Ok(());
        }
        if let Some(lanes) = self.restore(value) {
            self.values.insert(value, lanes);
            return Ok(());
        }
        let inst = self.plan.definitions.get(&value).cloned();
        if let Some(inst) = inst {
            for &operand in &inst.operands {
                self.bring(operand)?;
            }
            self.inst(&inst)?;
        }
        Ok(())
    }
}

/// What [`Lowering::crossing`] needs to know.
#[derive(Default)]
struct Scan {
    segment: usize,
    /// The segment that defines a value; 0 for what block-level operations define.
    homes: HashMap<Value, usize>,
    uses: Vec<(Value, usize)>,
}

impl Scan {
    fn inst(&mut self, inst: &Inst) {
        self.uses.extend(inst.operands.iter().map(|&o| (o, self.segment)));
        self.homes.extend(inst.results.iter().map(|&r| (r, self.segment)));
        for region in &inst.regions {
            self.homes.extend(region.args.iter().map(|&a| (a, self.segment)));
            region.insts.iter().for_each(|i| self.inst(i));
        }
    }
}

/// The values an instruction defines and uses, those of its regions included.
fn collect(inst: &Inst, inside: &mut HashSet<Value>, used: &mut Vec<Value>) {
    used.extend(&inst.operands);
    inside.extend(&inst.results);
    for region in &inst.regions {
        inside.extend(&region.args);
        region.insts.iter().for_each(|i| collect(i, inside, used));
    }
}

/// Whether some thread can return before others: anywhere but at the end of the kernel.
fn has_divergent_return(body: &Region) -> bool {
    body.insts.iter().any(|i| !i.regions.is_empty() && returns(i))
}

fn returns(inst: &Inst) -> bool {
    let mut found = inst.op == Opcode::Return;
    inst.regions.iter().for_each(|r| r.walk(&mut |i| found |= i.op == Opcode::Return));
    found
}
