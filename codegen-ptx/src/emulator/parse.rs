//! From text to instructions with resolved registers, labels and symbols.

use std::collections::HashMap;

use kernelsmith_ir::Kernel;

/// The type at the end of an opcode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ty {
    Pred,
    /// Untyped or unsigned bits.
    Bits(u32),
    Signed(u32),
    F16,
    BF16,
    TF32,
    F32,
    F64,
    F16x2,
    BF16x2,
    E4M3,
    E5M2,
    E4M3x2,
    E5M2x2,
}

impl Ty {
    pub(super) fn parse(name: &str) -> Option<Ty> {
        Some(match name {
            "pred" => Ty::Pred,
            "f16" => Ty::F16,
            "bf16" => Ty::BF16,
            "tf32" => Ty::TF32,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            "f16x2" => Ty::F16x2,
            "bf16x2" => Ty::BF16x2,
            "e4m3" => Ty::E4M3,
            "e5m2" => Ty::E5M2,
            "e4m3x2" => Ty::E4M3x2,
            "e5m2x2" => Ty::E5M2x2,
            _ => {
                let bits = name.get(1..)?.parse().ok()?;
                match name.as_bytes()[0] {
                    b'b' | b'u' => Ty::Bits(bits),
                    b's' => Ty::Signed(bits),
                    _ => return None,
                }
            }
        })
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Ty::Pred => 1,
            Ty::Bits(n) | Ty::Signed(n) => n,
            Ty::E4M3 | Ty::E5M2 => 8,
            Ty::F16 | Ty::BF16 | Ty::E4M3x2 | Ty::E5M2x2 => 16,
            Ty::F64 => 64,
            _ => 32,
        }
    }
}

/// An operand.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Arg {
    Reg(usize),
    Imm(u64),
    /// A special register: `%tid.x`.
    Special(String),
    /// `[base+offset]`.
    Mem(Box<Arg>, i64),
    List(Vec<Arg>),
    /// The instruction a label stands before.
    Target(usize),
}

/// An instruction.
#[derive(Clone, Debug)]
pub(super) struct Instr {
    /// A predicate, and the value of it with which the instruction runs.
    pub(super) guard: Option<(usize, bool)>,
    /// The opcode, split at its points.
    pub(super) name: Vec<String>,
    /// The last type in it.
    pub(super) ty: Ty,
    pub(super) args: Vec<Arg>,
    pub(super) text: String,
}

impl Instr {
    pub(super) fn has(&self, modifier: &str) -> bool {
        self.name[1..].iter().any(|m| m == modifier)
    }
}

/// A function.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instr>,
    /// Bits of each register.
    pub(super) registers: Vec<u32>,
    pub(super) shared_bytes: u32,
    pub(super) local_bytes: u32,
}

struct Parser {
    registers: HashMap<String, usize>,
    bits: Vec<u32>,
    labels: HashMap<String, usize>,
    symbols: HashMap<String, u64>,
}

/// Symbols: parameters by their offset in the argument block, shared and local arrays by theirs in
/// their space.
pub(super) fn parse(text: &str, kernel: &Kernel) -> Result<Program, String> {
    let mut parser = Parser {
        registers: HashMap::new(),
        bits: Vec::new(),
        labels: HashMap::new(),
        symbols: HashMap::new(),
    };
    let (offsets, record) = kernel.param_layout();
    for (i, offset) in offsets.iter().enumerate() {
        parser.symbols.insert(format!("{}_param{i}", kernel.name), (*offset).into());
    }
    parser.symbols.insert(format!("{}_record", kernel.name), record.into());
    let (mut shared, mut local, mut at) = (0u32, 0u32, 0);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for line in &lines {
        if let Some(label) = line.strip_suffix(':') {
            parser.labels.insert(label.to_owned(), at);
        } else if line.starts_with(".shared ") {
            parser.array(line, &mut shared)?;
        } else if line.starts_with(".local ") {
            parser.array(line, &mut local)?;
        } else if line.starts_with(".reg ") {
            parser.registers(line)?;
        } else if is_instruction(line) {
            at += 1;
        }
    }
    // Dynamic shared memory begins behind the static one.
    for line in lines.iter().filter(|l| l.starts_with(".extern .shared")) {
        parser.array(line, &mut shared)?;
    }
    let code = lines.iter().filter(|l| is_instruction(l)).map(|l| parser.instruction(l));
    let code = code.collect::<Result<_, _>>()?;
    Ok(Program { code, registers: parser.bits, shared_bytes: shared, local_bytes: local })
}

fn is_instruction(line: &str) -> bool {
    line.ends_with(';') && !line.starts_with('.')
}

impl Parser {
    /// `.shared .align 16 .b8 name[64];`
    fn array(&mut self, line: &str, used: &mut u32) -> Result<(), String> {
        let bad = || format!("cannot read `{line}`");
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        let at = words.iter().position(|w| *w == ".align").ok_or_else(bad)?;
        let align: u32 = words[at + 1].parse().map_err(|_| bad())?;
        let (name, len) = words.last().and_then(|w| w.split_once('[')).ok_or_else(bad)?;
        let len = len.trim_end_matches(']');
        *used = used.next_multiple_of(align);
        self.symbols.insert(name.to_owned(), (*used).into());
        *used += if len.is_empty() { 0 } else { len.parse().map_err(|_| bad())? };
        Ok(())
    }

    /// `.reg .b32 %r<7>;`
    fn registers(&mut self, line: &str) -> Result<(), String> {
        let bad = || format!("cannot read `{line}`");
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        let ty = Ty::parse(words[1].trim_start_matches('.')).ok_or_else(bad)?;
        let (prefix, count) = words[2].split_once('<').ok_or_else(bad)?;
        let count: u32 = count.trim_end_matches('>').parse().map_err(|_| bad())?;
        for i in 0..count {
            self.registers.insert(format!("{prefix}{i}"), self.bits.len());
            self.bits.push(ty.bits());
        }
        Ok(())
    }

    fn instruction(&self, line: &str) -> Result<Instr, String> {
        let mut rest = line.trim_end_matches(';');
        let mut guard = None;
        if let Some(after) = rest.strip_prefix('@') {
            let (predicate, others) = after.split_once(' ').ok_or("a guard alone")?;
            let wanted = !predicate.starts_with('!');
            let name = predicate.trim_start_matches('!');
            guard = Some((self.register(name)?, wanted));
            rest = others;
        }
        let (name, args) = rest.split_once(' ').unwrap_or((rest, ""));
        let name: Vec<String> = name.split('.').map(str::to_owned).collect();
        let ty = name.iter().rev().find_map(|part| Ty::parse(part)).unwrap_or(Ty::Bits(32));
        let args = split(args).into_iter().map(|a| self.arg(a)).collect::<Result<_, _>>()?;
        Ok(Instr { guard, name, ty, args, text: line.to_owned() })
    }

    fn register(&self, name: &str) -> Result<usize, String> {
        self.registers.get(name).copied().ok_or_else(|| format!("unknown register {name}"))
    }

    fn arg(&self, text: &str) -> Result<Arg, String> {
        if let Some(inner) = text.strip_prefix('{') {
            let parts = split(inner.trim_end_matches('}'));
            return Ok(Arg::List(
                parts.into_iter().map(|p| self.arg(p)).collect::<Result<_, _>>()?,
            ));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.trim_end_matches(']');
            let (base, offset) = inner.split_once('+').unwrap_or((inner, "0"));
            let offset =
                offset.parse().map_err(|_| format!("cannot read the offset of `{text}`"))?;
            return Ok(Arg::Mem(Box::new(self.arg(base)?), offset));
        }
        if let Some(&target) = self.labels.get(text) {
            return Ok(Arg::Target(target));
        }
        if let Some(&reg) = self.registers.get(text) {
            return Ok(Arg::Reg(reg));
        }
        if text.starts_with('%') {
            return Ok(Arg::Special(text.to_owned()));
        }
        if let Some(&at) = self.symbols.get(text) {
            return Ok(Arg::Imm(at));
        }
        number(text).map(Arg::Imm).ok_or_else(|| format!("cannot read the operand `{text}`"))
    }
}

fn number(text: &str) -> Option<u64> {
    let hex = ["0f", "0d", "0x"].into_iter().find_map(|prefix| text.strip_prefix(prefix));
    match hex {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse::<i64>().ok().map(|x| x as u64),
    }
}

/// Splits operands at the commas outside braces.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    if !text[from..].trim().is_empty() {
        parts.push(text[from..].trim());
    }
    parts
}
