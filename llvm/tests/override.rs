//! A file of its own, so that the process has not opened LLVM before the variable is set.

use kernelsmith_llvm::{Error, find};

#[test]
fn a_wrong_override_is_an_error_and_no_fallback() {
    // SAFETY: this process has one test and no other thread that reads the environment.
    unsafe { std::env::set_var(find::OVERRIDE, "/nonexistent/libLLVM.so") };
    let error = kernelsmith_llvm::version().unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    let text = error.to_string();
    assert!(text.contains("/nonexistent/libLLVM.so (named by KERNELSMITH_LLVM)"), "{text}");
}
