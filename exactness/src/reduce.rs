//! Makes a program that fails small: drops statements while it still fails in the same way.

use std::io;
use std::path::Path;

use crate::batch::{build, run};
use crate::program::Program;

/// Candidates of one round at most.
const CANDIDATES: usize = 48;

/// Rounds at most.
const ROUNDS: usize = 24;

/// What a failure is, without its numbers: where, and whether results differ; of what rustc refuses,
/// the message without the source.
fn kind(failure: &str) -> (&str, bool) {
    let end = if failure.starts_with("rustc") { ": `" } else { ":" };
    (failure.split(end).next().unwrap_or(failure), failure.contains("rows differ"))
}

/// A smaller program that fails like `failure`, and its failures.
///
/// # Errors
/// Cargo does not run.
pub fn reduce(
    program: &Program,
    failure: &str,
    seed: u64,
    places: &[String],
    folder: &Path,
) -> io::Result<(Program, Vec<String>)> {
    let mut best = (program.clone(), vec![failure.to_owned()]);
    let mut at = 0;
    for _ in 0..ROUNDS {
        let count = best.0.statements();
        if at >= count {
            break;
        }
        let mut candidates = Vec::new();
        let single: Vec<usize> = (at..count.min(at + CANDIDATES)).collect();
        candidates.extend(single.iter().map(|&i| best.0.without(&[i])));
        let failing = failing(&candidates, failure, seed, places, folder)?;
        let droppable: Vec<usize> = failing.iter().map(|(i, _)| single[*i]).collect();
        if droppable.is_empty() {
            at += CANDIDATES;
            continue;
        }
        // All of them at once, or the first halves of them.
        let mut together = Vec::new();
        let mut n = droppable.len();
        while n > 0 {
            together.push(best.0.without(&droppable[..n]));
            n /= 2;
        }
        let works = self::failing(&together, failure, seed, places, folder)?;
        let Some((i, failures)) = works.into_iter().next() else { break };
        best = (together.swap_remove(i), failures);
    }
    Ok(best)
}

/// The candidates that fail like `failure`, with their failures.
fn failing(
    candidates: &[Program],
    failure: &str,
    seed: u64,
    places: &[String],
    folder: &Path,
) -> io::Result<Vec<(usize, Vec<String>)>> {
    let built = build(candidates, folder)?;
    let alike = |messages: &Vec<String>| messages.iter().any(|m| kind(m) == kind(failure));
    let mut all = run(&built, seed, places)?;
    all.extend(built.refused);
    Ok(all.into_iter().filter(|(_, messages)| alike(messages)).collect())
}
