//! Functions and whole programs.

use super::{Generator, Kind, Signature, Stage, Want};
use crate::program::{Block, Code, Function, Program, code};
use crate::types::{Scalar, Type};

/// Functions that differ from their limit only in the last places: at most 2 ulp here, and 1 in the
/// host's library.
const TRANSCENDENTAL: [&str; 8] = ["exp", "exp2", "ln", "log2", "sin", "cos", "tanh", "powf"];

impl Generator {
    pub(super) fn program(mut self) -> Program {
        let mut functions = Vec::new();
        for _ in 0..self.random.below(3) {
            functions.push(self.helper());
        }
        let inputs: Vec<Scalar> = (0..self.random.within(2, 4)).map(|_| self.number()).collect();
        let mut outputs = vec![Scalar::U64, self.number()];
        let approximate = self.random.chance(25).then(|| *self.random.pick(&Scalar::FLOATS));
        outputs.extend(approximate);
        let name = self.program.clone();
        let params = inputs.iter().map(|&ty| (Type::from(ty), false)).collect();
        let result = Type::Tuple(outputs.iter().map(|&ty| ty.into()).collect());
        // A function that returns early leaves the approximate result at 0.
        let (function, _) =
            self.function(name.clone(), params, result, |g| g.results(outputs[1], approximate));
        functions.push(function);
        Program { name, functions, inputs, outputs, approximate: approximate.is_some() }
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

    /// A function that others call.
    fn helper(&mut self) -> Function {
        let name = format!("{}_{}", self.program, self.functions.len());
        let mut params = Vec::new();
        for _ in 0..self.random.within(1, 3) {
            let ty = self.any_type();
            params.push((ty, self.random.chance(25)));
        }
        let result = match self.random.chance(25) {
            true => self.any_type(),
            false => self.number().into(),
        };
        let (function, signature) = self
            .function(name, params, result.clone(), |g| (Vec::new(), g.any(&result, Want::Run, 3)));
        self.functions.push(signature);
        function
    }

    fn function(
        &mut self,
        name: String,
        params: Vec<(Type, bool)>,
        result: Type,
        end: impl FnOnce(&mut Generator) -> (Vec<Code>, Code),
    ) -> (Function, Signature) {
        self.called.clear();
        (self.steps, self.size) = (0, 0);
        self.returns = Some(result.clone());
        let mut text = String::new();
        let main = self.program == name;
        let body = self.scoped(|g| {
            for (ty, by_reference) in &params {
                let parameter = g.name("a");
                let (kind, spelled) = match by_reference {
                    true => (Kind::Reference, format!("{parameter}: &mut {ty}")),
                    false if g.random.chance(25) => {
                        (Kind::Variable, format!("mut {parameter}: {ty}"))
                    }
                    false => (Kind::Let(Stage::Run), format!("{parameter}: {ty}")),
                };
                text += &format!("{spelled}, ");
                g.declare(parameter, ty.clone(), kind);
            }
            let n = if main { g.random.within(4, 9) } else { g.random.within(1, 3) };
            let mut statements = g.statements(n);
            let (more, tail) = end(g);
            statements.extend(more);
            Block { head: String::new(), statements, tail: Some(tail) }
        });
        let called: Vec<&str> = self.called.iter().map(String::as_str).collect();
        let host = match called.is_empty() {
            true => String::new(),
            false => format!("({})", called.join(", ")),
        };
        let head = format!("#[device(host{host})]\npub fn {name}({text}) -> {result}");
        let (steps, size) = (self.steps.max(1), self.size.max(1));
        let signature = Signature { name, params, result, steps, size };
        (Function { head, body }, signature)
    }
}
