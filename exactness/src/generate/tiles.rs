//! Structs of any size: `struct Tile<const N: usize> { v: [i32; N], k: u32 }`, with methods.

use std::rc::Rc;

use super::functions::Head;
use super::{Generator, How, Kind, Param, Signature, Stage, Want};
use crate::program::{Block, Code, Item, Mark, code};
use crate::types::{Opaque, Scalar, Struct, Type};

/// Sizes that a program uses.
const SIZES: [usize; 2] = [2, 3];

/// What is said of a tile.
struct Tile {
    name: String,
    element: Scalar,
    other: Scalar,
}

impl Tile {
    /// A tile of a size, outside its methods.
    fn of_size(&self, n: usize) -> Type {
        let values = Type::Array(Box::new(self.element.into()), n);
        let fields = vec![("v".to_owned(), values), ("k".to_owned(), self.other.into())];
        Type::Struct(Rc::new(Struct { name: format!("{}<{n}>", self.name), fields, opaque: None }))
    }

    /// `Tile<N>`, of which a method reaches `k` by its name and the rest by loops.
    fn of_any_size(&self, value: &str) -> Type {
        let fields = vec![("k".to_owned(), self.other.into())];
        let opaque = Some(Opaque { value: value.to_owned(), operators: &[] });
        Type::Struct(Rc::new(Struct { name: format!("{}<N>", self.name), fields, opaque }))
    }
}

impl Generator {
    /// A struct with a constant parameter and its methods.
    pub(super) fn new_tile(&mut self) -> [Item; 2] {
        let tile = Tile { name: self.name("Tile"), element: self.number(), other: self.number() };
        let Tile { name, element, other } = &tile;
        let definition = format!(
            "pub struct {name}<const N: usize> {{ pub v: [Val<{element}>; N], pub k: Val<{other}> }}"
        );
        let mut body =
            code(format!("impl<const N: usize> {name}<N> {{\nconst LAST: usize = N - 1;\n"));
        let mut made = vec![];
        for method in [Generator::tile_maker, Generator::tile_changer, Generator::tile_reader] {
            let (code, signature) = method(self, &tile);
            body = body.code(code).text("\n");
            made.push(signature);
        }
        for n in SIZES {
            let this = tile.of_size(n);
            let any = |ty: &Type| match ty.opaque() {
                Some(_) => this.clone(),
                None => ty.clone(),
            };
            for signature in &made {
                let mut signature = signature.clone();
                signature.name = format!("{name}::<{n}>::{}", signature.name);
                signature.params.iter_mut().for_each(|param| param.ty = any(&param.ty));
                signature.result = any(&signature.result);
                self.functions.push(signature);
            }
            self.types.push(this);
            self.declare_constant(format!("{name}::<{n}>::LAST"), Scalar::Usize);
        }
        [
            Item { mark: Mark::Struct, code: code(definition) },
            Item { mark: Mark::Device, code: body.text("}") },
        ]
    }

    /// `fn of(a: T) -> Self`
    fn tile_maker(&mut self, tile: &Tile) -> (Code, Signature) {
        let zero = |ty: Scalar| match ty.is_half() {
            true => format!("{ty}::from_f32(0.0f32 as f32)"),
            false => format!("(0 as {ty})"),
        };
        let any = format!("Self {{ v: [{}; N], k: {} }}", zero(tile.element), zero(tile.other));
        let (name, result) = (self.name("make"), tile.of_any_size(&any));
        let params = vec![Param::value(self.number())];
        let spelled = *self.random.pick(&["Self", &tile.name]);
        let repeated = self.random.chance(40);
        self.tile_method(name, false, params, result, |g| {
            let first = g.scalar(tile.element, Want::Run, 2).code;
            let mut statements = Vec::new();
            if repeated {
                statements.push(code("let v = [").code(first).text("; N];"));
            } else {
                statements.push(code("let mut v = [").code(first).text("; N];"));
                statements.push(g.over_tile("v", tile.element, true));
            }
            let k = g.scalar(tile.other, Want::Run, 2).code;
            (statements, code(format!("{spelled} {{ v, k: ")).code(k).text(" }"))
        })
    }

    /// `fn f(&mut self, ..) -> T`
    fn tile_changer(&mut self, tile: &Tile) -> (Code, Signature) {
        let (name, result) = (self.name("m"), Type::from(self.number()));
        let this = Param { ty: tile.of_any_size("(*self)"), how: How::Changed };
        let params = vec![this, Param::value(self.number())];
        self.tile_method(name, true, params, result.clone(), |g| {
            let statements = vec![g.over_tile("self.v", tile.element, true)];
            (statements, g.any(&result, Want::Run, 2))
        })
    }

    /// `fn f(&self, ..) -> T`
    fn tile_reader(&mut self, tile: &Tile) -> (Code, Signature) {
        let (name, result) = (self.name("m"), Type::from(self.number()));
        let this = Param { ty: tile.of_any_size("(*self)"), how: How::Shared };
        let params = vec![this, Param::value(self.number())];
        self.tile_method(name, true, params, result.clone(), |g| {
            let sum = g.name("x");
            let start = g.value(&result, 2);
            g.declare(&sum, result.clone(), Kind::Variable);
            let sum = code(format!("let mut {sum}: {result} = ")).code(start).text(";");
            let statements = vec![sum, g.over_tile("self.v", tile.element, false)];
            (statements, g.any(&result, Want::Run, 2))
        })
    }

    /// A method; its signature has the method's name only.
    fn tile_method(
        &mut self,
        name: String,
        method: bool,
        params: Vec<Param>,
        result: Type,
        end: impl FnOnce(&mut Generator) -> (Vec<Code>, Code),
    ) -> (Code, Signature) {
        let head = Head { text: format!("fn {name}"), called: name, method };
        let outer = self.within.take();
        let made = self.function(head, params, result, 1, |g| {
            g.declare("N", Scalar::Usize, Kind::Let(Stage::Host));
            g.declare("Self::LAST", Scalar::Usize, Kind::Let(Stage::Host));
            end(g)
        });
        self.within = outer;
        made
    }

    /// A loop over the values of a tile.
    fn over_tile(&mut self, values: &str, element: Scalar, changes: bool) -> Code {
        // Not to be shadowed: the loop's last statement names them.
        let (item, index) = (self.name("fixed"), self.name("fixed"));
        let how = self.random.below(3);
        let (over, kind) = match (how, changes) {
            (0, true) => (format!("for {item} in {values}.iter_mut()"), Kind::Reference),
            (0, false) => (format!("for {item} in {values}.iter()"), Kind::Shared),
            (1, true) => (
                format!("for ({index}, {item}) in {values}.iter_mut().enumerate()"),
                Kind::Reference,
            ),
            (1, false) => (format!("for {item} in {values}"), Kind::Let(Stage::Run)),
            _ => (format!("for {index} in 0..N"), Kind::Variable),
        };
        let mut head = String::new();
        let block = self.hiding(
            |name| name.name == "self" || name.name == values,
            |g| {
                g.repeating(4, 4, |g| {
                    g.scoped(|g| {
                        if over.contains(&index) {
                            g.declare(&index, Scalar::Usize, Kind::Let(Stage::Host));
                        }
                        if how == 2 {
                            head = format!("let mut {item} = {values}[N - 1 - {index}];");
                        }
                        g.declare(&item, element, kind);
                        let n = g.random.within(1, 2);
                        let mut statements = g.statements(n);
                        if how == 2 && changes {
                            statements.push(code(format!("{values}[{index}] = {item};")));
                        }
                        Block { statements, ..Block::default() }
                    })
                })
            },
        );
        code(over + " ").block(Block { head, ..block })
    }
}
