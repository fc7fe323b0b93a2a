//! AMD code objects and disassembly.

mod common;

use common::{MATRIX, STORE_SEVEN, amd, host};
use kernelsmith_llvm::{Error, Output, disasm, lld};

#[test]
fn code_objects_link() {
    for chip in ["gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201"] {
        let object = amd(chip).compile(STORE_SEVEN.into(), "default<O2>", Output::Object).unwrap();
        let code = lld::link_shared(&object).unwrap();
        assert_eq!(&code[..4], b"\x7fELF", "{chip}");
        // e_type: relocatable before, shared after.
        assert_eq!((object[16], code[16]), (1, 3), "{chip}");
        let text = disasm::disassemble(&amd(chip), &code).unwrap();
        assert!(text.contains("store_seven:"), "{text}");
        assert!(text.contains("s_endpgm"), "{text}");
    }
}

#[test]
fn the_linkers_errors_come_back() {
    let error = lld::link_shared(b"no object at all").unwrap_err();
    assert!(
        matches!(&error, Error::Link { message, .. } if message.contains("kernel.o")),
        "{error}"
    );

    let undefined =
        "declare void @absent()\ndefine void @f() {\n  call void @absent()\n  ret void\n}";
    let object = amd("gfx942").compile(undefined.into(), "", Output::Object).unwrap();
    let error = lld::link_shared(&object).unwrap_err();
    assert!(matches!(&error, Error::Link { message, .. } if message.contains("absent")), "{error}");
}

#[test]
fn assembly_and_disassembly_agree() {
    let machine = amd("gfx942");
    let assembly = machine.compile(MATRIX.into(), "default<O2>", Output::Assembly).unwrap();
    let object = machine.compile(MATRIX.into(), "default<O2>", Output::Object).unwrap();
    let mnemonics = |text: &str| -> Vec<String> {
        let words = text.lines().filter_map(|l| {
            let code = l.split_once(":  ").map_or(l, |(_, code)| code).trim();
            code.split_whitespace().next()
        });
        let is_mnemonic =
            |w: &&str| ["s_", "v_", "global_load", "global_store"].iter().any(|p| w.starts_with(p));
        words.filter(is_mnemonic).map(|w| w.trim_end_matches("_e32").to_owned()).collect()
    };
    let assembly = mnemonics(&String::from_utf8(assembly).unwrap());
    let back = mnemonics(&disasm::disassemble(&machine, &object).unwrap());
    assert!(assembly.iter().any(|m| m.starts_with("v_mfma_f32_4x4x1")), "{assembly:?}");
    assert_eq!(assembly, back[..assembly.len()]);
}

#[test]
fn instructions_cover_every_byte() {
    // s_endpgm, four bytes that are no instruction, and half an instruction.
    let code = [0x00, 0x00, 0x81, 0xbf, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00];
    let found = disasm::instructions(&amd("gfx942"), &code, 0x100).unwrap();
    let spans: Vec<_> = found.iter().map(|i| (i.address, i.length)).collect();
    assert_eq!(spans, [(0x100, 4), (0x104, 4), (0x108, 2)]);
    assert_eq!(found[0].text.as_deref(), Some("s_endpgm"));
    assert_eq!((found[1].text.as_ref(), found[2].text.as_ref()), (None, None));
}

#[test]
fn host_code_disassembles() {
    let ir = "define void @f(ptr %p) {\n  store i32 7, ptr %p\n  ret void\n}";
    let object = host().compile(ir.into(), "", Output::Object).unwrap();
    let text = disasm::disassemble(&host(), &object).unwrap();
    assert!(text.contains("f:") && text.contains("ret"), "{text}");
}

#[test]
fn what_is_no_object_is_an_error() {
    let error = disasm::disassemble(&host(), b"text").unwrap_err();
    assert!(matches!(error, Error::Object(_)), "{error}");
}
