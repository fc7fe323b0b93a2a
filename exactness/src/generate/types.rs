//! Types: which ones there are, and expressions of structs and enums.

use std::rc::Rc;

use super::{Ex, Generator, Param, Signature, Stage, Want};
use crate::program::{Code, Item, Mark, code};
use crate::types::{Enum, Scalar, Struct, Type};

impl Generator {
    /// An integer type.
    pub(super) fn int(&mut self) -> Scalar {
        *self.random.pick(&Scalar::INTS)
    }

    /// A type of numbers; integers of 32 and 64 bits and `f32` most often.
    pub(super) fn number(&mut self) -> Scalar {
        match self.random.below(20) {
            0..4 => Scalar::U32,
            4..6 => Scalar::I32,
            6 => Scalar::Usize,
            7..12 => self.int(),
            12..15 => Scalar::F32,
            15..17 => Scalar::F64,
            17 => *self.random.pick(&Scalar::HALVES),
            18 => Scalar::U64,
            _ => Scalar::I64,
        }
    }

    /// Any scalar type.
    pub(super) fn any_scalar(&mut self) -> Scalar {
        if self.random.chance(12) { Scalar::Bool } else { self.number() }
    }

    /// Any type: mostly scalars.
    pub(super) fn any_type(&mut self) -> Type {
        match self.random.below(12) {
            0 => self.tuple_type(),
            1 | 2 => self.array_type(),
            3 | 4 => self.own_type().unwrap_or(Scalar::U32.into()),
            _ => self.any_scalar().into(),
        }
    }

    /// A struct or enum of the program.
    pub(super) fn own_type(&mut self) -> Option<Type> {
        (!self.types.is_empty()).then(|| self.random.pick(&self.types).clone())
    }

    /// An enum of the program.
    pub(super) fn enum_type(&mut self) -> Option<Rc<Enum>> {
        match self.own_type() {
            Some(Type::Enum(of)) => Some(of),
            _ => None,
        }
    }

    /// The type of a part of another.
    fn part_type(&mut self) -> Type {
        match self.random.below(8) {
            0 => self.array_type(),
            1 => self.own_type().unwrap_or(Scalar::Bool.into()),
            _ => self.any_scalar().into(),
        }
    }

    pub(super) fn tuple_type(&mut self) -> Type {
        let len = self.random.within(2, 3);
        Type::Tuple((0..len).map(|_| self.part_type()).collect())
    }

    pub(super) fn array_type(&mut self) -> Type {
        let len = self.random.within(1, 4);
        let element = match self.random.below(12) {
            0 => Type::Array(Box::new(self.number().into()), 2),
            1 => Type::Tuple(vec![self.number().into(), self.number().into()]),
            2 => Scalar::Bool.into(),
            3 => self.own_type().unwrap_or(Scalar::U32.into()),
            _ => self.number().into(),
        };
        Type::Array(Box::new(element), len)
    }

    /// The types that a program has of its own.
    pub(super) fn own_types(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        if self.random.chance(35) {
            items.extend(self.new_enum());
        }
        for _ in 0..self.random.below(3) {
            items.push(self.new_struct());
            if self.random.chance(50) {
                items.extend(self.methods());
            }
        }
        if self.random.chance(18) {
            items.extend(self.new_tile());
        }
        if self.random.chance(30) {
            items.extend(self.new_trait());
        }
        items
    }

    /// An enum, and the function that makes a run-time value of it.
    fn new_enum(&mut self) -> [Item; 2] {
        let name = self.name("E");
        let variants: Vec<String> =
            (0..self.random.within(2, 4)).map(|i| format!("V{i}")).collect();
        let mut text = String::new();
        for (i, variant) in variants.iter().enumerate() {
            let number = match self.random.below(4) {
                // A multiple of 10 after which numbering goes on.
                0 => format!(" = {}", 10 * i + 10),
                1 => format!(" = -{}", 100 * i + 7),
                _ if i == 0 => String::new(),
                _ => format!(" = {}", 1000 * i),
            };
            text += &format!("{variant}{number}, ");
        }
        let last = variants.len() - 1;
        let arms = (0..last).map(|i| format!("{i} => {name}::V{i}, ")).collect::<String>();
        let make = format!(
            "pub fn of_{name}(x: u32) -> Val<{name}> {{ match x % {} {{ {arms}_ => {name}::V{last} }} }}",
            last + 1
        );
        let ty = Type::Enum(Rc::new(Enum { name: name.clone(), variants }));
        self.types.push(ty.clone());
        self.functions.push(Signature {
            name: format!("of_{name}"),
            method: false,
            params: vec![Param::value(Scalar::U32)],
            result: ty,
            steps: 4,
            size: 4,
        });
        [
            Item { mark: Mark::Enum, code: code(format!("pub enum {name} {{ {text}}}")) },
            Item { mark: Mark::Device, code: code(make) },
        ]
    }

    fn new_struct(&mut self) -> Item {
        let (name, tuple) = (self.name("S"), self.random.chance(25));
        let fields: Vec<(String, Type)> = (0..self.random.within(1, 4))
            .map(|i| (if tuple { i.to_string() } else { format!("f{i}") }, self.part_type()))
            .collect();
        let list = fields.iter().map(|(field, ty)| match tuple {
            true => format!("pub {}, ", ty.of_field()),
            false => format!("pub {field}: {}, ", ty.of_field()),
        });
        let list: String = list.collect();
        let text = match tuple {
            true => format!("pub struct {name}({list});"),
            false => format!("pub struct {name} {{ {list}}}"),
        };
        self.types.push(Type::Struct(Rc::new(Struct { name, fields, opaque: None })));
        Item { mark: Mark::Struct, code: code(text) }
    }

    /// `S { x: a, y: b }`, the fields in any order.
    pub(super) fn struct_value(&mut self, of: &Rc<Struct>, want: Want, depth: usize) -> Code {
        let name = match &self.within {
            Some(name) if *name == of.name && self.random.chance(40) => "Self",
            _ => of.bare(),
        };
        if of.fields.is_empty() {
            return code(name);
        }
        if of.is_tuple() {
            let mut out = code(name).text("(");
            for (_, ty) in &of.fields {
                out = out.code(self.any(ty, want, depth)).text(", ");
            }
            return out.text(")");
        }
        let mut fields: Vec<&(String, Type)> = of.fields.iter().collect();
        let first = self.random.below(fields.len());
        fields.rotate_left(first);
        let rest = match fields.len() > 1 && self.random.chance(20) {
            true => self.purely(|g| g.read(&Type::Struct(of.clone()), Want::Run)),
            false => None,
        };
        if rest.is_some() {
            fields.pop();
        }
        let mut out = code(name).text(" { ");
        for (field, ty) in fields {
            out = out.text(format!("{field}: ")).code(self.any(ty, want, depth)).text(", ");
        }
        match rest {
            Some(rest) => out.text("..").code(rest.code).text(" }"),
            None => out.text("}"),
        }
    }

    /// An expression of an enum.
    pub(super) fn enumerated(&mut self, of: &Rc<Enum>, want: Want, depth: usize) -> Ex {
        self.count();
        let ty = Type::Enum(of.clone());
        if self.random.chance(50)
            && let Some(ex) = self.read(&ty, want)
        {
            return ex;
        }
        if depth > 0
            && self.random.chance(25)
            && let Some(ex) = self.control(&ty, want, depth - 1)
        {
            return ex;
        }
        if want == Want::Run || self.random.chance(30) {
            if let Some(call) = self.call_for(&ty) {
                return Ex::run(call);
            }
            let number = self.scalar(Scalar::U32, Want::Run, depth.min(1)).code;
            return Ex::run(code(format!("of_{}(", of.name)).code(number).text(")"));
        }
        let variant = self.random.pick(&of.variants).clone();
        let stage = if want == Want::Any { Stage::Host } else { Stage::Run };
        Ex { code: code(format!("{}::{variant}", of.name)), stage }
    }
}
