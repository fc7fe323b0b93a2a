//! The arguments of a launch, packed as the IR lays parameters out.

use std::marker::PhantomData;

use kernelsmith_ir::tensor_map;

use crate::buffer::{Access, BufferView, BufferViewMut, RawBuffer};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::kernel::ParamLayout;
use crate::tensor::Tensor;

/// Arguments in the order of the kernel's parameters: each at its natural alignment, as in a C
/// struct. The buffers among them stay borrowed until the launch.
#[derive(Default, Debug)]
pub struct Args<'a> {
    bytes: Vec<u8>,
    places: Vec<Place>,
    buffers: Vec<Used<'a>>,
    tensors: Vec<Tensor>,
    borrowed: PhantomData<&'a mut [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    offset: u32,
    size: u32,
}

/// A buffer among the arguments.
#[derive(Debug)]
pub(crate) struct Used<'a> {
    /// The number of the argument.
    pub argument: usize,
    pub buffer: &'a RawBuffer,
    pub access: Access,
    /// Bytes that the kernel may reach.
    pub bytes: u64,
}

impl<'a> Args<'a> {
    /// No arguments yet.
    pub fn new() -> Args<'a> {
        // Room for what most kernels take: a launch that grows it step by step spends a tenth there.
        Args {
            bytes: Vec::with_capacity(512),
            places: Vec::with_capacity(64),
            buffers: Vec::with_capacity(8),
            tensors: Vec::new(),
            borrowed: PhantomData,
        }
    }

    /// Adds a number.
    #[inline]
    pub fn scalar<T: Element>(&mut self, value: T) -> &mut Self {
        self.push(bytemuck::bytes_of(&value), align_of::<T>())
    }

    /// Adds a `bool`: one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.scalar(u8::from(value))
    }

    /// Adds the address of elements the kernel reads.
    pub fn pointer<T: Element>(&mut self, view: BufferView<'a, T>) -> &mut Self {
        let bytes = view.size_in_bytes() as u64;
        self.buffer(view.raw(), Access::Read, bytes).scalar(view.address())
    }

    /// Adds the address of elements the kernel reads and writes.
    pub fn pointer_mut<T: Element>(&mut self, view: BufferViewMut<'a, T>) -> &mut Self {
        let bytes = view.size_in_bytes() as u64;
        self.buffer(view.raw(), Access::Write, bytes).scalar(view.address())
    }

    /// Adds a slice the kernel reads: its address, then its length.
    pub fn slice<T: Element>(&mut self, view: BufferView<'a, T>) -> &mut Self {
        let len = view.len() as u64;
        self.pointer(view).scalar(len)
    }

    /// Adds a slice the kernel reads and writes: its address, then its length.
    pub fn slice_mut<T: Element>(&mut self, view: BufferViewMut<'a, T>) -> &mut Self {
        let len = view.len() as u64;
        self.pointer_mut(view).scalar(len)
    }

    /// Adds a tensor that the copy engine reads: elements along each axis, outermost first, and
    /// elements from one index to the next along each. The kernel's parameter says which boxes of
    /// it are copied; the launch puts both together and checks the rules of tensor maps.
    pub fn tensor_map<T: Element>(
        &mut self,
        view: BufferView<'a, T>,
        shape: &[u64],
        strides: &[u64],
    ) -> &mut Self {
        let bytes = view.size_in_bytes() as u64;
        let tensor = Tensor::new::<T>(self.places.len(), view.address(), bytes, shape, strides);
        self.buffer(view.raw(), Access::Read, bytes).tensor(tensor)
    }

    /// Adds a tensor that the copy engine writes and reads; see [`Args::tensor_map`].
    pub fn tensor_map_mut<T: Element>(
        &mut self,
        view: BufferViewMut<'a, T>,
        shape: &[u64],
        strides: &[u64],
    ) -> &mut Self {
        let bytes = view.size_in_bytes() as u64;
        let tensor = Tensor::new::<T>(self.places.len(), view.address(), bytes, shape, strides);
        self.buffer(view.raw(), Access::Write, bytes).tensor(tensor)
    }

    fn tensor(&mut self, tensor: Tensor) -> &mut Self {
        self.tensors.push(tensor);
        // Filled in when the kernel is known.
        self.push(&[0; tensor_map::BYTES], tensor_map::ALIGN)
    }

    fn buffer(&mut self, buffer: &'a RawBuffer, access: Access, bytes: u64) -> &mut Self {
        self.buffers.push(Used { argument: self.places.len(), buffer, access, bytes });
        self
    }

    /// Inline, so that a number's size is known where it is added: a launch adds dozens.
    #[inline]
    fn push(&mut self, bytes: &[u8], align: usize) -> &mut Self {
        let offset = self.bytes.len().next_multiple_of(align);
        let end = offset + bytes.len();
        self.bytes.resize(end, 0);
        self.bytes[offset..end].copy_from_slice(bytes);
        self.places.push(Place { offset: offset as u32, size: bytes.len() as u32 });
        self
    }

    /// By argument, how many bytes a buffer's part has.
    pub(crate) fn extents(&self) -> Vec<Option<u64>> {
        let mut extents = vec![None; self.places.len()];
        self.buffers.iter().for_each(|used| extents[used.argument] = Some(used.bytes));
        extents
    }

    pub(crate) fn buffers(&self) -> &[Used<'a>] {
        &self.buffers
    }

    /// The packed bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks number, sizes and places against the kernel's parameters.
    pub(crate) fn check(&self, params: &[ParamLayout]) -> Result<()> {
        if self.places.len() != params.len() {
            let names: Vec<_> = params.iter().map(|param| &*param.name).collect();
            let rule = format!("the kernel has {} parameters ({})", params.len(), names.join(", "));
            return Err(Error::invalid("arguments", format!("{} long", self.places.len()), rule));
        }
        for (i, (place, param)) in self.places.iter().zip(params).enumerate() {
            if *place != (Place { offset: param.offset, size: param.size }) {
                let Place { offset, size } = place;
                return Err(Error::invalid(
                    format!("argument {i}"),
                    format!("{size} bytes at offset {offset}"),
                    format!(
                        "the parameter `{}` has {} at {}",
                        param.name, param.size, param.offset
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Writes the tensor maps, now that the kernel says their boxes. The arguments are checked to be
    /// the parameters'. A launch of nothing may have empty tensors, which no map describes.
    pub(crate) fn write_tensor_maps(&mut self, params: &[ParamLayout], empty: bool) -> Result<()> {
        for tensor in &self.tensors {
            let param = &params[tensor.argument];
            let used = self.buffers.iter().find(|used| used.argument == tensor.argument);
            let writable = used.is_some_and(|used| used.access == Access::Write);
            if empty && tensor.is_empty() {
                continue;
            }
            let map = tensor.map(&param.name, param.tensor, writable)?;
            let at = param.offset as usize;
            self.bytes[at..at + tensor_map::BYTES].copy_from_slice(&map.encode());
        }
        Ok(())
    }

    /// The packed bytes, with the address of the error record behind them.
    pub(crate) fn pack(mut self, record: u64) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.extend_from_slice(&record.to_ne_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Device};

    fn param(name: &str, offset: u32, size: u32) -> ParamLayout {
        ParamLayout { name: name.into(), offset, size, tensor: None }
    }

    #[test]
    fn arguments_are_packed_as_a_c_struct() {
        let mut x = Buffer::<f32>::zeros(&Device::cpu(), 3).unwrap();
        let address = x.raw().address();
        let mut args = Args::new();
        args.scalar(1.5f32).slice_mut(x.view_mut()).bool(true).scalar(7u16).scalar(-1i8);
        let params = [
            param("a", 0, 4),
            param("x", 8, 8),
            param("x.len", 16, 8),
            param("flag", 24, 1),
            param("k", 26, 2),
            param("d", 28, 1),
        ];
        args.check(&params).unwrap();
        let bytes = args.pack(0x1122);
        let mut expected = 1.5f32.to_ne_bytes().to_vec();
        expected.extend([0; 4]);
        expected.extend(address.to_ne_bytes());
        expected.extend(3u64.to_ne_bytes());
        expected.extend([1, 0]);
        expected.extend(7u16.to_ne_bytes());
        expected.extend([0xff, 0, 0, 0]);
        expected.extend(0x1122u64.to_ne_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn mismatches_name_the_parameter() {
        let mut args = Args::new();
        args.scalar(1u32).scalar(2u32);
        let wrong_size = args.check(&[param("n", 0, 4), param("x.len", 8, 8)]).unwrap_err();
        assert_eq!(
            wrong_size.to_string(),
            "`argument 1` is 4 bytes at offset 4: the parameter `x.len` has 8 at 8"
        );
        let wrong_number = args.check(&[param("n", 0, 4)]).unwrap_err();
        assert_eq!(
            wrong_number.to_string(),
            "`arguments` is 2 long: the kernel has 1 parameters (n)"
        );
    }
}
