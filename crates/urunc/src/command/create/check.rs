//! Steps 1 to 3 of ARCHITECTURE.md: everything that can be refused before the first side effect.

use std::path::Path;
use std::time::SystemTime;

use anyhow::bail;
use urunc_plan::annotations::{self, Verdict};
use urunc_plan::input::ImageKeys;
use urunc_plan::{HostFacts, LaunchPlan, Request, decide, look};

use crate::bundle::{self, Bundle, Config};
use crate::cli::{Global, Launch};
use crate::facts::{self, Image};
use crate::state::{self, Record};
use crate::{delegate, settings, time};

/// A request that passed the check.
pub(super) struct Checked {
    pub(super) record: Record,
    pub(super) image: Image,
    pub(super) plan: LaunchPlan,
}

/// Reads the bundle, gathers facts and decides; the other runtime's verdict when no unikernel was asked for.
pub(super) fn check(
    global: &Global,
    bundle: &Path,
    id: &str,
) -> anyhow::Result<Result<Checked, delegate::Verdict>> {
    let config = bundle::read(bundle)?;
    let loaded = settings::active()?;
    if let Some(level) = loaded.log_level {
        crate::log::configure(level);
    }
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let keys = match classify(&config)? {
        Verdict::Unikernel { keys, notices } => {
            for notice in notices {
                log::info!("{}", notice.text);
            }
            keys
        }
        // No keys: the planner takes the operator's `process` monitor.
        Verdict::Container { .. } | Verdict::Unstated { .. } if loaded.settings.delegate == "process" => {
            ImageKeys::default()
        }
        Verdict::Container { reason } | Verdict::Unstated { reason } => {
            let runtime = delegate::program(&loaded.settings.delegate);
            log::debug!("ordinary container for {}: {reason}", runtime.display());
            return Ok(Err(delegate::Verdict { runtime, reason }));
        }
    };
    let preference = look::preference(config.annotations(), &loaded.preference)?;
    let mut bundle = config.bundle()?;
    let mut image = Image::open(&bundle.rootfs)?;
    id.clone_into(&mut bundle.request.id);
    bundle.request.systemd_cgroup =
        global.systemd_cgroup || global.cgroup_manager.as_deref() == Some("systemd");
    bundle.request.settings = loaded.settings;
    facts::read_image(&mut image, keys, &mut bundle.request, &preference)?;
    facts::mark_host_namespaces(&mut bundle.request)?;
    let host = facts::gather(&bundle.request, &bundle.request.settings)?;
    let plan = decide::plan(&bundle.request, &host, None)?;
    Ok(Ok(Checked { record: record(bundle, host, loaded.start_timeout), image, plan }))
}

/// Annotations first, then `/urunc.json`, then a kernel that says itself what it is; an image that is not there yet can
/// only be an ordinary container's.
fn classify(config: &Config) -> anyhow::Result<Verdict> {
    let image = config.rootfs().map(|rootfs| Image::open_if_any(&rootfs)).transpose()?.flatten();
    let file = image.as_ref().map(Image::urunc_json).transpose()?.flatten();
    let verdict = annotations::classify(config.annotations(), file.as_deref())?;
    let unstated = matches!(verdict, Verdict::Unstated { .. });
    if unstated && image.as_ref().map(Image::has_kernel).transpose()? == Some(true) {
        let keys = ImageKeys { origin: "kernel".to_owned(), ..ImageKeys::default() };
        return Ok(Verdict::Unikernel { keys, notices: Vec::new() });
    }
    Ok(verdict)
}

/// The plan of a bundle, for `urunc plan`: what `create` would check, without a side effect.
///
/// # Errors
/// What `create` would say.
pub fn plan_inputs(global: &Global, bundle: &Path, id: &str) -> anyhow::Result<(Request, HostFacts)> {
    match check(global, bundle, id)? {
        Ok(checked) => Ok((checked.record.request, checked.record.host)),
        Err(verdict) => bail!("ordinary container for {}: {}", verdict.runtime.display(), verdict.reason),
    }
}

fn record(bundle: Bundle, host: HostFacts, start_timeout: u32) -> Record {
    Record {
        version: state::VERSION,
        oci_version: bundle.oci_version,
        bundle: bundle.dir,
        rootfs: bundle.rootfs,
        created: time::nanoseconds(SystemTime::now()),
        annotations: bundle.annotations,
        hooks: bundle.hooks,
        has_process: bundle.has_process,
        start_timeout,
        request: bundle.request,
        host,
    }
}

/// Options whose meaning we know and cannot keep.
pub(super) fn refuse_unbuilt(global: &Global, args: &Launch) -> anyhow::Result<()> {
    if global.rootless == "true" {
        bail!("--rootless: containers without root are not built yet");
    }
    if args.pidfd_socket.is_some() {
        bail!("--pidfd-socket: not built yet");
    }
    Ok(())
}

/// A terminal, and a way to hand it over: both or none.
pub(super) fn check_console(request: &Request, args: &Launch, attached: bool) -> anyhow::Result<()> {
    match (request.terminal, &args.console_socket) {
        (true, None) if !attached => bail!("process.terminal needs --console-socket"),
        (false, Some(_)) => bail!("--console-socket needs process.terminal"),
        _ => Ok(()),
    }
}
