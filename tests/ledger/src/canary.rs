//! A tree outside of every bundle that nothing may touch, and a watch that sees even an open of it.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{CWD, FileType, Mode};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A planted tree.
#[derive(Debug)]
pub struct Canary {
    path: PathBuf,
    watch: Option<OwnedFd>,
}

impl Canary {
    /// Makes the tree: files, directories (one sticky), a FIFO and a device node. Needs root for the node.
    pub fn plant(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path.join("directory/below"))?;
        fs::create_dir(path.join("sticky"))?;
        fs::set_permissions(path.join("sticky"), fs::Permissions::from_mode(0o1777))?;
        fs::write(path.join("file"), "canary\n")?;
        fs::write(path.join("directory/below/secret"), "root:*:1:0:99999:7:::\n")?;
        fs::set_permissions(path.join("directory/below/secret"), fs::Permissions::from_mode(0o600))?;
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(CWD, path.join("fifo"), FileType::Fifo, mode, 0)?;
        rustix::fs::mknodat(
            CWD,
            path.join("zero"),
            FileType::CharacterDevice,
            mode,
            rustix::fs::makedev(1, 5),
        )?;
        Ok(Self { path: path.to_owned(), watch: None })
    }

    /// Where it is: a tree for the ledger's scope.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts to watch. A ledger of the tree opens its files, so take the first one before.
    pub fn watch(&mut self) -> io::Result<()> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        for entry in ["", "directory", "directory/below", "sticky", "file", "fifo", "zero"] {
            inotify::add_watch(&watch, self.path.join(entry), WatchFlags::ALL_EVENTS)?;
        }
        self.watch = Some(watch);
        Ok(())
    }

    /// Stops watching; says what was seen, one line per event. Empty: nobody came near.
    pub fn events(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        let Some(watch) = self.watch.take() else { return seen };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(watch, &mut buffer);
        while let Ok(event) = reader.next() {
            seen.push(format!(
                "canary: {:?} {:?}",
                ReadFlags::from_bits_retain(event.events().bits()),
                event.file_name()
            ));
        }
        seen
    }
}
