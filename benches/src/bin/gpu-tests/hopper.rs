//! The kernels of Hopper, which the interpreter runs on small shapes, here on a GPU and on larger ones.

use kernelsmith::Target;
use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::hopper::Order::{AcrossK, AlongK};

use crate::cases::{Case, case};

#[path = "../../../../kernels/tests/hopper/checks.rs"]
mod checks;

/// None on other GPUs.
pub(crate) fn all(device: &Device) -> Vec<Case> {
    let mut cases = Vec::new();
    if *device.target() != Target::sm(90, true) {
        return cases;
    }
    for shape @ [m, n, k] in [[128, 128, 64], [200, 264, 200], [1000, 1000, 1000], [512, 4096, 512]]
    {
        for (name, orders) in [
            ("nt", [AlongK, AlongK]),
            ("nn", [AlongK, AcrossK]),
            ("tt", [AcrossK, AlongK]),
            ("tn", [AcrossK, AcrossK]),
        ] {
            let text = format!("{m}x{n}x{k} {name}");
            cases.push(case("wgmma 128", &text, move |device| {
                checks::matmul::<128, 6>(device, shape, orders, 132)
            }));
            cases.push(case("wgmma 256", &text, move |device| {
                checks::matmul::<256, 4>(device, shape, orders, 132)
            }));
        }
    }
    for shape @ [batch, m, n, k] in [[1, 256, 256, 256], [3, 200, 136, 72], [2, 1000, 504, 520]] {
        let text = format!("{batch}x{m}x{n}x{k}");
        cases.push(case("matmul epilogue", &text, move |device| checks::library(device, shape)));
    }
    for shape @ [heads, group, m, n] in
        [[1, 1, 128, 128], [4, 2, 200, 300], [8, 8, 1000, 1000], [2, 1, 40, 168], [2, 1, 136, 40]]
    {
        for causal in [false, true] {
            let text = format!("{heads}/{group} {m}x{n}{}", if causal { " causal" } else { "" });
            cases.push(case("attention 64", &text, move |device| {
                checks::attention::<64>(device, shape, causal)
            }));
            cases.push(case("attention 128", &text, move |device| {
                checks::attention::<128>(device, shape, causal)
            }));
        }
    }
    cases
}
