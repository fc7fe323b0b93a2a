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
