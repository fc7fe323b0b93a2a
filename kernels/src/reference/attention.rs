use super::softmax;
use crate::attention::Attention;

/// Attention `softmax(Q K^T * scale) V`; see [`Attention`] for shapes. A query that sees no key gives
/// zeros.
pub fn attention(a: &Attention, q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
    attention_scored(a, |score, _, _, _| score, q, k, v)
}

/// [`attention`] with scores that go through `score(score, head, query, key)` after scaling and cap.
pub fn attention_scored(
    a: &Attention,
    score: impl Fn(f64, usize, usize, usize) -> f64,
    q: &[f64],
    k: &[f64],
    v: &[f64],
) -> Vec<f64> {
    attention_and_lse(a, score, q, k, v).0
}

/// [`attention_scored`], and `ln(sum(exp(score)))` of each query: `-inf` for one that sees no key.
pub fn attention_and_lse(
    a: &Attention,
    score: impl Fn(f64, usize, usize, usize) -> f64,
    q: &[f64],
    k: &[f64],
    v: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let &Attention { queries: m, keys: n, dimension: d, .. } = a;
    let mut out = vec![0.0; q.len()];
    let mut lse = Vec::new();
    for head in 0..a.batch * a.heads {
        let kv_head = head / (a.heads / a.kv_heads);
        let (q, out) = (&q[head * m * d..][..m * d], &mut out[head * m * d..][..m * d]);
        let (k, v) = (&k[kv_head * n * d..][..n * d], &v[kv_head * n * d..][..n * d]);
        for i in 0..m {
            let seen = a.seen(i);
            let scores: Vec<f64> = seen
                .clone()
                .map(|j| {
                    let dot: f64 = (0..d).map(|e| q[i * d + e] * k[j * d + e]).sum();
                    let s = dot * f64::from(a.scale);
                    let cap = a.soft_cap.map(f64::from);
                    score(cap.map_or(s, |cap| cap * (s / cap).tanh()), head, i, j)
                })
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let base = if max == f64::NEG_INFINITY { 0.0 } else { max };
            lse.push(base + scores.iter().map(|s| (s - base).exp()).sum::<f64>().ln());
            for (j, p) in seen.zip(softmax(scores.len(), &scores)) {
                for e in 0..d {
                    out[i * d + e] += p * v[j * d + e];
                }
            }
        }
    }
    (out, lse)
}
