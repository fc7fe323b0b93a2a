//! The reference by central differences of the forward pass.

use kernelsmith_kernels::attention::Attention;
use kernelsmith_kernels::reference;

use crate::case::{Case, values, wide};

#[test]
fn the_reference_is_the_slope_of_the_forward_pass() {
    let a = Attention::new(5, 7, 8).batch(2).heads(4).kv_heads(2).scale(0.7);
    for a in [a, a.causal(), a.causal().window(3), a.soft_cap(1.5), a.causal().soft_cap(0.8)] {
        for biased in [false, true] {
            of_case(&Case { a, biased });
        }
    }
    of_case(&Case { a: a.value_dimension(5), biased: false });
    // Two queries see nothing.
    of_case(&Case { a: Attention::new(6, 4, 8).causal(), biased: false });
}

fn of_case(case: &Case) {
    let (d, dv) = (case.a.dimension, case.a.value_dimension);
    let lens = [case.queries() * d, case.keys() * d, case.keys() * dv, case.queries() * dv];
    let [q, k, v, d_out] = [0, 1, 2, 3].map(|i| wide(&values::<f32>(lens[i], 11 + i as u64)));
    let bias = |head, i, j| case.bias(head, i, j);
    let expected = reference::attention_backward(&case.a, bias, &q, &k, &v, &d_out);
    let loss = |q: &[f64], k: &[f64], v: &[f64]| -> f64 {
        let score = |s, head, i, j| s + case.bias(head, i, j);
        let out = reference::attention_scored(&case.a, score, q, k, v);
        out.iter().zip(&d_out).map(|(out, d_out)| out * d_out).sum()
    };
    let inputs = [q, k, v];
    for which in 0..3 {
        for at in 0..inputs[which].len() {
            let moved = |step: f64| {
                let mut inputs = inputs.clone();
                inputs[which][at] += step;
                loss(&inputs[0], &inputs[1], &inputs[2])
            };
            // The difference is off by the third derivative times the step's square, some 1e-9, and by the
            // losses' rounding, 1e-14, over the step.
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let found = expected[which][at];
            assert!((slope - found).abs() < 1e-7, "{case:?}, {which}, {at}: {found}, not {slope}");
        }
    }
}
