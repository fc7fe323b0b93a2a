//! Loops as statements. All end after a few iterations.

use super::{Generator, Kind, Stage, Target, Want};
use crate::program::{Block, Code, code};
use crate::types::Scalar;

impl Generator {
    pub(super) fn loop_statement(&mut self) -> Code {
        match self.random.below(10) {
            0..3 => self.counted(),
            3..6 => self.for_range(),
            6 => self.for_host(),
            7 | 8 if !self.memory.is_empty() => {
                self.for_memory().unwrap_or_else(|| self.for_range())
            }
            _ => self.for_array().unwrap_or_else(|| self.for_range()),
        }
    }

    pub(super) fn label(&mut self) -> (Option<String>, String) {
        let label = self.random.chance(40).then(|| self.name("'l"));
        let text = label.as_ref().map_or(String::new(), |label| format!("{label}: "));
        (label, text)
    }

    /// The body of a loop.
    pub(super) fn body(
        &mut self,
        label: Option<String>,
        repeats: u64,
        copies: u64,
        declare: impl FnOnce(&mut Generator),
    ) -> Block {
        self.targets.push(Target { label, is_loop: true, value: None });
        let block = self.repeating(repeats, copies, |g| {
            g.scoped(|g| {
                declare(g);
                let n = g.random.within(1, 3);
                let mut statements = g.statements(n);
                if g.random.chance(35) {
                    statements.push(g.leave_sometimes());
                }
                Block { statements, ..Block::default() }
            })
        });
        self.targets.pop();
        block
    }

    /// `while` or `loop` with a count.
    fn counted(&mut self) -> Code {
        let (count, most) = (self.name("n"), self.random.within(1, 6));
        let (label, text) = self.label();
        if self.random.chance(20) {
            return self.while_let(&count, most);
        }
        let is_while = self.random.chance(65);
        let start = code(format!("let mut {count} = 0u32; {text}"));
        self.declare(&count, Scalar::U32, Kind::Count);
        let start = match is_while {
            true => {
                // In the condition `break` stands for nothing.
                let targets = std::mem::take(&mut self.targets);
                let condition =
                    self.repeating(most as u64, 1, |g| g.scalar(Scalar::Bool, Want::Run, 2).code);
                self.targets = targets;
                let (first, second) = (format!("({count} < {most})"), condition);
                match self.random.chance(70) {
                    true => start.text(format!("while {first} && ")).code(second).text(" "),
                    false => start.text("while ").code(second).text(format!(" && {first} ")),
                }
            }
            false => start.text("loop "),
        };
        let body = self.body(label, most as u64, 1, |_| {});
        let head = match is_while {
            true => format!("{count} += 1;"),
            false => format!("{count} += 1; if {count} > {most} {{ break; }}"),
        };
        start.block(Block { head, ..body })
    }

    /// `while let Some(x) = ..`, with a count as well.
    fn while_let(&mut self, count: &str, most: usize) -> Code {
        let (label, text) = self.label();
        let ty = self.int();
        self.declare(count, Scalar::U32, Kind::Count);
        // In the condition `break` stands for nothing.
        let targets = std::mem::take(&mut self.targets);
        let option = self.repeating(most as u64, 1, |g| g.checked(ty, 2));
        self.targets = targets;
        let (name, mutable) = (self.name("s"), self.random.chance(25));
        let (word, kind) = match mutable {
            true => ("mut ", Kind::Variable),
            false => ("", Kind::Let(Stage::Run)),
        };
        let body = self.body(label, most as u64, 1, |g| g.declare(&name, ty, kind));
        let head = format!("{count} += 1; if {count} > {most} {{ break; }}");
        let open = code(format!("let mut {count} = 0u32; {text}while let Some({word}{name}) = "));
        open.code(option).text(" ").block(Block { head, ..body })
    }

    /// `for` over a range known when the kernel runs.
    fn for_range(&mut self) -> Code {
        let ty = self.int();
        let low = match self.random.chance(40) {
            true => code(self.value_literal(ty)),
            false => self.scalar(ty, Want::Run, 2).code,
        };
        let length = self.scalar(ty, Want::Run, 2).code;
        let most = *self.random.pick(&[1u64, 3, 3, 7]);
        let (start, end) = (self.name("lo"), self.name("hi"));
        let (label, text) = self.label();
        let inclusive = if self.random.chance(30) { "=" } else { "" };
        let mut range = format!("({start}..{inclusive}{end})");
        // Which ranges know their length is a list in `std`.
        let small = match inclusive {
            "=" => ty.bits() <= 16,
            _ => ty.bits() <= 32 || matches!(ty, Scalar::Usize | Scalar::Isize),
        };
        let stepped = self.random.chance(30);
        if stepped {
            range += &match self.random.chance(50) {
                true => format!(".step_by({})", self.random.within(1, 4)),
                false => format!(".step_by(({start} as usize) % 3 + 1)"),
            };
        }
        if self.random.chance(30) && (!stepped || small) {
            range += ".rev()";
        }
        let index = self.name("i");
        let mutable = self.random.chance(12);
        let (pattern, kind) = match mutable {
            true => (format!("mut {index}"), Kind::Variable),
            false => (index.clone(), Kind::Let(Stage::Run)),
        };
        let body = self.body(label, most + 1, 1, |g| g.declare(index, ty, kind));
        // The range's end may wrap around, and the range be empty.
        let open = code(format!("{{ let {start}: {ty} = "))
            .code(low)
            .text(format!("; let {end} = {start} + ("));
        let open = open.code(length).text(format!(" & {most}); {text}for {pattern} in {range} "));
        open.block(body).text(" }")
    }

    /// `for` over a range of the host, which is unrolled.
    fn for_host(&mut self) -> Code {
        let ty = self.int();
        let (low, n) = (self.random.below(5), self.random.within(1, 4));
        let (label, text) = self.label();
        let index = self.name("i");
        let range = match self.random.below(5) {
            4 => format!("{low}..={}{ty}", low + n - 1),
            0 => format!("({low}..{}{ty}).rev()", low + n),
            1 => format!("({low}..{}{ty}).step_by(2)", low + n),
            2 => format!("unroll({low}..{}{ty})", low + n),
            _ => format!("{low}..{}{ty}", low + n),
        };
        let n = n as u64;
        let named = index.clone();
        let body = self.body(label, n, n, |g| g.declare(named, ty, Kind::Let(Stage::Host)));
        code(format!("{text}for {index} in {range} ")).block(body)
    }
}
