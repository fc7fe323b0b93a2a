//! Batches: many programs in one file, compiled by rustc and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use crate::program::{ELEMENTS, Form, Program};

/// A batch that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is wrong with programs, by their number in the batch.
pub type Failures = BTreeMap<usize, Vec<String>>;

/// Programs that were compiled together.
pub struct Built {
    /// Each tries a part of the batch.
    programs: Vec<PathBuf>,
    /// Those that rustc refuses.
    pub refused: Failures,
}

/// The bins that a batch is compiled as. Most of rustc is not parallel: several at once are.
const BINS: [&str; 2] = ["programs-a", "programs-b"];

impl Built {
    /// Copies the programs that try them all: to this path, and to those with a number added.
    ///
    /// # Errors
    /// They cannot be written there.
    pub fn keep(&self, path: &Path) -> io::Result<()> {
        for (i, program) in self.programs.iter().enumerate() {
            let mut path = path.as_os_str().to_owned();
            if i > 0 {
                path.push(i.to_string());
            }
            fs::copy(program, path)?;
        }
        Ok(())
    }
}

/// The source of a batch, and the first line of each program.
fn source(programs: &[(usize, &Program)]) -> (String, Vec<(usize, usize)>) {
    let mut out =
        String::from("use kernelsmith_exactness::trial::{Compiled, Trial, main as run};\n");
    let mut lines = Vec::new();
    for (id, program) in programs {
        lines.push((out.lines().count() + 1, *id));
        let glue = glue(*id, program);
        write!(
            out,
            "mod m{id} {{\nuse kernelsmith::prelude::*;\nuse super::Trial;
mod staged {{\nuse kernelsmith::prelude::*;\n{}}}
mod plain {{\nuse kernelsmith_exactness::trial::plain::*;\n{}}}\n{glue}}}\n",
            program.text(Form::Kernel),
            program.text(Form::Plain)
        )
        .expect("a String takes all text");
    }
    let table: Vec<String> =
        programs.iter().map(|(id, _)| format!("(\"p{id}\", m{id}::trial)")).collect();
    let table = table.join(", ");
    out += "fn main() -> std::process::ExitCode {\n";
    writeln!(out, "    const PROGRAMS: &[Compiled] = &[{table}];\n    run(PROGRAMS)\n}}")
        .expect("a String takes all text");
    (out, lines)
}

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(" ")
}

/// A kernel that runs a program on each row of its inputs, and the function that tries it.
///
/// Inputs and results are columns. A row's memory is a part of one, whose length goes by the row;
/// what may change is copied from an input to a result first.
fn glue(id: usize, program: &Program) -> String {
    let (inputs, outputs, memory) = (&program.inputs, &program.outputs, &program.memory);
    let (ins, outs, mems) = (inputs.len(), outputs.len(), memory.len());
    // Where the memory that changes is found among the results.
    let at = |m: usize| outs + memory[..m].iter().filter(|of| of.changes).count();
    let each = |make: &dyn Fn(usize) -> String| list(mems, make);
    let changed = |make: &dyn Fn(usize, usize) -> String| {
        list(mems, |m| if memory[m].changes { make(m, at(m)) } else { String::new() })
    };
    let element = |m: usize| memory[m].element;
    let (all, end) = (format!("i * {ELEMENTS}"), format!("i * {ELEMENTS} + i % {ELEMENTS} + 1"));

    let params = list(ins, |i| format!("i{i}: &[{}],", inputs[i]))
        + &each(&|m| format!("i{}: &[{}],", ins + m, element(m)))
        + &list(outs, |i| format!("o{i}: &mut [{}],", outputs[i]))
        + &changed(&|m, at| format!("o{at}: &mut [{}],", element(m)));
    let copies = changed(&|m, at| {
        format!("for j in {all}..{all} + {ELEMENTS} {{ o{at}[j] = i{}[j]; }}", ins + m)
    });
    let parts = list(outs, |i| format!("r{i},"));
    let loads = list(ins, |i| format!("i{i}[i],"));
    let staged = each(&|m| match memory[m].changes {
        true => format!("&mut o{}[{all}..{end}],", at(m)),
        false => format!("&i{}[{all}..{end}],", ins + m),
    });
    let plain = each(&|m| match memory[m].changes {
        true => format!("&mut h{}[{all}..{end}],", at(m)),
        false => format!("&i{}[{all}..{end}],", ins + m),
    });
    let stores = list(outs, |i| format!("o{i}[i] = r{i};"));
    let read = list(ins, |i| format!("let i{i} = t.input::<{}>();", inputs[i]))
        + &each(&|m| format!("let i{} = t.memory::<{}>({ELEMENTS});", ins + m, element(m)));
    let fresh = list(outs, |i| format!("let mut h{i} = Vec::<{}>::new();", outputs[i]))
        + &changed(&|m, at| format!("let mut h{at} = i{}.clone();", ins + m));
    let keep = list(outs, |i| format!("h{i}.push(r{i});"));
    let results = outs + memory.iter().filter(|of| of.changes).count();
    let expect = list(results, |i| format!("t.expect(&h{i});"));
    let upload = list(ins + mems, |i| format!("let b{i} = place.buffer(&i{i});"));
    let make = list(outs, |i| format!("let mut o{i} = place.results::<{}>(1);", outputs[i]))
        + &changed(&|m, at| {
            format!("let mut o{at} = place.results::<{}>({ELEMENTS});", element(m))
        });
    let lend = list(ins + mems, |i| format!("&b{i},")) + &list(results, |i| format!("&mut o{i},"));
    let check = list(results, |i| format!("t.found(&place, {i}, &o{i});"));
    let approximate = match program.approximate {
        true => format!("t.approximate({});", outs - 1),
        false => String::new(),
    };
    let name = &program.name;
    format!(
        "#[kernel]
fn k{id}({params}) {{
    let i = global_idx_x();
    if i < o0.len() {{
        {copies}
        let ({parts}) = staged::{name}({loads} {staged});
        {stores}
    }}
}}
pub fn trial(t: &mut Trial) {{
    {approximate}
    {read}
    {fresh}
    for i in 0..i0.len() {{
        let ({parts}) = plain::{name}({loads} {plain});
        {keep}
    }}
    {expect}
    for place in t.places() {{
        {upload}
        {make}
        t.go(&place, k{id}({lend}));
        {check}
    }}
}}
"
    )
}

/// A source file, and the first line of each program in it.
struct Part {
    file: PathBuf,
    text: String,
    lines: Vec<(usize, usize)>,
}

impl Part {
    /// The program of an error message, and what is wrong with it.
    fn blame(&self, error: &str) -> Option<(usize, String)> {
        let (line, message) = located(error, self.file.file_name()?.to_str()?)?;
        let (_, id) = self.lines.iter().rev().find(|(first, _)| *first <= line)?;
        let source = self.text.lines().nth(line - 1).unwrap_or_default().trim();
        Some((*id, format!("rustc: {message}: `{source}`")))
    }
}

/// Writes programs to files, as many to each.
fn parts(programs: &[(usize, &Program)], folder: &Path) -> io::Result<Vec<Part>> {
    let most = programs.len().div_ceil(BINS.len()).max(1);
    let write = |(i, chunk): (usize, &[(usize, &Program)])| {
        let file = folder.join(format!("{}.rs", BINS[i]));
        let (text, lines) = source(chunk);
        fs::write(&file, &text)?;
        Ok(Part { file, text, lines })
    };
    programs.chunks(most).enumerate().map(write).collect()
}

/// Compiles programs. Those that rustc refuses are left out.
///
/// # Errors
/// Cargo does not run, or fails for another reason than the programs.
pub fn build(programs: &[Program], folder: &Path) -> io::Result<Built> {
    let mut refused = Failures::new();
    loop {
        let left: Vec<(usize, &Program)> =
            programs.iter().enumerate().filter(|(id, _)| !refused.contains_key(id)).collect();
        let parts = parts(&left, folder)?;
        let errors = match compile(&BINS[..parts.len()], folder)? {
            Ok(made) => {
                let keep = |exe: PathBuf| {
                    let kept = folder.join(exe.file_name().unwrap_or_default());
                    fs::copy(exe, &kept).map(|_| kept)
                };
                let programs = made.into_iter().map(keep).collect::<io::Result<_>>()?;
                return Ok(Built { programs, refused });
            }
            Err(errors) => errors,
        };
        let before = refused.len();
        for error in errors.lines() {
            let blamed = parts.iter().find_map(|part| part.blame(error));
            if let Some((id, message)) = blamed {
                refused.entry(id).or_default().push(message);
            }
        }
        if refused.len() == before {
            return Err(io::Error::other(format!("the batch does not compile: {errors}")));
        }
    }
}

/// The line and text of an error message about a file.
fn located<'a>(message: &'a str, file: &str) -> Option<(usize, &'a str)> {
    let (_, rest) = message.split_once(file)?;
    let mut parts = rest.strip_prefix(':')?.splitn(3, ':');
    let line = parts.next()?.parse().ok()?;
    let text = parts.nth(1)?.trim();
    text.starts_with("error").then_some((line, text))
}

/// The programs of the source files of a folder, or rustc's errors.
fn compile(bins: &[&str], folder: &Path) -> io::Result<Result<Vec<PathBuf>, String>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--message-format", "short", "--features", "programs"]);
    cargo.arg("--keep-going");
    cargo.args(bins.iter().flat_map(|bin| ["--bin", bin]));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.env("KERNELSMITH_EXACTNESS_PROGRAMS", folder).env("CARGO_INCREMENTAL", "0");
    let output = cargo.output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // The same profile puts them into the same folder as this program.
    let here = env::current_exe()?;
    let made = |bin: &&str| here.with_file_name(format!("{bin}{}", env::consts::EXE_SUFFIX));
    Ok(Ok(bins.iter().map(made).collect()))
}

/// Runs programs that were built, at the places named.
///
/// # Errors
/// The program does not start.
pub fn run(built: &Built, seed: u64, places: &[String]) -> io::Result<Failures> {
    let mut failures = Failures::new();
    for program in &built.programs {
        run_one(program, seed, places, &mut failures)?;
    }
    Ok(failures)
}

/// Runs a part of a batch, again without those that crashed it until none is left.
fn run_one(
    program: &Path,
    seed: u64,
    places: &[String],
    failures: &mut Failures,
) -> io::Result<()> {
    let mut skipped = BTreeSet::new();
    loop {
        let mut command = Command::new(program);
        command.arg(seed.to_string()).args(places).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(skipped.iter().map(|id| format!("-p{id}")));
        let begun = attempt(command, failures, &mut skipped)?;
        if begun.is_empty() {
            return Ok(());
        }
        for (id, how) in begun {
            failures.entry(id).or_default().push(how);
        }
    }
}

/// Runs a batch. Programs that were done are `done`; those that were begun when it crashed or hung
/// come back.
fn attempt(
    mut command: Command,
    failures: &mut Failures,
    done: &mut BTreeSet<usize>,
) -> io::Result<BTreeMap<usize, String>> {
    // Nothing is compiled twice: a cache of kernels would only grow.
    command.env("KERNELSMITH_CACHE", "off");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let (send, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.for_each(|line| drop(send.send(line)));
    });
    let start = Instant::now();
    let mut begun = BTreeSet::new();
    let (mut ended, mut hangs) = (false, false);
    loop {
        let line = match lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                hangs = true;
                child.kill()?;
                break;
            }
        };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (name, message) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = name.strip_prefix('p').and_then(|id| id.parse::<usize>().ok());
        match (word, id) {
            ("start", Some(id)) => drop(begun.insert(id)),
            ("done", Some(id)) => {
                begun.remove(&id);
                done.insert(id);
            }
            ("fail", Some(id)) => failures.entry(id).or_default().push(message.to_owned()),
            ("end", _) => ended = true,
            _ => println!("{line}"),
        }
    }
    let status = child.wait()?;
    drop(reader.join());
    if ended {
        begun.clear();
    } else if begun.is_empty() {
        return Err(io::Error::other(format!("the batch ended early: {status}")));
    }
    let how = if hangs { "hang".to_owned() } else { format!("crash: {status}") };
    done.extend(&begun);
    Ok(begun.into_iter().map(|id| (id, how.clone())).collect())
}
