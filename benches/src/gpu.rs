//! What the two hardware programs share: the device, the data, the CSV.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kernelsmith::{Availability, Device, DeviceKind};

/// Exit status when there is no GPU to run on.
pub const NO_GPU: u8 = 3;

/// The first CUDA device and its driver, or why there is none.
///
/// # Errors
/// The reason.
pub fn device() -> Result<(Device, String), String> {
    let device = Device::cuda(0).map_err(|e| e.to_string())?;
    let Availability { present, .. } = Device::available();
    let driver = present.into_iter().find(|p| p.device.kind() == DeviceKind::Cuda);
    Ok((device, driver.map_or(String::new(), |p| p.driver)))
}

/// Says politely that there is no GPU.
#[must_use]
pub fn no_gpu(reason: &str) -> ExitCode {
    println!("No NVIDIA GPU can be used here: {reason}");
    println!("The bundle runs on a machine with an NVIDIA GPU and its driver.");
    ExitCode::from(NO_GPU)
}

/// What a hardware program is asked for.
pub struct Arguments {
    /// The file after `--csv`.
    pub csv: PathBuf,
    /// When no other case is begun: so many seconds from now as follow `--seconds`.
    pub deadline: Option<Instant>,
    /// What names of cases must contain: the text after `--only`.
    pub only: String,
}

impl Arguments {
    /// Those of the command line.
    ///
    /// # Errors
    /// If there are others, or no file.
    pub fn of_command_line() -> Result<Arguments, String> {
        Arguments::parse(std::env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let usage = || "usage: --csv FILE [--seconds N] [--only TEXT]".to_owned();
        let (mut csv, mut deadline, mut only) = (None, None, String::new());
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(usage)?;
            match flag.as_str() {
                "--csv" => csv = Some(value.into()),
                "--seconds" => {
                    let seconds =
                        value.parse().map_err(|_| format!("--seconds {value}: {}", usage()))?;
                    deadline = Instant::now().checked_add(Duration::from_secs(seconds));
                }
                "--only" => only = value,
                _ => return Err(usage()),
            }
        }
        Ok(Arguments { csv: csv.ok_or_else(usage)?, deadline, only })
    }

    /// Whether there is time for another case.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}

/// Says which cases there was no time for.
pub fn tell_dropped(names: &[String]) {
    if let [first, ..] = names {
        println!("time is over: {} cases were dropped, {first} and those behind it", names.len());
    }
}

/// A CSV whose every row begins with machine, driver and date.
pub struct Csv {
    file: File,
    prefix: String,
}

impl Csv {
    /// Creates the file with its head.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &PathBuf, device: &Device, driver: &str, columns: &str) -> io::Result<Csv> {
        let mut file = File::create(path)?;
        writeln!(file, "machine,driver,date,{columns}")?;
        let prefix = format!("{},{},{}", plain(device.name()), plain(driver), date());
        Ok(Csv { file, prefix })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn row(&mut self, cells: &str) -> io::Result<()> {
        writeln!(self.file, "{},{cells}", self.prefix)
    }
}

fn plain(text: &str) -> String {
    text.replace([',', '\n'], ";")
}

/// Today as year-month-day (Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// civil_from_days).
fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = (seconds / 86_400) as i64 + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Standard normal values, the same for a seed: Box-Muller over a 64-bit LCG (Knuth, TAOCP 2,
/// section 3.3.4).
#[must_use]
pub fn normal(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut next = || {
        let (a, b) = (uniform(), uniform());
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    };
    (0..len).map(|_| next()).collect()
}

/// The largest difference; NaN where one of them is.
#[must_use]
pub fn max_error(found: &[f32], expected: &[f64]) -> f64 {
    let differences = found.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs());
    differences.fold(0.0, |max, d| if d > max || d.is_nan() { d } else { max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn arguments_are_a_file_and_limits() {
        let all = parsed(&["--csv", "a.csv", "--seconds", "0", "--only", "matmul"]).unwrap();
        assert_eq!((all.csv.to_str(), all.only.as_str()), (Some("a.csv"), "matmul"));
        assert!(!all.has_time());
        assert!(parsed(&["--csv", "a.csv"]).unwrap().has_time());
        for wrong in [&[][..], &["--csv"], &["--seconds", "1"], &["--csv", "a", "--seconds", "x"]] {
            assert!(parsed(wrong).err().is_some_and(|e| e.contains("usage")), "{wrong:?}");
        }
    }
}
