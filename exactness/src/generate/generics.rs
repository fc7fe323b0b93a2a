//! Functions of any number, and of arrays of any length.

use std::rc::Rc;

use super::functions::Head;
use super::{Generator, Kind, Param, Signature, Stage, Want};
use crate::program::{Block, Code, Item, Mark, code};
use crate::types::{Opaque, Scalar, Struct, Type};

impl Generator {
    /// `fn g<T: Num>(a: T, ..) -> T`
    pub(super) fn of_numbers(&mut self) -> Item {
        let (name, first) = (self.name("g"), self.name("fixed"));
        let (bound, operators): (_, &[&str]) = match self.random.chance(50) {
            true => ("Num", &["+", "-", "*"]),
            false => ("Int", &["+", "-", "*", "&", "|", "^"]),
        };
        let opaque = Some(Opaque { value: first.clone(), operators });
        let of = Struct { name: "T".to_owned(), fields: Vec::new(), opaque };
        let any = Type::Struct(Rc::new(of));
        let mut params = vec![Param::value(any.clone()), Param::value(Scalar::U32)];
        if self.random.chance(60) {
            params.push(Param::value(any.clone()));
        }
        self.types.push(any.clone());
        let head = Head {
            text: format!("pub fn {name}<T: {bound}>"),
            called: name.clone(),
            method: false,
        };
        let (code, made) = self
            .function(head, params, any.clone(), 3, |g| (Vec::new(), g.any(&any, Want::Run, 3)));
        self.types.pop();
        for _ in 0..2 {
            let ty = loop {
                let ty = self.number();
                if bound == "Num" || ty.is_int() {
                    break ty;
                }
            };
            let with = |param: &Param| match param.ty.opaque() {
                Some(_) => Param::value(ty),
                None => param.clone(),
            };
            let params = made.params.iter().map(with).collect();
            let named = self.random.chance(50);
            let name = if named { format!("{name}::<{ty}>") } else { name.clone() };
            self.functions.push(Signature { name, params, result: ty.into(), ..made.clone() });
        }
        Item { mark: Mark::Device, code }
    }

    /// `fn g<const N: usize>(a: [T; N], ..)`, which goes over the array.
    pub(super) fn of_length(&mut self) -> Item {
        let (name, array, element) = (self.name("g"), self.name("fixed"), self.number());
        let result = Type::from(self.number());
        let head = Head {
            text: format!("pub fn {name}<const N: usize>"),
            called: name.clone(),
            method: false,
        };
        let more = Param::value(self.number());
        let (body, made) = self.function(head, vec![more.clone()], result.clone(), 1, |g| {
            g.declare("N", Scalar::Usize, Kind::Let(Stage::Host));
            let sum = g.name("x");
            let start = g.value(&result, 2);
            g.declare(&sum, result.clone(), Kind::Variable);
            let mut statements =
                vec![code(format!("let mut {sum}: {result} = ")).code(start).text(";")];
            statements.push(g.over_array(&array, element));
            (statements, g.any(&result, Want::Run, 2))
        });
        let body = body.with_parameter(&format!("{array}: [{element}; N], "));
        for _ in 0..2 {
            let len = self.random.within(1, 4);
            let params =
                vec![Param::value(Type::Array(Box::new(element.into()), len)), more.clone()];
            let named = self.random.chance(50);
            let name = if named { format!("{name}::<{len}>") } else { name.clone() };
            self.functions.push(Signature { name, params, ..made.clone() });
        }
        Item { mark: Mark::Device, code: body }
    }

    /// A loop over an array of `N` elements.
    fn over_array(&mut self, array: &str, element: Scalar) -> Code {
        let (item, index) = (self.name("e"), self.name("i"));
        let (over, kind) = match self.random.below(4) {
            0 => (format!("for {item} in {array}"), Kind::Let(Stage::Run)),
            1 => (format!("for {item} in {array}.iter().rev()"), Kind::Shared),
            2 => (format!("for ({index}, {item}) in {array}.iter().enumerate()"), Kind::Shared),
            _ => (format!("for {index} in 0..N"), Kind::Let(Stage::Run)),
        };
        let indexed = over.starts_with(&format!("for {index} in"));
        let numbered = indexed || over.contains("enumerate");
        let block = self.repeating(4, 4, |g| {
            g.scoped(|g| {
                if numbered {
                    g.declare(&index, Scalar::Usize, Kind::Let(Stage::Host));
                }
                g.declare(&item, element, kind);
                let n = g.random.within(1, 2);
                Block { statements: g.statements(n), ..Block::default() }
            })
        });
        let head = match indexed {
            true => format!("let {item} = {array}[(N - 1 - {index})];"),
            false => String::new(),
        };
        code(over + " ").block(Block { head, ..block })
    }
}
