//! The kernels of attention's gradients: what the assembler makes of them.

use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};
use kernelsmith_kernels::attention::Form;
use kernelsmith_kernels::attention::hopper::backward::attention_gradients_ir;

use crate::in_flight::in_flight;
use crate::loops::{Loop, innermost};

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

/// Each loop has the products of S and dP, `D / 16` each, of dV and dK, `M / 16` each, and of dQ, 128 keys in
/// steps of 16; an exponential for each score that a thread has. The masked loops and the whole one are alike.
#[test]
fn gradients_are_what_was_planned() {
    let plain = Form { causal: false, windowed: false, capped: false, scored: false };
    let causal = Form { causal: true, ..plain };
    let windowed = Form { windowed: true, ..causal };
    for (name, kernel, [d, rows, own, loops], turns) in [
        ("64", gradients::<f16, 64, 64, 32>(windowed, true), [64, 64, 32, 3], true),
        ("96 in any order", gradients::<bf16, 96, 64, 48>(plain, false), [96, 64, 48, 2], false),
        ("128", gradients::<bf16, 128, 64, 64>(causal, true), [128, 64, 64, 2], true),
    ] {
        let kernel = kernel.unwrap();
        let hopper: Target = "sm_90a".parse().unwrap();
        let found = resources(&kernel, None, &hopper).unwrap();
        assert_eq!(found.note, None, "{name}");
        // With 128 columns what is needed before and behind the loops is kept in memory meanwhile.
        let most = if d == 128 { 4 } else { 0 };
        assert_eq!(found.registers, Some(168), "{name}");
        assert!(found.spills.is_some_and(|spills| spills <= most), "{name}: {:?}", found.spills);
        let code = emit(&kernel, None, &hopper, Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        let products = 2 * (d / 16) + 2 * (rows / 16) + 128 / 16;
        assert_eq!(count("HGMMA."), loops * products, "{name}");
        assert_eq!(count("MUFU.EX2"), loops * rows / 2, "{name}");
        // Panels of Q, dO and V, and of K, whose panels are parts of a warpgroup's columns of dQ; the rows'
        // numbers.
        let (panels, own_panels) = (d.div_ceil(if d == 96 { 32 } else { 64 }), own_panels(d, own));
        assert_eq!(count("UTMALDG."), 2 * panels + 2 * (panels + own_panels) + 1, "{name}");
        assert_eq!(count("UTMASTG."), panels + own_panels, "{name}");
        assert_eq!(count("UTMAREDG."), 2, "{name}");
        assert_eq!(code.contains("ATOM"), turns, "{name}");
        assert_eq!(in_flight(&code).overwritten, Vec::<[usize; 2]>::new(), "{name}");
        let bodies = innermost(&code, "HGMMA.");
        assert_eq!(bodies.len(), loops, "{name}");
        let spilled = |body: &Loop<'_>| body.count("LDL") + body.count("STL") > 0;
        assert!(!bodies.iter().any(spilled), "{name}");
    }
}

/// Panels of a tile of K: 128 bytes wide, 64 or 32, as the columns of a warpgroup allow.
fn own_panels(d: usize, own: usize) -> usize {
    match own {
        32 => d / 32,
        48 => d / 16,
        _ => d / 64,
    }
}
