/// Softmax of each row of a row-major `rows x columns` matrix.
pub fn softmax(columns: usize, x: &[f64]) -> Vec<f64> {
    if columns == 0 {
        return Vec::new();
    }
    x.chunks(columns)
        .flat_map(|row| {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = row.iter().map(|x| (x - max).exp()).collect();
            let sum: f64 = exps.iter().sum();
            exps.into_iter().map(move |e| e / sum)
        })
        .collect()
}
