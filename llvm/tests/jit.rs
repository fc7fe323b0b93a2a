//! Code loaded into this process and run.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{STORE_SEVEN, amd, host};
use kernelsmith_llvm::{Error, Jit, Output};

fn object(ir: &str) -> Vec<u8> {
    host().compile(ir.into(), "default<O1>", Output::Object).unwrap()
}

/// The function of a symbol, which must have no arguments and give an `i32`.
fn call(jit: &Jit, symbol: &str) -> i32 {
    let address = jit.lookup(symbol).unwrap();
    // SAFETY: the tests below only define such functions, and `jit` keeps them alive.
    let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(address) };
    function()
}

#[test]
fn vector_code_runs() {
    let jit = Jit::load(&object(
        "
define void @axpy(float %a, ptr %x, ptr %y) {
  %xs = load <16 x float>, ptr %x, align 4
  %ys = load <16 x float>, ptr %y, align 4
  %a0 = insertelement <16 x float> poison, float %a, i32 0
  %as = shufflevector <16 x float> %a0, <16 x float> poison, <16 x i32> zeroinitializer
  %m = fmul <16 x float> %as, %xs
  %s = fadd <16 x float> %m, %ys
  store <16 x float> %s, ptr %y, align 4
  ret void
}",
    ))
    .unwrap();
    let address = jit.lookup("axpy").unwrap();
    // SAFETY: the function has this signature, and `jit` keeps it alive.
    let axpy: extern "C" fn(f32, *const f32, *mut f32) = unsafe { std::mem::transmute(address) };
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let mut y = vec![1.0f32; 16];
    axpy(2.0, x.as_ptr(), y.as_mut_ptr());
    assert!(y.iter().enumerate().all(|(i, &y)| y == 2.0 * i as f32 + 1.0), "{y:?}");
}

#[test]
fn the_processs_own_symbols_are_found() {
    let jit = Jit::load(&object(
        "
declare double @pow(double, double)
declare ptr @memset(ptr, i32, i64)
define i32 @f(double %unused) {
  %bytes = alloca [4096 x i8]
  %p = call ptr @memset(ptr %bytes, i32 1, i64 4096)
  %word = load volatile i32, ptr %p
  %power = call double @pow(double 2.0, double 5.0)
  %small = fptosi double %power to i32
  %sum = add i32 %word, %small
  ret i32 %sum
}",
    ))
    .unwrap();
    assert_eq!(call(&jit, "f"), 0x0101_0101 + 32);
}

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(by: i32) -> i32 {
    CALLS.fetch_add(by as u32, Ordering::Relaxed);
    by + 1
}

#[test]
fn code_calls_back_into_rust() {
    let ir = "
declare i32 @kernelsmith_count(i32)
define i32 @f() {
  %a = call i32 @kernelsmith_count(i32 20)
  %b = call i32 @kernelsmith_count(i32 %a)
  ret i32 %b
}";
    let symbols = [("kernelsmith_count", count as *const u8)];
    let jit = Jit::load_with(&object(ir), &symbols).unwrap();
    assert_eq!(call(&jit, "f"), 22);
    assert_eq!(CALLS.load(Ordering::Relaxed), 41);
}

#[test]
fn missing_symbols_are_errors_that_name_them() {
    let jit = Jit::load(&object("define i32 @f() { ret i32 1 }")).unwrap();
    let error = jit.lookup("g").unwrap_err();
    assert!(matches!(&error, Error::Load(m) if m.contains('g')), "{error}");
    assert_eq!(call(&jit, "f"), 1);

    let ir = "declare i32 @kernelsmith_absent()\ndefine i32 @f() {\n  \
              %a = call i32 @kernelsmith_absent()\n  ret i32 %a\n}";
    let error = Jit::load(&object(ir)).unwrap().lookup("f").unwrap_err();
    assert!(matches!(&error, Error::Load(m) if m.contains("kernelsmith_absent")), "{error}");
}

#[test]
fn a_symbol_defined_twice_is_an_error() {
    let f = object("define i32 @f() { ret i32 1 }");
    let error = Jit::load_with(&f, &[("f", count as *const u8)]).unwrap_err();
    assert!(matches!(&error, Error::Load(m) if m.contains('f')), "{error}");
}

#[test]
fn damaged_and_foreign_objects_are_errors() {
    let good = object("define i32 @f() { ret i32 1 }");
    let foreign = amd("gfx942").compile(STORE_SEVEN.into(), "", Output::Object).unwrap();
    let zeroed = vec![0; good.len()];
    for bad in [&good[..good.len() / 2], &good[..40], &[], &zeroed, &foreign] {
        let error = Jit::load(bad).and_then(|jit| jit.lookup("f"));
        assert!(matches!(error, Err(Error::Load(_))), "{error:?}");
    }
}

#[test]
fn code_lives_as_long_as_any_handle() {
    let jit = Jit::load(&object("define i32 @f() { ret i32 5 }")).unwrap();
    let other = jit.clone();
    let address = jit.lookup("f").unwrap();
    drop(jit);
    assert_eq!(call(&other, "f"), 5);
    assert_eq!(other.lookup("f").unwrap(), address);
}

#[test]
fn several_threads_compile_load_and_run_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..8 {
                    let value = thread * 100 + round;
                    let ir = format!("define i32 @f() {{ ret i32 {value} }}");
                    assert_eq!(call(&Jit::load(&object(&ir)).unwrap(), "f"), value);
                }
            });
        }
    });
}

#[test]
fn memory_is_given_back() {
    let bytes = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let object = object("define i32 @f() { ret i32 1 }");
    let load = |n| (0..n).for_each(|_| assert_eq!(call(&Jit::load(&object).unwrap(), "f"), 1));
    if !cfg!(target_os = "linux") {
        return load(64);
    }
    load(64);
    let before = bytes();
    load(512);
    // Kept alive, each would hold some 64 KiB; other tests of this file run meanwhile.
    let grown = bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes");
}
