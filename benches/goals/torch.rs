//! PyTorch, in a process of its own that runs when it is told to.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use kernelsmith_benches::interleave::TURN;

use super::blas::folder;

/// See `benches/peers/torch_peer.py` for what it understands.
pub(crate) struct Torch {
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
}

impl Torch {
    pub(crate) fn start(threads: usize) -> Result<Torch, String> {
        let python = folder().join("python/bin/python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/torch_peer.py");
        let mut child = Command::new(&python)
            .args([script, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}; run scripts/install-peers", python.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err("PyTorch's process has no pipes".to_owned());
        };
        Ok(Torch { pipes: RefCell::new((input, BufReader::new(output))), child })
    }

    fn ask(&self, line: &str) -> Result<String, String> {
        let mut pipes = self.pipes.borrow_mut();
        let (input, output) = &mut *pipes;
        let mut answer = String::new();
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .and_then(|()| output.read_line(&mut answer))
            .map_err(|e| format!("PyTorch's process: {e}"))?;
        match answer.trim() {
            "" => Err("PyTorch's process has ended".to_owned()),
            bad if bad.starts_with("error") => Err(format!("PyTorch on `{line}`: {bad}")),
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

impl Drop for Torch {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
