//! Tensor views of 1 to 4 dimensions with any strides: what kernels see of them, and which are
//! refused.

use kernelsmith::prelude::*;
use proptest::prelude::*;

#[kernel]
fn copy1(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let i = global_idx_x();
    if i < x.shape(0) {
        y[[i]] = x[[i]];
    }
}

#[kernel]
fn copy2(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let (t, m) = (global_idx_x(), x.shape(1));
    if t < x.shape(0) * m {
        y[[t / m, t % m]] = x[[t / m, t % m]];
    }
}

#[kernel]
fn copy3(x: &View<f32, 3>, y: &mut View<f32, 3>) {
    let (t, m, n) = (global_idx_x(), x.shape(1), x.shape(2));
    if t < x.shape(0) * m * n {
        let index = [t / n / m, t / n % m, t % n];
        y[index] = x[index];
    }
}

#[kernel]
fn copy4(x: &View<f32, 4>, y: &mut View<f32, 4>) {
    let (t, l, m, n) = (global_idx_x(), x.shape(1), x.shape(2), x.shape(3));
    if t < x.shape(0) * l * m * n {
        let index = [t / n / m / l, t / n / m % l, t / n % m, t % n];
        y[index] = x[index];
    }
}

/// A tensor's place in a buffer: axes in any order, gaps between them.
#[derive(Debug, Clone)]
struct Layout {
    offset: usize,
    strides: Vec<usize>,
    len: usize,
}

fn layout(shape: &[usize], order: &[usize], gaps: &[usize], offset: usize) -> Layout {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for (&axis, gap) in order.iter().zip(gaps) {
        strides[axis] = step;
        step = step * shape[axis].max(1) + gap;
    }
    let last: usize = shape.iter().zip(&strides).map(|(n, s)| n.saturating_sub(1) * s).sum();
    Layout { offset, strides, len: offset + last + 1 }
}

prop_compose! {
    fn tensors()(shape in prop::collection::vec(0..6usize, 1..=4))(
        orders in prop::array::uniform2(Just((0..shape.len()).collect::<Vec<_>>()).prop_shuffle()),
        gaps in prop::array::uniform2(prop::collection::vec(0..3usize, 4)),
        offsets in prop::array::uniform2(0..5usize),
        shape in Just(shape),
    ) -> (Vec<usize>, [Layout; 2]) {
        let layouts = [0, 1].map(|i: usize| layout(&shape, &orders[i], &gaps[i], offsets[i]));
        (shape, layouts)
    }
}

fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    (0..shape.iter().product()).map(move |flat: usize| {
        let mut rest = flat;
        let mut index = vec![0; shape.len()];
        for (i, n) in index.iter_mut().zip(shape).rev() {
            (*i, rest) = (rest % n, rest / n);
        }
        index
    })
}

fn copy(shape: &[usize], from: &Layout, to: &Layout) -> Vec<f32> {
    let device = Device::cpu();
    let values: Vec<f32> = (0..from.len).map(|i| i as f32).collect();
    let x = Buffer::from_slice(&device, &values).unwrap();
    let mut y = Buffer::from_slice(&device, &vec![-1.0f32; to.len]).unwrap();
    let threads = shape.iter().product();
    macro_rules! launch {
        ($kernel:ident, $rank:literal) => {{
            let array = |v: &[usize]| <[usize; $rank]>::try_from(v).unwrap();
            let x = View::of(x.slice(from.offset..).unwrap(), array(shape));
            let y = View::of_mut(y.slice_mut(to.offset..).unwrap(), array(shape));
            let (x, y) = (x.strides(array(&from.strides)), y.strides(array(&to.strides)));
            $kernel(x, y).threads(threads, 32).launch(&device).unwrap();
        }};
    }
    match shape.len() {
        1 => launch!(copy1, 1),
        2 => launch!(copy2, 2),
        3 => launch!(copy3, 3),
        _ => launch!(copy4, 4),
    }
    y.to_vec().unwrap()
}

proptest! {
    #[test]
    fn elements_are_where_the_strides_say((shape, [from, to]) in tensors()) {
        let found = copy(&shape, &from, &to);
        let mut expected = vec![-1.0f32; to.len];
        let place = |layout: &Layout, index: &[usize]| {
            layout.offset + index.iter().zip(&layout.strides).map(|(i, s)| i * s).sum::<usize>()
        };
        for index in indices(&shape) {
            expected[place(&to, &index)] = place(&from, &index) as f32;
        }
        prop_assert_eq!(found, expected);
    }
}

fn refusal(shape: [usize; 2], strides: [usize; 2]) -> String {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 100).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 100).unwrap();
    let y = View::of_mut(&mut y, shape).strides(strides);
    copy2(View::of(&x, shape), y).block(32).launch(&device).unwrap_err().to_string()
}

#[test]
fn outputs_that_overlap_themselves_are_refused() {
    for strides in [[0, 1], [1, 1], [3, 1], [1, 9], [2, 2]] {
        let message = refusal([10, 4], strides);
        assert!(message.contains("`y`") && message.contains("different elements"), "{message}");
    }
}

#[test]
fn views_that_leave_their_buffer_are_refused() {
    let message = refusal([10, 4], [11, 1]);
    assert!(message.contains("`y`") && message.contains("last element is at 102"), "{message}");
    assert!(refusal([usize::MAX, 2], [1, usize::MAX]).contains("`x`"));
}

#[test]
fn inputs_may_repeat_elements() {
    let device = Device::cpu();
    let x = Buffer::from_slice(&device, &[7.0f32, 8.0]).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 6).unwrap();
    let broadcast = View::of(&x, [3, 2]).strides([0, 1]);
    copy2(broadcast, View::of_mut(&mut y, [3, 2])).block(32).launch(&device).unwrap();
    assert_eq!(y.to_vec().unwrap(), [7.0, 8.0, 7.0, 8.0, 7.0, 8.0]);
}
