//! `kernelsmith tune`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kernelsmith::prelude::Float;
use kernelsmith::tune::{self, Event, Record, Trial, Tuned, Tuner};
use kernelsmith::{Device, bf16, f16};
use kernelsmith_kernels::attention::{self, AttentionElement, tune_attention};
use kernelsmith_kernels::matmul::{Factor, Output, tune_matmul};

use crate::Outcome;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Searches for the best way to compute products of a size, and keeps it.
    Matmul(Matmul),
    /// Searches for the best way to compute attentions of a size, and keeps it.
    Attention(Attention),
    /// Lists what was found before.
    List,
    /// Forgets all that was found before.
    Clear,
}

#[derive(Args)]
struct Matmul {
    /// Rows of A, columns of B and columns of A, as in 1024,1024,1024.
    #[arg(long, value_name = "M,N,K", value_parser = shape)]
    shape: (usize, usize, usize),
    /// The elements of A, B and C.
    #[arg(long = "type", value_enum, default_value = "f32")]
    elements: Elements,
    #[command(flatten)]
    search: Search,
}

#[derive(Args)]
struct Attention {
    /// Queries and keys of a sequence and columns of a head, as in 2048,2048,128.
    #[arg(long, value_name = "M,N,D", value_parser = attended)]
    shape: (usize, usize, usize),
    /// Heads of queries.
    #[arg(long, default_value_t = 8)]
    heads: usize,
    /// Heads of keys and values; as many as of queries if nothing is said.
    #[arg(long)]
    kv_heads: Option<usize>,
    /// Sequences.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Whether a query sees no keys after its own.
    #[arg(long)]
    causal: bool,
    /// The elements of queries, keys and values.
    #[arg(long = "type", value_enum, default_value = "f32")]
    elements: Floats,
    #[command(flatten)]
    search: Search,
}

/// How a search is bounded.
#[derive(Args)]
struct Search {
    /// Seconds that the search may take.
    #[arg(long, default_value_t = 20)]
    limit: u64,
    /// How many candidates to measure at most.
    #[arg(long, default_value_t = 64)]
    most: usize,
    /// Searches although there is a result.
    #[arg(long)]
    anew: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Floats {
    F32,
    F16,
    Bf16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Elements {
    F32,
    F64,
    F16,
    Bf16,
}

/// `1024,512,64`, none of them 0: rows and columns of a product.
fn shape(text: &str) -> Result<(usize, usize, usize), String> {
    three(text, "M,N,K", "an empty product has no choice")
}

/// The same of queries, keys and columns.
fn attended(text: &str) -> Result<(usize, usize, usize), String> {
    three(text, "M,N,D", "an empty attention has no choice")
}

fn three(text: &str, names: &str, empty: &str) -> Result<(usize, usize, usize), String> {
    let numbers: Vec<usize> = text
        .split(',')
        .map(|n| n.trim().parse().map_err(|_| format!("`{n}` is no number")))
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [a, b, c] if a > 0 && b > 0 && c > 0 => Ok((a, b, c)),
        [_, _, _] => Err(empty.to_owned()),
        _ => Err(format!("it has {} numbers, not three: {names}", numbers.len())),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Matmul(matmul) => match matmul.elements {
            Elements::F32 => products::<f32>(matmul),
            Elements::F64 => products::<f64>(matmul),
            Elements::F16 => products::<f16>(matmul),
            Elements::Bf16 => products::<bf16>(matmul),
        },
        Command::Attention(attention) => match attention.elements {
            Floats::F32 => attentions::<f32>(attention),
            Floats::F16 => attentions::<f16>(attention),
            Floats::Bf16 => attentions::<bf16>(attention),
        },
        Command::List => {
            let records = tune::records();
            records.iter().for_each(show);
            if records.is_empty() {
                println!("nothing has been tuned here");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Clear => {
            println!("{} results forgotten", tune::clear()?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn products<T: Factor + Output<T::Sum>>(matmul: &Matmul) -> Outcome {
    let (device, (m, n, k)) = (Device::cpu(), matmul.shape);
    let tuned = tune_matmul::<T, T>(&device, matmul.shape, matmul.search.tuner(&device))?;
    show_search(&tuned, 2.0 * m as f64 * n as f64 * k as f64);
    Ok(ExitCode::SUCCESS)
}

fn attentions<T: Float + AttentionElement>(of: &Attention) -> Outcome {
    let (device, (m, n, d)) = (Device::cpu(), of.shape);
    let attention = attention::Attention::new(m, n, d).batch(of.batch).heads(of.heads);
    let attention = attention.kv_heads(of.kv_heads.unwrap_or(of.heads));
    let attention = if of.causal { attention.causal() } else { attention };
    let tuned = tune_attention::<T>(&device, attention, of.search.tuner(&device))?;
    let pairs: usize = (0..m).map(|query| attention.seen(query).len()).sum();
    show_search(&tuned, 4.0 * (of.batch * of.heads) as f64 * pairs as f64 * d as f64);
    Ok(ExitCode::SUCCESS)
}

impl Search {
    /// A tuner that says what it does.
    fn tuner(&self, device: &Device) -> Tuner<'static> {
        println!("{device}: {}", device.machine());
        let tuner = Tuner::new(device).limit(Duration::from_secs(self.limit)).most(self.most);
        let tuner = tuner.mode(tune::Mode::Search).progress(progress());
        if self.anew { tuner.anew() } else { tuner }
    }
}

/// What came of a search among ways to do so many operations.
fn show_search<C: std::fmt::Debug>(tuned: &Tuned<C>, operations: f64) {
    match tuned.trials.is_empty() {
        true => println!("{:?}, found before (--anew searches again)", tuned.config),
        false => table(&tuned.trials, operations),
    }
}

/// The candidates that were measured, the fastest first; those that failed; how many are left.
fn table(trials: &[Trial], operations: f64) {
    let time =
        |trial: &Trial| trial.result.as_ref().and_then(|result| result.as_ref().ok().copied());
    let mut measured: Vec<_> = trials.iter().filter_map(|t| Some((time(t)?, t))).collect();
    measured.sort_by_key(|(time, _)| *time);
    let first = trials.first().and_then(time);
    println!("{:>12} {:>10} {:>9}  candidate", "time", "GFLOP/s", "default");
    for (time, trial) in measured {
        let seconds = time.as_secs_f64();
        let against =
            first.map_or(String::new(), |first| format!("{:.3}", first.as_secs_f64() / seconds));
        let rate = operations / seconds / 1e9;
        println!("{:>12} {rate:>10.1} {against:>9}  {}", format!("{time:.1?}"), trial.candidate);
    }
    for trial in trials {
        if let Some(Err(error)) = &trial.result {
            println!("{:>12} {:>10} {:>9}  {}: {error}", "failed", "", "", trial.candidate);
        }
    }
    match trials.iter().filter(|trial| trial.result.is_none()).count() {
        0 => {}
        left => println!("{left} more were not tried"),
    }
}

/// One line on a terminal, which is written over; else a line for what counts.
fn progress() -> impl FnMut(&Event<'_>) {
    let terminal = std::io::stderr().is_terminal();
    move |event| match event {
        Event::Measured { .. } | Event::Dropped { .. } if !terminal => {}
        Event::Measured { .. } | Event::Dropped { .. } => {
            let line: String = event.to_string().chars().take(100).collect();
            eprint!("\r\x1b[K{line}");
            let _ = std::io::stderr().flush();
        }
        _ if terminal => eprintln!("\r\x1b[K{event}"),
        _ => eprintln!("{event}"),
    }
}

fn show(record: &Record) {
    let Record { name, shape, best, time, first, measured, .. } = record;
    print!("{name} {shape:?}: {best}, {time:.1?}");
    if let Some(first) = first {
        print!(", {:.2} times the default", first.as_secs_f64() / time.as_secs_f64().max(1e-12));
    }
    println!(", of {measured}");
    for (name, value) in &record.identity {
        println!("    {name:<10}{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_numbers() {
        assert_eq!(shape("1024, 512,64"), Ok((1024, 512, 64)));
        assert_eq!(shape("1,2").unwrap_err(), "it has 2 numbers, not three: M,N,K");
        assert_eq!(shape("1,x,2").unwrap_err(), "`x` is no number");
        assert_eq!(shape("1,0,2").unwrap_err(), "an empty product has no choice");
        assert_eq!(attended("1,9,0").unwrap_err(), "an empty attention has no choice");
        assert_eq!(attended("1").unwrap_err(), "it has 1 numbers, not three: M,N,D");
    }
}
