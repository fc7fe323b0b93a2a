//! What kernels cannot do wrong: contracts, partitioned outputs, convergence.

mod convergence;

mod contracts {
    use kernelsmith::prelude::*;
    use kernelsmith::{ContractBroken, Error, Target};

    #[kernel(requires = (x.len() >= rows * columns, y.len() == x.len(), columns > 0))]
    fn transpose(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
        let (row, column) = (global_idx_y(), global_idx_x());
        if row < rows && column < columns {
            y[column * rows + row] = x[row * columns + column];
        }
    }

    fn launch(rows: usize, columns: usize, len: usize) -> Result<Vec<f32>, Error> {
        let device = Device::cpu();
        let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let x = Buffer::from_slice(&device, &values)?;
        let mut y = Buffer::zeros(&device, len)?;
        let blocks = (columns.div_ceil(8).clamp(1, 2), rows.div_ceil(4).clamp(1, 2));
        transpose(rows, columns, &x, &mut y).grid(blocks).block((8, 4)).launch(&device)?;
        Ok(y.to_vec()?)
    }

    fn broken(result: Result<Vec<f32>, Error>) -> ContractBroken {
        let error = result.expect_err("a broken contract");
        error.contract_broken().unwrap_or_else(|| panic!("{error}")).clone()
    }

    #[test]
    fn a_launch_that_keeps_the_contract_runs() {
        assert_eq!(launch(2, 3, 6).unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn a_launch_that_breaks_it_names_contract_values_and_both_lines() {
        let broken = broken(launch(2, 3, 5));
        assert_eq!(broken.requirement, "x.len() >= rows * columns");
        let values = [("rows", 2), ("columns", 3), ("x.len()", 5)];
        assert_eq!(broken.values, values.map(|(name, value)| (name.to_owned(), value)));
        let (file, line, _) = broken.location.clone().unwrap();
        assert_eq!((&*file, line), (file!(), 9));
        let (file, line, _) = broken.launched_at.clone();
        assert_eq!((&*file, line), (file!(), 23));
        let text = broken.to_string();
        assert!(text.contains("requires `x.len() >= rows * columns`, but rows is 2"), "{text}");
    }

    /// In 64 bits `rows * columns` is 0, and an empty buffer would do.
    #[test]
    fn products_do_not_wrap() {
        let broken = broken(launch(1 << 32, 1 << 32, 0));
        assert_eq!(broken.requirement, "x.len() >= rows * columns");
    }

    #[test]
    fn every_requirement_is_tested() {
        assert_eq!(broken(launch(0, 0, 0)).requirement, "columns > 0");
    }

    /// Both accesses are proven: `column * rows + row` by `y.len() == x.len()`.
    #[test]
    fn checks_that_the_contract_decides_vanish() {
        let target: Target = "sm_90a".parse().unwrap();
        let kernel = transpose_ir(&target).unwrap();
        let checks = |k: &kernelsmith::ir::Kernel| {
            kernelsmith::codegen::resources(k, None, &target).unwrap().checks
        };
        assert_eq!(checks(&kernel), 0);
        let mut free = kernel.clone();
        free.requires.clear();
        assert_eq!(checks(&free), 2);
    }
}

mod parts {
    use kernelsmith::prelude::*;

    /// Every thread adds 1 to all it owns: each element is 1 if the parts are disjoint and cover all.
    #[kernel]
    fn count_owners(y: &mut Part<u32, 2>) {
        for i in 0..y.count(0) {
            for j in 0..y.count(1) {
                y[[i, j]] += 1;
            }
        }
    }

    #[kernel]
    fn number(y: &mut Part<u64, 3>) {
        let (rows, columns) = (y.shape(1), y.shape(2));
        for p in 0..y.count(0) {
            for i in 0..y.count(1) {
                for j in 0..y.count(2) {
                    let (plane, row) = (y.global(0, p), y.global(1, i));
                    y[[p, i, j]] = ((plane * rows + row) * columns + y.global(2, j)) as u64;
                }
            }
        }
    }

    #[kernel(requires = x.len() >= y.shape(0))]
    fn double(x: &[f32], y: &mut Part<f32, 1>) {
        for i in 0..y.count(0) {
            y[i] = 2.0 * x[y.global(0, i)];
        }
    }

    /// The element one behind the thread's last.
    #[kernel]
    fn trespass(y: &mut Part<u32, 1>) {
        y[y.count(0)] = 1;
    }

    #[test]
    fn parts_are_disjoint_and_cover_everything() {
        let device = Device::cpu();
        let shapes = [[1, 1], [7, 5], [64, 64], [33, 100], [0, 9], [3, 1000]];
        let tiles = [[1, 1], [4, 3], [16, 64], [100, 1], [5, 2000]];
        for shape in shapes {
            for tile in tiles {
                for block in [(1, 1), (32, 1), (8, 4), (3, 7), (64, 2)] {
                    let mut y = Buffer::<u32>::zeros(&device, shape[0] * shape[1]).unwrap();
                    let part = View::of_mut(&mut y, shape).partition(tile);
                    count_owners(part).block(block).launch(&device).unwrap();
                    let owners = y.to_vec().unwrap();
                    assert!(owners.iter().all(|&n| n == 1), "{shape:?} {tile:?} {block:?}");
                }
            }
        }
    }

    #[test]
    fn parts_of_three_dimensions_know_their_places() {
        let device = Device::cpu();
        let mut y = Buffer::<u64>::zeros(&device, 5 * 6 * 7).unwrap();
        let part = View::of_mut(&mut y, [5, 6, 7]).partition([2, 4, 3]);
        number(part).block((2, 3, 2)).launch(&device).unwrap();
        let expected: Vec<u64> = (0..5 * 6 * 7).collect();
        assert_eq!(y.to_vec().unwrap(), expected);
    }

    #[test]
    fn threads_take_every_so_manyth_element() {
        let device = Device::cpu();
        let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let x = Buffer::from_slice(&device, &values).unwrap();
        let mut y = Buffer::<f32>::zeros(&device, 1000).unwrap();
        double(&x, y.partition([300])).block(64).launch(&device).unwrap();
        assert!(y.to_vec().unwrap().iter().zip(&values).all(|(y, x)| *y == 2.0 * x));
        let short = x.slice(..999).unwrap();
        let error = double(short, y.partition([300])).block(64).launch(&device).unwrap_err();
        assert_eq!(error.contract_broken().unwrap().requirement, "x.len() >= y.shape(0)");
    }

    #[test]
    fn kernels_on_parts_need_no_checks() {
        let target = "sm_90a".parse().unwrap();
        for kernel in [double_ir(&target), count_owners_ir(&target), number_ir(&target)] {
            let kernel = kernel.unwrap();
            let checks = kernelsmith::codegen::resources(&kernel, None, &target).unwrap().checks;
            assert_eq!(checks, 0, "{}", kernel.name);
        }
    }

    #[test]
    fn indices_of_other_threads_are_out_of_bounds() {
        let device = Device::cpu();
        let mut y = Buffer::<u32>::zeros(&device, 64).unwrap();
        // Other tests wait for the default stream, and would collect what fails on it.
        let stream = device.create_stream().unwrap();
        trespass(y.partition([32])).block(8).launch_on(&stream).unwrap();
        let error = stream.synchronize().unwrap_err();
        let failure = error.check_failed().expect("a check");
        assert_eq!((failure.index, failure.len), (4, 4));
    }

    #[test]
    fn what_the_map_rests_on_is_tested() {
        let device = Device::cpu();
        let mut y = Buffer::<u32>::zeros(&device, 64).unwrap();
        let mut launch = |shape: [usize; 2], strides, tile, block: (usize, usize, usize)| {
            let view = View::of_mut(&mut y, shape).strides(strides);
            count_owners(view.partition(tile)).block(block).launch(&device)
        };
        launch([8, 8], [8, 1], [4, 4], (4, 4, 1)).unwrap();
        let mut says = |shape, strides, tile, block, what: &str| {
            let error = launch(shape, strides, tile, block).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        // Threads along z would all own what the one with z = 0 does.
        says([8, 8], [8, 1], [4, 4], (4, 4, 2), "`y` has 2 dimensions, and so have the blocks");
        says([8, 8], [1, 8], [4, 4], (4, 4, 1), "last stride is 1");
        // Rows that overlap: two blocks would own one element.
        says([8, 8], [4, 1], [4, 4], (4, 4, 1), "must name different elements");
        says([8, 8], [8, 1], [0, 4], (4, 4, 1), "from 1 to");
        says([9, 8], [8, 1], [4, 4], (4, 4, 1), "its last element is at 71");
        let grid = count_owners(View::of_mut(&mut y, [8, 8]).partition([4, 4])).grid(5).block(32);
        let error = grid.launch(&device).unwrap_err().to_string();
        assert!(error.contains("it follows from the partition of `y`, [4, 1, 1]"), "{error}");
    }
}
