//! From IR text to IR, assembly and objects, and what goes wrong on the way.

mod common;

use common::{MATRIX, STORE_SEVEN, amd, host};
use kernelsmith_llvm::{
    Context, Effort, Error, Host, Machine, MachineOptions, Module, Output, TargetMachine,
};

const SUM: &str = "define i32 @sum(i32 %a) {\n  %b = add i32 %a, 3\n  %c = add i32 %b, 4\n  \
                   ret i32 %c\n}";

#[test]
fn passes_change_the_ir_and_none_leave_it() {
    let compile = |passes| {
        let text = host().compile(SUM.into(), passes, Output::Ir).unwrap();
        String::from_utf8(text).unwrap()
    };
    let (plain, better) = (compile(""), compile("default<O2>"));
    assert!(plain.contains("add i32 %b, 4"), "{plain}");
    assert!(better.contains("add i32 %a, 7"), "{better}");
    // The machine's triple and layout were filled in.
    let triple = Host::detect().unwrap().triple;
    assert!(plain.contains(&format!("target triple = \"{triple}\"")), "{plain}");
    assert!(plain.contains("target datalayout = \"e-"), "{plain}");
}

#[test]
fn the_steps_of_compile_can_be_taken_one_by_one() {
    let machine = host();
    let assembly = Context::with(move |context| {
        let machine = TargetMachine::new(context, machine.options())?;
        let module = Module::parse(context, SUM)?;
        module.set_machine(&machine);
        module.verify()?;
        module.run_passes("instcombine", &machine)?;
        assert!(module.to_string().contains("add i32 %a, 7"), "{module}");
        module.emit(&machine, Output::Assembly)
    });
    let assembly = String::from_utf8(assembly.unwrap()).unwrap();
    assert!(assembly.contains("sum:"), "{assembly}");
}

#[test]
fn wrong_ir_is_an_error_with_its_line() {
    let error = host().compile("define void @f() {\n  ret i32 0\n}".into(), "", Output::Object);
    let Err(Error::InvalidIr(message)) = error else { panic!("{error:?}") };
    assert!(message.contains(":2:"), "{message}");
    assert!(message.contains("ret i32 0"), "{message}");
}

#[test]
fn ir_that_breaks_a_rule_is_an_error_that_names_it() {
    let undominated =
        "define i32 @f() {\n  %a = add i32 %b, 1\n  %b = add i32 1, 1\n  ret i32 %a\n}";
    let error = host().compile(undominated.into(), "", Output::Object);
    let Err(Error::InvalidIr(message)) = error else { panic!("{error:?}") };
    assert!(message.contains("does not dominate"), "{message}");
}

#[test]
fn wrong_passes_and_nul_bytes_are_errors() {
    let error = host().compile(SUM.into(), "default<O7>", Output::Ir);
    assert!(matches!(&error, Err(Error::Passes { pipeline, .. }) if pipeline == "default<O7>"));
    let error = host().compile(SUM.into(), "a\0b", Output::Ir);
    assert!(matches!(error, Err(Error::Nul(_))), "{error:?}");
}

#[test]
fn wrong_inline_assembly_is_an_error() {
    // Reported to the diagnostic handler only: LLVM returns an object all the same.
    let ir =
        "define void @f() {\n  call void asm sideeffect \"no such thing\", \"\"()\n  ret void\n}";
    let error = host().compile(ir.into(), "", Output::Object);
    assert!(matches!(error, Err(Error::Codegen(_))), "{error:?}");
}

#[test]
fn fatal_errors_leave_the_process_alive() {
    for _ in 0..2 {
        let error = amd("gfx1100").compile(MATRIX.into(), "", Output::Object);
        let Err(Error::Codegen(message)) = error else { panic!("{error:?}") };
        assert!(message.contains("annot select"), "{message}");
        assert!(message.contains("mfma"), "{message}");
    }
    amd("gfx942").compile(MATRIX.into(), "", Output::Object).unwrap();
    amd("gfx1100").compile(STORE_SEVEN.into(), "", Output::Object).unwrap();
    host().compile(SUM.into(), "", Output::Object).unwrap();
}

#[test]
fn unknown_targets_are_errors() {
    let options = MachineOptions {
        triple: "riscv64-unknown-linux-gnu".into(),
        cpu: String::new(),
        features: String::new(),
        effort: Effort::Less,
    };
    let error = Machine::new(options).unwrap_err();
    assert!(error.to_string().contains("riscv64"), "{error}");
    assert!(matches!(error, Error::NoTarget { .. }));
}

#[test]
fn unknown_processors_are_errors() {
    let unknown = |triple: &str| {
        Machine::new(MachineOptions {
            triple: triple.into(),
            cpu: "gfx999x".into(),
            features: String::new(),
            effort: Effort::Less,
        })
    };
    assert!(unknown("").is_err());
    for triple in ["amdgcn-amd-amdhsa", "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        let error = unknown(triple).expect_err(triple).to_string();
        assert!(error.contains("gfx999x"), "{error}");
    }
}

#[test]
fn the_hosts_features_are_those_rust_detects() {
    let host = Host::detect().unwrap();
    assert!(!host.cpu.is_empty());
    #[cfg(target_arch = "x86_64")]
    for (name, here) in [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ] {
        assert_eq!(host.has(name), here, "{name}");
    }
    assert!(!host.has("no-such-feature"));
}
