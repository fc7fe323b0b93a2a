//! Methods of structs.

use super::functions::Head;
use super::{Generator, How, Param, Want};
use crate::program::{Code, Item, Mark, code};
use crate::types::Type;

impl Generator {
    /// An `impl` of the newest struct.
    pub(super) fn methods(&mut self) -> Option<Item> {
        let Some(Type::Struct(of)) = self.types.last().cloned() else { return None };
        self.within = Some(of.name.clone());
        let mut out = code(format!("impl {} {{\n", of.name));
        if self.random.chance(50) {
            let (constant, text) = self.associated_constant(true);
            let (name, ty) = constant;
            self.declare_constant(format!("{}::{name}", of.path()), ty);
            out = out.text(text);
        }
        for _ in 0..self.random.within(1, 2) {
            let how = match self.random.below(8) {
                0..3 => Some(How::Changed),
                3 | 4 => Some(How::Shared),
                5 | 6 => Some(How::Value),
                _ => None,
            };
            let name = self.name("m");
            let result = self.result_type();
            let params = self.receiver(how.clone(), &Type::Struct(of.clone()));
            let method = self.method(&of.name, &name, how.is_some(), params, &result);
            out = out.code(method).text("\n");
        }
        self.within = None;
        Some(Item { mark: Mark::Device, code: out.text("}") })
    }

    /// Parameters of a method: first `self`, if it is passed at all.
    pub(super) fn receiver(&mut self, how: Option<How>, ty: &Type) -> Vec<Param> {
        let mut params = match how {
            Some(how) => vec![Param { ty: ty.clone(), how }],
            None => Vec::new(),
        };
        params.extend(self.params());
        params.truncate(3);
        params
    }

    /// A method, known from now on.
    pub(super) fn method(
        &mut self,
        of: &str,
        name: &str,
        method: bool,
        params: Vec<Param>,
        result: &Type,
    ) -> Code {
        let head = Head { text: format!("fn {name}"), called: format!("{of}::{name}"), method };
        let n = self.random.within(1, 2);
        let (code, signature) = self.function(head, params, result.clone(), n, |g| {
            (Vec::new(), g.any(result, Want::Run, 3))
        });
        self.functions.push(signature);
        code
    }
}
