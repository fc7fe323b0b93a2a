use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    'rows: for i in 0..4usize {
        for j in 0..4usize {
            if x[i] > x[j] {
                break 'columns;
            }
            continue 'row;
        }
    }
    y[0] = x[0];
}

fn main() {}
