//! Tensors as arguments of launches: what the copy engine asks of their place in memory.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::tensor_map::{MOST_AXES, TensorMap, TensorTile};

use crate::element::Element;
use crate::error::{Error, Result};

/// A tensor whose box is not yet known, since the kernel says it.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// The number of the argument.
    pub argument: usize,
    elem: Scalar,
    address: u64,
    /// Bytes from the address on that the tensor may take.
    bytes: u64,
    /// Elements along each axis, outermost first.
    shape: Axes,
    /// Elements from one index to the next along each axis.
    strides: Axes,
}

/// As many numbers as there are axes; of more than there may be the first, until somebody asks. A
/// launch asks for no memory here.
#[derive(Clone, Copy, Debug)]
struct Axes {
    numbers: [u64; MOST_AXES],
    rank: usize,
}

impl From<&[u64]> for Axes {
    fn from(numbers: &[u64]) -> Axes {
        let mut axes = Axes { numbers: [0; MOST_AXES], rank: numbers.len() };
        axes.numbers.iter_mut().zip(numbers).for_each(|(to, &from)| *to = from);
        axes
    }
}

impl Axes {
    fn as_slice(&self) -> &[u64] {
        &self.numbers[..self.rank.min(MOST_AXES)]
    }
}

impl Tensor {
    pub(crate) fn new<T: Element>(
        argument: usize,
        address: u64,
        bytes: u64,
        shape: &[u64],
        strides: &[u64],
    ) -> Tensor {
        let (shape, strides) = (shape.into(), strides.into());
        Tensor { argument, elem: T::SCALAR, address, bytes, shape, strides }
    }

    /// Whether it has no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.shape.as_slice().contains(&0)
    }

    /// The map that a parameter of this name asks for.
    pub(crate) fn map(
        &self,
        name: &str,
        param: Option<(Scalar, TensorTile)>,
        writable: bool,
    ) -> Result<TensorMap> {
        let Some((elem, tile)) = param else {
            let rule = "the parameter is no tensor map";
            return Err(Error::invalid(name, "a tensor", rule));
        };
        self.check_parameter(name, elem, tile, writable)?;
        self.check_memory(name)?;
        let (mut extents, mut strides) = ([1; MOST_AXES], [0; MOST_AXES]);
        let axes = self.shape.as_slice().iter().zip(self.byte_strides());
        for (inner, (&extent, stride)) in (0..self.shape.rank).rev().zip(axes) {
            (extents[inner], strides[inner]) = (extent, stride);
        }
        strides[0] = elem.size().into();
        Ok(TensorMap { tile, elem, address: self.address, extents, strides })
    }

    /// What the kernel was compiled for.
    fn check_parameter(
        &self,
        name: &str,
        elem: Scalar,
        tile: TensorTile,
        writable: bool,
    ) -> Result<()> {
        let expected = usize::from(tile.rank);
        if [self.shape.rank, self.strides.rank] != [expected; 2] {
            let (shape, strides) = (self.shape.rank, self.strides.rank);
            let found = format!("of {shape} dimensions and {strides} strides");
            return Err(Error::invalid(
                name,
                found,
                format!("the parameter has {expected} of both"),
            ));
        }
        if elem != self.elem {
            let rule = format!("the parameter's are {elem}");
            return Err(Error::invalid(name, format!("of {} elements", self.elem), rule));
        }
        if tile.written && !writable {
            let rule = "the kernel writes it: pass a view to be written";
            return Err(Error::invalid(name, "a tensor to be read", rule));
        }
        Ok(())
    }

    /// The rules of `cuTensorMapEncodeTiled` (CUDA Driver API, "Tensor Map Object Management"), and
    /// that the tensor lies within its buffer.
    fn check_memory(&self, name: &str) -> Result<()> {
        let invalid = |value: String, rule: String| Err(Error::invalid(name, value, rule));
        let Tensor { elem, address, .. } = self;
        let (shape, strides) = (self.shape.as_slice(), self.strides.as_slice());
        if shape.iter().any(|n| !(1..=1 << 32).contains(n)) {
            let rule = "a tensor map's extents are 1 to 2^32".to_owned();
            return invalid(format!("of shape {shape:?}"), rule);
        }
        if let (Some(&stride), Some(2..)) = (strides.last(), shape.last())
            && stride != 1
        {
            let rule = "a tensor map's last stride is 1: the copy engine moves contiguous rows";
            return invalid(format!("of strides {strides:?}"), rule.to_owned());
        }
        if !address.is_multiple_of(16) {
            let rule = "a tensor map's address is a multiple of 16 bytes".to_owned();
            return invalid(format!("at {address:#x}"), rule);
        }
        let outer = shape.len() - 1;
        for (axis, stride) in self.byte_strides().enumerate().take(outer) {
            if !stride.is_multiple_of(16) || stride >= 1 << 40 {
                let rule = format!(
                    "a tensor map's strides are multiples of 16 bytes below 2^40, and that of axis \
                     {axis} is {} {elem}, {stride} bytes",
                    strides[axis]
                );
                return invalid(format!("of strides {strides:?}"), rule);
            }
        }
        self.check_extent(name)
    }

    fn check_extent(&self, name: &str) -> Result<()> {
        let Tensor { elem, bytes, .. } = self;
        let (shape, strides) = (self.shape.as_slice(), self.strides.as_slice());
        let steps = shape.iter().zip(strides);
        let last: u128 = steps.map(|(&n, &step)| u128::from(n - 1) * u128::from(step)).sum();
        let end = (last + 1) * u128::from(elem.size());
        if end <= u128::from(*bytes) {
            return Ok(());
        }
        let found = format!("of shape {shape:?} and strides {strides:?}");
        Err(Error::invalid(name, found, format!("it reaches byte {end} of a view of {bytes}")))
    }

    /// Bytes from one index to the next along each axis. Along an axis of one element nothing steps,
    /// so that any stride does: the smallest that the engine takes.
    fn byte_strides(&self) -> impl Iterator<Item = u64> {
        let axes = self.shape.as_slice().iter().zip(self.strides.as_slice());
        axes.map(|(&extent, &stride)| match extent {
            1 => 16,
            _ => stride.saturating_mul(self.elem.size().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use kernelsmith_ir::tensor_map::Swizzle;

    use super::*;

    /// A matrix of 512 x 1024 bf16 in boxes of 64 x 64.
    fn good() -> Tensor {
        Tensor::new::<bf16>(0, 4096, 1 << 20, &[512, 1024], &[1024, 1])
    }

    fn tile() -> TensorTile {
        TensorTile::new(&[64, 64], Swizzle::B128, false)
    }

    fn map(tensor: &Tensor) -> Result<TensorMap> {
        tensor.map("a", Some((Scalar::BF16, tile())), false)
    }

    #[test]
    fn axes_come_innermost_first() {
        let expected = TensorMap {
            tile: tile(),
            elem: Scalar::BF16,
            address: 4096,
            extents: [1024, 512, 1, 1, 1],
            strides: [2, 2048, 0, 0, 0],
        };
        assert_eq!(map(&good()).unwrap(), expected);
    }

    #[test]
    fn an_axis_of_one_element_has_any_stride() {
        let row = Tensor::new::<bf16>(0, 4096, 14, &[1, 7], &[7, 1]);
        assert_eq!(map(&row).unwrap().strides, [2, 16, 0, 0, 0]);
        let column = Tensor::new::<bf16>(0, 4096, 1 << 20, &[7, 1], &[8, 3]);
        assert_eq!(map(&column).unwrap().strides, [2, 16, 0, 0, 0]);
    }

    #[test]
    fn each_rule_names_argument_value_and_limit() {
        let with = |change: &dyn Fn(&mut Tensor)| {
            let mut tensor = good();
            change(&mut tensor);
            map(&tensor).unwrap_err().to_string()
        };
        assert_eq!(
            with(&|t| t.shape.numbers[1] = 0),
            "`a` is of shape [512, 0]: a tensor map's extents are 1 to 2^32"
        );
        assert_eq!(
            with(&|t| t.shape.numbers[0] = (1 << 32) + 1),
            "`a` is of shape [4294967297, 1024]: a tensor map's extents are 1 to 2^32"
        );
        assert_eq!(
            with(&|t| t.strides.numbers = [1, 512, 0, 0, 0]),
            "`a` is of strides [1, 512]: a tensor map's last stride is 1: the copy engine moves \
             contiguous rows"
        );
        assert_eq!(
            with(&|t| t.address = 4104),
            "`a` is at 0x1008: a tensor map's address is a multiple of 16 bytes"
        );
        assert_eq!(
            with(&|t| t.strides.numbers[0] = 1028),
            "`a` is of strides [1028, 1]: a tensor map's strides are multiples of 16 bytes below \
             2^40, and that of axis 0 is 1028 bf16, 2056 bytes"
        );
        let far = with(&|t| t.strides.numbers[0] = 1 << 39);
        assert!(far.ends_with("that of axis 0 is 549755813888 bf16, 1099511627776 bytes"), "{far}");
        assert_eq!(
            with(&|t| t.bytes -= 1),
            "`a` is of shape [512, 1024] and strides [1024, 1]: it reaches byte 1048576 of a view of \
             1048575"
        );
        assert_eq!(
            with(&|t| t.shape.rank = 1),
            "`a` is of 1 dimensions and 2 strides: the parameter has 2 of both"
        );
        assert_eq!(
            with(&|t| t.elem = Scalar::F16),
            "`a` is of f16 elements: the parameter's are bf16"
        );
        let written = TensorTile { written: true, ..tile() };
        let error = good().map("c", Some((Scalar::BF16, written)), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`c` is a tensor to be read: the kernel writes it: pass a view to be written"
        );
        let error = good().map("n", None, true).unwrap_err().to_string();
        assert_eq!(error, "`n` is a tensor: the parameter is no tensor map");
    }
}
