//! The kernels of Hopper: what the assembler makes of them.

use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};
use kernelsmith_kernels::attention::hopper::attention_forward_ir;
use kernelsmith_kernels::matmul::Steps;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::matmul_cooperative_ir;

/// What a configuration is planned to be.
struct Plan {
    kernel: Result<Kernel, StagingError>,
    /// Registers of a thread at the start: 65536 among 384 threads, in steps of 8.
    registers: u32,
    /// Matrix instructions, loads and stores of the copy engine, in the whole kernel.
    hgmma: usize,
    utmaldg: usize,
    utmastg: usize,
}

fn hopper() -> Target {
    "sm_90a".parse().unwrap()
}

fn cooperative<T: Float, const BN: usize>(a: Order, b: Order) -> Result<Kernel, StagingError>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    matmul_cooperative_ir::<T, T, BN, 4, _>(&hopper(), a, b, Steps::default(), |x| x, false, false)
}

#[test]
fn matmuls_are_what_was_planned() {
    let plans = [
        Plan {
            kernel: cooperative::<bf16, 128>(AlongK, AlongK),
            registers: 168,
            hgmma: 4,
            utmaldg: 2,
            utmastg: 2,
        },
        Plan {
            kernel: cooperative::<f16, 256>(AcrossK, AcrossK),
            registers: 168,
            hgmma: 4,
            utmaldg: 6,
            utmastg: 4,
        },
    ];
    for plan in plans {
        let kernel = plan.kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        // Nothing that the assembler says costs speed: products that wait for one another, shares of
        // registers that it ignores.
        assert_eq!(found.note, None);
        assert_eq!((found.registers, found.spills), (Some(plan.registers), Some(0)));
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        assert_eq!(count("HGMMA."), plan.hgmma, "{code}");
        assert_eq!(count("UTMALDG."), plan.utmaldg, "{code}");
        assert_eq!(count("UTMASTG."), plan.utmastg, "{code}");
        assert_eq!(count("USETMAXREG"), 2, "{code}");
    }
}

/// Scores of a tile take `D / 16` products, its values `128 / 16`: before the loops, in the one over
/// masked tiles, in the other one, and behind them. Without a diagonal only the first tile is masked.
#[test]
fn attention_is_what_was_planned() {
    for (kernel, depth, tiles) in [
        (attention_forward_ir::<bf16, 128, 128, 2>(&hopper(), true), 8, 3),
        (attention_forward_ir::<f16, 64, 128, 2>(&hopper(), false), 4, 2),
    ] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None);
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)));
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        assert_eq!(count("HGMMA."), tiles * (depth + 8), "{code}");
        // One exponential for each of two rows' factors, and for each score.
        assert_eq!(count("MUFU.EX2"), tiles * (2 + 64), "{code}");
    }
}
