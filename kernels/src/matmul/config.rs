//! Tile sizes of the tiled matmul.

use kernelsmith::Target;

/// Tile sizes; see [`super::matmul_tiled`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiles {
    /// Rows of a block's tile of C.
    pub bm: usize,
    /// Columns of a block's tile of C.
    pub bn: usize,
    /// Columns of A and rows of B staged at a time.
    pub bk: usize,
    /// Rows of a thread's tile.
    pub tm: usize,
    /// Columns of a thread's tile.
    pub tn: usize,
}

impl Tiles {
    /// Threads of a block along x and y.
    pub const fn block(&self) -> (usize, usize) {
        (self.bn / self.tn, self.bm / self.tm)
    }

    /// Bytes of shared memory: one tile of A and one of B, in f32.
    pub const fn shared_bytes(&self) -> usize {
        (self.bm + self.bn) * self.bk * 4
    }

    /// Why these sizes cannot be, if so.
    ///
    /// # Errors
    /// The rule they break.
    pub fn check(&self, target: &Target) -> Result<(), String> {
        let Tiles { bm, bn, tm, tn, .. } = *self;
        if bm % tm != 0 || bn % tn != 0 {
            return Err(format!("a block's tile of {bm} x {bn} is not whole tiles of {tm} x {tn}"));
        }
        let (x, y) = self.block();
        if x * y > target.max_threads() as usize {
            return Err(format!("a block of {x} x {y} threads"));
        }
        if self.shared_bytes() > target.max_shared_bytes() as usize {
            return Err(format!("{} bytes of shared memory", self.shared_bytes()));
        }
        Ok(())
    }
}

/// For GPUs: 256 threads of 8 x 8 results each, 16 KiB of shared memory; 16 loads from shared memory
/// feed 64 multiply-adds. 97 registers on NVIDIA, up to 199 on AMD, and no spills
/// (`kernels/tests/targets.rs`).
pub const GPU: Tiles = Tiles { bm: 128, bn: 128, bk: 16, tm: 8, tn: 8 };

/// For GPUs and sums of f64, which take two registers each: half as tall and wide.
pub const GPU_F64: Tiles = Tiles { bm: 64, bn: 64, bk: 16, tm: 4, tn: 4 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gpu_can_have_its_tiles() {
        for name in ["sm_75", "sm_90a", "gfx90a", "gfx942", "gfx1100", "gfx1201"] {
            let target = name.parse().unwrap();
            GPU.check(&target).unwrap();
        }
    }

    #[test]
    fn impossible_tiles_are_told() {
        let odd = Tiles { tm: 5, ..GPU };
        assert!(odd.check(&Target::Cpu).unwrap_err().contains("128 x 128"));
        let huge = Tiles { bk: 1 << 20, ..GPU };
        assert!(huge.check(&Target::Cpu).unwrap_err().contains("shared"));
    }
}
