//! LLVM as found on this machine: the tests need one, as the whole CPU backend does.

use kernelsmith_llvm::machine::{Effort, Host};
use kernelsmith_llvm::{Error, Jit, Machine, MachineOptions, Output, lld};

fn host() -> Machine {
    let Host { triple, cpu, features } = Host::detect().unwrap();
    Machine::new(MachineOptions { triple, cpu, features, effort: Effort::Default }).unwrap()
}

fn amd(cpu: &str) -> Machine {
    Machine::new(MachineOptions {
        triple: "amdgcn-amd-amdhsa".into(),
        cpu: cpu.into(),
        features: String::new(),
        effort: Effort::Default,
    })
    .unwrap()
}

#[test]
fn vector_code_runs_in_this_process() {
    let ir = "
define void @axpy(float %a, ptr %x, ptr %y) {
  %xs = load <16 x float>, ptr %x, align 4
  %ys = load <16 x float>, ptr %y, align 4
  %a0 = insertelement <16 x float> poison, float %a, i32 0
  %as = shufflevector <16 x float> %a0, <16 x float> poison, <16 x i32> zeroinitializer
  %m = fmul <16 x float> %as, %xs
  %s = fadd <16 x float> %m, %ys
  store <16 x float> %s, ptr %y, align 4
  ret void
}";
    let object = host().compile(ir.into(), "default<O1>", Output::Object).unwrap();
    let jit = Jit::load(&object).unwrap();
    let address = jit.lookup("axpy").unwrap();
    // SAFETY: the function has this signature, and `jit` keeps it alive.
    let axpy: extern "C" fn(f32, *const f32, *mut f32) = unsafe { std::mem::transmute(address) };
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let mut y = vec![1.0f32; 16];
    axpy(2.0, x.as_ptr(), y.as_mut_ptr());
    assert!(y.iter().enumerate().all(|(i, &y)| y == 2.0 * i as f32 + 1.0), "{y:?}");
    assert!(matches!(jit.lookup("axpz"), Err(Error::Other(m)) if m.contains("axpz")));
}

#[test]
fn amd_code_objects_link() {
    let ir = "
define amdgpu_kernel void @k(ptr addrspace(1) %p) {
  store i32 7, ptr addrspace(1) %p
  ret void
}";
    for gfx in ["gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201"] {
        let object = amd(gfx).compile(ir.into(), "default<O2>", Output::Object).unwrap();
        let code = lld::link_shared(&object).unwrap();
        assert_eq!(&code[..4], b"\x7fELF", "{gfx}");
    }
}

#[test]
fn wrong_ir_is_an_error_with_its_line() {
    let error = host().compile("define void @f() {\n  ret i32 0\n}".into(), "", Output::Object);
    match error {
        Err(Error::InvalidIr(m)) => assert!(m.contains(":2:"), "{m}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fatal_errors_leave_the_process_alive() {
    // gfx1100 has no MFMA; LLVM cannot select the intrinsic.
    let ir = "
declare <4 x float> @llvm.amdgcn.mfma.f32.4x4x1f32(float, float, <4 x float>, i32, i32, i32)
define amdgpu_kernel void @k(ptr addrspace(1) %p) {
  %c = load <4 x float>, ptr addrspace(1) %p
  %d = call <4 x float> @llvm.amdgcn.mfma.f32.4x4x1f32(float 1.0, float 1.0, <4 x float> %c, i32 0, i32 0, i32 0)
  store <4 x float> %d, ptr addrspace(1) %p
  ret void
}";
    for _ in 0..2 {
        let error = amd("gfx1100").compile(ir.into(), "", Output::Object);
        assert!(matches!(error, Err(Error::Fatal(_))), "{error:?}");
    }
    assert!(amd("gfx942").compile(ir.into(), "", Output::Object).is_ok());
}

#[test]
fn several_threads_compile_at_once() {
    std::thread::scope(|s| {
        for i in 0..4 {
            s.spawn(move || {
                let ir = format!("define i32 @f() {{ ret i32 {i} }}");
                let object = host().compile(ir, "", Output::Object).unwrap();
                let jit = Jit::load(&object).unwrap();
                // SAFETY: the function has this signature, and `jit` keeps it alive.
                let f: extern "C" fn() -> i32 =
                    unsafe { std::mem::transmute(jit.lookup("f").unwrap()) };
                assert_eq!(f(), i);
            });
        }
    });
}

#[test]
fn unknown_targets_are_errors() {
    let options = MachineOptions {
        triple: "riscv64-unknown-linux-gnu".into(),
        cpu: String::new(),
        features: String::new(),
        effort: Effort::Less,
    };
    assert!(matches!(Machine::new(options), Err(Error::NoTarget { .. })));
}
