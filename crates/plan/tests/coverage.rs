//! Golden cases of all that the support table promises, and of what each pair refuses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use urunc_plan::input::ImageKeys;
use urunc_plan::machine::{Board, DeviceModel, Offers, Wants};
use urunc_plan::memory::MIB;
use urunc_plan::{PlanError, Request, decide, guest, monitor, negotiate};

mod support;

/// What an image brings beside its kernel.
const FILES: [&str; 3] = ["nothing", "initrd", "block"];
/// What runs programs of the image on the host: it has no keys that could name a file.
const NO_GUEST: &str = "process";

/// What the cases show: plans by guest, monitor, board, network and files, refusals by what they refuse.
#[derive(Default)]
struct Shown {
    plans: BTreeSet<String>,
    refusals: BTreeSet<String>,
}

impl Shown {
    fn add(&mut self, dir: &Path) {
        let (request, host, net) = support::inputs(dir);
        let image = &request.image;
        let files = match (image.initrd.is_empty(), image.block.is_empty()) {
            (true, true) => "nothing",
            (false, true) => "initrd",
            (_, false) => "block",
        };
        match decide::plan(&request, &host, net.as_ref()) {
            Ok(plan) => {
                let board = negotiate::pair(&request).unwrap().board;
                self.plans.insert(planned(&plan.guest, &plan.monitor, board, plan.net.is_some(), files));
            }
            Err(PlanError::Network { why }) if why.ends_with("the container has none") => {
                self.refusals.insert(refused(&image.guest, &image.monitor, "no network"));
            }
            Err(error) => {
                // It names the key, of the file that is there or of the one that is missing.
                let key = if files == "nothing" { "initrd" } else { files };
                if error.to_string().contains(key) {
                    self.refusals.insert(refused(&image.guest, &image.monitor, files));
                }
            }
        }
    }
}

fn planned(guest: &str, monitor: &str, board: Board, net: bool, files: &str) -> String {
    let net = if net { "a network" } else { "no network" };
    format!("a plan of {guest} on {monitor} {} with {net} and {files}", board.name())
}

fn refused(guest: &str, monitor: &str, what: &str) -> String {
    format!("a refusal of {guest} on {monitor} with {what}")
}

#[test]
fn every_pair_has_a_case_of_each_network_and_file_or_the_refusal_of_it() {
    let mut shown = Shown::default();
    for dir in support::directories("plans") {
        shown.add(&dir);
    }
    let mut missing = BTreeSet::new();
    for (guest, monitor, boards) in negotiate::support() {
        for board in boards {
            let wants = guest::find(guest).unwrap().wants();
            let offers = monitor::find(monitor).unwrap().offers(board);
            for files in FILES {
                if takes(files, &wants, &offers) {
                    let nets = [Some(false), meet(wants.nics, offers.nics).then_some(true)];
                    let plans =
                        nets.into_iter().flatten().map(|net| planned(guest, monitor, board, net, files));
                    missing.extend(plans.filter(|plan| !shown.plans.contains(plan)));
                } else if guest != NO_GUEST {
                    missing.extend(
                        Some(refused(guest, monitor, files)).filter(|one| !shown.refusals.contains(one)),
                    );
                }
            }
            if wants.needs_nic {
                let refusal = refused(guest, monitor, "no network");
                missing.extend(Some(refusal).filter(|one| !shown.refusals.contains(one)));
            }
        }
    }
    assert!(missing.is_empty(), "no case in cases/plans of:\n{}", Vec::from_iter(missing).join("\n"));
}

fn takes(files: &str, wants: &Wants, offers: &Offers) -> bool {
    match files {
        "initrd" => wants.initrd && offers.initrd,
        "block" => meet(wants.disks, offers.disks) && !wants.needs_initrd,
        _ => !wants.needs_initrd,
    }
}

fn meet(wanted: &[DeviceModel], offered: &[DeviceModel]) -> bool {
    wanted.iter().any(|model| offered.contains(model))
}

#[test]
fn a_pair_that_does_not_fit_is_refused_with_both_names_and_every_way_out() {
    let pairs: Vec<_> =
        negotiate::support().into_iter().filter(|pair| ![pair.0, pair.1].contains(&NO_GUEST)).collect();
    for (guest, monitor, _) in pairs.iter().filter(|pair| pair.2.is_empty()) {
        let image = ImageKeys { guest: (*guest).into(), monitor: (*monitor).into(), ..ImageKeys::default() };
        let refusal = negotiate::pair(&Request { image, ..Request::default() }).err().unwrap().to_string();
        let works = pairs.iter().filter(|pair| pair.0 == *guest && !pair.2.is_empty());
        let works: Vec<_> = works.map(|pair| pair.1).collect();
        let ways = format!("which {monitor} does not offer; use hypervisor {}", works.join(" or "));
        assert!(refusal.starts_with(&format!("unsupported guest monitor pair: {guest} ")), "{refusal}");
        assert!(refusal.ends_with(&ways), "{refusal}");
    }
}

#[test]
fn a_limit_below_what_a_case_needs_is_refused_with_the_least_that_works() {
    for dir in support::directories("plans") {
        let (request, host, net) = support::inputs(&dir);
        let with = |limit: u64| {
            let mut request = request.clone();
            request.resources["memory"] = json!({ "limit": limit });
            decide::plan(&request, &host, net.as_ref())
        };
        if decide::plan(&request, &host, net.as_ref()).map_or(true, |plan| plan.guest == NO_GUEST) {
            continue;
        }
        let refusal = with(4096).unwrap_err().to_string();
        let figure = refusal.split("at least ").nth(1).and_then(|text| text.split(' ').next());
        let figure: u64 =
            figure.unwrap().parse().unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let plan = with(figure).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let least = guest::find(&plan.guest).unwrap().wants().least_ram;
        assert!(plan.memory.guest_mib >= least / MIB, "{}", dir.display());
        let less = with(figure - 1).unwrap_err();
        assert!(matches!(less, PlanError::Memory { .. }), "{}: {less}", dir.display());
    }
}
