//! Batches: many programs in one file, compiled by rustc and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use crate::program::{Form, Program};

/// A batch that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is wrong with programs, by their number in the batch.
pub type Failures = BTreeMap<usize, Vec<String>>;

/// Programs that were compiled together.
pub struct Built {
    program: PathBuf,
    /// Those that rustc refuses.
    pub refused: Failures,
}

impl Built {
    /// Copies the program that tries them all.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn keep(&self, path: &Path) -> io::Result<()> {
        fs::copy(&self.program, path).map(drop)
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
fn glue(id: usize, program: &Program) -> String {
    let (inputs, outputs) = (&program.inputs, &program.outputs);
    let (ins, outs, name) = (inputs.len(), outputs.len(), &program.name);
    let params = list(ins, |i| format!("i{i}: &[{}],", inputs[i]));
    let results = list(outs, |i| format!("o{i}: &mut [{}],", outputs[i]));
    let parts = list(outs, |i| format!("r{i},"));
    let loads = list(ins, |i| format!("i{i}[i],"));
    let stores = list(outs, |i| format!("o{i}[i] = r{i};"));
    let read = list(ins, |i| format!("let i{i} = t.input::<{}>();", inputs[i]));
    let fresh = list(outs, |i| format!("let mut h{i} = Vec::<{}>::new();", outputs[i]));
    let keep = list(outs, |i| format!("h{i}.push(r{i});"));
    let expect = list(outs, |i| format!("t.expect(&h{i});"));
    let upload = list(ins, |i| format!("let b{i} = place.buffer(&i{i});"));
    let make = list(outs, |i| format!("let mut o{i} = place.results::<{}>();", outputs[i]));
    let lend = list(ins, |i| format!("&b{i},")) + &list(outs, |i| format!("&mut o{i},"));
    let check = list(outs, |i| format!("t.found(&place, {i}, &o{i});"));
    let approximate = if program.approximate { "t.approximate();" } else { "" };
    format!(
        "#[kernel]
fn k{id}({params} {results}) {{
    let i = global_idx_x();
    if i < o0.len() {{
        let ({parts}) = staged::{name}({loads});
        {stores}
    }}
}}
pub fn trial(t: &mut Trial) {{
    {approximate}
    {read}
    {fresh}
    for i in 0..i0.len() {{
        let ({parts}) = plain::{name}({loads});
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

/// Compiles programs. Those that rustc refuses are left out.
///
/// # Errors
/// Cargo does not run, or fails for another reason than the programs.
pub fn build(programs: &[Program], folder: &Path) -> io::Result<Built> {
    let mut refused = Failures::new();
    loop {
        let left: Vec<(usize, &Program)> =
            programs.iter().enumerate().filter(|(id, _)| !refused.contains_key(id)).collect();
        let (text, lines) = source(&left);
        let file = folder.join("programs.rs");
        fs::write(&file, &text)?;
        let errors = match compile(&file)? {
            Ok(exe) => {
                let program = folder.join("programs");
                fs::copy(exe, &program)?;
                return Ok(Built { program, refused });
            }
            Err(errors) => errors,
        };
        let before = refused.len();
        for error in errors.lines() {
            let Some((line, message)) = located(error) else { continue };
            let found = lines.iter().rev().find(|(first, _)| *first <= line);
            if let Some((_, id)) = found {
                let source = text.lines().nth(line - 1).unwrap_or_default().trim();
                let message = format!("rustc: {message}: `{source}`");
                refused.entry(*id).or_default().push(message);
            }
        }
        if refused.len() == before {
            return Err(io::Error::other(format!("the batch does not compile: {errors}")));
        }
    }
}

/// The line and text of an error message.
fn located(message: &str) -> Option<(usize, &str)> {
    let (_, rest) = message.split_once("programs.rs:")?;
    let mut parts = rest.splitn(3, ':');
    let line = parts.next()?.parse().ok()?;
    let text = parts.nth(1)?.trim();
    text.starts_with("error").then_some((line, text))
}

/// The program of a source file, or rustc's errors.
fn compile(file: &Path) -> io::Result<Result<PathBuf, String>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--message-format", "short", "--features", "programs"]);
    cargo.args(["--bin", "programs"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.env("KERNELSMITH_EXACTNESS_PROGRAMS", file).env("CARGO_INCREMENTAL", "0");
    let output = cargo.output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // The same profile puts it into the same folder as this program.
    let here = env::current_exe()?;
    Ok(Ok(here.with_file_name(format!("programs{}", env::consts::EXE_SUFFIX))))
}

/// Runs programs that were built, at the places named.
///
/// # Errors
/// The program does not start.
pub fn run(built: &Built, seed: u64, places: &[String]) -> io::Result<Failures> {
    let mut failures = Failures::new();
    let mut skipped = BTreeSet::new();
    loop {
        let mut command = Command::new(&built.program);
        command.arg(seed.to_string()).args(places).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(skipped.iter().map(|id| format!("-p{id}")));
        let begun = attempt(command, &mut failures, &mut skipped)?;
        if begun.is_empty() {
            return Ok(failures);
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
