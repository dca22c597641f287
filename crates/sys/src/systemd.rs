//! Scopes of systemd's, over D-Bus: org.freedesktop.systemd1(5).

use crate::dbus::{Answer, Call, Connection, Reader, Writer};
use crate::{Result, SysError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use urunc_plan::launch::{Property, Scope};

/// Longest wait for systemd, as D-Bus libraries have it for one call.
const PATIENCE: Duration = Duration::from_secs(25);

const MANAGER: Call<'static> = Call {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
    signature: "",
    body: &[],
};
/// Says that a job is over: number, path, unit, result.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                           interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// systemd is the init of this host (sd_booted(3)).
pub fn booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Makes the scope with process `pid` in it and its limits, and waits until that is done.
///
/// # Errors
/// systemd's words: a unit of that name, an invalid property; or nobody answers on D-Bus.
pub fn start_scope(scope: &Scope, pid: i32) -> Result<()> {
    let mut body = Writer::default();
    body.string(&scope.unit);
    body.string("fail");
    properties(&mut body, scope, pid);
    // No auxiliary units.
    body.array(8, |_| {});
    let call =
        Call { member: "StartTransientUnit", signature: "ssa(sv)a(sa(sv))", body: &body.bytes, ..MANAGER };
    let error = |source| SysError::new("start", scope.unit.as_str(), source);
    let mut manager = Manager::connect()?;
    if !manager.0.shares_our_pids()? {
        // Our number is another process there, which would be moved, limited and killed.
        return Err(error(io::Error::other("systemd is in another pid namespace")));
    }
    match manager.job(&call)? {
        Job::Done => Ok(()),
        Job::Failed(why) | Job::Refused(_, why) => Err(error(io::Error::other(why))),
    }
}

/// Stops the scope, and waits until it is gone. One that is gone already is fine.
///
/// # Errors
/// systemd's words, or nobody answers on D-Bus.
pub fn stop_scope(scope: &Scope) -> Result<()> {
    let mut body = Writer::default();
    body.string(&scope.unit);
    body.string("replace");
    let call = Call { member: "StopUnit", signature: "ss", body: &body.bytes, ..MANAGER };
    match Manager::connect()?.job(&call)? {
        Job::Done => Ok(()),
        Job::Refused(name, _) if name == NO_SUCH_UNIT => Ok(()),
        Job::Failed(why) | Job::Refused(_, why) => {
            Err(SysError::new("stop", scope.unit.as_str(), io::Error::other(why)))
        }
    }
}

/// The scope's properties, `a(sv)`.
fn properties(body: &mut Writer, scope: &Scope, pid: i32) {
    body.array(8, |body| {
        let mut property = |name: &str, kind: &str, value: &dyn Fn(&mut Writer)| {
            body.align(8);
            body.string(name);
            body.signature(kind);
            value(body);
        };
        let description = format!("urunc container {}", scope.unit);
        property("Description", "s", &|body| body.string(&description));
        property("Slice", "s", &|body| body.string(&scope.slice));
        property("PIDs", "au", &|body| body.array(4, |body| body.u32(pid.cast_unsigned())));
        // Forgotten as soon as it is empty, also after an OOM kill; engines make the same name again.
        property("CollectMode", "s", &|body| body.string("inactive-or-failed"));
        property("DefaultDependencies", "b", &|body| body.u32(0));
        // Files below are ours to write.
        for name in ["Delegate", "CPUAccounting", "IOAccounting", "MemoryAccounting", "TasksAccounting"] {
            property(name, "b", &|body| body.u32(1));
        }
        for (name, value) in &scope.properties {
            match value {
                Property::Number(number) => property(name, "t", &|body| body.u64(*number)),
                Property::Bytes(bytes) => {
                    property(name, "ay", &|body| body.array(1, |body| body.bytes.extend(bytes)));
                }
            }
        }
    });
}

/// How a job ended.
enum Job {
    Done,
    Failed(String),
    /// Name and text of the error that the call was answered with.
    Refused(String, String),
}

/// systemd's manager object.
struct Manager(Connection);

impl Manager {
    fn connect() -> Result<Self> {
        let mut bus = Connection::open(&bus_socket()?, PATIENCE)?;
        bus.subscribe(JOB_REMOVED)?;
        Ok(Self(bus))
    }

    /// A call that is answered by the path of a job, to the end of that job.
    fn job(&mut self, call: &Call<'_>) -> Result<Job> {
        let (manager, job) = match self.0.call(call)? {
            Answer::Return(answer) => {
                let job = Reader::new(&answer.body).string().unwrap_or_default().to_owned();
                (answer.sender, job)
            }
            Answer::Error(name, text) => return Ok(Job::Refused(name, text)),
        };
        loop {
            let signal = self.0.signal()?;
            if signal.sender != manager || signal.member != "JobRemoved" {
                continue;
            }
            let mut body = Reader::new(&signal.body);
            let (_number, path, _unit, result) = (body.u32(), body.string(), body.string(), body.string());
            match (path, result) {
                (Some(path), Some("done")) if path == job => return Ok(Job::Done),
                (Some(path), Some(result)) if path == job => {
                    return Ok(Job::Failed(format!("systemd says {result}")));
                }
                _ => {}
            }
        }
    }
}

/// The system bus (specification, "Well-known Message Bus Instances").
fn bus_socket() -> Result<PathBuf> {
    const VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";
    let Ok(addresses) = std::env::var(VARIABLE) else { return Ok("/run/dbus/system_bus_socket".into()) };
    let first = addresses.split(';').next().unwrap_or_default();
    let path = first
        .strip_prefix("unix:")
        .and_then(|keys| keys.split(',').find_map(|key| key.strip_prefix("path=")));
    path.map(PathBuf::from).ok_or_else(|| {
        SysError::new("use", VARIABLE, io::Error::other(format!("want unix:path=…, not {addresses:?}")))
    })
}
