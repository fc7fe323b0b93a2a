//! What all threads of a launch share: the program, global memory, and the report.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::access::Home;
use super::clock::{Knowledge, Who};
use super::finding::{Agent, Finding, FindingKind, Other};
use super::memory::Memory;
use super::program::Program;
use super::rng::Rng;
use super::shadow::{Conflict, Copying, Deed, Shadow};
use super::{Launch, Outcome};
use crate::kernel::ParamKind;
use crate::loc::Loc;
use crate::tensor_map::{self, TensorMap};
use crate::types::Type;

/// Distinct findings after which a launch ends: who has that many wants to mend some first.
const MOST: usize = 20;

/// What a pointer parameter reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Global {
    /// The buffer; none where nothing may be reached.
    pub allocation: Option<usize>,
    /// Where in the buffer the parameter points to.
    pub start: usize,
    /// Bytes from there on.
    pub len: usize,
    /// The absolute address.
    pub address: u64,
    pub writable: bool,
    /// Index into [`World::shadows`]; none for memory that nobody can write.
    pub shadow: Option<usize>,
}

/// A tensor map among the arguments.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub param: usize,
    pub tensor: TensorMap,
    /// The buffer, and where in it the tensor begins.
    pub home: Option<Home>,
    pub start: usize,
}

/// Where an atomic operation synchronises: a place in memory, seen by a block or by all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Meeting {
    /// The buffer, or the block whose shared memory it is.
    pub memory: Where,
    pub at: usize,
    /// The block that alone can meet here.
    pub block: Option<u32>,
}

/// One memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Where {
    Buffer(usize),
    Shared(u32),
}

pub(super) struct World<'m> {
    pub program: &'m Program,
    pub launch: &'m Launch<'m>,
    pub memory: &'m mut Memory,
    /// By parameter; none for those that are no pointers.
    pub globals: Vec<Option<Global>>,
    /// By parameter; none for those that are no tensor maps.
    pub maps: Vec<Option<Map>>,
    pub shadows: Vec<Shadow>,
    pub released: HashMap<Meeting, Rc<Knowledge>>,
    pub outcome: Outcome,
    pub rng: Rng,
    /// Nothing that comes after would mean anything.
    pub stopped: bool,
    copies: u32,
    seen: HashSet<(FindingKind, Line, Option<Line>)>,
}

/// A file's number and a line, where they are known.
type Line = Option<(u32, u32)>;

/// What is to be reported.
pub(super) struct Report {
    pub kind: FindingKind,
    pub loc: Loc,
    pub who: Who,
    pub what: String,
    pub other: Option<(Who, Loc, String)>,
}

impl<'m> World<'m> {
    pub(super) fn new(
        program: &'m Program,
        launch: &'m Launch<'m>,
        memory: &'m mut Memory,
    ) -> World<'m> {
        let mut world = World {
            program,
            launch,
            memory,
            globals: Vec::new(),
            maps: Vec::new(),
            shadows: Vec::new(),
            released: HashMap::new(),
            outcome: Outcome::default(),
            rng: Rng::new(launch.seed),
            stopped: false,
            copies: 0,
            seen: HashSet::new(),
        };
        world.find_buffers();
        world.find_tensors();
        world.make_shadows();
        world
    }

    /// A number for an asynchronous copy.
    pub(super) fn new_copy(&mut self) -> Copying {
        self.copies += 1;
        Copying(self.copies)
    }

    /// The packed argument of a parameter.
    pub(super) fn argument(&self, param: usize) -> u64 {
        let kernel = self.program.kernel();
        let (offsets, _) = kernel.param_layout();
        let (at, size) = (offsets[param] as usize, kernel.ty(kernel.params[param].value).size());
        let mut bytes = [0; 8];
        let size = size.min(8) as usize;
        bytes[..size].copy_from_slice(&self.launch.args[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    fn find_buffers(&mut self) {
        let kernel = self.program.kernel();
        for (i, param) in kernel.params.iter().enumerate() {
            if !matches!(kernel.ty(param.value), Type::Ptr(..)) {
                self.globals.push(None);
                continue;
            }
            let address = self.argument(i);
            let found = self.memory.find(address, 0).ok();
            let there = found.map_or(0, |(n, start)| self.memory.bytes(n).len() - start);
            let len = self.launch.extents.get(i).copied().flatten();
            let len = len.map_or(there, |extent| there.min(extent as usize));
            self.globals.push(Some(Global {
                allocation: found.map(|(number, _)| number),
                start: found.map_or(0, |(_, start)| start),
                len,
                address,
                writable: matches!(param.kind, ParamKind::Exclusive | ParamKind::PrintBuffer),
                shadow: None,
            }));
        }
    }

    /// Reads the tensor maps; one that is none, or another than the kernel's, ends the launch.
    fn find_tensors(&mut self) {
        let kernel = self.program.kernel();
        let (offsets, _) = kernel.param_layout();
        for (i, param) in kernel.params.iter().enumerate() {
            let ParamKind::TensorMap(tile) = param.kind else {
                self.maps.push(None);
                continue;
            };
            let at = offsets[i] as usize;
            let bytes = self.launch.args.get(at..at + tensor_map::BYTES);
            let bytes = bytes.and_then(|bytes| <&[u8; tensor_map::BYTES]>::try_from(bytes).ok());
            let tensor = bytes.and_then(TensorMap::decode);
            let elem = kernel.ty(param.value).elem();
            let Some(tensor) = tensor.filter(|t| t.tile == tile && t.elem == elem) else {
                let name = &param.name;
                let what = format!("the argument `{name}` is no tensor map of the kernel's box");
                self.refuse(what);
                self.maps.push(None);
                continue;
            };
            let found = self.memory.find(tensor.address, 0).ok();
            let home = found.map(|(number, _)| Home::Buffer(number, None));
            let start = found.map_or(0, |(_, start)| start);
            self.maps.push(Some(Map { param: i, tensor, home, start }));
        }
    }

    /// The launch cannot be.
    pub(super) fn refuse(&mut self, what: String) {
        let (kind, who) = (FindingKind::BadLaunch, Who { block: 0, thread: 0 });
        self.report(Report { kind, loc: Loc::NONE, who, what, other: None });
        self.stopped = true;
    }

    /// One shadow for each buffer that some parameter may write.
    fn make_shadows(&mut self) {
        let mut by_buffer = HashMap::new();
        let pointers = self.globals.iter().flatten().filter(|g| g.writable);
        let maps = self.maps.iter().flatten().filter(|map| map.tensor.tile.written);
        let maps = maps.filter_map(|map| map.home).map(|home| match home {
            Home::Buffer(number, _) => number,
            _ => unreachable!("tensors are in global memory"),
        });
        for number in pointers.filter_map(|g| g.allocation).chain(maps) {
            by_buffer.entry(number).or_insert_with(|| {
                let bytes = self.memory.bytes(number).len();
                self.shadows.push(Shadow::new(bytes, self.launch.warp_size));
                self.shadows.len() - 1
            });
        }
        for global in self.globals.iter_mut().flatten() {
            global.shadow = global.allocation.and_then(|number| by_buffer.get(&number).copied());
        }
        for map in self.maps.iter_mut().flatten() {
            if let Some(Home::Buffer(number, shadow)) = &mut map.home {
                *shadow = by_buffer.get(number).copied();
            }
        }
    }

    /// Reports that an access conflicts with another.
    pub(super) fn race(&mut self, home: &Home, bytes: usize, deed: Deed<'_>, conflict: Conflict) {
        let Deed { clock, sort, landed, loc } = deed;
        let engines = sort.is_copy() || landed.is_some() || conflict.is_engine();
        let kind = if engines { FindingKind::CopyInFlight } else { FindingKind::Race };
        let space = match home {
            Home::Shared(_) => "shared",
            _ => "global",
        };
        let what = format!("{} {bytes} bytes of {space} memory", sort.verb());
        let other = Some((conflict.who, conflict.loc, conflict.past().to_owned()));
        self.report(Report { kind, loc, who: clock.who, what, other });
    }

    /// The indices of a thread.
    pub(super) fn agent(&self, who: Who) -> Agent {
        let split = |n: u32, [x, y, _]: [u32; 3]| [n % x, n / x % y, n / x / y];
        Agent {
            block: split(who.block, self.launch.grid),
            thread: split(u32::from(who.thread), self.launch.block),
        }
    }

    /// Whether nothing like this was found before. Once a kind at a line is enough, a race is the
    /// same from both sides, and who races reads what is not yet written, too.
    fn is_new(&mut self, kind: FindingKind, loc: Loc, other: Option<Loc>) -> bool {
        use FindingKind::{CopyInFlight, Race, Uninitialized};
        let (line, other) = (self.line(loc), other.map(|loc| self.line(loc)));
        if let (Race | CopyInFlight, Some(other)) = (kind, other) {
            for side in [line, other] {
                self.seen.insert((Uninitialized, side, None));
            }
            let kept = std::mem::take(&mut self.outcome.findings).into_iter();
            let is_symptom = |f: &Finding| {
                let place = f.location.as_ref().map(|(file, line, _)| (file.as_str(), *line));
                f.kind == Uninitialized && [line, other].iter().any(|&l| self.shows(l) == place)
            };
            let kept: Vec<Finding> = kept.filter(|f| !is_symptom(f)).collect();
            self.outcome.findings = kept;
            return self.seen.insert((Race, line.min(other), Some(line.max(other))));
        }
        self.seen.insert((kind, line, other))
    }

    fn line(&self, loc: Loc) -> Line {
        let position = self.program.kernel().sources.positions.get(loc.0 as usize);
        position.map(|position| (position.file, position.line))
    }

    fn shows(&self, line: Line) -> Option<(&str, u32)> {
        let (file, line) = line?;
        Some((&self.program.kernel().sources.files[file as usize], line))
    }

    /// Notes a finding unless the same was found before.
    pub(super) fn report(&mut self, report: Report) {
        self.report_with(report, Vec::new());
    }

    /// The same, with what others wait for.
    pub(super) fn report_with(&mut self, report: Report, waits: Vec<(Who, Loc, String)>) {
        let Report { kind, loc, who, what, other } = report;
        if !self.is_new(kind, loc, other.as_ref().map(|(_, loc, _)| *loc)) {
            return;
        }
        let sources = &self.program.kernel().sources;
        let place = |loc: Loc| sources.get(loc).map(|(f, l, c)| (f.to_owned(), l, c));
        let side = |(who, loc, what)| Other { agent: self.agent(who), location: place(loc), what };
        let finding = Finding {
            kind,
            kernel: self.program.kernel().name.clone(),
            location: place(loc),
            agent: self.agent(who),
            what,
            other: other.map(side),
            waits: waits.into_iter().map(side).collect(),
            seed: self.launch.seed,
        };
        self.outcome.findings.push(finding);
        self.stopped |= self.outcome.findings.len() >= MOST;
    }
}
