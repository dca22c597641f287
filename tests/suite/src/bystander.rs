//! A process that is not the container's.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Sleeps until it is dropped.
#[derive(Debug)]
pub struct Bystander(Child);

impl Bystander {
    /// A process of `uid` whose number none of a jail's own processes has, were it the first of a new pid namespace.
    pub fn new(uid: u32) -> Self {
        const JAIL: u32 = 1000;
        loop {
            let bystander = Self(Command::new("sleep").arg("1000").uid(uid).spawn().expect("sleep"));
            if bystander.pid() > JAIL {
                return bystander;
            }
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// It has not ended.
    pub fn lives(&mut self) -> bool {
        self.0.try_wait().expect("a child of ours").is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It may have been killed: that is what its holder wants to know.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
