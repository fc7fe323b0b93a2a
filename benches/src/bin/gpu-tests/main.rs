//! Every hardware test: `gpu-tests --csv FILE [--seconds N] [--only TEXT]`. One line and one CSV row a case.
//! Exit status: 0 all that ran passed, 1 something failed, 3 there is no GPU.

mod cases;
mod copies;
mod hopper;
mod language;
mod tensor_cores;
mod together;

use std::process::ExitCode;

use kernelsmith_benches::gpu::{self, Arguments, Csv};

/// What a case comes to: its largest error and the largest allowed.
type Outcome = Result<(f64, f64), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments = match Arguments::of_command_line() {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("gpu-tests: {usage}");
            return ExitCode::FAILURE;
        }
    };
    let (device, driver) = match gpu::device() {
        Ok(found) => found,
        Err(reason) => return gpu::no_gpu(&reason),
    };
    println!("{device}, {driver}");
    let mut csv =
        match Csv::create(&arguments.csv, &device, &driver, "case,shape,verdict,error,allowed") {
            Ok(csv) => csv,
            Err(error) => {
                eprintln!("gpu-tests: {}: {error}", arguments.csv.display());
                return ExitCode::FAILURE;
            }
        };
    let (mut passed, mut failed, mut dropped) = (0, 0, Vec::new());
    for case in cases::all()
        .into_iter()
        .chain(language::all())
        .chain(together::all())
        .chain(tensor_cores::all())
        .chain(copies::all(&device))
        .chain(hopper::all(&device))
        .filter(|case| format!("{} {}", case.name, case.shape).contains(&arguments.only))
    {
        if !arguments.has_time() {
            dropped.push(format!("{} {}", case.name, case.shape));
            continue;
        }
        let outcome = (case.run)(&device);
        let (verdict, error, allowed) = match &outcome {
            Ok((error, allowed)) if error <= allowed => ("ok", *error, *allowed),
            Ok((error, allowed)) => ("WRONG", *error, *allowed),
            Err(_) => ("FAILED", f64::NAN, f64::NAN),
        };
        let reason = outcome.err().map_or(String::new(), |e| format!(": {e}"));
        println!("{verdict:6} {} {} error {error:.1e}{reason}", case.name, case.shape);
        // Commas part columns.
        let [name, shape] = [case.name, &case.shape].map(|text| text.replace(',', ";"));
        let row = format!("{name},{shape},{verdict},{error:e},{allowed:e}");
        if let Err(error) = csv.row(&row) {
            eprintln!("gpu-tests: {}: {error}", arguments.csv.display());
            return ExitCode::FAILURE;
        }
        if verdict == "ok" { passed += 1 } else { failed += 1 }
    }
    println!("{passed} passed, {failed} failed");
    gpu::tell_dropped(&dropped);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
