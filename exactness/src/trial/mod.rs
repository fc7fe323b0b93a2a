//! Runs programs in every way there is and compares.

mod column;
mod main;
mod place;
pub mod plain;
mod ptx;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use kernelsmith::{Buffer, Launch};

pub use column::Cell;
use column::Column;
pub use main::main;
pub use place::Place;

use crate::random::Random;

/// A compiled program: its name, and how it is tried.
pub type Compiled = (&'static str, fn(&mut Trial));

/// Rows of input of a program, each a thread.
const ROWS: usize = 96;

/// Threads of a block: the last block is not full.
const BLOCK: usize = 64;

/// The trial of one program.
pub struct Trial {
    name: &'static str,
    random: Random,
    places: Vec<Place>,
    inputs: Vec<Column>,
    expected: Vec<Column>,
    approximate: Option<usize>,
    failures: Vec<String>,
    modules: Vec<kernelsmith_codegen_ptx::PtxModule>,
}

impl Trial {
    fn new(name: &'static str, seed: u64, places: &[Place]) -> Trial {
        Trial {
            name,
            random: Random::new(seed, 0),
            places: places.to_vec(),
            inputs: Vec::new(),
            expected: Vec::new(),
            approximate: None,
            failures: Vec::new(),
            modules: Vec::new(),
        }
    }

    fn run(&mut self, tried: fn(&mut Trial)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| tried(self))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            self.failures.push(format!("panic: {text}"));
        }
    }

    /// Random values of a parameter.
    pub fn input<T: Cell>(&mut self) -> Vec<T> {
        self.memory(1)
    }

    /// Random values of memory, so many for each row.
    pub fn memory<T: Cell>(&mut self, each: usize) -> Vec<T> {
        let values: Vec<T> = (0..ROWS * each).map(|_| T::sample(&mut self.random)).collect();
        self.inputs.push(Column::new(&values, each));
        values
    }

    /// The results of plain Rust, in the order of the results.
    pub fn expect<T: Cell>(&mut self, values: &[T]) {
        self.expected.push(Column::new(values, values.len() / ROWS));
    }

    /// Says that a result has a tolerance.
    pub fn approximate(&mut self, result: usize) {
        self.approximate = Some(result);
    }

    /// Where to run the program.
    pub fn places(&self) -> Vec<Place> {
        self.places.clone()
    }

    /// Runs the program as a kernel, or compiles it.
    pub fn go(&mut self, place: &Place, launch: Launch<'_>) {
        let result = match place {
            Place::Device(_, device) => {
                launch.threads(ROWS, BLOCK).launch(device).map_err(|e| e.to_string())
            }
            Place::Ptx(target) => ptx::go(self, *target, launch),
            Place::Amdgcn(target) => place::link(*target, launch),
        };
        if let Err(error) = result {
            self.fail(place, &error);
        }
    }

    /// Compares a column of results that a device left in a buffer.
    pub fn found<T: Cell>(&mut self, place: &Place, at: usize, found: &Buffer<T>) {
        if !matches!(place, Place::Device(..)) {
            return;
        }
        match found.to_vec() {
            Ok(found) => self.compare(place, at, &Column::new(&found, found.len() / ROWS)),
            Err(error) => self.fail(place, &error.to_string()),
        }
    }

    /// Compares a column of results, which may be shorter than what is expected.
    fn compare(&mut self, place: &Place, at: usize, found: &Column) {
        let expected = &self.expected[at];
        let ulp = if self.approximate == Some(at) { 3 } else { 0 };
        let wrong: Vec<usize> =
            (0..found.values()).filter(|&i| !expected.agrees(found, i, ulp)).collect();
        let Some(&first) = wrong.first() else { return };
        let row = first / expected.each();
        let inputs: Vec<String> = self.inputs.iter().map(|column| column.row(row)).collect();
        let message = format!(
            "result {at} of ({}) is {} on the host and {} there; {} of {} rows differ",
            inputs.join(", "),
            expected.row(row),
            found.row(row),
            wrong.len(),
            found.values()
        );
        self.fail(place, &message);
    }

    fn fail(&mut self, place: &Place, message: &str) {
        let line = message.lines().collect::<Vec<_>>().join(" | ");
        self.failures.push(format!("{place}: {line}"));
    }
}
