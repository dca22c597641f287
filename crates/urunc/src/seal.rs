//! A checksum as the last field of a JSON object: what a bad disk or memory changed must not decide what is killed.
//!
//! It is no signature: whoever can write the file is root. An object without the field is taken as it is, so that
//! somebody who repairs a state file by hand takes the field out.

/// What precedes the sum, and what follows it.
const KEY: &[u8] = b",\"seal\":\"";
const END: &[u8] = b"\"}";
/// Hexadecimal digits.
const DIGITS: usize = 16;

/// The object with its checksum. What is no object with at least one field comes back as it was.
pub fn seal(mut json: Vec<u8>) -> Vec<u8> {
    if json.len() > 2 && json.pop_if(|last| *last == b'}').is_some() {
        let sum = format!("{:016x}", sum(&json));
        json.extend([KEY, sum.as_bytes(), END].concat());
    }
    json
}

/// The object without its checksum; `None` when that does not agree.
pub fn unseal(mut json: Vec<u8>) -> Option<Vec<u8>> {
    let Some(length) = json.len().checked_sub(KEY.len() + DIGITS + END.len()) else { return Some(json) };
    let (content, seal) = json.split_at(length);
    let Some(digits) = seal.strip_prefix(KEY).and_then(|rest| rest.strip_suffix(END)) else {
        return Some(json);
    };
    if format!("{:016x}", sum(content)).as_bytes() != digits {
        return None;
    }
    json.truncate(length);
    json.push(b'}');
    Some(json)
}

/// FNV-1a, 64 bits: each step is one to one, so a single changed byte always changes the sum.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_comes_back_and_is_json_in_between() {
        let plain = br#"{"a":1,"b":"}"}"#.to_vec();
        let sealed = seal(plain.clone());
        let read: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        assert_eq!((read["a"].as_i64(), read["seal"].as_str().map(str::len)), (Some(1), Some(16)));
        assert_eq!(unseal(sealed), Some(plain.clone()));
        assert_eq!(unseal(plain.clone()), Some(plain));
        assert_eq!(seal(b"{}".to_vec()), b"{}");
    }

    #[test]
    fn no_changed_bit_changes_a_value() {
        let plain = br#"{"pid":4711,"group":"/a"}"#.to_vec();
        let value: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        let sealed = seal(plain);
        for bit in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = unseal(bytes).and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
            // A damaged key of the seal is a field more, and nothing else.
            assert!(read.is_none_or(|read| read["pid"] == value["pid"] && read["group"] == value["group"]));
        }
    }
}
