use super::softmax;

/// The gradients `[dx, dweight]` of a loss by the inputs of [`rms_norm`](super::rms_norm), from its gradient `dy`
/// by the output.
pub fn rms_norm_backward(
    columns: usize,
    epsilon: f64,
    x: &[f64],
    weight: &[f64],
    dy: &[f64],
) -> [Vec<f64>; 2] {
    let (mut dx, mut dweight) = (Vec::new(), vec![0.0; columns]);
    for (x, dy) in x.chunks(columns.max(1)).zip(dy.chunks(columns.max(1))) {
        let r = 1.0 / (mean(x.iter().map(|x| x * x)) + epsilon).sqrt();
        let along = mean((0..columns).map(|j| dy[j] * weight[j] * x[j])) * r * r;
        dx.extend((0..columns).map(|j| r * (dy[j] * weight[j] - x[j] * along)));
        (0..columns).for_each(|j| dweight[j] += dy[j] * x[j] * r);
    }
    [dx, dweight]
}

/// The gradients `[dx, dweight, dbias]` of a loss by the inputs of [`layer_norm`](super::layer_norm), from its
/// gradient `dy` by the output.
pub fn layer_norm_backward(
    columns: usize,
    epsilon: f64,
    x: &[f64],
    weight: &[f64],
    dy: &[f64],
) -> [Vec<f64>; 3] {
    let (mut dx, mut dweight, mut dbias) = (Vec::new(), vec![0.0; columns], vec![0.0; columns]);
    for (x, dy) in x.chunks(columns.max(1)).zip(dy.chunks(columns.max(1))) {
        let center = mean(x.iter().copied());
        let r = 1.0 / (mean(x.iter().map(|x| (x - center).powi(2))) + epsilon).sqrt();
        let u: Vec<f64> = x.iter().map(|x| (x - center) * r).collect();
        let g: Vec<f64> = dy.iter().zip(weight).map(|(dy, w)| dy * w).collect();
        let (all, along) = (mean(g.iter().copied()), mean(g.iter().zip(&u).map(|(g, u)| g * u)));
        dx.extend(g.iter().zip(&u).map(|(g, u)| r * (g - all - u * along)));
        (0..columns).for_each(|j| dweight[j] += dy[j] * u[j]);
        (0..columns).for_each(|j| dbias[j] += dy[j]);
    }
    [dx, dweight, dbias]
}

/// The gradient of a loss by the input of [`softmax`](fn@super::softmax), from its gradient `dy` by the output.
pub fn softmax_backward(columns: usize, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let y = softmax(columns, x);
    let rows = y.chunks(columns.max(1)).zip(dy.chunks(columns.max(1)));
    rows.flat_map(|(y, dy)| {
        let along: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
        y.iter().zip(dy).map(move |(y, dy)| y * (dy - along)).collect::<Vec<_>>()
    })
    .collect()
}

fn mean(x: impl ExactSizeIterator<Item = f64>) -> f64 {
    let len = x.len() as f64;
    x.sum::<f64>() / len
}
