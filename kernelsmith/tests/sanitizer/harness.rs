//! Launching a kernel with a bug, and comparing what is found with what was planted.

use kernelsmith::prelude::*;
use kernelsmith::{Error, Finding, FindingKind};

/// The line that ends in a marker.
pub(crate) fn marked(source: &str, marker: &str) -> Option<u32> {
    let at = |line: &str| line.split_once("//~ ").is_some_and(|(_, found)| found.trim() == marker);
    let mut lines = (1..).zip(source.lines()).filter(|(_, line)| at(line)).map(|(n, _)| n);
    let line = lines.next();
    assert_eq!(lines.next(), None, "two lines are marked `{marker}`");
    line
}

/// Everything that a launch finds.
pub(crate) fn findings(launch: Launch<'_>) -> Vec<Finding> {
    findings_on(&Device::interpreter(), launch)
}

/// As [`findings`], of a launch for an interpreter's target.
pub(crate) fn findings_on(device: &Device, launch: Launch<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    // A stream of its own: tests run side by side.
    let stream = device.create_stream().unwrap();
    launch.launch_on(&stream).unwrap_or_else(|error| panic!("{error}"));
    while let Err(error) = stream.synchronize() {
        let error = Error::from(error);
        let finding = error.finding().unwrap_or_else(|| panic!("no finding: {error}"));
        found.push(finding.clone());
    }
    found
}

/// The launch has the bug `name`, and no other. What is found is returned for closer looks.
#[track_caller]
pub(crate) fn finds(source: &str, name: &str, kind: FindingKind, launch: Launch<'_>) -> Finding {
    finds_one_of(source, name, &[kind], launch)
}

/// As [`finds`], where it depends on the schedule which kind it is.
#[track_caller]
pub(crate) fn finds_one_of(
    source: &str,
    name: &str,
    kinds: &[FindingKind],
    launch: Launch<'_>,
) -> Finding {
    let all = findings(launch);
    let text = all.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(all.len(), 1, "{name}: found\n{text}");
    let finding = all.into_iter().next().unwrap();
    assert!(kinds.contains(&finding.kind), "{name}: {text}");
    let line = |place: &Option<(String, u32, u32)>| place.as_ref().map(|&(_, line, _)| line);
    let expected = marked(source, name).unwrap_or_else(|| panic!("no line is marked `{name}`"));
    let other = marked(source, &format!("{name} other"));
    let mut lines = vec![line(&finding.location)];
    lines.extend(finding.other.as_ref().map(|other| line(&other.location)));
    let mut planted = vec![Some(expected)];
    planted.extend(finding.other.as_ref().map(|_| Some(other.unwrap_or(expected))));
    // Which side of a race comes second is the schedule's whim.
    lines.sort_unstable();
    planted.sort_unstable();
    assert_eq!(lines, planted, "{name}: {text}");
    let file = &finding.location.as_ref().unwrap().0;
    assert!(file.contains("tests/sanitizer/"), "{text}");
    finding
}

/// The launch is sound.
#[track_caller]
pub(crate) fn finds_nothing(launch: Launch<'_>) {
    let all = findings(launch);
    let text = all.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    assert!(all.is_empty(), "found\n{text}");
}

/// A buffer of numbers on the interpreter.
pub(crate) fn numbers(len: usize) -> Buffer<f32> {
    let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
    Buffer::from_slice(&Device::interpreter(), &values).unwrap()
}
