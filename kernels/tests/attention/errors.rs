//! What cannot run says which argument breaks which rule.

use kernelsmith::Buffer;
use kernelsmith_kernels::attention::{Attention, FlashAttention, flash_attention};

use crate::helpers::*;

#[test]
fn wrong_shapes_name_argument_value_and_rule() {
    let x = Buffer::<f32>::zeros(&device(), 48).unwrap();
    let mut out = Buffer::<f32>::zeros(&device(), 48).unwrap();
    let error = flash_attention(Attention::new(1, 1, 48), &x, &x, &x, &mut out).unwrap_err();
    assert!(error.to_string().contains("[32, 64, 128]"), "{error}");
    let a = Attention::new(1, 1, 32);
    for (attention, told) in [
        (a.heads(4).kv_heads(3), "`kv_heads` has the value 3, but it must divide heads = 4"),
        (a.window(3), "`window` has the value 3, but only causal attention has a window"),
        (a.causal().window(0), "`window` has the value 0"),
        (a.soft_cap(-1.0), "`soft_cap` has the value -1, but it must be positive and finite"),
        (
            a.batch(2),
            "`q` has 48 elements, but it must have batch * heads * queries * dimension = 64",
        ),
    ] {
        let error = flash_attention(attention, &x, &x, &x, &mut out).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    let x = Buffer::<f32>::zeros(&device(), 64).unwrap();
    let (mut out, mut lse) = (poisoned(64), poisoned(3));
    let attention = FlashAttention::new(Attention::new(1, 1, 32).heads(2)).lse(&mut lse);
    let error = attention.run(&x, &x, &x, &mut out).unwrap_err().to_string();
    assert_eq!(error, "`lse` has 3 elements, but it must have batch * heads * queries = 2");
}
