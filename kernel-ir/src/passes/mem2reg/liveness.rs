//! Which variables each control operation merges.
//!
//! A backward walk over a skeleton of the kernel (variable accesses and control operations only).
//! What is live at a loop's head depends on its own body. Being a bit-vector problem it needs no
//! iteration: the reads that no write inside the loop precedes are found once for each loop
//! ([`Walk::exposed`]), and joined with all that is live wherever the loop can be left to.

use std::collections::HashMap;

use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Label, Region};
use crate::op::Opcode;
use crate::passes::bitset::BitSet;

/// The variables a control operation merges, as slot numbers, ascending.
#[derive(Clone, Default, Debug)]
pub(super) struct Merge {
    /// Carried by a loop from iteration to iteration. A `for`'s results are these too.
    pub(super) carried: Vec<usize>,
    /// Results of an `if`, `block` or `loop`.
    pub(super) results: Vec<usize>,
}

/// What matters of an instruction.
enum Item {
    Load(usize),
    Store(usize),
    Control(usize),
    Yield,
    Break(Label),
    Continue(Label),
    Return,
}

/// A control operation; numbered in program order, owners before what they hold.
struct Node {
    op: Opcode,
    label: Option<Label>,
    regions: Vec<Vec<Item>>,
    /// Variables written inside.
    stored: BitSet,
    /// Labels outside that something inside names, as break (`false`) or continue (`true`).
    leaves: Vec<(Label, bool)>,
}

/// The merges of every control operation, in program order.
pub(super) fn merges(kernel: &Kernel) -> Vec<Merge> {
    let vars = kernel.vars.len();
    let mut skeleton = Skeleton { vars, nodes: Vec::new() };
    let (body, ..) = skeleton.region(&kernel.body);
    let mut walk = Walk {
        vars,
        nodes: &skeleton.nodes,
        exposed: vec![None; skeleton.nodes.len()],
        merges: vec![Merge::default(); skeleton.nodes.len()],
    };
    let empty = BitSet::new(vars);
    walk.region(&body, &empty, &mut HashMap::new(), true);
    walk.merges
}

struct Skeleton {
    vars: usize,
    nodes: Vec<Node>,
}

impl Skeleton {
    fn region(&mut self, region: &Region) -> (Vec<Item>, BitSet, Vec<(Label, bool)>) {
        let mut items = Vec::new();
        let mut stored = BitSet::new(self.vars);
        let mut leaves = Vec::new();
        for inst in &region.insts {
            match (inst.op, &inst.attr) {
                (Opcode::VarLoad, &Attr::Var { var, .. }) => items.push(Item::Load(var.index())),
                (Opcode::VarStore, &Attr::Var { var, .. }) => {
                    stored.insert(var.index());
                    items.push(Item::Store(var.index()));
                }
                (Opcode::Yield, _) => items.push(Item::Yield),
                (Opcode::Return, _) => items.push(Item::Return),
                (Opcode::Break, &Attr::Label(l)) => {
                    leaves.push((l, false));
                    items.push(Item::Break(l));
                }
                (Opcode::Continue, &Attr::Label(l)) => {
                    leaves.push((l, true));
                    items.push(Item::Continue(l));
                }
                _ if !inst.regions.is_empty() => {
                    let node = self.control(inst);
                    stored.union(&self.nodes[node].stored);
                    leaves.extend(&self.nodes[node].leaves);
                    items.push(Item::Control(node));
                }
                _ => {}
            }
        }
        (items, stored, leaves)
    }

    fn control(&mut self, inst: &Inst) -> usize {
        let label = match inst.attr {
            Attr::Label(l) => Some(l),
            _ => None,
        };
        let number = self.nodes.len();
        self.nodes.push(Node {
            op: inst.op,
            label,
            regions: Vec::new(),
            stored: BitSet::new(self.vars),
            leaves: Vec::new(),
        });
        for region in &inst.regions {
            let (items, stored, mut leaves) = self.region(region);
            leaves.retain(|(l, _)| Some(*l) != label);
            let node = &mut self.nodes[number];
            node.regions.push(items);
            node.stored.union(&stored);
            node.leaves.append(&mut leaves);
        }
        let leaves = &mut self.nodes[number].leaves;
        leaves.sort_unstable();
        leaves.dedup();
        number
    }
}

/// What is live where a label's operation is left (`false`) or begun anew (`true`).
type Targets = HashMap<(Label, bool), BitSet>;

struct Walk<'s> {
    vars: usize,
    nodes: &'s [Node],
    /// By loop: variables read in it before it writes them, when nothing is live outside.
    exposed: Vec<Option<BitSet>>,
    merges: Vec<Merge>,
}

impl Walk<'_> {
    /// What is live before a region, given what is live behind its owner. Where `record` is set,
    /// both that and the targets are the true ones, and merges are noted.
    fn region(
        &mut self,
        items: &[Item],
        behind: &BitSet,
        targets: &mut Targets,
        record: bool,
    ) -> BitSet {
        let mut live = BitSet::new(self.vars);
        for item in items.iter().rev() {
            match item {
                Item::Load(var) => live.insert(*var),
                Item::Store(var) => live.remove(*var),
                Item::Yield => live = behind.clone(),
                Item::Break(l) => live = self.target(targets, (*l, false)),
                Item::Continue(l) => live = self.target(targets, (*l, true)),
                Item::Return => live = BitSet::new(self.vars),
                Item::Control(node) => live = self.control(*node, live, targets, record),
            }
        }
        live
    }

    /// Labels of operations around a loop whose exposed reads are sought are not known.
    fn target(&self, targets: &Targets, key: (Label, bool)) -> BitSet {
        targets.get(&key).cloned().unwrap_or_else(|| BitSet::new(self.vars))
    }

    /// What is live before a control operation, given what is live behind it.
    fn control(
        &mut self,
        number: usize,
        behind: BitSet,
        targets: &mut Targets,
        record: bool,
    ) -> BitSet {
        let node = &self.nodes[number];
        if record {
            self.merges[number].results = node.stored.common(&behind);
        }
        match (node.op, node.label) {
            (Opcode::For | Opcode::Loop, Some(label)) => {
                self.repeat(number, label, behind, targets, record)
            }
            (_, label) => {
                if let Some(label) = label {
                    targets.insert((label, false), behind.clone());
                }
                let mut live = BitSet::new(self.vars);
                for region in &node.regions {
                    live.union(&self.region(region, &behind, targets, record));
                }
                live
            }
        }
    }

    fn repeat(
        &mut self,
        number: usize,
        label: Label,
        behind: BitSet,
        targets: &mut Targets,
        record: bool,
    ) -> BitSet {
        let node = &self.nodes[number];
        let mut head = self.exposed(number);
        head.union(&behind);
        for leave in &node.leaves {
            if let Some(live) = targets.get(leave) {
                head.union(live);
            }
        }
        if record {
            let carried = node.stored.common(&head);
            let merge = &mut self.merges[number];
            if node.op == Opcode::For {
                merge.results = carried.clone();
            }
            merge.carried = carried;
            targets.insert((label, false), behind.clone());
            targets.insert((label, true), head.clone());
            self.region(&node.regions[0], &behind, targets, true);
        }
        head
    }

    fn exposed(&mut self, number: usize) -> BitSet {
        if self.exposed[number].is_none() {
            let empty = BitSet::new(self.vars);
            let live =
                self.region(&self.nodes[number].regions[0], &empty, &mut Targets::new(), false);
            self.exposed[number] = Some(live);
        }
        self.exposed[number].clone().expect("just computed")
    }
}
