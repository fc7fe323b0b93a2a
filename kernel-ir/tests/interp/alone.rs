//! Kernels that the language does not let one write, and schedules.

use kernelsmith_ir::interp::{FindingKind, Launch, Memory, Outcome, Program, run};
use kernelsmith_ir::{parse, verify};

/// A buffer of numbers, each of them written.
fn buffer(memory: &mut Memory, numbers: &[u32]) -> u64 {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let address = memory.allocate(bytes.len());
    memory.write(address, &bytes).unwrap();
    address
}

fn numbers(memory: &Memory, address: u64, len: usize) -> Vec<u32> {
    let mut bytes = vec![0; 4 * len];
    memory.read(address, &mut bytes).unwrap();
    bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

struct Case<'a> {
    text: &'a str,
    grid: u32,
    block: u32,
    dynamic_shared: u32,
    seed: u64,
}

impl<'a> Case<'a> {
    fn new(text: &'a str) -> Case<'a> {
        Case { text, grid: 1, block: 1, dynamic_shared: 0, seed: 1 }
    }

    /// Runs the kernel on one array, its only parameter.
    fn run(&self, memory: &mut Memory, array: u64) -> Outcome {
        let kernel = parse(self.text).unwrap_or_else(|error| panic!("{error}"));
        verify(&kernel).unwrap_or_else(|error| panic!("{error}"));
        let launch = Launch {
            grid: [self.grid, 1, 1],
            block: [self.block, 1, 1],
            dynamic_shared: self.dynamic_shared,
            args: &array.to_le_bytes(),
            extents: &[],
            warp_size: 32,
            seed: self.seed,
            fuel: 1 << 20,
        };
        run(&Program::new(&kernel), &launch, memory)
    }

    /// What is found, and the lines.
    fn findings(&self, start: &[u32]) -> Vec<(FindingKind, u32)> {
        let mut memory = Memory::new();
        let array = buffer(&mut memory, start);
        let outcome = self.run(&mut memory, array);
        let line = |place: &Option<(String, u32, u32)>| place.as_ref().map_or(0, |p| p.1);
        outcome.findings.iter().map(|f| (f.kind, line(&f.location))).collect()
    }
}

#[test]
fn a_division_that_no_check_guards() {
    let text = r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {
          file f0 "src/user.rs"
          %1: u32 = load[align 4] %0 at f0:3:5
          %2: u32 = div %1, %1 at f0:4:5
          store[align 4] %0, %2 at f0:5:5
          return at f0:9:1
        }"#;
    assert_eq!(Case::new(text).findings(&[7]), []);
    assert_eq!(Case::new(text).findings(&[0]), [(FindingKind::Division, 4)]);
}

#[test]
fn a_write_through_a_parameter_that_is_only_read() {
    let text = r#"
        kernel @k(%0 "x": ptr<global, u32> readonly) {
          file f0 "src/user.rs"
          %1: u32 = load[align 4] %0 at f0:3:5
          store[align 4] %0, %1 at f0:4:5
          return at f0:9:1
        }"#;
    assert_eq!(Case::new(text).findings(&[7]), [(FindingKind::ReadOnly, 4)]);
}

#[test]
fn a_local_array_that_nobody_wrote() {
    let text = r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {
          file f0 "src/user.rs"
          local l0: u32 x 2
          %1: ptr<local, u32> = local_addr[l0] at f0:3:5
          %2: u32 = const[u32 1] at f0:4:5
          store[align 4] %1, %2 at f0:5:5
          %3: u32 = load[align 4] %1 at f0:6:5
          %4: ptr<local, u32> = ptr_add %1, %2 at f0:7:5
          %5: u32 = load[align 4] %4 at f0:8:5
          return at f0:9:1
        }"#;
    assert_eq!(Case::new(text).findings(&[7]), [(FindingKind::Uninitialized, 8)]);
}

#[test]
fn a_thread_that_does_not_end() {
    let text = r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {
          file f0 "src/user.rs"
          loop[$0] at f0:4:5 {
            %1: u32 = load[align 4] %0 at f0:4:5
            continue[$0] at f0:4:5
          }
          return at f0:9:1
        }"#;
    assert_eq!(Case::new(text).findings(&[7]), [(FindingKind::Endless, 4)]);
}

#[test]
fn dynamic_shared_memory_ends_where_the_launch_says() {
    let text = r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {
          file f0 "src/user.rs"
          shared s0 "fixed": u32 x 3 align 4
          shared s1 "tile": u32 x dynamic align 16
          %1: ptr<shared, u32> = shared_addr[s1] at f0:3:5
          %2: u32 = thread_idx[x] at f0:4:5
          %3: ptr<shared, u32> = ptr_add %1, %2 at f0:5:5
          store[align 4] %3, %2 at f0:6:5
          %4: u32 = load[align 4] %3 at f0:7:5
          %5: ptr<global, u32> = ptr_add %0, %2 at f0:7:5
          store[align 4] %5, %4 at f0:8:5
          return at f0:9:1
        }"#;
    let case = Case { block: 4, dynamic_shared: 16, ..Case::new(text) };
    assert_eq!(case.findings(&[7; 4]), []);
    let short = Case { dynamic_shared: 12, ..case };
    assert_eq!(short.findings(&[7; 4]), [(FindingKind::OutOfBounds, 6)]);
}

/// Each thread adds to a counter; a scope that does not reach the others' blocks is a race.
#[test]
fn an_atomic_reaches_as_far_as_its_scope() {
    let text = |scope: &str| {
        format!(
            r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {{
          file f0 "src/user.rs"
          %1: u32 = const[u32 1] at f0:3:5
          %2: u32 = atomic_rmw[add relaxed {scope}] %0, %1 at f0:4:5
          return at f0:9:1
        }}"#
        )
    };
    let (narrow, wide) = (text("block"), text("device"));
    assert_eq!(Case { block: 64, ..Case::new(&narrow) }.findings(&[0]), []);
    assert_eq!(Case { grid: 4, ..Case::new(&wide) }.findings(&[0]), []);
    let blocks = Case { grid: 4, ..Case::new(&narrow) };
    assert_eq!(blocks.findings(&[0]), [(FindingKind::Race, 4)]);
}

/// Block 0 writes a number and sets a flag, the others wait for the flag and read the number: the
/// orderings of the two atomics decide whether that is allowed.
fn handed_over(set: &str, wait: &str) -> String {
    format!(
        r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {{
          file f0 "src/user.rs"
          %1: u32 = block_idx[x] at f0:2:5
          %2: u32 = const[u32 0] at f0:2:5
          %3: u32 = const[u32 1] at f0:2:5
          %4: ptr<global, u32> = ptr_add %0, %3 at f0:2:5
          %5: bool = eq %1, %2 at f0:2:5
          if %5 at f0:2:5 {{
            store[align 4] %0, %3 at f0:3:5
            %6: u32 = atomic_rmw[exchange {set}] %4, %3 at f0:4:5
            yield at f0:4:5
          }} {{
            loop[$0] at f0:5:5 {{
              %7: u32 = atomic_rmw[add {wait}] %4, %2 at f0:5:5
              %8: bool = eq %7, %3 at f0:5:5
              if %8 {{
                break[$0] at f0:5:5
              }} {{
                yield at f0:5:5
              }}
              continue[$0] at f0:5:5
            }}
            %9: u32 = load[align 4] %0 at f0:6:5
            yield at f0:6:5
          }}
          return at f0:9:1
        }}"#
    )
}

#[test]
fn orderings_decide_what_is_handed_over() {
    let found = |set: &str, wait: &str| {
        Case { grid: 3, ..Case::new(&handed_over(set, wait)) }.findings(&[0, 0])
    };
    assert_eq!(found("release device", "acquire device"), []);
    assert_eq!(found("acq_rel device", "acq_rel system"), []);
    let race = [(FindingKind::Race, 6)];
    assert_eq!(found("relaxed device", "acquire device"), race);
    assert_eq!(found("release device", "relaxed device"), race);
    // Atomics that do not reach each other race themselves, and hand nothing over.
    assert!(found("release block", "acquire device").contains(&race[0]));
}

/// A seed decides everything, and different seeds decide differently.
#[test]
fn schedules_are_replayed_by_their_seed() {
    let text = r#"
        kernel @k(%0 "y": ptr<global, u32> exclusive) {
          file f0 "src/user.rs"
          %1: u32 = block_idx[x] at f0:3:5
          store[align 4] %0, %1 at f0:4:5
          return at f0:9:1
        }"#;
    let run = |seed| {
        let mut memory = Memory::new();
        let array = buffer(&mut memory, &[9]);
        let outcome = Case { grid: 32, seed, ..Case::new(text) }.run(&mut memory, array);
        (outcome.findings, numbers(&memory, array, 1))
    };
    let all: Vec<_> = (0..20).map(run).collect();
    assert!(all.iter().all(|(findings, _)| findings[0].kind == FindingKind::Race));
    assert!((0..20).map(run).eq(all.iter().cloned()));
    assert!(all.iter().any(|(_, last)| *last != all[0].1), "some other thread comes last");
    let message = all[3].0[0].to_string();
    assert!(
        message.contains("KERNELSMITH_SEED=3") && message.contains("src/user.rs:4"),
        "{message}"
    );
}
