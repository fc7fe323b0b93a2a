//! Products with quantised weights: what the assembler makes of them.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::prelude::*;
use kernelsmith_kernels::quant::hopper::{Form, quantized_wgmma_ir};

use crate::in_flight::in_flight;

/// A piece is 8 products with left factors from registers: of 4 bits, a sum and a product of halves for each of
/// 32 pairs; of 8 bits, a conversion for each; and a few of each for scales. X comes in two boxes, W in one
/// copy.
#[test]
fn quantised_products_are_what_was_planned() {
    let target: Target = "sm_90a".parse().unwrap();
    let halves = &["HADD2", "HMUL2", "HFMA2"][..];
    let [nibbles, bytes] = [(4, 1), (8, 4)].map(|(bits, scales)| Form { bits, scales });
    let narrow = quantized_wgmma_ir::<Wgmma<bf16, 16>, bf16, 10>(&target, nibbles);
    let wide =
        quantized_wgmma_ir::<Wgmma<f16, 128>, f16, 4>(&target, Form { scales: 4, ..nibbles });
    let of_bytes = quantized_wgmma_ir::<Wgmma<bf16, 128>, bf16, 4>(&target, bytes);
    for (name, kernel, (opcodes, least)) in [
        ("bf16 4 bits, 16", narrow, (halves, 64)),
        ("f16 4 bits, 128", wide, (halves, 64)),
        ("bf16 8 bits, 128", of_bytes, (&["F2FP.BF16"][..], 32)),
    ] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &target).unwrap();
        assert_eq!(found.note, None, "{name}");
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)), "{name}");
        let code = emit(&kernel, None, &target, Stage::Sass).unwrap();
        let count = |opcode: &str| code.matches(opcode).count();
        let copies = [count("UTMALDG."), count("UBLKCP")];
        assert_eq!((count("HGMMA."), copies), (8, [2, 1]), "{name}: {code}");
        let in_flight = in_flight(&code);
        assert_eq!((in_flight.left_factors, in_flight.overwritten), (8, vec![]), "{name}: {code}");
        let decoded: usize = opcodes.iter().map(|opcode| count(opcode)).sum();
        assert!((least..least + 40).contains(&decoded), "{name}: {decoded} {code}");
    }
}
