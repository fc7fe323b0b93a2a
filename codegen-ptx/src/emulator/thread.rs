//! One thread: registers, and every instruction that concerns it alone.

use super::arith::compute;
use super::memory::{Memory, load, store};
use super::parse::{Arg, Instr, Program, Ty};

/// What a thread does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Running,
    /// At an instruction that the warp executes together.
    AtCollective,
    AtBarrier,
    /// At a named barrier, until it is another time's.
    AtNamed {
        barrier: usize,
        time: u32,
    },
    Ended,
}

/// A thread.
pub(super) struct Thread {
    pub(super) at: usize,
    pub(super) state: State,
    registers: Vec<Option<u64>>,
    local: Vec<u8>,
    /// Index in its block.
    pub(super) index: [u32; 3],
    pub(super) lane: u32,
    /// Shared bytes written by copies that a later group or wait completes: groups of
    /// `(address, bytes)`, the last one open.
    copies: Vec<Vec<(u64, Vec<u8>)>>,
}

/// What the threads of a block have in common.
pub(super) struct Common<'a> {
    pub(super) program: &'a Program,
    pub(super) params: &'a [u8],
    pub(super) memory: &'a mut Memory,
    pub(super) shared: Vec<u8>,
    pub(super) block: [u32; 3],
    pub(super) block_dim: [u32; 3],
    pub(super) grid_dim: [u32; 3],
    /// Whether a check failed in the block: then lanes are missing where none should be, and what
    /// the others get from them is arbitrary.
    pub(super) failed: bool,
    /// By number, the barriers that count threads.
    pub(super) named: [Named; 16],
}

/// A named barrier: how many threads have come this time, and how often it was complete.
#[derive(Clone, Copy, Default)]
pub(super) struct Named {
    came: u64,
    time: u32,
}

impl Thread {
    pub(super) fn new(program: &Program, index: [u32; 3], linear: u32) -> Thread {
        Thread {
            at: 0,
            state: State::Running,
            registers: vec![None; program.registers.len()],
            local: vec![0xA5; program.local_bytes as usize],
            index,
            lane: linear % 32,
            copies: vec![Vec::new()],
        }
    }

    /// Executes one instruction.
    pub(super) fn step(&mut self, common: &mut Common<'_>) -> Result<(), String> {
        let program = common.program;
        let instr = program.code.get(self.at).ok_or("control runs past the end")?;
        if let Some((predicate, wanted)) = instr.guard
            && (self.read(&Arg::Reg(predicate), common)? != 0) != wanted
        {
            self.at += 1;
            return Ok(());
        }
        match instr.name[0].as_str() {
            "bra" => {
                let Arg::Target(target) = instr.args[0] else { return Err("no label".to_owned()) };
                self.at = target;
                return Ok(());
            }
            "ret" | "exit" => {
                self.state = State::Ended;
                common.failed |= instr.name[0] == "exit";
                return Ok(());
            }
            "bar" if instr.args.len() == 2 => {
                self.named_barrier(instr, common)?;
                return Ok(());
            }
            "bar" if instr.name[1] == "sync" => {
                self.state = State::AtBarrier;
                return Ok(());
            }
            "bar" | "shfl" | "vote" | "match" | "redux" | "mma" | "ldmatrix" => {
                self.state = State::AtCollective;
                return Ok(());
            }
            "ld" => self.load(instr, common)?,
            "st" => self.store(instr, common)?,
            "atom" | "red" => self.atomic(instr, common)?,
            "cp" => self.copy(instr, common)?,
            "fence" | "prefetch" => {}
            "mov" => self.mov(instr, common)?,
            _ => {
                let x: Result<Vec<u64>, _> =
                    instr.args[1..].iter().map(|a| self.read(a, common)).collect();
                let result = compute(instr, &x?).ok_or("no such instruction")?;
                self.write(&instr.args[0], result, common)?;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// `bar.sync a, b` and `bar.arrive a, b`.
    fn named_barrier(&mut self, instr: &Instr, common: &mut Common<'_>) -> Result<(), String> {
        let [barrier, threads] = [0, 1].map(|i| self.read(&instr.args[i], common));
        let (barrier, threads) = (barrier? as usize, threads?);
        let named = common.named.get_mut(barrier).ok_or("there are 16 barriers")?;
        if !threads.is_multiple_of(32) {
            return Err(format!("{threads} threads are no whole warps"));
        }
        let time = named.time;
        named.came += 1;
        if named.came == threads {
            *named = Named { came: 0, time: time + 1 };
        }
        match instr.name[1].as_str() {
            "sync" => self.state = State::AtNamed { barrier, time },
            _ => self.at += 1,
        }
        Ok(())
    }

    /// Goes on if the named barrier it waits at is complete; whether it did.
    pub(super) fn pass_named(&mut self, common: &Common<'_>) -> bool {
        let State::AtNamed { barrier, time } = self.state else { return false };
        let passes = common.named[barrier].time != time;
        if passes {
            self.state = State::Running;
            self.at += 1;
        }
        passes
    }

    /// The bits of an operand.
    pub(super) fn read(&self, arg: &Arg, common: &Common<'_>) -> Result<u64, String> {
        match arg {
            Arg::Reg(reg) => self.registers[*reg].ok_or_else(|| "a register never set".to_owned()),
            Arg::Imm(bits) => Ok(*bits),
            Arg::Special(name) => self.special(name, common),
            _ => Err("an operand without a value".to_owned()),
        }
    }

    fn special(&self, name: &str, common: &Common<'_>) -> Result<u64, String> {
        let (name, axis) = name.split_once('.').unwrap_or((name, "x"));
        let axis = ["x", "y", "z"].iter().position(|a| *a == axis).ok_or("no such axis")?;
        Ok(u64::from(match name {
            "%tid" => self.index[axis],
            "%ctaid" => common.block[axis],
            "%ntid" => common.block_dim[axis],
            "%nctaid" => common.grid_dim[axis],
            "%laneid" => self.lane,
            _ => return Err(format!("no special register {name}")),
        }))
    }

    pub(super) fn write(
        &mut self,
        arg: &Arg,
        bits: u64,
        common: &Common<'_>,
    ) -> Result<(), String> {
        let Arg::Reg(reg) = arg else { return Err("the target is no register".to_owned()) };
        let width = common.program.registers[*reg];
        self.registers[*reg] = Some(if width == 64 { bits } else { bits & ((1u64 << width) - 1) });
        Ok(())
    }

    /// `mov` also packs and unpacks.
    fn mov(&mut self, instr: &Instr, common: &Common<'_>) -> Result<(), String> {
        let part = |n: usize| instr.ty.bits() / n as u32;
        match (&instr.args[0], &instr.args[1]) {
            (Arg::List(to), from) => {
                let bits = self.read(from, common)?;
                for (i, to) in to.iter().enumerate() {
                    self.write(to, bits >> (part(2) * i as u32), common)?;
                }
                Ok(())
            }
            (to, Arg::List(from)) => {
                let mut bits = 0;
                for (i, from) in from.iter().enumerate() {
                    bits |= self.read(from, common)? << (part(from_len(&instr.args[1])) * i as u32);
                }
                self.write(to, bits, common)
            }
            (to, from) => {
                let bits = self.read(from, common)?;
                self.write(to, bits, common)
            }
        }
    }

    pub(super) fn address(&self, arg: &Arg, common: &Common<'_>) -> Result<u64, String> {
        let Arg::Mem(base, offset) = arg else { return Err("no memory operand".to_owned()) };
        Ok(self.read(base, common)?.wrapping_add(*offset as u64))
    }

    /// Bytes of a space at an aligned address.
    fn bytes<'a>(
        &'a mut self,
        instr: &Instr,
        at: u64,
        len: u64,
        common: &'a mut Common<'_>,
    ) -> Result<&'a mut [u8], String> {
        if !at.is_multiple_of(len) {
            return Err(format!("{len} bytes at {at:#x} are not aligned"));
        }
        let outside = || format!("{len} bytes at {at:#x} are outside the space");
        let range = || Some(at as usize..at.checked_add(len)? as usize);
        if instr.has("global") {
            common.memory.slice(at, len)
        } else if instr.has("shared") {
            range().and_then(|r| common.shared.get_mut(r)).ok_or_else(outside)
        } else if instr.has("local") {
            range().and_then(|r| self.local.get_mut(r)).ok_or_else(outside)
        } else {
            Err("no such space".to_owned())
        }
    }

    fn load(&mut self, instr: &Instr, common: &mut Common<'_>) -> Result<(), String> {
        let size = u64::from(instr.ty.bits() / 8);
        let at = self.address(&instr.args[1], common)?;
        let single = std::slice::from_ref(&instr.args[0]);
        let to = if let Arg::List(to) = &instr.args[0] { to } else { single };
        let len = size * to.len() as u64;
        let bytes = if instr.has("param") {
            common.params[at as usize..(at + len) as usize].to_vec()
        } else {
            self.bytes(instr, at, len, common)?.to_vec()
        };
        for (to, bytes) in to.iter().zip(bytes.chunks(size as usize)) {
            let bits = load(bytes);
            let bits = match instr.ty {
                Ty::Signed(width) => super::arith::signed(bits, width) as u64,
                _ => bits,
            };
            self.write(to, bits, common)?;
        }
        Ok(())
    }

    fn store(&mut self, instr: &Instr, common: &mut Common<'_>) -> Result<(), String> {
        let size = instr.ty.bits() as usize / 8;
        let at = self.address(&instr.args[0], common)?;
        let single = std::slice::from_ref(&instr.args[1]);
        let from = if let Arg::List(from) = &instr.args[1] { from } else { single };
        let values: Result<Vec<u64>, _> = from.iter().map(|a| self.read(a, common)).collect();
        let values = values?;
        let bytes = self.bytes(instr, at, (size * values.len()) as u64, common)?;
        for (bytes, bits) in bytes.chunks_mut(size).zip(values) {
            store(bytes, bits);
        }
        Ok(())
    }

    fn atomic(&mut self, instr: &Instr, common: &mut Common<'_>) -> Result<(), String> {
        let result = usize::from(instr.name[0] == "atom");
        let at = self.address(&instr.args[result], common)?;
        let x: Result<Vec<u64>, _> =
            instr.args[result + 1..].iter().map(|a| self.read(a, common)).collect();
        let x = x?;
        let len = u64::from(instr.ty.bits() / 8);
        let bytes = self.bytes(instr, at, len, common)?;
        let old = load(bytes);
        let has = |op: &str| instr.has(op);
        let new = if has("cas") {
            if old == x[0] { x[1] } else { old }
        } else if has("exch") {
            x[0]
        } else {
            let op = ["add", "min", "max", "and", "or", "xor"].into_iter().find(|op| has(op));
            combine(op.ok_or("no such atomic")?, instr, old, x[0])?
        };
        store(bytes, new);
        if result == 1 {
            self.write(&instr.args[0], old, common)?;
        }
        Ok(())
    }

    /// Copies take effect as late as they may: when they are waited for.
    fn copy(&mut self, instr: &Instr, common: &mut Common<'_>) -> Result<(), String> {
        match instr.name[2].as_str() {
            "commit_group" => self.copies.push(Vec::new()),
            "wait_group" => {
                let Arg::Imm(left) = instr.args[0] else { return Err("no count".to_owned()) };
                // The open group is not counted.
                let done = (self.copies.len() - 1).saturating_sub(left as usize);
                for (at, bytes) in self.copies.drain(..done).flatten() {
                    let range = at as usize..at as usize + bytes.len();
                    let to = common.shared.get_mut(range).ok_or("a copy outside shared memory")?;
                    to.copy_from_slice(&bytes);
                }
            }
            _ => {
                let (to, from) =
                    (self.address(&instr.args[0], common)?, self.address(&instr.args[1], common)?);
                let Arg::Imm(len) = instr.args[2] else { return Err("no size".to_owned()) };
                if !to.is_multiple_of(len) || !from.is_multiple_of(len) {
                    return Err(format!("{len} bytes are not aligned"));
                }
                let bytes = common.memory.slice(from, len)?.to_vec();
                self.copies.last_mut().expect("one is open").push((to, bytes));
            }
        }
        Ok(())
    }
}

fn from_len(arg: &Arg) -> usize {
    if let Arg::List(parts) = arg { parts.len() } else { 1 }
}

/// An atomic's operation, as the plain instruction of that name.
pub(super) fn combine(op: &str, instr: &Instr, old: u64, x: u64) -> Result<u64, String> {
    use half::{bf16, f16};
    match (op, instr.ty) {
        ("add", Ty::F16) => {
            let sum = f16::from_bits(old as u16).to_f32() + f16::from_bits(x as u16).to_f32();
            Ok(f16::from_f32(sum).to_bits().into())
        }
        ("add", Ty::BF16) => {
            let sum = bf16::from_bits(old as u16).to_f32() + bf16::from_bits(x as u16).to_f32();
            Ok(bf16::from_f32(sum).to_bits().into())
        }
        _ => {
            let name = vec![op.to_owned(), "rn".to_owned()];
            let plain = Instr { name, guard: None, args: Vec::new(), ..instr.clone() };
            compute(&plain, &[old, x]).ok_or_else(|| "no such operation".to_owned())
        }
    }
}
