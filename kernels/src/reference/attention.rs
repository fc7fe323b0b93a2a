use super::softmax;

/// Single-head attention `softmax(Q K^T * scale) V` for row-major `Q: m x d`, `K, V: n x d`.
///
/// With `causal`, query `i` sees keys `0..=i + n - m`: the last query sees every key. A query that
/// sees no key gives zeros.
pub fn attention(
    (m, n, d): (usize, usize, usize),
    q: &[f64],
    k: &[f64],
    v: &[f64],
    scale: f64,
    causal: bool,
) -> Vec<f64> {
    let mut out = vec![0.0; m * d];
    for i in 0..m {
        let seen = if causal { (i + n + 1).saturating_sub(m).min(n) } else { n };
        let scores: Vec<f64> = (0..seen)
            .map(|j| (0..d).map(|e| q[i * d + e] * k[j * d + e]).sum::<f64>() * scale)
            .collect();
        for (j, p) in softmax(seen, &scores).into_iter().enumerate() {
            for e in 0..d {
                out[i * d + e] += p * v[j * d + e];
            }
        }
    }
    out
}
