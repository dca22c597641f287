//! `next_arg()`, `unknown_bootoption()` and `set_init_arg()` of the kernel.

use super::Seen;

pub(crate) fn parse(line: &[u8]) -> Seen {
    let (mut args, mut env) = (Vec::new(), Vec::new());
    let mut rest = line;
    let mut init = false;
    while !rest.is_empty() {
        let (word, after) = next_arg(rest);
        rest = after;
        let text = String::from_utf8(word).unwrap();
        if init {
            args.push(text);
        } else if text == "--" {
            init = true;
        } else if let Some(app) = text.strip_prefix("rdinit=") {
            args.push(app.to_owned());
        } else if let Some((name, _)) = text.split_once('=') {
            if !["panic", "console", "root"].contains(&name) {
                env.push(text);
            }
        } else {
            assert_eq!(text, "rw");
        }
    }
    Seen { args, env }
}

fn next_arg(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let space = |b: u8| matches!(b, b' ' | b'\t'..=b'\r' | 0xa0);
    let quoted_word = line[0] == b'"';
    let start = usize::from(quoted_word);
    let mut inside = quoted_word;
    let mut end = start;
    let mut equals = None;
    while end < line.len() && (inside || !space(line[end])) {
        match line[end] {
            b'=' if equals.is_none() => equals = Some(end),
            b'"' => inside = !inside,
            _ => {}
        }
        end += 1;
    }
    let mut word = line[start..end].to_vec();
    if let Some(equals) = equals {
        let value = equals - start + 1;
        if word.get(value) == Some(&b'"') {
            word.remove(value);
            if word.last() == Some(&b'"') {
                word.pop();
            }
        }
    }
    if quoted_word && word.last() == Some(&b'"') {
        word.pop();
    }
    let rest = &line[(end + 1).min(line.len())..];
    let blanks = rest.iter().take_while(|b| space(**b)).count();
    (word, &rest[blanks..])
}
