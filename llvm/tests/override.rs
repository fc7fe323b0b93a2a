//! Files of their own process each: the variable is read once, when LLVM is opened.

use std::env;
use std::process::Command;

use kernelsmith_llvm::find;

/// Opens LLVM in this process, when asked to by the tests below, and prints how that went.
#[test]
fn open() {
    if env::var_os(find::OVERRIDE).is_some() {
        match kernelsmith_llvm::version() {
            Ok((version, path)) => println!("opened {version:?} {}", path.display()),
            Err(error) => println!("error {error}"),
        }
    }
}

/// What `open` prints with the variable set.
fn open_with(library: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "open", "--nocapture"])
        .env(find::OVERRIDE, library)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_wrong_override_is_an_error_and_no_fallback() {
    let text = open_with("/nonexistent/libLLVM.so");
    assert!(text.contains("error no usable LLVM library"), "{text}");
    assert!(text.contains("KERNELSMITH_LLVM=/nonexistent/libLLVM.so: "), "{text}");
    assert!(!text.contains("Rust toolchain /"), "{text}");
}

#[test]
fn a_library_that_is_no_llvm_is_an_error() {
    let text = open_with(if cfg!(target_os = "macos") { "libSystem.dylib" } else { "libc.so.6" });
    assert!(text.contains("LLVMGetVersion"), "{text}");
}

#[test]
fn the_override_is_used() {
    let (version, path) = kernelsmith_llvm::version().unwrap();
    let text = open_with(path.to_str().unwrap());
    assert!(text.contains(&format!("opened {version:?} {}", path.display())), "{text}");
}

#[test]
fn an_empty_override_is_none() {
    assert!(open_with("").contains("opened ("));
}
