//! `cargo run -p kernelsmith-exactness -- --programs 300 --seed 1`.

use std::io;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Instant;

use clap::Parser;
use kernelsmith_exactness::batch::{self, Built, Failures};
use kernelsmith_exactness::generate;
use kernelsmith_exactness::program::Program;
use kernelsmith_exactness::reduce::reduce;

/// Runs random programs as plain Rust and as kernels, and compares.
#[derive(Parser)]
struct Options {
    /// How many programs.
    #[arg(long, default_value_t = 300)]
    programs: u64,
    /// Names the sequence of programs, and their inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first program.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Programs that rustc compiles at once.
    #[arg(long, default_value_t = 200)]
    batch: usize,
    /// Where to run: cpu, interpreter, cuda, ptx (the emulator, and ptxas), amdgcn (linked only).
    #[arg(long = "at", value_delimiter = ',', default_value = "cpu,interpreter,ptx,amdgcn")]
    places: Vec<String>,
    /// Print the programs and do no more.
    #[arg(long)]
    print: bool,
    /// Make programs that fail small, up to this many.
    #[arg(long, default_value_t = 0)]
    reduce: usize,
    /// Only build the first batch, and leave its programs here.
    #[arg(long)]
    bundle: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("exactness: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Running {
    programs: Vec<Program>,
    refused: Failures,
    thread: JoinHandle<io::Result<Failures>>,
}

/// Runs all; the number of programs that failed.
fn run(options: &Options) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let (start, mut failed, mut reduced) = (Instant::now(), 0, 0);
    let mut running: Option<Running> = None;
    let numbers: Vec<u64> = (options.first..options.first + options.programs).collect();
    let mut done = 0;
    let mut finish = |running: Running| -> io::Result<()> {
        let mut failures = running.thread.join().map_err(|_| io::Error::other("a panic"))??;
        failures.extend(running.refused);
        done += running.programs.len();
        failed += failures.len();
        for (id, messages) in failures {
            report(options, &running.programs[id], &messages, &mut reduced)?;
        }
        println!("{done} programs, {failed} failed, {} s", start.elapsed().as_secs());
        Ok(())
    };
    for (number, chunk) in numbers.chunks(options.batch.max(1)).enumerate() {
        let programs: Vec<Program> =
            chunk.iter().map(|&n| generate::program(options.seed, n)).collect();
        if options.print {
            programs.iter().for_each(|program| print!("{program}"));
            continue;
        }
        // While a batch runs, the next one is compiled.
        let folder = folder.path().join((number % 2).to_string());
        std::fs::create_dir_all(&folder)?;
        let mut built = batch::build(&programs, &folder)?;
        if let Some(path) = &options.bundle {
            built.keep(path)?;
            return Ok(built.refused.len());
        }
        if let Some(running) = running.take() {
            finish(running)?;
        }
        let refused = std::mem::take(&mut built.refused);
        let (seed, places) = (options.seed, options.places.clone());
        let thread = std::thread::spawn(move || run_built(&built, seed, &places));
        running = Some(Running { programs, refused, thread });
    }
    if let Some(running) = running.take() {
        finish(running)?;
    }
    Ok(failed)
}

fn run_built(built: &Built, seed: u64, places: &[String]) -> io::Result<Failures> {
    batch::run(built, seed, places)
}

/// Prints what is wrong with a program, and the program, made small if that is asked for.
fn report(
    options: &Options,
    program: &Program,
    messages: &[String],
    reduced: &mut usize,
) -> io::Result<()> {
    println!("\n=== {} of seed {}: again by", program.name, options.seed);
    let number = program.name.trim_start_matches('p');
    println!("    --seed {} --first {number} --programs 1 --reduce 1", options.seed);
    messages.iter().take(6).for_each(|message| println!("{message}"));
    if *reduced >= options.reduce {
        println!("{program}");
        return Ok(());
    }
    *reduced += 1;
    let folder = tempfile::tempdir()?;
    let (small, messages) =
        reduce(program, &messages[0], options.seed, &options.places, folder.path())?;
    println!("--- made small:");
    messages.iter().take(6).for_each(|message| println!("{message}"));
    println!("{small}");
    Ok(())
}
