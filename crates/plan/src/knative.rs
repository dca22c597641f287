//! Knative: a pod whose `user-container` is a unikernel, and the sidecar `queue-proxy` that asks it whether it is ready.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::PlanError;
use crate::network::STATIC_GUEST;

/// Annotation by which the CRI plugin of containerd names a container.
const NAME: &str = "io.kubernetes.cri.container-name";
/// Annotation that chooses how a guest is connected; only config.json can have it.
const MODE: &str = "com.urunc.network.mode";
/// Variable of queue-proxy: the probe, as JSON.
const PROBE: &str = "SERVING_READINESS_PROBE=";
/// Variable of queue-proxy: where requests go, instead of to this pod's loopback device.
const REDIRECT: &str = "REDIRECT_IP=";

/// Whether a guest gets an address of its own behind the container's: the annotation says so, or it is Knative's.
///
/// # Errors
/// The annotation has another value than `static` and `dynamic`.
pub fn static_network(annotations: &BTreeMap<String, String>) -> Result<bool, PlanError> {
    match annotations.get(MODE).map_or("", String::as_str) {
        "" => Ok(is_called(annotations, "user-container")),
        "static" => Ok(true),
        "dynamic" => Ok(false),
        other => {
            let why = format!("{} is neither static nor dynamic", crate::error::quoted(other));
            Err(PlanError::config(format!("annotations.{MODE}"), why))
        }
    }
}

/// Whether the container is the sidecar of a guest in the static mode. It is never a unikernel itself, though it may
/// have the pod's annotations.
pub fn is_queue_proxy(annotations: &BTreeMap<String, String>) -> bool {
    is_called(annotations, "queue-proxy") && annotations.get(MODE).is_none_or(|mode| mode != "dynamic")
}

fn is_called(annotations: &BTreeMap<String, String>, name: &str) -> bool {
    annotations.get(NAME).is_some_and(|found| found == name)
}

/// What changes in queue-proxy's environment for a guest in the static mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// Index and new value of the probe.
    pub probe: Option<(usize, String)>,
    /// What is added at the end.
    pub added: Option<String>,
}

/// Leads queue-proxy's probe and its requests to the guest. A container of that name without a probe is another one's.
///
/// # Errors
/// The probe is not JSON.
pub fn queue_proxy(env: &[String]) -> Result<Edit, PlanError> {
    let mut entries = env.iter().enumerate();
    let Some((index, probe)) = entries.find_map(|(index, entry)| Some((index, entry.strip_prefix(PROBE)?)))
    else {
        return Ok(Edit::default());
    };
    let redirected = redirected(probe).map_err(|error| {
        PlanError::config(format!("process.env[{index}]"), format!("{PROBE} is not JSON: {error}"))
    })?;
    let known = env.iter().any(|entry| entry.starts_with(REDIRECT));
    Ok(Edit {
        probe: redirected.map(|probe| (index, format!("{PROBE}{probe}"))),
        added: (!known).then(|| format!("{REDIRECT}{STATIC_GUEST}")),
    })
}

/// The probe with the guest as its host; `None` when nothing changes.
fn redirected(probe: &str) -> serde_json::Result<Option<String>> {
    if probe.is_empty() {
        return Ok(None);
    }
    let before: Value = serde_json::from_str(probe)?;
    let mut json = before.clone();
    redirect(&mut json, &STATIC_GUEST.to_string());
    Ok((json != before).then(|| json.to_string()))
}

/// Replaces every host, at any depth.
fn redirect(json: &mut Value, guest: &str) {
    match json {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| match value {
            Value::String(host) if name == "host" => guest.clone_into(host),
            value => redirect(value, guest),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, guest)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn knative_s_container_is_static_unless_the_annotation_says_otherwise() {
        let user = (NAME, "user-container");
        for (pairs, expected) in [
            (&[][..], false),
            (&[user], true),
            (&[user, (MODE, "dynamic")], false),
            (&[user, (MODE, "")], true),
            (&[(NAME, "user-container2")], false),
            (&[(NAME, "web"), (MODE, "static")], true),
        ] {
            assert_eq!(static_network(&annotations(pairs)), Ok(expected), "{pairs:?}");
        }
        let said = static_network(&annotations(&[(MODE, "Static\n")])).unwrap_err().to_string();
        let words = "\"Static\\n\" is neither static nor dynamic";
        assert_eq!(said, format!("config.json: annotations.com.urunc.network.mode: {words}"));
        let queue = (NAME, "queue-proxy");
        assert!(is_queue_proxy(&annotations(&[queue, (MODE, "static")])));
        assert!(!is_queue_proxy(&annotations(&[queue, (MODE, "dynamic")])));
        assert!(!is_queue_proxy(&annotations(&[user])));
    }

    #[test]
    fn every_host_of_the_probe_becomes_the_guest() {
        let env = |probe: &str| vec!["A=1".to_owned(), format!("{PROBE}{probe}"), format!("{PROBE}second")];
        let probe = r#"[{"httpGet":{"host": "127.0.0.1","httpHeaders":[{"name":"host","value":"x"}],"port":8080}},{"tcpSocket":{"host":"a\"b"}}]"#;
        let edit = queue_proxy(&env(probe)).unwrap();
        let expected = r#"[{"httpGet":{"host":"172.16.1.2","httpHeaders":[{"name":"host","value":"x"}],"port":8080}},{"tcpSocket":{"host":"172.16.1.2"}}]"#;
        assert_eq!(edit.probe, Some((1, format!("{PROBE}{expected}"))));
        assert_eq!(edit.added.as_deref(), Some("REDIRECT_IP=172.16.1.2"));

        // Once is enough.
        let done = [env(expected), vec!["REDIRECT_IP=172.16.1.2".to_owned()]].concat();
        assert_eq!(queue_proxy(&done), Ok(Edit::default()));
        // A host that is no text, and none at all.
        for probe in ["", r#"{"exec":{"host":7}}"#] {
            assert_eq!(queue_proxy(&env(probe)).unwrap().probe, None);
        }
        assert_eq!(queue_proxy(&["A=1".to_owned()]), Ok(Edit::default()));
        let said = queue_proxy(&env("{")).unwrap_err().to_string();
        assert!(
            said.starts_with("config.json: process.env[1]: SERVING_READINESS_PROBE= is not JSON"),
            "{said}"
        );
    }
}
