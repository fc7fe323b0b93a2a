//! What the convergence check lets through comes together when it runs: random kernels of barriers
//! and collective operations under conditions that are the grid's, the block's, the warp's or the
//! thread's own. The check never runs a kernel, the interpreter sees what the threads do.

use kernelsmith_ir::attr::{Attr, Const, Dim, ReduceOp};
use kernelsmith_ir::interp::{FindingKind, Launch, Memory, Program, run};
use kernelsmith_ir::kernel::VarId;
use kernelsmith_ir::{
    Builder, Kernel, Label, Opcode, ParamKind, Scalar, Space, Target, Type, Value, passes,
};

use crate::random_kernel::Rng;
use crate::seeds;

const BLOCK: u32 = 64;
const SLOTS: usize = 4;

struct Maker {
    b: Builder,
    rng: Rng,
    slots: Vec<VarId>,
    open: Vec<(Label, bool)>,
    input: Value,
    output: Value,
    n: Value,
    /// One in how many sources differs between the threads of a warp.
    rare: u64,
    left: u32,
}

fn kernel(seed: u64) -> Kernel {
    let mut rng = Rng::new(seed);
    let mut b = Builder::new("random");
    let ptr = Type::Ptr(Space::Global, Scalar::U32);
    let input = b.param("input", ptr, ParamKind::ReadOnly);
    let output = b.param("output", ptr, ParamKind::Exclusive);
    let n = b.param("n", Type::U32, ParamKind::Scalar);
    b.kernel_mut().block_dim = Some([BLOCK, 1, 1]);
    let slots = (0..SLOTS).map(|_| b.var("slot", Type::U32)).collect();
    let (rare, left) = (2 + rng.below(12), 8 + rng.below(30) as u32);
    let mut maker = Maker { b, rng, slots, open: vec![], input, output, n, rare, left };
    for slot in maker.slots.clone() {
        let value = maker.source();
        maker.b.var_store(slot, value);
    }
    maker.statements(0);
    // Whatever was computed is used.
    for slot in maker.slots.clone() {
        let value = maker.b.var_load(slot);
        let index = maker.thread();
        let at = maker.b.ptr_add(maker.output, index);
        maker.b.store(at, value);
    }
    maker.b.finish()
}

impl Maker {
    fn number(&mut self, n: u64) -> Value {
        self.b.constant(Const::int(Scalar::U32, n.into()))
    }

    fn id(&mut self, op: Opcode, attr: Attr) -> Value {
        self.b.emit1(op, attr, &[], Type::U32)
    }

    fn thread(&mut self) -> Value {
        self.id(Opcode::ThreadIdx, Attr::Dim(Dim::X))
    }

    /// A number that comes from nothing else.
    fn source(&mut self) -> Value {
        if self.rng.below(self.rare) == 0 {
            return match self.rng.below(3) {
                0 => self.thread(),
                1 => self.id(Opcode::LaneId, Attr::None),
                _ => {
                    let index = self.thread();
                    self.read(index)
                }
            };
        }
        match self.rng.below(5) {
            0 => self.id(Opcode::BlockIdx, Attr::Dim(Dim::X)),
            1 => self.id(Opcode::WarpId, Attr::None),
            2 => self.n,
            3 => {
                let index = self.id(Opcode::BlockIdx, Attr::Dim(Dim::X));
                self.read(index)
            }
            _ => {
                let n = self.rng.below(4);
                self.number(n)
            }
        }
    }

    fn read(&mut self, index: Value) -> Value {
        let at = self.b.ptr_add(self.input, index);
        self.b.load(at, Type::U32)
    }

    fn slot(&mut self) -> VarId {
        self.slots[self.rng.below(SLOTS as u64) as usize]
    }

    fn value(&mut self) -> Value {
        if self.rng.below(3) == 0 {
            return self.source();
        }
        let slot = self.slot();
        self.b.var_load(slot)
    }

    fn condition(&mut self) -> Value {
        let (a, k) = (self.value(), self.rng.below(3));
        let k = self.number(k);
        let op = [Opcode::Eq, Opcode::Lt, Opcode::Gt][self.rng.below(3) as usize];
        self.b.compare(op, a, k)
    }

    fn statements(&mut self, depth: u32) {
        for _ in 0..1 + self.rng.below(5) {
            if self.left == 0 || self.b.is_dead() {
                return;
            }
            self.left -= 1;
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        let nested = depth < 4;
        match self.rng.below(16) {
            0..=2 if nested => self.branch(depth),
            3..=4 if nested => self.counted(depth),
            5..=6 if nested => self.endless(depth),
            7 if nested => {
                let label = self.b.begin_block();
                self.open.push((label, false));
                self.statements(depth + 1);
                self.open.pop();
                self.b.end_block();
            }
            8..=9 if depth > 0 => self.jump(),
            10 => self.b.emit(Opcode::Barrier, Attr::None, &[], &[]).clear(),
            11..=12 => {
                let value = self.collective();
                let slot = self.slot();
                self.b.var_store(slot, value);
            }
            _ => {
                let (a, b) = (self.value(), self.value());
                let op = [Opcode::Add, Opcode::Sub, Opcode::Min][self.rng.below(3) as usize];
                let value = self.b.same(op, &[a, b]);
                let slot = self.slot();
                self.b.var_store(slot, value);
            }
        }
    }

    fn collective(&mut self) -> Value {
        let value = self.value();
        match self.rng.below(5) {
            0 => {
                let attr = Attr::Reduce([ReduceOp::Add, ReduceOp::Max][self.rng.below(2) as usize]);
                self.b.emit1(Opcode::WarpReduce, attr, &[value], Type::U32)
            }
            1 => {
                let lane = self.value();
                self.b.same(Opcode::ShuffleIdx, &[value, lane])
            }
            2 => {
                let one = self.number(1);
                self.b.same(Opcode::ShuffleUp, &[value, one])
            }
            3 => {
                let condition = self.condition();
                let bits = self.b.emit1(Opcode::Ballot, Attr::None, &[condition], Type::U64);
                self.b.cast(bits, Scalar::U32)
            }
            _ => {
                let condition = self.condition();
                let op = [Opcode::VoteAll, Opcode::VoteAny][self.rng.below(2) as usize];
                let vote = self.b.emit1(op, Attr::None, &[condition], Type::BOOL);
                self.b.cast(vote, Scalar::U32)
            }
        }
    }

    fn branch(&mut self, depth: u32) {
        let condition = self.condition();
        self.b.begin_if(condition);
        self.statements(depth + 1);
        self.b.begin_else(&[]);
        if self.rng.below(2) == 0 {
            self.statements(depth + 1);
        }
        self.b.end_if(&[], &[]);
    }

    /// At most three iterations.
    fn few(&mut self) -> Value {
        let (n, three) = (self.value(), self.number(3));
        self.b.same(Opcode::And, &[n, three])
    }

    fn counted(&mut self, depth: u32) {
        let (low, high) = (self.number(0), self.few());
        let (label, i) = self.b.begin_for(low, high);
        self.open.push((label, true));
        let slot = self.slot();
        self.b.var_store(slot, i);
        self.statements(depth + 1);
        self.open.pop();
        self.b.end_for();
    }

    fn endless(&mut self, depth: u32) {
        let count = self.b.var("count", Type::U32);
        let zero = self.number(0);
        self.b.var_store(count, zero);
        let label = self.b.begin_loop();
        self.open.push((label, true));
        let (so_far, few, one) = (self.b.var_load(count), self.few(), self.number(1));
        let next = self.b.same(Opcode::Add, &[so_far, one]);
        self.b.var_store(count, next);
        self.statements(depth + 1);
        if !self.b.is_dead() {
            let done = self.b.compare(Opcode::Ge, so_far, few);
            self.b.begin_if(done);
            self.b.brk(label);
            self.b.begin_else(&[]);
            self.b.end_if(&[], &[]);
            self.statements(depth + 1);
        }
        self.open.pop();
        self.b.end_loop();
    }

    /// Mostly under a condition, so that something comes after.
    fn jump(&mut self) {
        let condition = self.condition();
        self.b.begin_if(condition);
        if self.open.is_empty() || self.rng.below(5) == 0 {
            self.b.ret();
        } else {
            let (label, is_loop) = self.open[self.rng.below(self.open.len() as u64) as usize];
            if is_loop && self.rng.below(2) == 0 { self.b.cont(label) } else { self.b.brk(label) }
        }
        self.b.begin_else(&[]);
        self.b.end_if(&[], &[]);
    }
}

/// What the interpreter says of threads that do not come together.
fn divergence(kernel: &Kernel, n: u32, seed: u64) -> Option<String> {
    let mut memory = Memory::new();
    let mut buffer = |of: fn(u32) -> u32| {
        let address = memory.allocate(4 * BLOCK as usize);
        let bytes: Vec<u8> = (0..BLOCK).flat_map(|i| of(i).to_le_bytes()).collect();
        memory.write(address, &bytes).expect("just allocated");
        address
    };
    let pointers = [buffer(|i| i.wrapping_mul(0x9e37_79b9) >> 30), buffer(|_| 0)];
    let mut args: Vec<u8> = pointers.iter().flat_map(|p| p.to_le_bytes()).collect();
    args.extend(n.to_le_bytes());
    let launch = Launch {
        grid: [2, 1, 1],
        block: [BLOCK, 1, 1],
        dynamic_shared: 0,
        args: &args,
        extents: &[],
        warp_size: 32,
        seed,
        fuel: 20_000,
    };
    let outcome = run(&Program::new(kernel), &launch, &mut memory);
    let divergent = outcome.findings.iter().find(|f| {
        matches!(f.kind, FindingKind::DivergentBarrier | FindingKind::DivergentCollective)
    });
    divergent.map(|finding| finding.to_string())
}

#[test]
fn what_is_let_through_comes_together() {
    let (mut accepted, mut refused, mut rightly) = (0, 0, 0);
    let tried = seeds(1500);
    for seed in 0..tried {
        let kernel = kernel(seed + (7 << 32));
        kernelsmith_ir::verify(&kernel).unwrap_or_else(|error| panic!("{error}\n{kernel}"));
        let run = |n| divergence(&kernel, n, seed);
        match passes::prepare(&kernel, &Target::sm(90, true)) {
            Ok(_) => {
                accepted += 1;
                for n in [0, 2] {
                    if let Some(finding) = run(n) {
                        panic!("seed {seed}, n {n}: let through, but {finding}\n{kernel}");
                    }
                }
            }
            Err(passes::Error::Convergence(_)) => {
                refused += 1;
                rightly += u64::from((0..4).any(|n| run(n).is_some()));
            }
            Err(error) => panic!("{error}\n{kernel}"),
        }
    }
    assert!(accepted * 5 > tried && refused * 5 > tried, "{accepted} accepted, {refused} refused");
    assert!(rightly * 3 > refused, "only {rightly} of {refused} diverged when they ran");
}
