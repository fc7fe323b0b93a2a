//! Random programs, well typed by construction, that end and cannot panic.
//!
//! Types are chosen first and expressions made for them. Loops count, and the counts of nested loops
//! and calls multiply to a bounded number of steps; indices are reduced to the array's length,
//! divisors made neither 0 nor -1. Within these bounds the grammar seeks what a translation may get
//! wrong: expressions with effects anywhere, jumps out of anything, shadowed names, host values
//! among run-time ones.
//!
//! In the staged form of a function some values are of the host (literals, constants, indices of
//! unrolled loops) and the rest are run-time values. Rust sees no difference; the generator knows
//! which is which (`Want`), to keep to what the language takes.

mod arrays;
mod bools;
mod calls;
mod closures;
mod control;
mod floats;
mod functions;
mod generics;
mod integers;
mod leaving;
mod loops;
mod matches;
mod memory;
mod methods;
mod numbers;
mod options;
mod pairs;
mod places;
mod statements;
#[cfg(test)]
mod tests;
mod tiles;
mod traits;
mod types;

use crate::program::{Code, Program};
use crate::random::Random;
use crate::types::{Scalar, Type};

/// Makes the program of a seed and a number.
pub fn program(seed: u64, number: u64) -> Program {
    Generator::new(Random::new(seed, number), format!("p{number}")).program()
}

/// What an expression's context takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Want {
    /// A host value or a run-time value.
    Any,
    /// A run-time value.
    Run,
    /// A run-time value, or a literal, which becomes one: its type is known from the context.
    Value,
}

/// Whether a value is known while staging.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Host,
    Run,
}

impl Stage {
    fn join(self, other: Stage) -> Stage {
        if self == Stage::Host { other } else { self }
    }
}

/// An expression.
struct Ex {
    code: Code,
    stage: Stage,
}

impl Ex {
    fn run(code: Code) -> Ex {
        Ex { code, stage: Stage::Run }
    }

    fn host(code: Code) -> Ex {
        Ex { code, stage: Stage::Host }
    }
}

/// What a name stands for.
#[derive(Clone, PartialEq, Debug)]
enum Kind {
    /// `let`.
    Let(Stage),
    /// `let mut`.
    Variable,
    /// A `let mut` that only its loop may change.
    Count,
    /// `&mut T`: a parameter or an element that a loop goes over.
    Reference,
    /// `&T`: an element that a loop goes over.
    Shared,
    /// An option of the type.
    Maybe { mutable: bool },
    /// A closure. Whether it changes what it owns.
    Closure { params: Vec<Type>, changes: bool },
}

#[derive(Clone, Debug)]
struct Name {
    name: String,
    ty: Type,
    kind: Kind,
    /// Not to be used where the borrow checker objects.
    hidden: bool,
}

/// What `break` and `continue` can leave.
#[derive(Clone, Debug)]
struct Target {
    label: Option<String>,
    /// Whether it is a loop; else a labelled block.
    is_loop: bool,
    /// What `break` takes along.
    value: Option<Type>,
}

/// How an argument is passed.
#[derive(Clone, PartialEq, Debug)]
enum How {
    Value,
    /// `&T`
    Shared,
    /// `&mut T`
    Changed,
    /// `impl Fn(..) -> T`, of these parameters.
    Closure(Vec<Type>),
}

/// A parameter of a function.
#[derive(Clone, Debug)]
struct Param {
    ty: Type,
    how: How,
}

impl Param {
    fn value(ty: impl Into<Type>) -> Param {
        Param { ty: ty.into(), how: How::Value }
    }
}

/// A function that later ones can call.
#[derive(Clone, Debug)]
struct Signature {
    name: String,
    /// Whether the first parameter is `self`.
    method: bool,
    params: Vec<Param>,
    result: Type,
    /// Steps of a call, at most.
    steps: u64,
    /// Expressions that a call is made of.
    size: u64,
}

/// Steps of a whole program on one row of input, at most.
const MAX_STEPS: u64 = 30_000;
/// Expressions of a whole program, with calls and unrolled loops written out, at most.
const MAX_SIZE: u64 = 1_600;

struct Generator {
    random: Random,
    program: String,
    names: Vec<Name>,
    targets: Vec<Target>,
    functions: Vec<Signature>,
    /// Structs and enums.
    types: Vec<Type>,
    /// What `return` takes, where there may be one.
    returns: Option<Type>,
    /// Element types of the memory that the program is given.
    memory: Vec<Scalar>,
    /// Parameters and results that closures have had.
    shapes: Vec<(Vec<Type>, Scalar)>,
    /// Constants of the whole program.
    constants: Vec<Name>,
    /// The struct whose method this is.
    within: Option<String>,
    /// For new names.
    next: usize,
    /// Nesting of contexts in which nothing may be changed.
    pure: usize,
    /// Nesting of blocks and loops.
    depth: usize,
    /// How often what is generated now may run, per call.
    repeats: u64,
    /// How often it is staged, per call.
    copies: u64,
    /// Steps and size so far, of the function.
    steps: u64,
    size: u64,
}

impl Generator {
    fn new(random: Random, program: String) -> Generator {
        Generator {
            random,
            program,
            names: Vec::new(),
            targets: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            returns: None,
            memory: Vec::new(),
            shapes: Vec::new(),
            constants: Vec::new(),
            within: None,
            next: 0,
            pure: 0,
            depth: 0,
            repeats: 1,
            copies: 1,
            steps: 0,
            size: 0,
        }
    }

    /// A new name. Sometimes one that is there already, which it shadows.
    fn name(&mut self, stem: &str) -> String {
        self.next += 1;
        format!("{stem}{}", self.next)
    }

    /// A constant of the whole program.
    fn declare_constant(&mut self, name: String, ty: Scalar) {
        let kind = Kind::Let(Stage::Host);
        self.constants.push(Name { name, ty: ty.into(), kind, hidden: false });
    }

    /// Makes a name known.
    fn declare(&mut self, name: impl Into<String>, ty: impl Into<Type>, kind: Kind) {
        self.names.push(Name { name: name.into(), ty: ty.into(), kind, hidden: false });
    }

    /// Runs `f` in a scope of its own.
    fn scoped<R>(&mut self, f: impl FnOnce(&mut Generator) -> R) -> R {
        // Functions may be declared in any block.
        let (names, functions) = (self.names.len(), self.functions.len());
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        self.names.truncate(names);
        self.functions.truncate(functions);
        result
    }

    /// Runs `f` while some names cannot be used.
    fn hiding<R>(
        &mut self,
        which: impl Fn(&Name) -> bool,
        f: impl FnOnce(&mut Generator) -> R,
    ) -> R {
        let hidden: Vec<usize> = (0..self.names.len())
            .filter(|&i| !self.names[i].hidden && which(&self.names[i]))
            .collect();
        hidden.iter().for_each(|&i| self.names[i].hidden = true);
        let result = f(self);
        hidden.iter().for_each(|&i| self.names[i].hidden = false);
        result
    }

    /// Runs `f`, which may change nothing.
    fn purely<R>(&mut self, f: impl FnOnce(&mut Generator) -> R) -> R {
        self.pure += 1;
        let result = f(self);
        self.pure -= 1;
        result
    }

    /// Runs `f`, whose code runs up to `repeats` times and is staged `copies` times.
    fn repeating<R>(
        &mut self,
        repeats: u64,
        copies: u64,
        f: impl FnOnce(&mut Generator) -> R,
    ) -> R {
        let before = (self.repeats, self.copies);
        self.repeats *= repeats;
        self.copies *= copies;
        let result = f(self);
        (self.repeats, self.copies) = before;
        result
    }

    /// Counts an expression.
    fn count(&mut self) {
        self.steps += self.repeats;
        self.size += self.copies;
    }

    /// Whether expressions should be small from now on.
    fn is_full(&self) -> bool {
        self.steps > MAX_STEPS / 2 || self.size > MAX_SIZE / 2
    }
}
