//! Passes change no kernel's meaning: random kernels do the same before and after each.
//!
//! [`machine`] runs one thread and notes everything that can be observed; [`random`] makes kernels
//! with variables, arrays of slots, nested loops and ifs, labelled jumps, early returns and checks.

mod machine;
mod random;

use kernelsmith_ir::{Kernel, Target, passes};
use machine::{Event, observe};

type Pass = (&'static str, fn(&mut Kernel));

const PASSES: &[Pass] = &[
    ("mem2reg", passes::mem2reg::run),
    ("dce", passes::dce::run),
    ("flatten", passes::flatten::run),
    ("fold", passes::fold::run),
    ("cse", passes::cse::run),
    ("ranges", |k| passes::ranges::run(k, &Target::Cpu)),
    ("licm", passes::licm::run),
];

/// Arguments that meet the edges: empty and one-element arrays, conditions either way.
const ARGUMENTS: &[[u64; 4]] = &[
    [0, 0, 0, 0],
    [1, 1, 5, 1],
    [3, 2, u64::MAX, 0],
    [7, 16, 1, 1],
    [4, 5, 1 << 33, 0],
    [2, 3, 0x8000_0000, 1],
];

/// Instructions after which a thread counts as endless. Lowered code may need more of them.
const FUEL: u32 = 20_000;

fn assert_same(before: &Kernel, after: &Kernel, what: &str) {
    for arguments in ARGUMENTS {
        let expected = observe(before, arguments, FUEL);
        if expected == [Event::Endless] {
            // A pass may remove the long loop that does nothing, so what follows is seen now.
            continue;
        }
        let found = observe(after, arguments, 8 * FUEL);
        assert_eq!(
            expected, found,
            "{what} on {arguments:?}\n---- before\n{before}\n---- after\n{after}"
        );
    }
}

/// How many kernels to try: more with `KERNELSMITH_TEST_SEEDS`.
fn seeds(usual: u64) -> u64 {
    match std::env::var("KERNELSMITH_TEST_SEEDS") {
        Ok(n) => n.parse().expect("KERNELSMITH_TEST_SEEDS is a number"),
        Err(_) => usual,
    }
}

/// The kernels are worth running: most end, and do so after doing something.
#[test]
fn random_kernels_do_something() {
    let (mut endless, mut stores, mut failed, mut runs) = (0, 0, 0, 0);
    for seed in 0..300 {
        let kernel = random::kernel(seed);
        for arguments in ARGUMENTS {
            let events = observe(&kernel, arguments, FUEL);
            runs += 1;
            endless += u32::from(events == [Event::Endless]);
            failed += u32::from(matches!(events.last(), Some(Event::Failed(_))));
            stores += events.iter().filter(|e| matches!(e, Event::Store { .. })).count();
        }
    }
    assert!(endless * 5 < runs, "{endless} of {runs} do not end");
    assert!(failed * 3 < runs && failed * 50 > runs, "{failed} of {runs} fail");
    assert!(stores > 4 * runs as usize, "{stores} stores in {runs} runs");
}

/// One pass after the other, each in an order of its own.
#[test]
fn each_pass_keeps_the_meaning() {
    for seed in 0..seeds(1500) {
        let original = random::kernel(seed);
        let mut kernel = original.clone();
        let mut order = random::Rng::new(seed ^ 0x5eed);
        for step in 0..8 {
            // Other passes than mem2reg do not know slots.
            let chosen = if step == 0 { 0 } else { order.below(PASSES.len() as u64) as usize };
            let (name, pass) = PASSES[chosen];
            let before = kernel.clone();
            pass(&mut kernel);
            assert_same(&before, &kernel, &format!("seed {seed}, step {step}: {name}"));
        }
    }
}

/// The whole pipeline, and that it leaves nothing of what it must remove.
#[test]
fn prepare_keeps_the_meaning() {
    for seed in 0..seeds(1000) {
        let seed = seed + (1 << 32);
        let kernel = random::kernel(seed);
        for target in [Target::Cpu, Target::sm(90, true)] {
            let prepared = passes::prepare(&kernel, &target).unwrap();
            assert!(prepared.vars.is_empty());
            assert_same(&kernel, &prepared, &format!("seed {seed}: prepare for {target}"));
            let text = prepared.to_string();
            assert_eq!(kernelsmith_ir::parse(&text).unwrap().to_string(), text);
        }
    }
}
