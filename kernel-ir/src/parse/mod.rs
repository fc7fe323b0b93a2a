//! Reads the text form that [`print`](mod@crate::print) writes.
//!
//! Only the form is checked here, and that values, labels and tables are defined where they are
//! named; whether the kernel keeps the rules of the IR is for the verifier.

mod attr;
mod cursor;

use std::collections::HashMap;

use attr::{named, scalar};
pub use cursor::ParseError;
use cursor::{Cursor, Parsed};

use crate::attr::Attr;
use crate::contract::{Requirement, Term};
use crate::kernel::{
    Inst, Kernel, LocalDecl, Param, ParamKind, Region, SharedDecl, Value, VarDecl,
};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tensor_map::{MOST_AXES, Swizzle, TensorTile, Walk};
use crate::types::{Space, Type};

/// Reads a kernel.
///
/// # Errors
/// If the text is not of the form that kernels print as.
pub fn parse(text: &str) -> Result<Kernel, ParseError> {
    let mut parser =
        Parser { text: Cursor::new(text), kernel: Kernel::new(""), values: HashMap::new() };
    parser.kernel()?;
    parser.text.end()?;
    Ok(parser.kernel)
}

impl std::str::FromStr for Kernel {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Kernel, ParseError> {
        parse(text)
    }
}

struct Parser<'t> {
    text: Cursor<'t>,
    kernel: Kernel,
    /// Values by their number in the text.
    values: HashMap<u32, Value>,
}

impl Parser<'_> {
    fn kernel(&mut self) -> Parsed<()> {
        self.text.expect("kernel")?;
        self.text.expect("@")?;
        self.kernel.name = self.text.word()?.to_owned();
        self.text.expect("(")?;
        while !self.text.eat(")") {
            self.param()?;
            if !self.text.sees(")") {
                self.text.expect(",")?;
            }
        }
        self.kernel.block_dim = self.dims("block")?;
        self.kernel.cluster_dim = self.dims("cluster")?;
        self.text.expect("{")?;
        self.declarations()?;
        self.kernel.body.insts = self.insts()?;
        Ok(())
    }

    /// `name(x, y, z)`, where it stands.
    fn dims(&mut self, name: &str) -> Parsed<Option<[u32; 3]>> {
        if !self.text.eat(name) {
            return Ok(None);
        }
        let mut dims = [0; 3];
        for (i, dim) in dims.iter_mut().enumerate() {
            self.text.expect(if i == 0 { "(" } else { "," })?;
            *dim = self.text.number()?;
        }
        self.text.expect(")")?;
        Ok(Some(dims))
    }

    fn param(&mut self) -> Parsed<()> {
        let number = self.text.tagged("%")?;
        let name = self.text.string()?;
        self.text.expect(":")?;
        let ty = self.ty()?;
        let kind = match self.text.word()? {
            "tile" => ParamKind::TensorMap(self.tile(false)?),
            "tile_mut" => ParamKind::TensorMap(self.tile(true)?),
            plain => match ParamKind::from_name(plain) {
                Some(kind) => kind,
                None => {
                    let message = format!("`{plain}` is not the kind of a parameter");
                    return self.text.error(message);
                }
            },
        };
        let value = self.define(number, ty)?;
        self.kernel.params.push(Param { name, value, kind });
        Ok(())
    }

    /// The box of a tensor map: `[64, 8 b128]`.
    fn tile(&mut self, written: bool) -> Parsed<TensorTile> {
        self.text.expect("[")?;
        let mut extents = vec![self.text.number()?];
        while self.text.eat(",") {
            extents.push(self.text.number()?);
        }
        let swizzle = named(&mut self.text, "a swizzle", Swizzle::from_name)?;
        if extents.len() > MOST_AXES {
            return self.text.error("a tensor has at most 5 axes");
        }
        let tile = TensorTile::new(&extents, swizzle, written);
        let walk = if self.text.eat("walk") { Some(self.walk()?) } else { None };
        self.text.expect("]")?;
        Ok(TensorTile { walk, ..tile })
    }

    /// How a window walks: `-1 -1 1, 0 -2 2`.
    fn walk(&mut self) -> Parsed<Walk> {
        let mut walk = Walk::default();
        loop {
            let i = usize::from(walk.axes);
            if i == walk.steps.len() {
                return self.text.error("a window walks along at most 3 axes");
            }
            walk.lower[i] = self.text.number()?;
            walk.upper[i] = self.text.number()?;
            walk.steps[i] = self.text.number()?;
            walk.axes += 1;
            if !self.text.eat(",") {
                return Ok(walk);
            }
        }
    }

    fn declarations(&mut self) -> Parsed<()> {
        loop {
            if self.text.eat("file") {
                self.in_order("f", self.kernel.sources.files.len())?;
                let file = self.text.string()?;
                self.kernel.sources.files.push(file);
            } else if self.text.eat("shared") {
                self.in_order("s", self.kernel.shared.len())?;
                let decl = self.shared()?;
                self.kernel.shared.push(decl);
            } else if self.text.eat("local") {
                self.in_order("l", self.kernel.locals.len())?;
                self.text.expect(":")?;
                let elem = scalar(&mut self.text)?;
                self.text.expect("x")?;
                let len = self.text.number()?;
                self.kernel.locals.push(LocalDecl { elem, len });
            } else if self.text.eat("print") {
                self.in_order("p", self.kernel.prints.len())?;
                let message = self.text.string()?;
                self.kernel.prints.push(message);
            } else if self.text.eat("var") {
                self.in_order("v", self.kernel.vars.len())?;
                let name = self.text.string()?;
                self.text.expect(":")?;
                let ty = self.ty()?;
                self.kernel.vars.push(VarDecl { ty, name });
            } else if self.text.eat("requires") {
                let requirement = self.requirement()?;
                self.kernel.requires.push(requirement);
            } else {
                return Ok(());
            }
        }
    }

    fn requirement(&mut self) -> Parsed<Requirement> {
        let text = self.text.string()?;
        self.text.expect(":")?;
        let mut terms = Vec::new();
        loop {
            let mut term = Term { factor: self.text.number()?, params: Vec::new() };
            while self.text.eat("*") {
                term.params.push(self.value()?);
            }
            terms.push(term);
            if !self.text.eat("+") {
                break;
            }
        }
        self.text.expect(">=")?;
        self.text.expect("0")?;
        Ok(Requirement { terms, text, loc: self.location()? })
    }

    /// The number of a declaration, which is one more than the last.
    fn in_order(&mut self, tag: &str, next: usize) -> Parsed<()> {
        let number: usize = self.text.tagged(tag)?;
        if number == next { Ok(()) } else { self.text.error(format!("expected `{tag}{next}`")) }
    }

    fn shared(&mut self) -> Parsed<SharedDecl> {
        let name = self.text.string()?;
        self.text.expect(":")?;
        let elem = scalar(&mut self.text)?;
        self.text.expect("x")?;
        let len = if self.text.eat("dynamic") { None } else { Some(self.text.number()?) };
        self.text.expect("align")?;
        Ok(SharedDecl { name, elem, len, align: self.text.number()? })
    }

    fn ty(&mut self) -> Parsed<Type> {
        if self.text.eat("<") {
            let lanes = self.text.number()?;
            self.text.expect("x")?;
            let elem = scalar(&mut self.text)?;
            self.text.expect(">")?;
            return Ok(Type::Vector(elem, lanes));
        }
        if self.text.eat("tensor_map") {
            self.text.expect("<")?;
            let elem = scalar(&mut self.text)?;
            self.text.expect(",")?;
            let rank = self.text.number()?;
            self.text.expect(">")?;
            return Ok(Type::TensorMap(elem, rank));
        }
        if self.text.eat("ptr") {
            self.text.expect("<")?;
            let space = named(&mut self.text, "an address space", Space::from_name)?;
            self.text.expect(",")?;
            let elem = scalar(&mut self.text)?;
            self.text.expect(">")?;
            return Ok(Type::Ptr(space, elem));
        }
        Ok(Type::Scalar(scalar(&mut self.text)?))
    }

    fn define(&mut self, number: u32, ty: Type) -> Parsed<Value> {
        let value = self.kernel.new_value(ty);
        match self.values.insert(number, value) {
            None => Ok(value),
            Some(_) => self.text.error(format!("%{number} is defined twice")),
        }
    }

    /// `%n: type`, several, parted by commas.
    fn definitions(&mut self) -> Parsed<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            let number = self.text.tagged("%")?;
            self.text.expect(":")?;
            let ty = self.ty()?;
            values.push(self.define(number, ty)?);
            if !self.text.eat(",") {
                return Ok(values);
            }
        }
    }

    /// Instructions up to the closing brace.
    fn insts(&mut self) -> Parsed<Vec<Inst>> {
        let mut insts = Vec::new();
        while !self.text.eat("}") {
            insts.push(self.inst()?);
        }
        Ok(insts)
    }

    fn inst(&mut self) -> Parsed<Inst> {
        let mut results = Vec::new();
        if self.text.sees("%") {
            results = self.definitions()?;
            self.text.expect("=")?;
        }
        let op = named(&mut self.text, "an operation", Opcode::from_name)?;
        let attr = attr::attr(&mut self.text, op)?;
        if let Attr::Label(label) = attr {
            self.kernel.labels = self.kernel.labels.max(label.0 + 1);
        }
        let operands = self.operands()?;
        let loc = self.location()?;
        let mut regions = Vec::new();
        while self.text.eat("{") {
            // The brace that closes one region and that which opens the next share a line.
            let args = if self.text.eat("|") {
                let args = self.definitions()?;
                self.text.expect("|")?;
                args
            } else {
                Vec::new()
            };
            regions.push(Region { args, insts: self.insts()? });
        }
        Ok(Inst { op, attr, operands, results, regions, loc })
    }

    fn operands(&mut self) -> Parsed<Vec<Value>> {
        let mut operands = Vec::new();
        // The next instruction may begin with a value too, but on another line.
        if !self.text.sees_on_line("%") {
            return Ok(operands);
        }
        loop {
            operands.push(self.value()?);
            if !self.text.eat(",") {
                return Ok(operands);
            }
        }
    }

    /// A value that is defined above.
    fn value(&mut self) -> Parsed<Value> {
        let number = self.text.tagged("%")?;
        match self.values.get(&number) {
            Some(&value) => Ok(value),
            None => self.text.error(format!("%{number} is not defined")),
        }
    }

    fn location(&mut self) -> Parsed<Loc> {
        if !self.text.eat("at") {
            return Ok(Loc::NONE);
        }
        let file: usize = self.text.tagged("f")?;
        self.text.expect(":")?;
        let line = self.text.number()?;
        self.text.expect(":")?;
        let column = self.text.number()?;
        match self.kernel.sources.files.get(file).cloned() {
            Some(file) => Ok(self.kernel.sources.intern(&file, line, column)),
            None => self.text.error(format!("there is no file f{file}")),
        }
    }
}
