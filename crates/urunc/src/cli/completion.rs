//! Completion scripts. Container ids are completed by asking `urunc list -q`.

use super::{
    PROGRAM,
    flags::{ANYWHERE, Flag, GLOBAL, VERSION},
    table::{COMMANDS, CommandSpec},
};
use std::fmt::Write;

/// The script for a shell; `None` if there is none.
pub(super) fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

fn globals() -> impl Iterator<Item = &'static Flag> {
    GLOBAL.iter().chain(ANYWHERE).chain(VERSION)
}

/// `--bundle -b --pid-file`, each spelling a word.
fn words<'a>(flags: impl Iterator<Item = &'a Flag>) -> String {
    let mut text = String::new();
    for flag in flags {
        // Writing to a String cannot fail.
        let _ = write!(text, " --{}", flag.long);
        if let Some(short) = flag.short {
            let _ = write!(text, " -{short}");
        }
    }
    text.trim_start().to_owned()
}

fn names() -> String {
    COMMANDS.iter().map(|c| c.name).collect::<Vec<_>>().join(" ")
}

/// Takes the id of a container that exists.
fn takes_id(spec: &CommandSpec) -> bool {
    spec.usage.contains("container-id") && !["create", "run", "restore"].contains(&spec.name)
}

fn bash() -> String {
    let mut cases = String::new();
    for spec in COMMANDS {
        let ids = if takes_id(spec) { format!(" $({PROGRAM} list -q 2>/dev/null)") } else { String::new() };
        let _ =
            writeln!(cases, "    {}) words=\"{}{ids}\" ;;", spec.name, words(spec.flags().chain(ANYWHERE)));
    }
    let valued: Vec<String> =
        globals().filter(|f| f.value.is_some()).map(|f| format!("--{}", f.long)).collect();
    format!(
        "_{PROGRAM}() {{
  local word command= words i skip=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    if [[ $skip ]]; then skip=; continue; fi
    case $word in
    {}) skip=1 ;;
    -*) ;;
    *) command=$word; break ;;
    esac
  done
  case $command in
    '') words=\"{} {}\" ;;
{cases}    *) words= ;;
  esac
  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))
}}
complete -o default -F _{PROGRAM} {PROGRAM}
",
        valued.join("|"),
        names(),
        words(globals())
    )
}

/// `'--bundle[the bundle]:DIR:_files'`, with what zsh reads as syntax removed from the words.
fn zsh_flag(flag: &Flag) -> String {
    let plain = |text: &str| text.replace(['[', ']'], "").replace(':', "\\:");
    let value = flag.value.map_or(String::new(), |v| format!(":{}:_files", plain(v)));
    let long = format!("'--{}[{}]{value}'", flag.long, plain(flag.help));
    flag.short.map_or(long.clone(), |c| format!("{long} '-{c}[{}]{value}'", plain(flag.help)))
}

fn zsh() -> String {
    let list = |flags: Vec<&Flag>| flags.into_iter().map(zsh_flag).collect::<Vec<_>>().join(" ");
    let mut cases = String::new();
    for spec in COMMANDS {
        let ids = if takes_id(spec) {
            format!(" '*:container:($({PROGRAM} list -q 2>/dev/null))'")
        } else {
            String::new()
        };
        let _ = writeln!(
            cases,
            "    {}) _arguments {}{ids} ;;",
            spec.name,
            list(spec.flags().chain(ANYWHERE).collect())
        );
    }
    format!(
        "#compdef {PROGRAM}
_{PROGRAM}() {{
  local line state
  _arguments -C {} '1:command:({})' '*::argument:->rest'
  [[ $state == rest ]] || return
  case $line[1] in
{cases}  esac
}}
compdef _{PROGRAM} {PROGRAM}
",
        list(globals().collect()),
        names()
    )
}

fn fish_flag(flag: &Flag, condition: &str) -> String {
    let short = flag.short.map_or(String::new(), |c| format!(" -s {c}"));
    let value = if flag.value.is_some() { " -r" } else { "" };
    format!("complete -c {PROGRAM} -n '{condition}' -l {}{short}{value} -d '{}'\n", flag.long, flag.help)
}

fn fish() -> String {
    let mut text = String::new();
    for flag in globals() {
        text.push_str(&fish_flag(flag, "__fish_use_subcommand"));
    }
    for spec in COMMANDS {
        let inside = format!("__fish_seen_subcommand_from {}", spec.name);
        let _ = writeln!(
            text,
            "complete -c {PROGRAM} -f -n __fish_use_subcommand -a {} -d '{}'",
            spec.name, spec.summary
        );
        for flag in spec.flags().chain(ANYWHERE) {
            text.push_str(&fish_flag(flag, &inside));
        }
        if takes_id(spec) {
            let _ =
                writeln!(text, "complete -c {PROGRAM} -f -n '{inside}' -a '({PROGRAM} list -q 2>/dev/null)'");
        }
    }
    text
}
