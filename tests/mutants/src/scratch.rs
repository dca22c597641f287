//! A copy of the tree with a build directory of its own: the faults go there and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::mutant::Mutant;

/// What the runtime is built for: static, as it is installed.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

/// The copy, `target/mutants/tree`.
pub(crate) struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    /// Copies what git knows or would take, as it is in the working tree.
    ///
    /// # Errors
    /// No git, no space.
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let place = root.join("target/mutants");
        let scratch = Self { tree: place.join("tree"), target: place.join("build") };
        if scratch.tree.exists() {
            fs::remove_dir_all(&scratch.tree)?;
        }
        let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git").args(words).current_dir(root).output().context("git ls-files")?;
        for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            let (from, to) = (root.join(name), scratch.tree.join(name));
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            match fs::symlink_metadata(&from) {
                Ok(found) if found.is_symlink() => symlink(fs::read_link(&from)?, &to)?,
                Ok(_) => drop(fs::copy(&from, &to).with_context(|| name.to_owned())?),
                // Deleted, and not yet committed.
                Err(_) => {}
            }
        }
        Ok(scratch)
    }

    /// Puts the fault into the copy; the text that belongs there, for [`Scratch::restore`].
    ///
    /// # Errors
    /// It no longer applies.
    pub(crate) fn apply(&self, mutant: &Mutant) -> Result<String> {
        let file = self.tree.join(&mutant.file);
        let text = fs::read_to_string(&file).with_context(|| mutant.file.clone())?;
        fs::write(&file, mutant.apply(&text)?)?;
        Ok(text)
    }

    /// Takes the fault out again.
    ///
    /// # Errors
    /// write(2)'s errno.
    pub(crate) fn restore(&self, mutant: &Mutant, text: &str) -> Result<()> {
        Ok(fs::write(self.tree.join(&mutant.file), text)?)
    }

    /// Builds with cargo and gives the programs that came out, by the name of their target.
    ///
    /// # Errors
    /// It does not compile: the compiler's first words.
    pub(crate) fn build(&self, words: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(words).args(["--locked", "--message-format", "json-render-diagnostics"]);
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_INCREMENTAL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
        if words.contains(&TARGET) {
            // Small and quick enough for the limits in the tests.
            cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_STRIP", "symbols");
            // With assertions the standard library looks at a descriptor before it closes it: a call that init's filter
            // forbids.
            cargo
                .env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false")
                .env("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "true");
        }
        let output = cargo.output().context("cargo")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let error = said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
            bail!("does not build: {error}");
        }
        let mut programs = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if let (Some(name), Some(program)) =
                (message["target"]["name"].as_str(), message["executable"].as_str())
            {
                programs.insert(name.to_owned(), program.into());
            }
        }
        Ok(programs)
    }

    /// A directory of the copy.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.tree.join(name)
    }
}
