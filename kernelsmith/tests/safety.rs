//! What kernels cannot do wrong: contracts, partitioned outputs, convergence.

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
        assert_eq!((&*file, line), (file!(), 7));
        let (file, line, _) = broken.launched_at.clone();
        assert_eq!((&*file, line), (file!(), 21));
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
        trespass(y.partition([32])).block(8).launch(&device).unwrap();
        let error = y.to_vec().unwrap_err();
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

#[allow(dead_code)] // Only the IR of these kernels is looked at.
mod convergence {
    use kernelsmith::prelude::*;
    use kernelsmith::{StagingError, Target, ir};

    #[kernel]
    fn barrier_in_a_branch(x: &mut [f32]) {
        let i = thread_idx_x();
        let near = i < 7;
        if near {
            barrier();
        }
        x[i] = 0.0;
    }

    #[kernel]
    fn sum_in_a_loop(x: &mut [f32]) {
        let lane = lane_id();
        let mut sum = 0.0;
        for i in 0..lane {
            sum += warp_sum(x[i as usize]);
        }
        x[0] = sum;
    }

    #[kernel]
    fn barrier_by_data(flags: &[u32], x: &mut [f32]) {
        let flag = flags[thread_idx_x()];
        while flag > 0 {
            barrier();
        }
        x[0] = 0.0;
    }

    #[kernel]
    fn barrier_for_all(n: u32, x: &mut [f32]) {
        if n > 3 && block_idx_x() > 0 {
            barrier();
        }
        x[0] = 0.0;
    }

    fn prepared(kernel: Result<ir::Kernel, StagingError>) -> Result<ir::Kernel, String> {
        let target: Target = "sm_90a".parse().unwrap();
        ir::passes::prepare(&kernel.unwrap(), &target).map_err(|error| error.to_string())
    }

    /// What is said, with the lines of this file, counted from the kernel's.
    fn refused(kernel: Result<ir::Kernel, StagingError>, line: u32, says: &[(&str, u32)]) {
        let text = prepared(kernel).unwrap_err();
        for (what, offset) in says {
            let place = format!("{}:{}:", file!(), line + offset);
            let found = text.lines().any(|l| l.contains(what) && l.contains(&place));
            assert!(found, "no `{what}` with {place} in\n{text}");
        }
    }

    #[test]
    fn what_divides_threads_is_traced_to_its_line() {
        let target: Target = "sm_90a".parse().unwrap();
        refused(
            barrier_in_a_branch_ir(&target),
            208,
            &[
                ("`barrier` must be reached by every thread of the block together", 4),
                ("depends on `lt`", 2),
                ("comes from `thread_idx`", 1),
            ],
        );
        refused(
            sum_in_a_loop_ir(&target),
            218,
            &[
                ("must be reached by every thread of the warp together", 4),
                ("comes from `lane_id`", 1),
            ],
        );
        refused(
            barrier_by_data_ir(&target),
            228,
            &[("`barrier` must be reached", 3), ("comes from", 1)],
        );
    }

    #[test]
    fn what_all_threads_agree_on_is_no_error() {
        let target: Target = "sm_90a".parse().unwrap();
        prepared(barrier_for_all_ir(&target)).unwrap();
    }
}
