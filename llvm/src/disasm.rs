//! Machine code as text again.

use std::ffi::CStr;
use std::fmt::Write as _;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

use crate::ffi::{Llvm, Ref, c_string, llvm};
use crate::machine::{MachineOptions, initialize};
use crate::{Error, Machine, worker};

/// A decoded instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Its address.
    pub address: u64,
    /// Its size in bytes.
    pub length: usize,
    /// Mnemonic and operands, separated by blanks; `None` for bytes that are no instruction.
    pub text: Option<String>,
}

/// Decodes `code`, whose first byte has the given address, from end to end. Bytes that are no
/// instruction come back by the target's smallest unit: 4 on AMD and Arm, 1 on x86.
///
/// # Errors
/// If LLVM lacks the target.
pub fn instructions(
    machine: &Machine,
    code: &[u8],
    address: u64,
) -> Result<Vec<Instruction>, Error> {
    let options = machine.options().clone();
    let code = code.to_vec();
    worker::run(move || Ok(Disassembler::new(&options)?.all(&code, address)))
}

/// The code sections of an object file or a linked code object as text: a line for each symbol and
/// each instruction.
///
/// # Errors
/// If `object` is no object file, or LLVM lacks the target.
pub fn disassemble(machine: &Machine, object: &[u8]) -> Result<String, Error> {
    let bad = |e: object::Error| Error::Object(e.to_string());
    let file = object::File::parse(object).map_err(bad)?;
    let mut text = String::new();
    for section in file.sections().filter(|s| s.kind() == SectionKind::Text) {
        let mut symbols: Vec<(u64, &str)> = file
            .symbols()
            .filter(|s| s.section_index() == Some(section.index()))
            .filter(|s| matches!(s.kind(), SymbolKind::Text | SymbolKind::Label))
            .filter_map(|s| Some((s.address(), s.name().ok()?)))
            .collect();
        symbols.sort_unstable();
        let mut symbols = symbols.into_iter().peekable();
        for i in instructions(machine, section.data().map_err(bad)?, section.address())? {
            while let Some((_, name)) = symbols.next_if(|(address, _)| *address <= i.address) {
                line(&mut text, format_args!("{name}:"));
            }
            let what = i.text.as_deref().unwrap_or("<no instruction>");
            line(&mut text, format_args!("{:8x}:  {what}", i.address));
        }
    }
    Ok(text)
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing to a string does not fail");
}

struct Disassembler {
    llvm: &'static Llvm,
    raw: Ref,
    unit: usize,
}

impl Disassembler {
    fn new(options: &MachineOptions) -> Result<Disassembler, Error> {
        /// `LLVMDisassembler_Option_PrintImmHex`.
        const HEX: u64 = 2;
        /// `LLVMDisassembler_Option_AsmPrinterVariant`, which is Intel's syntax on x86.
        const VARIANT: u64 = 4;

        let llvm = llvm()?;
        let MachineOptions { triple, cpu, features, .. } = options;
        initialize(llvm, triple)?;
        let [c_triple, cpu, features] = [c_string(triple)?, c_string(cpu)?, c_string(features)?];
        let none = std::ptr::null_mut;
        // SAFETY: the strings outlive the call; without call-backs operands stay numbers.
        let raw = unsafe {
            (llvm.create_disassembler)(
                c_triple.as_ptr(),
                cpu.as_ptr(),
                features.as_ptr(),
                none(),
                0,
                none(),
                none(),
            )
        };
        if raw.is_null() {
            let message = "LLVM has no disassembler for it".into();
            return Err(Error::NoTarget { triple: triple.clone(), message });
        }
        let x86 = triple.starts_with("x86");
        if x86 {
            // SAFETY: the disassembler is alive; an option it lacks would leave AT&T's syntax.
            unsafe { (llvm.set_disassembler_options)(raw, HEX | VARIANT) };
        }
        Ok(Disassembler { llvm, raw, unit: if x86 { 1 } else { 4 } })
    }

    fn all(&self, code: &[u8], address: u64) -> Vec<Instruction> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < code.len() {
            let next = self.decode(&code[at..], address + at as u64);
            at += next.length;
            found.push(next);
        }
        found
    }

    fn decode(&self, code: &[u8], address: u64) -> Instruction {
        // The longest of AMD's instructions print in some 200 characters.
        let mut text = [0u8; 1024];
        // SAFETY: LLVM reads `code` only and ends the text with NUL within its size.
        let length = unsafe {
            (self.llvm.disassemble)(
                self.raw,
                code.as_ptr(),
                code.len() as u64,
                address,
                text.as_mut_ptr().cast(),
                text.len(),
            )
        };
        let words = CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if length == 0 {
            return Instruction { address, length: self.unit.min(code.len()), text: None };
        }
        Instruction { address, length, text: Some(words) }
    }
}

impl Drop for Disassembler {
    fn drop(&mut self) {
        // SAFETY: the disassembler is ours.
        unsafe { (self.llvm.dispose_disassembler)(self.raw) }
    }
}
