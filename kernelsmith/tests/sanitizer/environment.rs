//! What the environment decides, which this process read before: asked of another one.

use std::process::Command;

use kernelsmith::prelude::*;
use kernelsmith::{DeviceKind, FindingKind, Target};

#[kernel]
fn everybody_writes(y: &mut [f32]) {
    y[0] = thread_idx_x().to_f32();
}

/// Only meant to be run by the test below, with the variables set.
#[test]
#[ignore = "run by another test, with variables in the environment"]
fn inside() {
    let target = std::env::var("EXPECTED_TARGET").unwrap();
    let target: Target = target.parse().unwrap();
    for device in [Device::cpu(), Device::best()] {
        assert_eq!((device.kind(), device.target()), (DeviceKind::Interpreter, &target));
        let mut y = Buffer::<f32>::zeros(&device, 1).unwrap();
        everybody_writes(&mut y).grid(1).block(32).launch(&device).unwrap();
        let error = y.to_vec().unwrap_err();
        let finding = error.finding().unwrap_or_else(|| panic!("{error}"));
        assert_eq!((finding.kind, finding.seed), (FindingKind::Race, 77));
        assert!(error.to_string().contains("KERNELSMITH_SEED=77"), "{error}");
    }
}

#[test]
fn the_variables_choose_device_and_schedule() {
    for (value, target) in [("1", "sm_90a"), ("gfx942", "gfx942")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "environment::inside", "--ignored"])
            .env("KERNELSMITH_SANITIZE", value)
            .env("KERNELSMITH_SEED", "77")
            .env("EXPECTED_TARGET", target)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}
