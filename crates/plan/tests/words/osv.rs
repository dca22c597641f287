//! `loader_parse_cmdline()` for the options, the grammar of `core/commands.cc` for the command.

use super::Seen;

pub(crate) fn parse(line: &str) -> Seen {
    let mut rest = line.trim_start();
    let mut env = Vec::new();
    while rest.starts_with('-') {
        let (option, after) = rest.split_once([' ', '\t', '\n']).unwrap_or((rest, ""));
        assert!(!option.contains('\\'), "some releases read an escape");
        if let Some(entry) = option.strip_prefix("--env=") {
            env.push(entry.to_owned());
        }
        rest = after.trim_start();
    }
    assert!(rest.is_ascii() && !rest.contains('$'), "a variable begins");
    Seen { args: command(rest), env }
}

fn command(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() {
            continue;
        }
        let quoted = c == '"';
        let mut word = String::new();
        let mut next = if quoted { chars.next() } else { Some(c) };
        while let Some(c) = next {
            match c {
                '"' if quoted => break,
                '\\' => word.push(match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                ' ' if !quoted => break,
                ';' | '&' | '!' if !quoted => panic!("the command ends here"),
                c => word.push(c),
            }
            next = chars.next();
        }
        words.push(word);
    }
    words
}
