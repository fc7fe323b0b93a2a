/// `C = A * B` for row-major `A: m x k`, `B: k x n`.
pub fn matmul(m: usize, n: usize, k: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        let row = &mut c[i * n..][..n];
        for p in 0..k {
            let a = a[i * k + p];
            // Row by row of B, so that large references do not take minutes.
            for (c, b) in row.iter_mut().zip(&b[p * n..][..n]) {
                *c += a * b;
            }
        }
    }
    c
}
