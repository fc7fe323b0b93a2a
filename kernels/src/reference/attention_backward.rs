use super::softmax;
use crate::attention::Attention;

/// The gradients `[dQ, dK, dV]` of a loss by the inputs of [`attention`](fn@super::attention), from its gradient
/// `d_out` by the output. To finished scores (scaled and capped) `bias(head, query, key)` is added.
pub fn attention_backward(
    a: &Attention,
    bias: impl Fn(usize, usize, usize) -> f64,
    q: &[f64],
    k: &[f64],
    v: &[f64],
    d_out: &[f64],
) -> [Vec<f64>; 3] {
    let &Attention { queries: m, keys: n, dimension: d, value_dimension: values, .. } = a;
    let (scale, cap) = (f64::from(a.scale), a.soft_cap.map(f64::from));
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| vec![0.0; x.len()]);
    for head in 0..a.batch * a.heads {
        let kv_head = head / (a.heads / a.kv_heads);
        for i in 0..m {
            let query = head * m + i;
            let keys = a.seen(i).map(|j| (j, kv_head * n + j));
            // Of a row of one matrix with a row of the other.
            let dot = |d: usize, x: &[f64], at: usize, y: &[f64], to: usize| -> f64 {
                (0..d).map(|e| x[at * d + e] * y[to * d + e]).sum()
            };
            // Scores, and what their derivative by the scaled product is.
            let (scores, slopes): (Vec<f64>, Vec<f64>) = keys
                .clone()
                .map(|(j, key)| {
                    let s = dot(d, q, query, k, key) * scale;
                    let bend = cap.map_or(0.0, |cap| (s / cap).tanh());
                    let score = cap.map_or(s, |cap| cap * bend);
                    (score + bias(head, i, j), 1.0 - bend * bend)
                })
                .unzip();
            let p = softmax(scores.len(), &scores);
            let dp: Vec<f64> =
                keys.clone().map(|(_, key)| dot(values, d_out, query, v, key)).collect();
            let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for (x, (_, key)) in keys.enumerate() {
                let ds = p[x] * (dp[x] - delta) * slopes[x] * scale;
                for e in 0..d {
                    dq[query * d + e] += ds * k[key * d + e];
                    dk[key * d + e] += ds * q[query * d + e];
                }
                for e in 0..values {
                    dv[key * values + e] += p[x] * d_out[query * values + e];
                }
            }
        }
    }
    [dq, dk, dv]
}
