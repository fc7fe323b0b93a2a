//! Rules of what stands before a kernel's body.

use std::collections::HashSet;

use super::{Rule, Verifier};
use crate::kernel::{Param, ParamKind};
use crate::message::Message;
use crate::types::{Space, Type};

/// Bytes of all arrays of a space together: offsets, rounded up to any alignment, stay 32-bit.
const MOST_BYTES: u64 = 1 << 31;

impl Verifier<'_> {
    pub(super) fn declarations(&mut self) {
        self.name();
        self.block_size();
        self.cluster_size();
        self.vectors();
        self.tensor_maps();
        self.shared_arrays();
        self.local_arrays();
        let mut names = HashSet::new();
        for param in &self.kernel.params {
            if !names.insert(param.name.as_str()) {
                let found = format!("a second parameter `{}`", param.name);
                self.breach(Rule::ParameterName, None, found, "another name");
            }
            self.param(param);
        }
        self.contract();
        self.hidden();
        for (i, print) in self.kernel.prints.iter().enumerate() {
            if print.parse::<Message>().is_err() {
                let found = format!("print p{i} {print:?}");
                self.breach(Rule::PrintMessage, None, found, "text and holes such as `{f32:.2}`");
            }
        }
    }

    /// Launches put what they fill in behind what callers pass.
    fn hidden(&mut self) {
        let params = &self.kernel.params;
        for (i, param) in params.iter().enumerate() {
            let before = i.checked_sub(1).map(|i| &params[i]);
            let twice = params[..i].iter().any(|p| param.kind.is_hidden() && p.kind == param.kind);
            let late = before.is_some_and(|p| p.kind.is_hidden()) && !param.kind.is_hidden();
            if twice || late {
                let found = format!("parameter `{}` of kind {}", param.name, param.kind.name());
                let expected = if twice { "one of the kind" } else { "it before what is hidden" };
                self.breach(Rule::HiddenParameter, None, found, expected);
            }
        }
    }

    fn contract(&mut self) {
        let kernel = self.kernel;
        for requirement in &kernel.requires {
            if requirement.terms.is_empty() {
                let found = format!("no term in `{}`", requirement.text);
                self.breach(Rule::ContractTerm, None, found, "a sum of terms");
            }
            for value in requirement.params() {
                let param = kernel.params.iter().find(|p| p.value == value);
                let found = match param {
                    None => format!("value {} in `{}`", value.0, requirement.text),
                    Some(p) => match self.ty(value) {
                        Type::Scalar(scalar) if scalar.is_int() => continue,
                        ty => format!("`{}` of type {ty} in `{}`", p.name, requirement.text),
                    },
                };
                self.breach(Rule::ContractTerm, None, found, "a parameter that is an integer");
            }
        }
    }

    fn name(&mut self) {
        let name = &self.kernel.name;
        let letters = name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
        if !letters || name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            self.breach(Rule::KernelName, None, format_args!("{name:?}"), "an identifier");
        }
    }

    fn block_size(&mut self) {
        if let Some(block) = self.kernel.block_dim
            && block.contains(&0)
        {
            let found = format!("a block of {block:?}");
            self.breach(Rule::BlockSize, None, found, "at least 1 along every axis");
        }
    }

    fn cluster_size(&mut self) {
        let Some(cluster) = self.kernel.cluster_dim else { return };
        let blocks = cluster.iter().fold(1u64, |n, &axis| n.saturating_mul(axis.into()));
        if !(1..=16).contains(&blocks) {
            let found = format!("a cluster of {cluster:?}");
            self.breach(Rule::ClusterSize, None, found, "1 to 16 blocks");
        }
    }

    /// One look at the table finds every vector type there is.
    fn vectors(&mut self) {
        let vars = self.kernel.vars.iter().map(|v| &v.ty);
        for ty in self.kernel.types.iter().chain(vars) {
            if matches!(ty, Type::Vector(_, n) if !(2..=128).contains(n)) {
                self.breach(Rule::VectorLength, None, ty, "2 to 128 lanes");
            }
        }
    }

    /// Tensor maps stay where the launch has put them.
    fn tensor_maps(&mut self) {
        let params =
            self.kernel.params.iter().filter(|p| matches!(p.kind, ParamKind::TensorMap(_)));
        let is_map = |ty: &&Type| matches!(ty, Type::TensorMap(..));
        let values = self.kernel.types.iter().filter(is_map).count();
        let slots = self.kernel.vars.iter().map(|v| &v.ty).filter(is_map).count();
        if values > params.count() || slots > 0 {
            let found = "a tensor map that is no parameter";
            self.breach(Rule::TensorTile, None, found, "only parameters of this type");
        }
    }

    fn shared_arrays(&mut self) {
        // Aligned as `Kernel::shared_layout` aligns, in more bits.
        let mut bytes = 0u64;
        for (i, decl) in self.kernel.shared.iter().enumerate() {
            let name = || format!("shared array s{i} `{}`", decl.name);
            if !decl.align.is_power_of_two() || decl.align < decl.elem.size() {
                let found = format!("{} of {} at alignment {}", name(), decl.elem, decl.align);
                let expected = "a power of two that is at least the element's size";
                self.breach(Rule::ArrayAlignment, None, found, expected);
                continue;
            }
            bytes = bytes.next_multiple_of(decl.align.into());
            bytes += u64::from(decl.len.unwrap_or(0)) * u64::from(decl.elem.size());
            if decl.len == Some(0) {
                self.breach(Rule::ArraySize, None, name() + " of 0 elements", "at least 1");
            } else if bytes > MOST_BYTES {
                let found = format!("{bytes} bytes up to {}", name());
                self.breach(Rule::ArraySize, None, found, "at most 2^31");
                return;
            }
        }
    }

    fn local_arrays(&mut self) {
        let mut bytes = 0u64;
        for (i, decl) in self.kernel.locals.iter().enumerate() {
            bytes += u64::from(decl.len) * u64::from(decl.elem.size());
            if decl.len == 0 {
                let found = format!("local array l{i} of 0 elements");
                self.breach(Rule::ArraySize, None, found, "at least 1");
            } else if bytes > MOST_BYTES {
                let found = format!("{bytes} bytes up to local array l{i}");
                self.breach(Rule::ArraySize, None, found, "at most 2^31");
                return;
            }
        }
    }

    fn param(&mut self, param: &Param) {
        if !self.define(param.value, None) {
            return;
        }
        let ty = self.ty(param.value);
        if let Some(expected) = param.kind.hidden_type() {
            if ty != expected {
                let found = format!("parameter `{}` of type {ty}", param.name);
                self.breach(Rule::HiddenParameter, None, found, expected);
            }
            return;
        }
        if let (ParamKind::TensorMap(tile), Type::TensorMap(elem, rank)) = (param.kind, ty) {
            let fault = tile.fault(elem).or_else(|| {
                (tile.rank != rank).then(|| format!("a box of {} axes for {rank}", tile.rank))
            });
            if let Some(fault) = fault {
                let found = format!("parameter `{}`: {fault}", param.name);
                self.breach(Rule::TensorTile, None, found, "a box that the copy engine can move");
            }
            return;
        }
        let expected = match (param.kind, ty) {
            (ParamKind::Scalar, Type::Scalar(_)) => return,
            (ParamKind::ReadOnly | ParamKind::Exclusive, Type::Ptr(Space::Global, _)) => return,
            (ParamKind::Scalar, _) => "a scalar",
            (ParamKind::TensorMap(_), _) => "a tensor map",
            _ => "a pointer to global memory",
        };
        let found = format!("parameter `{}` of type {ty}", param.name);
        self.breach(Rule::ParameterType, None, found, expected);
    }
}
