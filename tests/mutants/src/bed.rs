//! Where a test of a faulty runtime runs: namespaces of its own, so that what it kills, mounts, renames or connects is
//! not the host's, and what it leaves behind ends with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A test that takes longer hangs, which is a failure like any other.
const HANG: Duration = Duration::from_mins(2);
/// Of random tests: what was red stays red.
const SEED: &str = "20261121";
/// The shell is process 1, so that the test is not: it may end by a signal, and must not get foreign orphans. Numbers of
/// processes begin where no process of a container's own namespace comes.
const SHELL: &str = r#"ip link set lo up && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns &&
    echo 10000 > /proc/sys/kernel/ns_last_pid || exit 99
"$@"
exit $?"#;

/// Programs and directories that tests need.
pub(crate) struct Bed {
    /// Temporary files; only root can write here, or no program in it would be trusted as a monitor.
    dir: PathBuf,
    guests: PathBuf,
    /// Tests so far: their tags differ.
    count: u32,
}

/// How a test ended.
pub(crate) struct End {
    /// Exit code; 128 + signal; -1 for a hang.
    pub(crate) code: i32,
    /// All it said.
    pub(crate) said: String,
}

impl Bed {
    /// Takes guests and probe of `make guests probe`.
    ///
    /// # Errors
    /// They have not been built.
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let dir = PathBuf::from(format!("/var/lib/urunc-mutants.{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        let bed = Self { dir, guests: root.join("dist/guests"), count: 0 };
        if !bed.guests.join("hello.spt").exists() {
            bail!("dist/guests: run `make guests probe` first");
        }
        for name in ["probe", "monitor"] {
            fs::copy(root.join("dist/test").join(name), bed.dir.join(name)).context("make probe")?;
        }
        Ok(bed)
    }

    /// Runs a test program, whose product under test is `runtime`, in `cwd`.
    ///
    /// # Errors
    /// There is no bed to be made: no root, no unshare(1).
    pub(crate) fn run(&mut self, program: &Path, words: &[&str], runtime: &Path, cwd: &Path) -> Result<End> {
        self.count += 1;
        let tag = format!("mutant-{}-{}", std::process::id(), self.count);
        let output = self.dir.join("output");
        let file = File::create(&output)?;
        let mut test = Command::new("unshare");
        test.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        test.args(["--net", "--ipc", "--uts", "sh", "-c", SHELL, "sh"]).arg(program).args(words);
        test.env("RUNTIME", runtime).env("FLAVOUR", "urunc").env("GUESTS", &self.guests);
        test.env("PROBE", self.dir.join("probe")).env("TMPDIR", &self.dir).env("SUITE_TAG", &tag);
        test.env("RUST_BACKTRACE", "0").env("PROPTEST_RNG_SEED", SEED).env("SEED", SEED).env("STORM", "10");
        test.current_dir(cwd);
        test.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let code = wait(test)?;
        remove_groups(Path::new("/sys/fs/cgroup"), &tag);
        let said = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
        if code == 99 {
            bail!("no place to run a test in: {said}");
        }
        Ok(End { code, said })
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Whatever stays is below a directory that bears our name.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn wait(mut command: Command) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let mut child = command.spawn().context("unshare")?;
    let end = Instant::now() + HANG;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()));
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Ok(-1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes the groups that a faulty runtime has left: they outlive their processes.
fn remove_groups(dir: &Path, tag: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path(), tag);
            if entry.path().to_string_lossy().contains(tag) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}
