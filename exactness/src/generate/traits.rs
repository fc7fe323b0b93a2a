//! Traits: their constants, types, methods with and without bodies, and functions for all types that
//! have them.

use std::rc::Rc;

use super::functions::Head;
use super::{Generator, How, Param, Signature, Want};
use crate::program::{Item, Mark, code};
use crate::types::{Opaque, Scalar, Struct, Type};

/// A trait: `make` makes a value, `out` one of the associated type.
struct Trait {
    name: String,
    constant: (String, Scalar),
    make: String,
    out: String,
    /// Without a body in the trait, with its parameters but the first and its result.
    method: (String, Vec<Param>, Type),
    /// With a body.
    provided: (String, Vec<Param>, Type),
    /// Of a method, at most.
    cost: u64,
}

/// A type parameter of which `make` makes a value.
fn parameter(name: &str, make: &str) -> Type {
    let value = format!("{name}::{make}(1)");
    let opaque = Some(Opaque { value, operators: &[] });
    Type::Struct(Rc::new(Struct { name: name.to_owned(), fields: Vec::new(), opaque }))
}

impl Trait {
    /// The functions that a type `name` has, being `ty`, with `out` for its associated type.
    fn signatures(&self, name: &str, ty: &Type, out: Type) -> Vec<Signature> {
        let this = Param { ty: ty.clone(), how: How::Shared };
        let signature = |function: &str, method, params, result: &Type| Signature {
            name: format!("{name}::{function}"),
            method,
            params,
            result: result.clone(),
            steps: self.cost,
            size: self.cost,
        };
        let with = |params: &[Param]| [std::slice::from_ref(&this), params].concat();
        let number = Param::value(Scalar::U32);
        vec![
            signature(&self.make, false, vec![number.clone()], ty),
            signature(&self.out, true, vec![this.clone(), number], &out),
            signature(&self.method.0, true, with(&self.method.1), &self.method.2),
            signature(&self.provided.0, true, with(&self.provided.1), &self.provided.2),
        ]
    }
}

impl Generator {
    /// `const K: u32 = 1;`, or without the value.
    pub(super) fn associated_constant(&mut self, valued: bool) -> ((String, Scalar), String) {
        let (name, ty) = (self.name("K"), self.int());
        let value = if valued { format!(" = {}", self.literal(ty)) } else { String::new() };
        let text = format!("const {name}: {ty}{value};\n");
        ((name, ty), text)
    }

    /// A trait, types that have it and a function for all of them.
    pub(super) fn new_trait(&mut self) -> Vec<Item> {
        let (constant, declared) = self.associated_constant(false);
        let params = |g: &mut Generator| {
            let mut params = g.params();
            params.truncate(2);
            params
        };
        let mut of = Trait {
            name: self.name("T"),
            constant,
            make: self.name("make"),
            out: self.name("out"),
            method: (self.name("m"), params(self), self.result_type()),
            provided: (self.name("m"), params(self), self.result_type()),
            cost: 1,
        };
        let mut having: Vec<Type> =
            self.types.iter().filter(|ty| matches!(ty, Type::Struct(_))).cloned().collect();
        let mut items = Vec::new();
        if having.is_empty() || self.random.chance(40) {
            let unit = self.name("Unit");
            items.push(Item { mark: Mark::Struct, code: code(format!("pub struct {unit};")) });
            let unit = Struct { name: unit, fields: Vec::new(), opaque: None };
            having.push(Type::Struct(Rc::new(unit)));
        }
        let outs: Vec<Scalar> = having.iter().map(|_| self.number()).collect();
        for (ty, out) in having.iter().zip(&outs) {
            let item = self.implementation(&mut of, ty, *out);
            items.push(item);
        }
        items.push(self.definition(&mut of, &declared));
        for (ty, out) in having.iter().zip(&outs) {
            self.functions.extend(of.signatures(&ty.path(), ty, (*out).into()));
            self.declare_constant(format!("{}::{}", ty.path(), of.constant.0), of.constant.1);
        }
        items.push(self.for_all(&of, &having, &outs));
        items
    }

    /// The trait itself, with the body of the provided method.
    fn definition(&mut self, of: &mut Trait, declared: &str) -> Item {
        let signature = self.declaration(of);
        let (provided, cost) = self.knowing("Self", of, |g, this| {
            let all = [vec![Param { ty: this.clone(), how: How::Shared }], of.provided.1.clone()];
            g.functions.retain(|f| !f.name.ends_with(&of.provided.0));
            let code = g.method("Self", &of.provided.0, true, all.concat(), &of.provided.2);
            (code, g.functions.last().map_or(1, |f| f.steps.max(f.size)))
        });
        of.cost = of.cost.max(cost);
        let text = format!(
            "pub trait {}: Copy + Staged {{\ntype Out: Num;\n{declared}fn {}(x: u32) -> Self;\n\
             fn {}(&self, x: u32) -> Self::Out;\n{signature}",
            of.name, of.make, of.out
        );
        Item { mark: Mark::Device, code: code(text).code(provided).text("\n}") }
    }

    /// The method without a body.
    fn declaration(&mut self, of: &Trait) -> String {
        let (name, params, result) = &of.method;
        // Without a body, `mut` has no place.
        let list = self.scoped(|g| g.parameters(params, false)).replace("mut a", "a");
        format!("fn {name}(&self, {list}) -> {result};\n")
    }

    /// Runs `f` where a parameter has the trait.
    fn knowing<R>(
        &mut self,
        name: &str,
        of: &Trait,
        f: impl FnOnce(&mut Generator, &Type) -> R,
    ) -> R {
        let this = parameter(name, &of.make);
        let out = Opaque {
            value: format!("{name}::{}(1).{}(2)", of.make, of.out),
            operators: &["+", "-", "*"],
        };
        let out = Struct { name: format!("{name}::Out"), fields: Vec::new(), opaque: Some(out) };
        let out = Type::Struct(Rc::new(out));
        let (functions, types, constants) =
            (self.functions.clone(), self.types.clone(), self.constants.clone());
        self.functions.extend(of.signatures(name, &this, out.clone()));
        self.types.extend([this.clone(), out]);
        self.declare_constant(format!("{name}::{}", of.constant.0), of.constant.1);
        let result = f(self, &this);
        (self.functions, self.types, self.constants) = (functions, types, constants);
        result
    }

    fn implementation(&mut self, of: &mut Trait, ty: &Type, out: Scalar) -> Item {
        let functions = self.functions.clone();
        if let Type::Struct(of) = ty {
            self.within = Some(of.name.clone());
        }
        let (constant, kind) = &of.constant;
        let value = self.literal(*kind);
        let text = format!(
            "impl {} for {ty} {{\ntype Out = {out};\nconst {constant}: {kind} = {value};\n",
            of.name
        );
        let this = Param { ty: ty.clone(), how: How::Shared };
        let number = Param::value(Scalar::U32);
        let name = ty.path();
        let make = self.method(&name, &of.make, false, vec![number.clone()], ty);
        let out = self.method(&name, &of.out, true, vec![this.clone(), number], &out.into());
        let params = [vec![this], of.method.1.clone()].concat();
        let method = self.method(&name, &of.method.0, true, params, &of.method.2);
        self.within = None;
        let made = &self.functions[functions.len()..];
        of.cost = made.iter().fold(of.cost, |cost, f| cost.max(f.steps).max(f.size));
        self.functions = functions;
        let code = code(text).code(make).text("\n").code(out).text("\n").code(method).text("\n}");
        Item { mark: Mark::Device, code }
    }

    /// A function of a parameter that has the trait.
    fn for_all(&mut self, of: &Trait, having: &[Type], outs: &[Scalar]) -> Item {
        let (name, associated) = (self.name("g"), self.random.chance(50));
        let result = self.result_type();
        let (item, params, steps, size) = self.knowing("A", of, |g, this| {
            let result = match g.types.last() {
                Some(out) if associated => out.clone(),
                _ => result.clone(),
            };
            let how = if g.random.chance(40) { How::Shared } else { How::Value };
            let params = vec![Param { ty: this.clone(), how }, Param::value(g.number())];
            let head = Head {
                text: format!("pub fn {name}<A: {}>", of.name),
                called: name.clone(),
                method: false,
            };
            let (code, made) = g.function(head, params.clone(), result.clone(), 3, |g| {
                (Vec::new(), g.any(&result, Want::Run, 3))
            });
            (Item { mark: Mark::Device, code }, params, made.steps, made.size)
        });
        for (ty, out) in having.iter().zip(outs) {
            let mut params = params.clone();
            params[0].ty = ty.clone();
            let result = if associated { (*out).into() } else { result.clone() };
            let named = self.random.chance(50);
            let name = if named { format!("{name}::<{ty}>") } else { name.clone() };
            let made = Signature { name, method: false, params, result, steps, size };
            self.functions.push(made);
        }
        item
    }
}
