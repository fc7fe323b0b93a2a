use kernelsmith::prelude::*;

type Atom = MmaSync<bf16, 16, 8, 16>;

#[kernel]
fn swapped(a: &[bf16], c: &mut [f32]) {
    let x = Fragment::<Atom, MatrixA>::load_matrix(a, 0, 16, MatrixLayout::RowMajor);
    let y = Fragment::<Atom, MatrixB>::load_matrix(a, 0, 16, MatrixLayout::ColumnMajor);
    let sum = mma(y, x, Fragment::zero());
    sum.store_matrix(c, 0, 8, MatrixLayout::RowMajor);
}

#[kernel]
fn mixed(a: &[bf16], b: &[f16], c: &mut [f32]) {
    let x = Fragment::<Atom, MatrixA>::load_matrix(a, 0, 16, MatrixLayout::RowMajor);
    let y = Fragment::<MmaSync<f16, 16, 8, 16>, MatrixB>::load_matrix(
        b,
        0,
        16,
        MatrixLayout::ColumnMajor,
    );
    let sum = mma(x, y, Fragment::zero());
    sum.store_matrix(c, 0, 8, MatrixLayout::RowMajor);
}

#[kernel]
fn no_such_shape(c: &mut [f32]) {
    let sum = Fragment::<MmaSync<bf16, 16, 16, 16>, Accumulator>::zero();
    sum.store_matrix(c, 0, 16, MatrixLayout::RowMajor);
}

#[kernel]
fn not_by_ldmatrix(c: &mut [f32]) {
    let tile = shared::<f16>(256);
    let x = Fragment::<WmmaGfx11<f16, 16, 16, 16>, MatrixA>::ldmatrix(
        tile,
        0,
        16,
        MatrixLayout::RowMajor,
    );
    c[0] = x[0].to_f32();
}

fn main() {}
