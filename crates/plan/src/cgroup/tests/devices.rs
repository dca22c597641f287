//! Device rules.

use super::*;

fn device_lines(devices: &Value) -> Vec<String> {
    let plan = try_plan(hybrid(), "/g", json!({"devices": devices})).unwrap();
    let writes = plan.groups.into_iter().flat_map(|group| group.writes);
    let devices = writes.filter(|write| write.file.starts_with("devices."));
    devices.map(|write| format!("{} {}", &write.file["devices.".len()..], write.value)).collect()
}

const PRIVATE: [&str; 8] = [
    "allow c 1:3 rw",
    "allow c 1:5 rw",
    "allow c 1:7 rw",
    "allow c 1:8 rw",
    "allow c 1:9 rw",
    "allow c 5:0 rw",
    "allow c 5:2 rw",
    "allow c 136:* rw",
];

#[test]
fn v1_devices() {
    let with_private = |first: &[&'static str]| [first, &PRIVATE].concat();
    assert_eq!(device_lines(&json!([])), with_private(&["deny a"]));
    assert_eq!(device_lines(&json!([{"allow": false, "access": "rwm"}])), with_private(&["deny a"]));
    assert_eq!(device_lines(&json!([{"allow": true, "access": "rwm"}])), ["allow a"]);
    let sequence = json!([
        {"allow": true, "type": "c", "major": 7, "minor": 1, "access": "rwm"},
        {"allow": false, "type": "a", "major": -1, "minor": -1, "access": "rwm"},
        {"allow": true, "type": "a", "major": 10, "access": "mr"},
        {"allow": false, "type": "b", "major": 10, "access": "m"},
    ]);
    assert_eq!(
        device_lines(&sequence),
        with_private(&["deny a", "allow b 10:* rm", "allow c 10:* rm", "deny b 10:* m"])
    );
    let all_of_1 = json!([{"allow": true, "type": "c", "major": 1, "access": "rwm"}]);
    assert_eq!(device_lines(&all_of_1), [&["deny a", "allow c 1:* rwm"], &PRIVATE[5..]].concat());
    let hole = json!({"devices": [{"allow": true, "type": "c", "major": 1, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 1, "access": "r"}]});
    assert!(
        refusal(hybrid(), hole.clone()).starts_with("config.json: linux.resources.devices[1]: cgroup v1")
    );
    assert!(try_plan(unified(), "/g", hole).is_ok());
}

#[test]
fn v2_devices() {
    let rules = |devices: Value| try_plan(unified(), "/g", json!({"devices": devices})).unwrap().device_rules;
    assert_eq!(rules(json!([])).len(), PRIVATE.len());
    assert!(rules(json!([{"allow": true, "access": "rwm"}])).is_empty());
    let open_but_one =
        rules(json!([{"allow": true, "access": "rwm"}, {"allow": false, "type": "b", "access": "w"}]));
    assert_eq!(open_but_one.len(), 2);
    let no_controller =
        CgroupFacts { v1: [("pids".into(), at("/pids", "/"))].into(), ..CgroupFacts::default() };
    let error = try_plan(no_controller, "/g", json!({})).unwrap_err().to_string();
    assert!(error.starts_with("host: no cgroup controller devices"));
}

#[test]
fn devices_of_the_monitor_come_last_and_once() {
    let req = |devices| Request {
        id: "c1".into(),
        resources: json!({"devices": [{"allow": devices, "access": "rwm"}]}),
        ..Request::default()
    };
    let host = HostFacts { cgroup: unified(), ..HostFacts::default() };
    let kvm = DeviceRule { allow: true, kind: 'c', major: Some(10), minor: Some(232), access: "rw".into() };
    let closed = plan(&req(false), &host, &[kvm.clone(), kvm.clone()]).unwrap().device_rules;
    assert_eq!(closed.len(), PRIVATE.len() + 1);
    assert_eq!(closed.last(), Some(&kvm));
    assert!(plan(&req(true), &host, &[kvm]).unwrap().device_rules.is_empty());
}
