//! Vectors: packed words and their lanes.

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::{Inst, Opcode, Scalar, Type};

use crate::emit::{Emitter, ins};
use crate::reg::{Class, Operand, Reg, is_packed};

/// The bytes a `prmt` takes, lowest first: 0 to 3 of the first operand, 4 to 7 of the second; with
/// bit 3 set, the sign of the byte repeated (PTX ISA, `prmt`).
fn selector(bytes: [u32; 4]) -> Operand {
    Operand::u32(bytes.iter().rev().fold(0, |all, byte| all << 4 | byte))
}

impl<'k> Emitter<'k> {
    pub(crate) fn vector(&mut self, inst: &Inst) {
        match (inst.op, &inst.attr) {
            (Opcode::VecMake, _) => {
                let words = self.slice(inst).or_else(|| self.whole_words(inst));
                if let Some(regs) = words.or_else(|| self.permuted(inst)) {
                    return self.bind_regs(inst.result(), regs);
                }
                let lanes = inst.operands.iter().map(|&o| self.reg(o)).collect();
                self.bind_lanes(inst.result(), lanes);
            }
            (Opcode::VecExtract, Attr::Lane(lane)) => {
                let ty = self.ty(inst.operands[0]);
                let parts = self.parts(inst.operands[0]);
                let operand = self.lane(ty, &parts, (*lane).into());
                let reg = self.in_reg(operand);
                self.bind_reg(inst.result(), reg);
            }
            (_, Attr::Lane(lane)) => self.insert(inst, (*lane).into()),
            _ => unreachable!("the kernel is verified: {} has a lane", inst.op.name()),
        }
    }

    /// The registers of a vector that is made of neighbours of another one, from a whole register on:
    /// nothing has to be moved.
    fn slice(&mut self, inst: &Inst) -> Option<Vec<Reg>> {
        let (mut from, mut first) = (None, 0);
        for (i, &operand) in inst.operands.iter().enumerate() {
            let part = self.definition(operand).filter(|d| d.op == Opcode::VecExtract)?;
            let Attr::Lane(lane) = part.attr else { return None };
            let lane = usize::from(lane);
            match from {
                None => (from, first) = (Some(part.operands[0]), lane),
                Some(from) if from == part.operands[0] && lane == first + i => {}
                Some(_) => return None,
            }
        }
        let ty = self.ty(from?);
        let per_reg = if is_packed(ty.elem()) { 4 / ty.elem().size() as usize } else { 1 };
        if !first.is_multiple_of(per_reg) || !inst.operands.len().is_multiple_of(per_reg) {
            return None;
        }
        let regs = self.regs(from?);
        let (begin, len) = (first / per_reg, inst.operands.len() / per_reg);
        regs.get(begin..begin + len).map(<[Reg]>::to_vec)
    }

    /// The registers of a vector of packed elements of which each word is a word of some vector: nothing has
    /// to be taken apart.
    fn whole_words(&mut self, inst: &Inst) -> Option<Vec<Reg>> {
        let elem = self.ty(inst.result()).elem();
        if !is_packed(elem) {
            return None;
        }
        let per_word = 4 / elem.size() as usize;
        let words = inst.operands.chunks(per_word).map(|lanes| {
            let mut word = None;
            for (i, &operand) in lanes.iter().enumerate() {
                let part = self.definition(operand).filter(|d| d.op == Opcode::VecExtract)?;
                let Attr::Lane(lane) = part.attr else { return None };
                let own = (part.operands[0], usize::from(lane).checked_sub(i)?);
                if word.replace(own).is_some_and(|before| before != own) {
                    return None;
                }
            }
            word.filter(|(_, first)| first.is_multiple_of(per_word) && lanes.len() == per_word)
        });
        let words: Option<Vec<_>> = words.collect();
        words?
            .into_iter()
            .map(|(from, first)| self.regs(from).get(first / per_word).copied())
            .collect()
    }

    /// The registers of bytes that are taken from vectors, those of each word from two of their registers at
    /// most: one permutation for each word.
    fn permuted(&mut self, inst: &Inst) -> Option<Vec<Reg>> {
        let elem = self.ty(inst.result()).elem();
        if elem.size() != 1 || !is_packed(elem) || !inst.operands.len().is_multiple_of(4) {
            return None;
        }
        let mut words = Vec::new();
        for word in inst.operands.chunks(4) {
            let (mut from, mut bytes) = (Vec::new(), [0; 4]);
            for (byte, &operand) in bytes.iter_mut().zip(word) {
                let part = self.definition(operand).filter(|d| d.op == Opcode::VecExtract)?;
                let Attr::Lane(lane) = part.attr else { return None };
                let reg = *self.regs(part.operands[0]).get(usize::from(lane / 4))?;
                let at = from.iter().position(|&other| other == reg).unwrap_or(from.len());
                if at == from.len() {
                    from.push(reg);
                }
                *byte = 4 * at as u32 + u32::from(lane % 4);
            }
            let &[a, .., b] = &from[..] else {
                words.push((from[0], from[0], bytes));
                continue;
            };
            if from.len() > 2 {
                return None;
            }
            words.push((a, b, bytes));
        }
        Some(words.into_iter().map(|(a, b, bytes)| self.pair(a, b, bytes)).collect())
    }

    fn insert(&mut self, inst: &Inst, lane: usize) {
        let ty = self.ty(inst.operands[0]);
        let mut regs = self.regs(inst.operands[0]);
        let new = self.reg(inst.operands[1]);
        if !is_packed(ty.elem()) {
            regs[lane] = new;
            return self.bind_regs(inst.result(), regs);
        }
        let per_word = 4 / ty.elem().size() as usize;
        let word = &mut regs[lane / per_word];
        *word = self.insert_in_word(*word, new, lane % per_word, ty.elem());
        self.bind_regs(inst.result(), regs);
    }

    /// One word with one of its lanes replaced.
    fn insert_in_word(&mut self, word: Reg, new: Reg, lane: usize, elem: Scalar) -> Reg {
        let new = self.as_word(new);
        let mut bytes = [0, 1, 2, 3];
        let size = elem.size() as usize;
        for byte in 0..size {
            bytes[lane * size + byte] = 4 + byte as u32;
        }
        self.op("prmt.b32", Class::B32, &[word.into(), new.into(), selector(bytes)])
    }

    /// A narrow scalar in a 32-bit register, the upper bits arbitrary.
    fn as_word(&mut self, reg: Reg) -> Reg {
        match reg.class {
            Class::B16 => {
                let word = self.new_reg(Class::B32);
                ins!(self, "mov.b32 {word}, {{{reg}, {reg}}};");
                word
            }
            _ => reg,
        }
    }

    /// One lane of a value given by its registers.
    fn lane(&mut self, ty: Type, parts: &[Operand], lane: usize) -> Operand {
        let elem = ty.elem();
        if matches!(ty, Type::Scalar(_)) || !is_packed(elem) {
            return parts[lane];
        }
        let per_word = 4 / elem.size() as usize;
        let word = parts[lane / per_word];
        self.lane_of_word(word, lane % per_word, elem).into()
    }

    fn lane_of_word(&mut self, word: Operand, lane: usize, elem: Scalar) -> Reg {
        if Class::of(elem) == Class::B16 {
            return self.halves(word)[lane];
        }
        let size = elem.size();
        let first = lane as u32 * size;
        // A byte of the second operand, which is 0, or the sign of the lane's highest byte.
        let fill = if elem.is_signed() { 8 + first + size - 1 } else { 4 };
        let bytes =
            std::array::from_fn(|i| if (i as u32) < size { first + i as u32 } else { fill });
        self.op("prmt.b32", Class::B32, &[word, Operand::u32(0), selector(bytes)])
    }

    /// Both 16-bit halves of a word.
    pub(crate) fn halves(&mut self, word: Operand) -> [Reg; 2] {
        let (low, high) = (self.new_reg(Class::B16), self.new_reg(Class::B16));
        ins!(self, "mov.b32 {{{low}, {high}}}, {word};");
        [low, high]
    }

    /// The lanes of a value given by its registers.
    pub(crate) fn unpack(&mut self, ty: Type, parts: Vec<Operand>) -> Vec<Operand> {
        let elem = ty.elem();
        if !matches!(ty, Type::Vector(..)) || !is_packed(elem) {
            return parts;
        }
        if Class::of(elem) == Class::B16 {
            let mut lanes: Vec<Operand> =
                parts.into_iter().flat_map(|word| self.halves(word)).map(Operand::from).collect();
            lanes.truncate(ty.lanes() as usize);
            return lanes;
        }
        (0..ty.lanes() as usize).map(|lane| self.lane(ty, &parts, lane)).collect()
    }

    /// The registers of a value given by its lanes.
    pub(crate) fn pack(&mut self, ty: Type, lanes: Vec<Reg>) -> Vec<Reg> {
        let elem = ty.elem();
        if !matches!(ty, Type::Vector(..)) || !is_packed(elem) {
            return lanes;
        }
        let per_word = 4 / elem.size() as usize;
        lanes.chunks(per_word).map(|chunk| self.pack_word(chunk, elem)).collect()
    }

    fn pack_word(&mut self, lanes: &[Reg], elem: Scalar) -> Reg {
        match *lanes {
            [low, high] if low.class == Class::B16 => {
                let word = self.new_reg(Class::B32);
                ins!(self, "mov.b32 {word}, {{{low}, {high}}};");
                word
            }
            [only] => self.as_word(only),
            [low, high] if elem.size() == 2 => self.pair(low, high, [0, 1, 4, 5]),
            [a, b] => self.pair(a, b, [0, 4, 0, 4]),
            [a, b, c] => {
                let low = self.pair(a, b, [0, 4, 0, 4]);
                self.pair(low, c, [0, 1, 4, 4])
            }
            [a, b, c, d] => {
                let low = self.pair(a, b, [0, 4, 0, 4]);
                let high = self.pair(c, d, [0, 4, 0, 4]);
                self.pair(low, high, [0, 1, 4, 5])
            }
            _ => unreachable!("a word has at most 4 lanes"),
        }
    }

    fn pair(&mut self, a: Reg, b: Reg, bytes: [u32; 4]) -> Reg {
        self.op("prmt.b32", Class::B32, &[a.into(), b.into(), selector(bytes)])
    }
}
