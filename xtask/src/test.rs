//! Runs the tests of the workspace, with cargo-nextest if it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{program, succeed};
use crate::root;

/// Runs all tests, on the guests in the folder `fixtures`, or on the committed ones without it.
pub(crate) fn run(fixtures: Option<&Path>) -> Result<()> {
    if has_nextest() {
        succeed(&mut cargo(fixtures, &["nextest", "run", "--workspace"]), "the tests")?;
        succeed(&mut cargo(fixtures, &["test", "--workspace", "--doc"]), "the doc tests")
    } else {
        succeed(&mut cargo(fixtures, &["test", "--workspace"]), "the tests")
    }
}

fn cargo(fixtures: Option<&Path>, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(root()).args(args);
    if let Some(fixtures) = fixtures {
        command.env(crisol_fixtures::DIR_VARIABLE, fixtures);
    }
    command
}

fn has_nextest() -> bool {
    let mut command = Command::new(program());
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
