//! What several test files share.
#![allow(dead_code)] // no file uses all of it

use kernelsmith_llvm::{Effort, Machine, MachineOptions};

/// This machine.
pub(crate) fn host() -> Machine {
    Machine::host(Effort::Default).unwrap()
}

/// An AMD chip.
pub(crate) fn amd(chip: &str) -> Machine {
    Machine::new(MachineOptions {
        triple: "amdgcn-amd-amdhsa".into(),
        cpu: chip.into(),
        features: String::new(),
        effort: Effort::Default,
    })
    .unwrap()
}

/// A kernel that any AMD chip can run.
pub(crate) const STORE_SEVEN: &str = "
define amdgpu_kernel void @store_seven(ptr addrspace(1) %p) {
  store i32 7, ptr addrspace(1) %p
  ret void
}";

/// A kernel with an instruction that only chips of the MI series have.
pub(crate) const MATRIX: &str = "
declare <4 x float> @llvm.amdgcn.mfma.f32.4x4x1f32(float, float, <4 x float>, i32, i32, i32)
define amdgpu_kernel void @matrix(ptr addrspace(1) %p) {
  %c = load <4 x float>, ptr addrspace(1) %p
  %d = call <4 x float> @llvm.amdgcn.mfma.f32.4x4x1f32(
    float 1.0, float 1.0, <4 x float> %c, i32 0, i32 0, i32 0)
  store <4 x float> %d, ptr addrspace(1) %p
  ret void
}";
