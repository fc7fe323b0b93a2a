//! Kernels as text, with what is launched on them.
//!
//! Values may have names, and every instruction stands at its own line of the text; a line that ends
//! in `//~ name` has that name.

use std::collections::HashMap;

use kernelsmith_ir::interp::{Finding, FindingKind, Launch, Memory, Outcome, Program, run};
use kernelsmith_ir::tensor_map::TensorMap;
use kernelsmith_ir::{Kernel, ParamKind, Target, parse, passes, verify};

/// The text form: values numbered, each instruction at its line.
fn translated(text: &str) -> String {
    let mut numbers = HashMap::new();
    let mut out = String::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split("//").next().unwrap().trim_end();
        out += &with_place(&numbered(line, &mut numbers), number);
        out.push('\n');
        if line.trim_start().starts_with("kernel") {
            out += "file f0 \"k.rs\"\n";
        }
    }
    out
}

fn numbered(line: &str, numbers: &mut HashMap<String, usize>) -> String {
    let mut parts = line.split('%');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len());
        let next = numbers.len();
        let number = *numbers.entry(part[..end].to_owned()).or_insert(next);
        out += &format!("%{number}{}", &part[end..]);
    }
    out
}

fn with_place(line: &str, number: usize) -> String {
    let declares = ["kernel", "shared", "local", "var", "}"];
    let start = line.trim_start();
    if start.is_empty() || declares.iter().any(|word| start.starts_with(word)) {
        return line.to_owned();
    }
    match line.find(" {") {
        Some(brace) => format!("{} at f0:{number}:1{}", &line[..brace], &line[brace..]),
        None => format!("{line} at f0:{number}:1"),
    }
}

/// The line of a name.
pub(super) fn line(text: &str, name: &str) -> u32 {
    let mark = |line: &str| line.split("//~").nth(1).is_some_and(|n| n.trim() == name);
    let found = text.lines().position(mark);
    found.unwrap_or_else(|| panic!("no line is named {name}")) as u32 + 1
}

/// A kernel, and how it is launched.
pub(super) struct Scene {
    kernel: Kernel,
    text: String,
    grid: [u32; 3],
    block: u32,
    pub(super) args: Vec<u8>,
    given: usize,
    memory: Memory,
}

impl Scene {
    /// A kernel that keeps the rules of the IR.
    pub(super) fn new(text: &str, grid: u32, block: u32) -> Scene {
        let translated = translated(text);
        let kernel = parse(&translated).unwrap_or_else(|error| panic!("{error}\n{translated}"));
        verify(&kernel).unwrap_or_else(|error| panic!("{error}"));
        assert!(kernel.block_dim.is_none_or(|dim| dim == [block, 1, 1]), "{:?}", kernel.block_dim);
        let (text, grid) = (text.to_owned(), [grid, 1, 1]);
        Scene { kernel, text, grid, block, args: Vec::new(), given: 0, memory: Memory::new() }
    }

    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The same on another grid.
    pub(super) fn on(self, grid: [u32; 3]) -> Scene {
        Scene { grid, ..self }
    }

    /// The same after the passes for Hopper.
    pub(super) fn prepared(self) -> Scene {
        let target = Target::sm(90, true);
        let kernel = passes::prepare(&self.kernel, &target).unwrap_or_else(|e| panic!("{e}"));
        Scene { kernel, ..self }
    }

    fn push(&mut self, bytes: &[u8], align: usize) {
        self.args.resize(self.args.len().next_multiple_of(align), 0);
        self.args.extend(bytes);
        self.given += 1;
    }

    pub(super) fn number(mut self, x: u32) -> Scene {
        self.push(&x.to_le_bytes(), 4);
        self
    }

    fn buffer(&mut self, bytes: usize, data: &[u8]) -> u64 {
        let address = self.memory.allocate(bytes);
        self.memory.write(address, data).unwrap();
        address
    }

    /// A buffer of so many bytes, of which the first are written.
    pub(super) fn pointer(mut self, bytes: usize, data: &[u8]) -> Scene {
        let address = self.buffer(bytes, data);
        self.push(&address.to_le_bytes(), 8);
        self
    }

    /// A dense tensor, innermost extent first, in a buffer of its own.
    pub(super) fn tensor(self, extents: &[u64], data: &[u8]) -> Scene {
        let elem = self.kernel.ty(self.kernel.params[self.given].value).elem();
        let bytes = extents.iter().product::<u64>() * u64::from(elem.size());
        self.tensor_in(extents, bytes as usize, data)
    }

    /// The same, in a buffer of so many bytes.
    pub(super) fn tensor_in(mut self, extents: &[u64], bytes: usize, data: &[u8]) -> Scene {
        let param = &self.kernel.params[self.given];
        let ParamKind::TensorMap(tile) = param.kind else { panic!("{} is no tensor", param.name) };
        let elem = self.kernel.ty(param.value).elem();
        let address = self.buffer(bytes, data);
        let (mut all, mut strides) = ([1; 5], [0; 5]);
        all[..extents.len()].copy_from_slice(extents);
        let mut stride = u64::from(elem.size());
        for (to, extent) in strides.iter_mut().zip(extents) {
            *to = stride;
            stride *= extent;
        }
        let map = TensorMap { tile, elem, address, extents: all, strides };
        self.push(&map.encode(), 64);
        self
    }

    pub(super) fn run(&mut self, seed: u64) -> Outcome {
        let launch = Launch {
            grid: self.grid,
            block: [self.block, 1, 1],
            dynamic_shared: 0,
            args: &self.args,
            extents: &[],
            warp_size: 32,
            seed,
            fuel: 1 << 20,
        };
        run(&Program::new(&self.kernel), &launch, &mut self.memory)
    }

    /// What the buffer of a pointer or tensor holds: either begins with its address.
    pub(super) fn bytes(&self, param: usize, len: usize) -> Vec<u8> {
        let (offsets, _) = self.kernel.param_layout();
        let at = offsets[param] as usize;
        let address = u64::from_le_bytes(self.args[at..at + 8].try_into().unwrap());
        let mut bytes = vec![0; len];
        self.memory.read(address, &mut bytes).unwrap();
        bytes
    }
}

/// Which schedules are tried.
pub(super) const SEEDS: std::ops::Range<u64> = 0..12;

/// Nothing is found in any schedule.
pub(super) fn finds_nothing(scene: impl Fn() -> Scene, check: impl Fn(&Scene)) {
    for seed in SEEDS {
        let mut scene = scene();
        let outcome = scene.run(seed);
        let found: Vec<String> = outcome.findings.iter().map(Finding::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        check(&scene);
    }
}

/// In every schedule, something is found, and what is found first is one of these: the kind, and the
/// names of the line and of the other line.
pub(super) fn finds(
    scene: impl Fn() -> Scene,
    expected: &[(FindingKind, &str, &str)],
) -> Vec<Finding> {
    let mut first = Vec::new();
    for seed in SEEDS {
        let mut scene = scene();
        let outcome = scene.run(seed);
        let finding = outcome.findings.into_iter().next();
        let finding = finding.unwrap_or_else(|| panic!("nothing is found with seed {seed}"));
        let line_of = |place: &Option<(String, u32, u32)>| place.as_ref().map(|p| p.1);
        let other = finding.other.as_ref().and_then(|other| line_of(&other.location));
        let found = (finding.kind, line_of(&finding.location), other);
        let named = |name: &str| (!name.is_empty()).then(|| line(&scene.text, name));
        let is = |&(kind, at, other): &_| found == (kind, named(at), named(other));
        assert!(expected.iter().any(is), "{finding}\nexpected one of {expected:?}");
        let text = finding.to_string();
        assert!(text.contains("kernel `k`") && text.contains("thread "), "{text}");
        first.push(finding);
    }
    first
}

/// A text with one part replaced, which it has once.
pub(super) fn replaced(text: &str, part: &str, by: &str) -> String {
    assert_eq!(text.matches(part).count(), 1, "{part}");
    text.replace(part, by)
}
