/// Root-mean-square norm of each row: `x / sqrt(mean(x^2) + epsilon) * weight`.
pub fn rms_norm(columns: usize, epsilon: f64, x: &[f64], weight: &[f64]) -> Vec<f64> {
    rows(columns, x, |row| {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / columns as f64;
        let scale = 1.0 / (mean + epsilon).sqrt();
        row.iter().zip(weight).map(|(x, w)| x * scale * w).collect()
    })
}

/// Layer norm of each row: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
pub fn layer_norm(
    columns: usize,
    epsilon: f64,
    x: &[f64],
    weight: &[f64],
    bias: &[f64],
) -> Vec<f64> {
    rows(columns, x, |row| {
        let mean = row.iter().sum::<f64>() / columns as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
        let scale = 1.0 / (variance + epsilon).sqrt();
        let affine = weight.iter().zip(bias);
        row.iter().zip(affine).map(|(x, (w, b))| (x - mean) * scale * w + b).collect()
    })
}

fn rows(columns: usize, x: &[f64], of: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    x.chunks(columns.max(1)).flat_map(of).collect()
}
