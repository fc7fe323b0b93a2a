//! The kernels of attention's gradients: what the assembler makes of them.

use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};
use kernelsmith_kernels::attention::Form;
use kernelsmith_kernels::attention::hopper::backward::{
    attention_gradients_ir, attention_gradients_wide_ir,
};

use crate::in_flight::in_flight;
use crate::loops::innermost;

fn gradients<T: Float, const D: usize, const M: usize, const DQ: usize>(
    form: Form,
    turns: bool,
) -> Result<Kernel, StagingError>
where
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, M>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
{
    let hopper: Target = "sm_90a".parse().unwrap();
    attention_gradients_ir::<T, D, M, DQ>(&hopper, form, turns)
}

/// What a kernel is to be.
struct Planned {
    /// Columns, and those of dQ that a warpgroup has.
    columns: [usize; 2],
    turns: bool,
    loops: usize,
    /// Exponentials of a thread in each loop.
    exponentials: usize,
    /// Registers that may spill, and how often one is read in a loop.
    spills: [u32; 2],
}

/// Whether warpgroups share keys, and have half of the columns each.
fn wide(d: usize) -> bool {
    d > 128
}

/// Each loop has the products of S and dP, `D / 16` each, of dV and dK, for 64 queries in steps of 16, and of dQ,
/// 128 or 64 keys in such steps. Masked loops and the whole one are alike.
fn is_what_was_planned(name: &str, kernel: Result<Kernel, StagingError>, planned: Planned) {
    let Planned { columns: [d, own], turns, loops, exponentials, spills: [most, most_read] } =
        planned;
    let kernel = kernel.unwrap();
    let hopper: Target = "sm_90a".parse().unwrap();
    let found = resources(&kernel, None, &hopper).unwrap();
    assert_eq!(found.note, None, "{name}");
    assert_eq!(found.registers, Some(168), "{name}");
    assert!(found.spills.is_some_and(|spills| spills <= most), "{name}: {:?}", found.spills);
    let code = emit(&kernel, None, &hopper, Stage::Sass).unwrap();
    let count = |name: &str| code.matches(name).count();
    let keys = if wide(d) { 64 } else { 128 };
    assert_eq!(count("HGMMA."), loops * (2 * (d / 16) + 2 * (64 / 16) + keys / 16), "{name}");
    assert_eq!(count("MUFU.EX2"), loops * exponentials, "{name}");
    // Panels of K, and of the others: where warpgroups have columns of their own, they are parts of these. Rows'
    // numbers besides.
    let own_panels = panels(d, own);
    let others = if wide(d) { own_panels } else { panels(d, d) };
    let loads = 2 * others + keys / 64 * (others + own_panels) + 1;
    assert_eq!(count("UTMALDG."), loads, "{name}");
    assert_eq!(count("UTMASTG."), if wide(d) { own_panels } else { others + own_panels }, "{name}");
    assert_eq!(count("UTMAREDG."), if own > 96 { 4 } else { 2 }, "{name}");
    assert_eq!(code.contains("ATOM"), turns, "{name}");
    let in_flight = in_flight(&code);
    assert_eq!(in_flight.overwritten, Vec::<[usize; 2]>::new(), "{name}");
    // Weights and dS are left factors in registers, or in shared memory.
    let left = if wide(d) { 0 } else { loops * 2 * (64 / 16) };
    assert_eq!(in_flight.left_factors, left, "{name}");
    let bodies = innermost(&code, "HGMMA.");
    assert_eq!(bodies.len(), loops, "{name}");
    for body in bodies {
        assert_eq!(body.count("STL"), 0, "{name}");
        assert!(body.count("LDL") <= most_read as usize, "{name}: {}", body.count("LDL"));
    }
}

/// Panels of `d` columns, whose width divides the columns that a factor begins at.
fn panels(d: usize, own: usize) -> usize {
    let wide = [64, 32, 16].into_iter().find(|&wide| own.is_multiple_of(wide));
    d / wide.expect("columns of products")
}

const PLAIN: Form = Form { causal: false, windowed: false, capped: false, scored: false };
const CAUSAL: Form = Form { causal: true, ..PLAIN };
const WINDOWED: Form = Form { windowed: true, ..CAUSAL };

#[test]
fn gradients_are_what_was_planned() {
    let planned =
        |columns, turns, loops| Planned { columns, turns, loops, exponentials: 32, spills: [0, 0] };
    let kernel = gradients::<f16, 64, 64, 32>(WINDOWED, true);
    is_what_was_planned("64", kernel, planned([64, 32], true, 3));
    let kernel = gradients::<bf16, 96, 64, 48>(PLAIN, false);
    is_what_was_planned("96 in any order", kernel, planned([96, 48], false, 2));
    // With 128 columns what is needed before and behind the loops is kept in memory meanwhile.
    let kernel = gradients::<bf16, 128, 64, 64>(CAUSAL, true);
    let plan = planned([128, 64], true, 2);
    is_what_was_planned("128", kernel, Planned { spills: [4, 0], ..plan });
    // With a cap besides a few numbers that do not change in a loop.
    let kernel = gradients::<bf16, 128, 64, 64>(Form { capped: true, ..CAUSAL }, true);
    let plan = planned([128, 64], true, 2);
    is_what_was_planned(
        "128 with a cap",
        kernel,
        Planned { exponentials: 64, spills: [9, 4], ..plan },
    );
}

#[test]
fn gradients_of_the_widest_heads_are_what_was_planned() {
    let hopper: Target = "sm_90a".parse().unwrap();
    let planned =
        |columns, turns, loops| Planned { columns, turns, loops, exponentials: 16, spills: [0, 0] };
    let kernel = attention_gradients_wide_ir::<f16, 192, 96>(&hopper, WINDOWED, true);
    is_what_was_planned("192", kernel, planned([192, 96], true, 3));
    let kernel = attention_gradients_wide_ir::<bf16, 256, 128>(&hopper, PLAIN, false);
    is_what_was_planned("256 in any order", kernel, planned([256, 128], false, 2));
    let kernel = attention_gradients_wide_ir::<bf16, 256, 128>(
        &hopper,
        Form { capped: true, ..CAUSAL },
        true,
    );
    let plan = planned([256, 128], true, 2);
    is_what_was_planned("256 with a cap", kernel, Planned { exponentials: 32, ..plan });
}
