//! Functions and whole programs.

use super::{Generator, How, Kind, Param, Signature, Stage, Want};
use crate::program::{Block, Code, Item, Mark, Program, code};
use crate::types::{Scalar, Type};

/// Functions that differ from their limit only in the last places: at most 2 ulp here, and 1 in the
/// host's library.
const TRANSCENDENTAL: [&str; 8] = ["exp", "exp2", "ln", "log2", "sin", "cos", "tanh", "powf"];

/// A function's name and what is said of it before and after its parameters.
pub(super) struct Head {
    /// `pub fn name<T>`.
    pub(super) text: String,
    /// How it is called.
    pub(super) called: String,
    /// Whether the first parameter is `self`.
    pub(super) method: bool,
}

impl Head {
    /// Of a function.
    pub(super) fn function(name: &str) -> Head {
        Head { text: format!("pub fn {name}"), called: name.to_owned(), method: false }
    }
}

impl Generator {
    pub(super) fn program(mut self) -> Program {
        let memory = self.new_memory();
        let mut items = self.own_types();
        for _ in 0..self.random.below(3) {
            items.push(match self.random.below(10) {
                0 | 1 => self.of_numbers(),
                2 => self.of_length(),
                _ => self.helper(),
            });
        }
        let inputs: Vec<Scalar> = (0..self.random.within(2, 4)).map(|_| self.number()).collect();
        let mut outputs = vec![Scalar::U64, self.number()];
        let approximate = self.random.chance(25).then(|| *self.random.pick(&Scalar::FLOATS));
        outputs.extend(approximate);
        let name = self.program.clone();
        let params = inputs.iter().map(|&ty| Param::value(ty));
        let params = params.chain(memory.iter().map(Generator::memory_param)).collect();
        let result = Type::Tuple(outputs.iter().map(|&ty| ty.into()).collect());
        // A function that returns early leaves the approximate result at 0.
        let n = self.random.within(4, 9);
        let (main, _) = self.function(Head::function(&name), params, result, n, |g| {
            g.results(outputs[1], approximate)
        });
        items.push(Item { mark: Mark::Device, code: main });
        let approximate = approximate.is_some();
        Program { name, items, inputs, memory, outputs, approximate }
    }

    /// A function that others call.
    fn helper(&mut self) -> Item {
        let name = format!("{}_{}", self.program, self.functions.len());
        let code = self.simple_function(&name, 3);
        Item { mark: Mark::Device, code }
    }

    /// A function with any parameters and result, known from now on.
    pub(super) fn simple_function(&mut self, name: &str, most: usize) -> Code {
        let params = self.params();
        let result = self.result_type();
        let n = self.random.within(1, most);
        let (code, signature) =
            self.function(Head::function(name), params, result.clone(), n, |g| {
                (Vec::new(), g.any(&result, Want::Run, 3))
            });
        self.functions.push(signature);
        code
    }

    /// A function within a function.
    pub(super) fn nested_function(&mut self) -> Code {
        // It has no access to type parameters.
        if self.types.iter().any(|ty| ty.opaque().is_some()) {
            return self.let_statement();
        }
        let name = self.name("h");
        let within = self.within.take();
        let code = self.simple_function(&name, 2);
        self.within = within;
        code
    }

    pub(super) fn result_type(&mut self) -> Type {
        if self.random.chance(30) { self.any_type() } else { self.number().into() }
    }

    /// Parameters of any kind.
    pub(super) fn params(&mut self) -> Vec<Param> {
        let n = self.random.within(1, 3);
        (0..n)
            .map(|_| {
                let how = match self.random.below(20) {
                    0..5 => How::Changed,
                    5..7 => How::Shared,
                    7..10 => {
                        let (params, result) = self.closure_shape();
                        return Param { ty: result.into(), how: How::Closure(params) };
                    }
                    _ => How::Value,
                };
                let slice = match how {
                    How::Changed | How::Shared if self.random.chance(40) => self.slice_type(),
                    _ => None,
                };
                Param { ty: slice.unwrap_or_else(|| self.any_type()), how }
            })
            .collect()
    }

    /// Declares parameters; their text.
    pub(super) fn parameters(&mut self, params: &[Param], method: bool) -> String {
        let mut text = String::new();
        for (i, Param { ty, how }) in params.iter().enumerate() {
            let receiver = method && i == 0;
            // The first parameter of a parameter's type is there under its name.
            let fixed = ty.opaque().filter(|of| i == 0 && !receiver && !of.value.contains(':'));
            let name = match fixed {
                Some(of) => of.value.clone(),
                None if receiver => "self".to_owned(),
                None => self.name("a"),
            };
            let mutable = fixed.is_none() && *how == How::Value && self.random.chance(25);
            let (before, of, kind) = match how {
                How::Changed => ("", format!("&mut {ty}"), Kind::Reference),
                How::Shared => ("", format!("&{ty}"), Kind::Shared),
                How::Value if mutable => ("mut ", ty.to_string(), Kind::Variable),
                How::Value => ("", ty.to_string(), Kind::Let(Stage::Run)),
                How::Closure(params) => {
                    let list: Vec<String> = params.iter().map(Type::to_string).collect();
                    let kind = Kind::Closure { params: params.clone(), changes: false };
                    ("", format!("impl Fn({}) -> {ty}", list.join(", ")), kind)
                }
            };
            text += &match (receiver, how) {
                (true, How::Changed) => "&mut self, ".to_owned(),
                (true, How::Shared) => "&self, ".to_owned(),
                (true, _) => format!("{before}self, "),
                (false, _) => format!("{before}{name}: {of}, "),
            };
            self.declare(name, ty.clone(), kind);
        }
        text
    }

    /// A function of `n` statements and what `end` makes: more statements and the value.
    pub(super) fn function(
        &mut self,
        head: Head,
        params: Vec<Param>,
        result: Type,
        n: usize,
        end: impl FnOnce(&mut Generator) -> (Vec<Code>, Code),
    ) -> (Code, Signature) {
        let Head { text, called, method } = head;
        self.alone(|g| {
            g.returns = Some(result.clone());
            let (list, body) = g.scoped(|g| {
                let list = g.parameters(&params, method);
                let mut statements = g.statements(n);
                let (more, tail) = end(g);
                statements.extend(more);
                (list, Block { head: String::new(), statements, tail: Some(tail) })
            });
            let (text, list, bounds) = g.closure_bounds(text, list, &params);
            let code = code(format!("{text}({list}) -> {result} {bounds}")).block(body);
            let (steps, size) = (g.steps.max(1), g.size.max(1));
            (code, Signature { name: called, method, params, result, steps, size })
        })
    }

    /// Runs `f` where nothing around can be named or left.
    fn alone<R>(&mut self, f: impl FnOnce(&mut Generator) -> R) -> R {
        let fresh = Generator {
            functions: self.functions.clone(),
            types: self.types.clone(),
            memory: self.memory.clone(),
            shapes: self.shapes.clone(),
            names: self.constants.clone(),
            constants: self.constants.clone(),
            within: self.within.clone(),
            next: self.next,
            ..Generator::new(self.random.clone(), self.program.clone())
        };
        let around = std::mem::replace(self, fresh);
        let result = f(self);
        let within = std::mem::replace(self, around);
        (self.random, self.next, self.shapes) = (within.random, within.next, within.shapes);
        result
    }

    fn results(&mut self, ty: Scalar, approximate: Option<Scalar>) -> (Vec<Code>, Code) {
        let mut statements = Vec::new();
        let last = approximate.map(|ty| {
            let (of, other) = (self.name("x"), self.name("x"));
            for name in [&of, &other] {
                let e = self.scalar(ty, Want::Run, 3).code;
                statements.push(code(format!("let {name} = ")).code(e).text(";"));
            }
            match *self.random.pick(&TRANSCENDENTAL) {
                "powf" => format!("{of}.powf({other})"),
                name => format!("{of}.{name}()"),
            }
        });
        let digest = self.digest();
        statements.extend(digest);
        let value = self.scalar(ty, Want::Run, 3).code;
        let tail = code("(digest, ").code(value);
        (statements, tail.text(last.map_or(",)".to_owned(), |last| format!(", {last})"))))
    }

    /// The steps that make a number of all that names hold.
    pub(super) fn digest(&mut self) -> Vec<Code> {
        let mut live = self.live();
        while live.len() > 16 {
            live.swap_remove(self.random.below(live.len()));
        }
        let mut out = vec![code("let mut digest = 0u64;")];
        for (text, ty) in live {
            let bits = match ty {
                Scalar::Bool => format!("({text} as u64)"),
                _ if ty.is_int() => format!("({text} as u64)"),
                // Those of NaN are unspecified.
                _ => format!(
                    "{{ let f = {text}; if f.is_nan() {{ 1u64 }} else {{ f.to_bits() as u64 }} }}"
                ),
            };
            out.push(code(format!(
                "digest = (digest ^ {bits}).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);"
            )));
        }
        out
    }
}
