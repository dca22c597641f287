//! `uk_argnparse()` in both of its forms, and `uk_libparam_parse()`.

use super::Seen;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Quotes {
    /// Quotes group, nothing escapes, and a word begins at its first byte that is no blank.
    Plain,
    /// A backslash escapes outside of single quotes.
    Escapes,
}

const MOST: usize = 60;

pub(crate) fn parse(line: &str, quotes: Quotes) -> Seen {
    let words = split(line, quotes);
    let options = &words[1..];
    let (mut listed, mut stop, mut env) = (None, None, Vec::new());
    for (index, word) in options.iter().enumerate() {
        let mut value = word.as_str();
        if listed.is_none() {
            if word == "--" {
                stop = Some(index);
                break;
            }
            let Some((_, param)) = word.split_once('.') else { continue };
            let Some((name, text)) = param.split_once('=') else { continue };
            let ours = word.starts_with("env.vars=");
            assert!(ours || ["ip", "fstab", "rootfs"].contains(&name), "{word:?}");
            let Some(text) = text.strip_prefix('[') else {
                env.extend(ours.then(|| text.to_owned()));
                continue;
            };
            listed = Some(ours);
            if text.is_empty() {
                continue;
            }
            value = text;
        }
        let ours = listed == Some(true);
        if let Some(last) = value.strip_suffix(']') {
            listed = None;
            value = last;
        }
        env.extend((ours && !(value.is_empty() && listed.is_none())).then(|| value.to_owned()));
    }
    // Without it no option is read.
    let stop = stop.unwrap();
    Seen { args: options[stop + 1..].to_vec(), env }
}

fn split(line: &str, quotes: Quotes) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut open, mut quote, mut escaped) = (false, None, false);
    for c in line.chars() {
        let blank = matches!(c, ' ' | '\r' | '\n' | '\t' | '\x0b');
        match c {
            _ if blank && quote.is_none() && !escaped => {
                open = false;
                continue;
            }
            // The byte stays where it is, but no word begins with it.
            _ if blank && quotes == Quotes::Plain && !open => continue,
            '\'' | '"' if !escaped && quote.is_none() => {
                quote = Some(c);
                continue;
            }
            '\'' | '"' if !escaped && quote == Some(c) => {
                quote = None;
                continue;
            }
            _ => {}
        }
        if !open {
            if words.len() == MOST {
                break;
            }
            words.push(String::new());
            open = true;
        }
        let word = words.last_mut().unwrap();
        let knows = quotes == Quotes::Escapes && quote != Some('\'');
        if knows && c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped && quote.is_some() && !matches!(c, '"' | '\\') {
            word.push('\\');
        }
        escaped = false;
        word.push(c);
    }
    words
}
