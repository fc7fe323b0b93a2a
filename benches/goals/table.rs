//! What is printed: a row a case, and geometric means at the end.

use std::time::Duration;

/// The columns.
pub(crate) const HEADER: &str =
    "suite,case,type,threads,unit,ours,best peer,its rate,ratio,goal,all peers";

/// A measured case.
pub(crate) struct Case<'c> {
    pub(crate) suite: &'c str,
    pub(crate) name: &'c str,
    pub(crate) element: &'c str,
    /// What a time is divided into, in 1e9 units.
    pub(crate) work: f64,
    pub(crate) unit: &'c str,
    /// The ratio promised.
    pub(crate) goal: f64,
}

/// Rows as they come.
pub(crate) struct Table {
    threads: usize,
    /// Of each suite and type: the logarithms of ratios.
    means: Vec<(String, Vec<f64>)>,
}

impl Table {
    pub(crate) fn new(threads: usize) -> Table {
        Table { threads, means: Vec::new() }
    }

    /// Prints a case: our time, and the peers' by name.
    pub(crate) fn row(&mut self, case: &Case<'_>, ours: Duration, peers: &[(&str, Duration)]) {
        let rate = |time: Duration| case.work / 1e9 / time.as_secs_f64();
        let Some(best) = peers.iter().min_by_key(|peer| peer.1) else { return };
        let ratio = rate(ours) / rate(best.1);
        let all: Vec<String> =
            peers.iter().map(|(name, time)| format!("{name} {:.1}", rate(*time))).collect();
        println!(
            "{},{},{},{},{},{:.1},{},{:.1},{ratio:.3},{},{}",
            case.suite,
            case.name,
            case.element,
            self.threads,
            case.unit,
            rate(ours),
            best.0,
            rate(best.1),
            case.goal,
            all.join("; "),
        );
        let group = format!("{},geometric mean,{}", case.suite, case.element);
        match self.means.iter_mut().find(|(name, _)| *name == group) {
            Some((_, ratios)) => ratios.push(ratio.ln()),
            None => self.means.push((group, vec![ratio.ln()])),
        }
    }

    /// Prints the geometric means.
    pub(crate) fn finish(self) {
        for (group, ratios) in self.means {
            let mean = (ratios.iter().sum::<f64>() / ratios.len() as f64).exp();
            println!("{group},{},,,,,{mean:.3},,", self.threads);
        }
    }
}
