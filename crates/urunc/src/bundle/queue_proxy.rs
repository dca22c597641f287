//! The environment of Knative's sidecar, changed inside the text of config.json: every other byte stays, known or not.

use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;
use urunc_plan::knative::{self, Edit};

/// What is looked for; its parts remember where in the text they are.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    process: Option<Process<'a>>,
}

#[derive(Deserialize)]
struct Process<'a> {
    #[serde(borrow)]
    env: Option<Vec<&'a RawValue>>,
}

/// The text with the environment for a guest in the static mode; `None` when it is so already.
///
/// # Errors
/// It is not JSON of this form, or the probe is not.
pub(super) fn redirected(text: &str) -> anyhow::Result<Option<String>> {
    let document: Document<'_> = serde_json::from_str(text).context("config.json")?;
    let entries = document.process.and_then(|process| process.env).unwrap_or_default();
    let values: Vec<String> = entries
        .iter()
        .map(|entry| serde_json::from_str(entry.get()))
        .collect::<Result<_, _>>()
        .context("config.json: process.env")?;
    let Edit { probe, added } = knative::queue_proxy(&values)?;
    let mut edits: Vec<(usize, &str, String)> = Vec::new();
    if let Some((entry, value)) = probe.and_then(|(index, value)| Some((entries.get(index)?, value))) {
        edits.push((place(text, entry), entry.get(), serde_json::to_string(&value)?));
    }
    if let Some((value, last)) = added.zip(entries.last()) {
        edits.push((
            place(text, last) + last.get().len(),
            "",
            format!(",{}", serde_json::to_string(&value)?),
        ));
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut text = text.to_owned();
    // From the end: the places before it stay where they are.
    edits.sort_by_key(|(place, ..)| std::cmp::Reverse(*place));
    for (place, old, new) in edits {
        text.replace_range(place..place + old.len(), &new);
    }
    Ok(Some(text))
}

/// Where a part of a text begins.
fn place(text: &str, part: &RawValue) -> usize {
    part.get().as_ptr().addr() - text.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_environment_changes() {
        let before = r#" {"process" : {"new":[1.50, 1e400, 18446744073709551616, {"env":["SERVING_READINESS_PROBE={}"]}],
  "env":[ "PATH=\u002fbin" , "SERVING_READINESS_PROBE={\"tcpSocket\":{\"host\":\"127.0.0.1\",\"port\":8080}}", "Z=é" ] },"ociVersion":"1.9","later":{"b":null,"a":"\/"} }
"#;
        let after = redirected(before).unwrap().unwrap();
        let expected = before
            .replace("127.0.0.1", "172.16.1.2")
            .replace("\"Z=é\"", "\"Z=é\",\"REDIRECT_IP=172.16.1.2\"");
        assert_eq!(after, expected);
        assert_eq!(redirected(&after).unwrap(), None);
    }

    #[test]
    fn the_probe_may_be_the_last_one() {
        let before = r#"{"process":{"env":["SERVING_READINESS_PROBE={\"host\":\"\"}"]}}"#;
        let expected = r#"{"process":{"env":["SERVING_READINESS_PROBE={\"host\":\"172.16.1.2\"}","REDIRECT_IP=172.16.1.2"]}}"#;
        assert_eq!(redirected(before).unwrap().unwrap(), expected);
    }

    #[test]
    fn a_container_without_a_probe_stays_as_it_is() {
        for text in ["{}", r#"{"process":null}"#, r#"{"process":{"env":null}}"#, r#"{"process":{"env":[]}}"#]
        {
            assert_eq!(redirected(text).unwrap(), None, "{text}");
        }
        assert!(redirected(r#"{"process":{"env":[1]}}"#).is_err());
    }
}
