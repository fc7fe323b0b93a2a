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
    attention_with_sinks(a, score, None, q, k, v)
}

/// [`attention_and_lse`] with a sink for each head: a score more in the sums.
pub fn attention_with_sinks(
    a: &Attention,
    score: impl Fn(f64, usize, usize, usize) -> f64,
    sinks: Option<&[f64]>,
    q: &[f64],
    k: &[f64],
    v: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let &Attention { queries: m, keys: n, dimension: d, value_dimension: dv, .. } = a;
    let mut out = vec![0.0; a.batch * a.heads * m * dv];
    let mut lse = Vec::new();
    for head in 0..a.batch * a.heads {
        let kv_head = head / (a.heads / a.kv_heads);
        let (q, out) = (&q[head * m * d..][..m * d], &mut out[head * m * dv..][..m * dv]);
        let (k, v) = (&k[kv_head * n * d..][..n * d], &v[kv_head * n * dv..][..n * dv]);
        for i in 0..m {
            let mut scores: Vec<f64> = a
                .seen(i)
                .map(|j| {
                    let dot: f64 = (0..d).map(|e| q[i * d + e] * k[j * d + e]).sum();
                    let s = dot * f64::from(a.scale);
                    let cap = a.soft_cap.map(f64::from);
                    score(cap.map_or(s, |cap| cap * (s / cap).tanh()), head, i, j)
                })
                .collect();
            scores.extend(sinks.map(|sinks| sinks[head % a.heads]));
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let base = if max == f64::NEG_INFINITY { 0.0 } else { max };
            lse.push(base + scores.iter().map(|s| (s - base).exp()).sum::<f64>().ln());
            for (j, p) in a.seen(i).zip(softmax(scores.len(), &scores)) {
                for e in 0..dv {
                    out[i * dv + e] += p * v[j * dv + e];
                }
            }
        }
    }
    (out, lse)
}

/// [`attention_with_sinks`] of sequences that follow each other, `q: tokens x heads x d` and
/// `k, v: tokens x kv_heads x d`, each of its own columns: sequence `i` has queries `query_ends[i]..query_ends[i + 1]`, and so its
/// keys. The second result is `heads x tokens`.
pub fn attention_packed(
    a: &Attention,
    score: impl Fn(f64, usize, usize, usize) -> f64,
    sinks: Option<&[f64]>,
    (query_ends, key_ends): (&[usize], &[usize]),
    q: &[f64],
    k: &[f64],
    v: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (d, dv) = (a.dimension, a.value_dimension);
    let tokens = query_ends[a.batch];
    let (mut out, mut lse) = (vec![0.0; tokens * a.heads * dv], vec![0.0; a.heads * tokens]);
    for s in 0..a.batch {
        let (own, keys) = (query_ends[s]..query_ends[s + 1], key_ends[s]..key_ends[s + 1]);
        let one = Attention { batch: 1, queries: own.len(), keys: keys.len(), ..*a };
        let q = by_heads(&q[own.start * a.heads * d..own.end * a.heads * d], a.heads, d);
        let [k, v] = [(k, d), (v, dv)].map(|(x, d)| {
            let row = a.kv_heads * d;
            by_heads(&x[keys.start * row..keys.end * row], a.kv_heads, d)
        });
        let score = |x, head, i, j| score(x, s * a.heads + head, i, j);
        let (o, l) = attention_with_sinks(&one, score, sinks, &q, &k, &v);
        for head in 0..a.heads {
            for (i, row) in own.clone().enumerate() {
                let from = (head * own.len() + i) * dv;
                out[(row * a.heads + head) * dv..][..dv].copy_from_slice(&o[from..][..dv]);
                lse[head * tokens + row] = l[head * own.len() + i];
            }
        }
    }
    (out, lse)
}

/// `heads x rows x d` of `rows x heads x d`.
fn by_heads(x: &[f64], heads: usize, d: usize) -> Vec<f64> {
    let rows = x.len() / (heads * d);
    let at = |head, row| (row * heads + head) * d;
    let each = (0..heads).flat_map(|head| (0..rows).map(move |row| at(head, row)));
    each.flat_map(|at| x[at..at + d].iter().copied()).collect()
}
