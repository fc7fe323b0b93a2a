//! What benchmarks share: the device, its peers, and where results go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernelsmith::{Buffer, Device};
use kernelsmith_benches::cublas_lt::CublasLt;
use kernelsmith_benches::gpu::Csv;

use super::Outcome;

/// A benchmark: one row or a few.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) run: Box<Run>,
}

type Run = dyn FnOnce(&mut Bench) -> Outcome<()>;

pub(crate) fn case(
    name: impl Into<String>,
    run: impl FnOnce(&mut Bench) -> Outcome<()> + 'static,
) -> Case {
    Case { name: name.into(), run: Box::new(run) }
}

/// What something is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// A rate of somebody else's, or a bound: ours is divided by it.
    Rate(&'static str, f64),
    /// A time not to be exceeded: it is divided by ours.
    Goal(f64),
    None,
}

pub(crate) struct Bench {
    pub(crate) device: Device,
    /// cuBLASLt, or why there is none.
    pub(crate) lt: Result<CublasLt, String>,
    /// The number 1, as a scale.
    pub(crate) one: Buffer<f32>,
    /// Gigabytes a second that a copy reads and writes, once that is measured.
    pub(crate) copy: Option<f64>,
    csv: Csv,
    ratios: BTreeMap<String, Vec<f64>>,
}

impl Bench {
    pub(crate) fn new(device: &Device, driver: &str, path: &PathBuf) -> Outcome<Bench> {
        let lt = CublasLt::new(&device.default_stream());
        if let Err(reason) = &lt {
            println!("matmul has no peer: {reason}");
        }
        Ok(Bench {
            lt,
            one: Buffer::from_slice(device, &[1.0])?,
            copy: None,
            csv: Csv::create(path, device, driver, "case,shape,rate,unit,peer,other,ratio")?,
            ratios: BTreeMap::new(),
            device: device.clone(),
        })
    }

    /// Prints and writes a row, of which a ratio goes into the mean of its case.
    pub(crate) fn row(
        &mut self,
        case: &str,
        shape: &str,
        rate: f64,
        unit: &str,
        peer: Peer,
    ) -> Outcome<()> {
        let (name, other, ratio) = match peer {
            Peer::Rate(name, other) => (name, other, rate / other),
            Peer::Goal(most) => ("goal", most, most / rate),
            Peer::None => {
                println!("{case:20} {shape:18} {rate:9.1} {unit:8}");
                return Ok(self.csv.row(&format!("{case},{shape},{rate:.2},{unit},,,"))?);
            }
        };
        println!("{case:20} {shape:18} {rate:9.1} {unit:8} {name} {other:9.1} ratio {ratio:.3}");
        self.csv.row(&format!("{case},{shape},{rate:.2},{unit},{name},{other:.2},{ratio:.4}"))?;
        self.ratios.entry(case.to_owned()).or_default().push(ratio);
        Ok(())
    }

    /// Prints the geometric mean of each case.
    pub(crate) fn tell_means(&self) {
        for (case, ratios) in &self.ratios {
            let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
            println!("geometric mean of {} ratios of {case}: {mean:.3}", ratios.len());
        }
    }
}
