/// Rotary embedding of `tokens x heads x d` numbers, of which the first `dimension` columns of a head turn: in
/// pairs of neighbours, or of columns half of them apart.
pub fn rope(
    interleaved: bool,
    [tokens, heads, d]: [usize; 3],
    dimension: usize,
    base: f64,
    positions: &[u32],
    x: &[f64],
) -> Vec<f64> {
    let mut y = x.to_vec();
    for token in 0..tokens {
        for head in 0..heads {
            let row = &mut y[(token * heads + head) * d..][..d];
            for i in 0..dimension / 2 {
                let angle =
                    f64::from(positions[token]) * base.powf(-2.0 * i as f64 / dimension as f64);
                let (a, b) = if interleaved { (2 * i, 2 * i + 1) } else { (i, i + dimension / 2) };
                let (sin, cos) = angle.sin_cos();
                (row[a], row[b]) = (row[a] * cos - row[b] * sin, row[b] * cos + row[a] * sin);
            }
        }
    }
    y
}

/// Cross-entropy of each row with its target, and the gradient of the losses' sum.
pub fn cross_entropy(
    classes: usize,
    smoothing: f64,
    ignored: impl Fn(u32) -> bool,
    targets: &[u32],
    x: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for (row, &target) in x.chunks(classes).zip(targets) {
        if ignored(target) {
            losses.push(0.0);
            gradient.extend(row.iter().map(|_| 0.0));
            continue;
        }
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let normalizer = greatest + row.iter().map(|x| (x - greatest).exp()).sum::<f64>().ln();
        let expected = |class: usize| {
            let own = if class == target as usize { 1.0 - smoothing } else { 0.0 };
            own + smoothing / classes as f64
        };
        let terms = row.iter().enumerate().map(|(class, x)| expected(class) * (normalizer - x));
        losses.push(terms.sum());
        let shares = row.iter().map(|x| (x - normalizer).exp());
        gradient.extend(shares.enumerate().map(|(class, share)| share - expected(class)));
    }
    (losses, gradient)
}

/// Step `t` of Adam: parameters and both moments, which `state` has. `decay` is the weight decay, and whether it
/// is part of the gradient.
pub fn adam(
    t: u64,
    rate: f64,
    [beta1, beta2]: [f64; 2],
    epsilon: f64,
    decay: (f64, bool),
    gradient: &[f64],
    state: &mut [Vec<f64>; 3],
) {
    let [p, m, v] = state;
    for (i, &g) in gradient.iter().enumerate() {
        let (weight, coupled) = decay;
        let g = if coupled { g + weight * p[i] } else { g };
        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
        let kept = if coupled { p[i] } else { p[i] * (1.0 - rate * weight) };
        let first = m[i] / (1.0 - beta1.powf(t as f64));
        let second = v[i] / (1.0 - beta2.powf(t as f64));
        p[i] = kept - rate * first / (second.sqrt() + epsilon);
    }
}
