//! Peers that Python calls, PyTorch and ggml, each in a process of its own that runs when it is told to.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use kernelsmith_benches::interleave::TURN;

use super::blas::folder;

/// A process that runs one of `benches/peers`, which say what they understand.
pub(crate) struct Python {
    name: &'static str,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
}

impl Python {
    /// PyTorch.
    pub(crate) fn torch(threads: usize) -> Result<Python, String> {
        Python::start("PyTorch", "torch_peer.py", &[&threads.to_string()])
    }

    /// ggml, the kernels of llama.cpp.
    pub(crate) fn ggml(threads: usize) -> Result<Python, String> {
        let libraries = folder().join("lib");
        Python::start("ggml", "ggml_peer.py", &[&libraries.to_string_lossy(), &threads.to_string()])
    }

    fn start(name: &'static str, script: &str, arguments: &[&str]) -> Result<Python, String> {
        let python = folder().join("python/bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
        let mut child = Command::new(&python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}; run scripts/install-peers", python.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(format!("{name}'s process has no pipes"));
        };
        Ok(Python { name, pipes: RefCell::new((input, BufReader::new(output))), child })
    }

    fn ask(&self, line: &str) -> Result<String, String> {
        let mut pipes = self.pipes.borrow_mut();
        let (input, output) = &mut *pipes;
        let mut answer = String::new();
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .and_then(|()| output.read_line(&mut answer))
            .map_err(|e| format!("{}'s process: {e}", self.name))?;
        match answer.trim() {
            "" => Err(format!("{}'s process has ended; run scripts/install-peers", self.name)),
            bad if bad.starts_with("error") => Err(format!("{} on `{line}`: {bad}", self.name)),
            good => Ok(good.to_owned()),
        }
    }

    /// Names the case that [`run`](Self::run) times from now on.
    pub(crate) fn prepare(&self, case: &str) -> Result<(), String> {
        self.ask(&format!("prepare {case}")).map(drop)
    }

    /// The best call of a turn.
    pub(crate) fn run(&self) -> Duration {
        let seconds = self
            .ask(&format!("run {}", TURN.as_secs_f64()))
            .and_then(|s| s.parse().map_err(|e| format!("`{s}`: {e}")));
        match seconds {
            Ok(seconds) => Duration::from_secs_f64(seconds),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
