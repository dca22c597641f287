//! Starts guests and waits for them.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use urunc_plan::launch::{Attach, Device, Tender};

use crate::TARGET;
use crate::child::{Orders, ROLE};
use crate::image::Image;

/// A guest that is about to run.
pub struct Guest {
    pub orders: Orders,
    pub dir: TempDir,
}

/// How a guest ended.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// Exit code; 128 + signal for a death by signal.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Guest {
    /// 16 MiB, no devices, no command line.
    pub fn new(image: &Image) -> Self {
        Self::of_file(&image.build())
    }

    /// See [`Guest::new`].
    pub fn of_file(image: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kernel = dir.path().join("kernel");
        std::fs::write(&kernel, image).unwrap();
        let plan = Tender { target: TARGET, cmdline: String::new(), memory_mib: 16, attach: Vec::new() };
        let kernel = kernel.to_str().unwrap().to_owned();
        let orders = Orders { plan, kernel, sockets: None, pid1_in: None, twist: None };
        Self { orders, dir }
    }

    /// Attaches a disk with this content.
    pub fn disk(mut self, name: &str, content: &[u8], writable: bool) -> Self {
        let file = self.path(name);
        std::fs::write(&file, content).unwrap();
        let device = Device::Block { file, sector_size: 512, writable };
        self.orders.plan.attach.push(Attach { name: name.to_owned(), device });
        self
    }

    /// A path in the guest's directory.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs to the end.
    pub fn run(&self) -> End {
        let output = self.command().output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
        End { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs to a good end: what it has written.
    pub fn output(&self) -> Vec<u8> {
        let output = self.command().output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The one line that says why the guest cannot run.
    pub fn refusal(&self) -> String {
        let end = self.run();
        assert_eq!((end.code, end.out.as_str()), (1, ""), "{}", end.err);
        let line = end.err.trim_end();
        assert!(!line.contains('\n') && !line.contains("panicked"), "{line}");
        line.to_owned()
    }

    /// Runs until the guest has printed a line.
    pub fn start(&self) -> Running {
        let mut child = self.command().spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let mut expected = vec!["ready"];
        expected.extend(self.orders.pid1_in.as_ref().map(|_| "pid "));
        while expected.iter().any(|word| !said.iter().any(|line: &String| line.starts_with(word))) {
            let mut line = String::new();
            assert!(err.read_line(&mut line).unwrap() > 0, "{said:?}");
            said.push(line.trim_end().to_owned());
        }
        let pid = said.iter().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
        Running { pid: pid.unwrap_or(child.id()), child, line, said, out: Some(Box::new(out)) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(ROLE).arg(serde_json::to_string(&self.orders).unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A guest that runs.
pub struct Running {
    /// The process that is the guest.
    pub pid: u32,
    child: Child,
    /// Its first line.
    pub line: String,
    /// What the child said on standard error until READY.
    pub said: Vec<String>,
    out: Option<Box<dyn Read>>,
}

impl Running {
    /// Sends a signal and waits: the code, as in [`End`]; 137 when the signal had no effect for 20 seconds.
    pub fn stop(mut self, signal: i32) -> i32 {
        self.signal(signal);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                // SAFETY: as above.
                unsafe { libc::kill(self.pid.cast_signed(), libc::SIGKILL) };
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.wait()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the process is our child's child or our child, not yet waited for.
        assert_eq!(unsafe { libc::kill(self.pid.cast_signed(), signal) }, 0);
    }

    /// Waits for its end: the code, as in [`End`].
    pub fn wait(mut self) -> i32 {
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Nobody reads its output any more.
    pub fn hang_up(&mut self) {
        self.out = None;
    }

    /// A file of its /proc directory.
    pub fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap()
    }

    /// What its descriptors above 2 are.
    pub fn descriptors(&self) -> Vec<String> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().map(Result::unwrap);
        let above = |e: &std::fs::DirEntry| e.file_name().to_str().unwrap().parse::<i32>().unwrap() > 2;
        let mut targets: Vec<String> = entries
            .filter(above)
            .map(|e| std::fs::read_link(e.path()).unwrap().to_str().unwrap().to_owned())
            .collect();
        targets.sort();
        targets
    }
}
