//! Passes change no kernel's meaning: random kernels do the same before and after each.
//!
//! [`machine`] runs them by the interpreter and tells what can be observed; [`random_kernel`] makes
//! kernels with variables, arrays of slots, nested loops and ifs, labelled jumps, early returns and checks.
//! What they and the passes make keeps the rules of the IR; [`broken`] damages some, to see that
//! nothing that the verifier lets through breaks a pass.

mod broken;
mod convergence;
mod machine;
mod random_kernel;

use kernelsmith_ir::{Kernel, Target, parse, passes, verify};
use machine::observe;

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

/// Steps after which a thread counts as endless. Lowered code may need more of them.
const FUEL: u64 = 20_000;

fn assert_same(before: &Kernel, after: &Kernel, what: &str) {
    for arguments in ARGUMENTS {
        // A pass may remove the long loop that does nothing, so what follows is seen now.
        let Some(expected) = observe(before, arguments, FUEL) else { continue };
        let found = observe(after, arguments, 8 * FUEL);
        assert_eq!(
            Some(expected),
            found,
            "{what} on {arguments:?}\n---- before\n{before}\n---- after\n{after}"
        );
    }
}

/// The kernel keeps the rules, and its text reads back as the same kernel.
fn assert_well_formed(kernel: &Kernel, what: &str) {
    verify(kernel).unwrap_or_else(|error| panic!("{what}: {error}\n{kernel}"));
    let text = kernel.to_string();
    let read = parse(&text).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    assert_eq!(read.to_string(), text, "{what}");
    verify(&read).unwrap_or_else(|error| panic!("{what}, read back: {error}\n{text}"));
    // Numbered as they print, kernels are equal in memory too.
    assert_eq!(parse(&read.to_string()).unwrap(), read, "{what}");
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
    let (mut endless, mut written, mut failed, mut runs) = (0, 0, 0, 0);
    for seed in 0..300 {
        let kernel = random_kernel::kernel(seed);
        for arguments in ARGUMENTS {
            runs += 1;
            let Some(done) = observe(&kernel, arguments, FUEL) else {
                endless += 1;
                continue;
            };
            failed += u32::from(done.failure.is_some());
            let before = machine::fresh(1);
            written += done.output.iter().zip(&before).filter(|(now, old)| now != old).count();
        }
    }
    assert!(endless * 5 < runs, "{endless} of {runs} do not end");
    assert!(failed * 3 < runs && failed * 50 > runs, "{failed} of {runs} fail");
    assert!(written > 2 * runs as usize, "{written} elements written in {runs} runs");
}

/// One pass after the other, each in an order of its own.
#[test]
fn each_pass_keeps_the_meaning() {
    for seed in 0..seeds(1500) {
        let original = random_kernel::kernel(seed);
        let mut kernel = original.clone();
        let mut order = random_kernel::Rng::new(seed ^ 0x5eed);
        assert_well_formed(&kernel, &format!("seed {seed}"));
        for step in 0..8 {
            // Other passes than mem2reg do not know slots.
            let chosen = if step == 0 { 0 } else { order.below(PASSES.len() as u64) as usize };
            let (name, pass) = PASSES[chosen];
            let before = kernel.clone();
            pass(&mut kernel);
            let what = format!("seed {seed}, step {step}: {name}");
            assert_well_formed(&kernel, &what);
            assert_same(&before, &kernel, &what);
        }
    }
}

/// The whole pipeline, and that it leaves nothing of what it must remove.
#[test]
fn prepare_keeps_the_meaning() {
    for seed in 0..seeds(1000) {
        let seed = seed + (1 << 32);
        let kernel = random_kernel::kernel(seed);
        for target in [Target::Cpu, Target::sm(90, true)] {
            let prepared = passes::prepare(&kernel, &target).unwrap();
            assert!(prepared.vars.is_empty());
            assert_same(&kernel, &prepared, &format!("seed {seed}: prepare for {target}"));
            assert_well_formed(&prepared, &format!("seed {seed}: prepared for {target}"));
        }
    }
}

/// The verifier neither panics on damaged kernels nor lets through what makes a pass panic, and the
/// text form can still be written.
#[test]
fn damaged_kernels_are_rejected_or_harmless() {
    let (mut rejected, mut prepared) = (0, 0);
    for seed in 0..seeds(3000) {
        let mut kernel = random_kernel::kernel(seed + (2 << 32));
        let mut rng = random_kernel::Rng::new(seed ^ 0xda3a6e);
        for _ in 0..1 + seed % 2 {
            broken::damage(&mut kernel, &mut rng);
        }
        match verify(&kernel) {
            Err(error) => {
                rejected += 1;
                assert!(!error.violations.is_empty());
            }
            Ok(()) => {
                assert_well_formed(&kernel, &format!("seed {seed}"));
                // A barrier or shuffle may now stand where threads diverge; that is found later.
                match passes::prepare(&kernel, &Target::sm(90, true)) {
                    Ok(kernel) => {
                        prepared += 1;
                        assert_well_formed(&kernel, &format!("seed {seed}, prepared"));
                    }
                    Err(passes::Error::Convergence(_)) => {}
                    Err(error) => panic!("seed {seed}: {error}\n{kernel}"),
                }
            }
        }
    }
    assert!(rejected > 100 && prepared > 100, "{rejected} rejected, {prepared} prepared");
}
