//! The kernels of Hopper: what the assembler makes of them.

use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};
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
    matmul_cooperative_ir::<T, BN, 4, _>(&hopper(), a, b, |x| x)
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
