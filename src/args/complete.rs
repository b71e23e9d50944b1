//! Completion: scripts for shells, and the words they and kubectl ask for.

use std::ffi::{OsStr, OsString};

use super::command::{COMMANDS, Positionals, SHELLS};
use super::flag::{Flag, Given, Set, Value};
use super::options::{Connection, Options};
use super::words::{Word, Words};
use super::{BINARY, Command, flags};

/// The word before the words a completion script passes on.
pub const COMPLETE: &str = "__complete";

/// The file name under which kubectl asks for completions.
pub const HOOK: &str = "kubectl_complete-kubelet_logs";

/// What could come next, as far as it is known without a cluster.
#[derive(Debug)]
pub struct Candidates {
    /// Words, each with a description behind a tab if it has one.
    pub fixed: Vec<String>,
    /// Whether names of nodes belong here, too.
    pub nodes: bool,
    /// Or those of contexts.
    pub contexts: bool,
    /// What the word to complete begins with.
    pub prefix: String,
    /// cobra's: 0 lets the shell offer files, 4 does not.
    pub directive: u8,
    /// Which cluster the words before chose.
    pub connection: Connection,
}

impl Candidates {
    /// As shells and kubectl read it: a word a line, then a colon and the directive. `names` are those that belong here.
    pub fn render(&self, names: &[String]) -> String {
        let mut out = String::new();
        let names = names.iter().filter(|_| self.nodes || self.contexts).map(String::as_str);
        for word in self.fixed.iter().map(String::as_str).chain(names) {
            // Names come from a server: one with a line end would be several words.
            if word.starts_with(&self.prefix) && !word.contains(['\n', '\r']) {
                out.push_str(word);
                out.push('\n');
            }
        }
        out.push_str(&format!(":{}\n", self.directive));
        out
    }
}

/// Whether the program was called as kubectl's completion hook.
pub(super) fn is_hook(argv0: &OsStr) -> bool {
    let name = std::path::Path::new(argv0).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name) == HOOK
}

const NO_FILES: u8 = 4;
const FILES: u8 = 0;

/// The script for a shell; `None` for an unknown one.
pub fn script(shell: &str) -> Option<String> {
    let template = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        _ => return None,
    };
    Some(template.replace("%BINARY%", BINARY).replace("%COMPLETE%", COMPLETE))
}

/// What could follow: the last of `words` is the one being typed, maybe empty.
pub fn candidates(mut words: Vec<OsString>) -> Candidates {
    let typed = words.pop().unwrap_or_default();
    let typed = typed.to_string_lossy().into_owned();
    let mut options = Options::default();
    let mut command = None;
    let mut operands = 0;
    let mut waiting = None;
    let only_operands = words.iter().any(|word| word == "--");
    for word in Words::new(words) {
        match word {
            Word::Command(named) => command = Some(named),
            Word::Operand(_) => operands += 1,
            Word::Unknown(_) => {}
            Word::Valueless(flag) => waiting = Some(flag),
            Word::Flag { flag, value, .. } => {
                if let Set::Option(set) = flag.set {
                    // A bad value is for the run to complain of.
                    let _ = set(&mut options, &Given(&value));
                }
            }
        }
    }
    let mut found = Candidates {
        fixed: Vec::new(),
        nodes: false,
        contexts: false,
        prefix: typed.clone(),
        directive: NO_FILES,
        connection: options.connection,
    };
    match (waiting, typed.strip_prefix("--").and_then(|rest| rest.split_once('='))) {
        (Some(flag), _) => values(&mut found, flag),
        // Shells put what stands before the `=` back themselves.
        (None, Some((name, begun))) if !only_operands => {
            found.prefix = begun.to_owned();
            if let Some(flag) = flags::long(name) {
                values(&mut found, flag);
            }
        }
        _ if typed.starts_with('-') && !only_operands => names(&mut found, command.unwrap_or_default()),
        _ => operand(&mut found, command, operands, only_operands),
    }
    found
}

fn values(found: &mut Candidates, flag: &Flag) {
    match flag.value {
        Value::Switch => found.fixed = vec!["true".to_owned(), "false".to_owned()],
        Value::Choice(choices) => found.fixed = choices.iter().map(|choice| (*choice).to_owned()).collect(),
        Value::File(_) => found.directive = FILES,
        Value::Text(_) => found.contexts = flag.long == "context",
    }
}

fn names(found: &mut Candidates, command: Command) {
    for flag in flags::all().filter(|flag| flag.commands.contains(&command)) {
        found.fixed.push(format!("--{}\t{}", flag.long, flag.brief));
        if let Some(short) = flag.short {
            found.fixed.push(format!("-{short}\t{}", flag.brief));
        }
    }
}

fn operand(found: &mut Candidates, command: Option<Command>, operands: usize, only_operands: bool) {
    let commands = || COMMANDS.iter().map(|spec| format!("{}\t{}", spec.name, spec.brief));
    if command.is_none() && operands == 0 && !only_operands {
        found.fixed.extend(commands());
    }
    match (command.unwrap_or_default().spec().positionals, operands) {
        (Positionals::Nodes, _) | (Positionals::NodeAndFolder, 0) => found.nodes = true,
        (Positionals::CommandName, 0) => found.fixed.extend(commands()),
        (Positionals::Shell, 0) => found.fixed.extend(SHELLS.iter().map(|shell| (*shell).to_owned())),
        _ => {}
    }
}

const BASH: &str = r#"# bash completion for %BINARY%

_kubelet_logs() {
    local current=${COMP_WORDS[COMP_CWORD]} word="" part line directive joined=no
    local -a words=() answer=()
    COMPREPLY=()
    # bash also breaks words at "=" and ":": put them together again.
    for part in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ ${#words[@]} -gt 0 && ($joined == yes || $part == [=:]) ]]; then
            words[${#words[@]} - 1]+=$part
        else
            words+=("$part")
        fi
        joined=no
        [[ $part == [=:] ]] && joined=yes
    done
    word=${words[${#words[@]} - 1]}
    mapfile -t answer < <("${COMP_WORDS[0]/#\~/$HOME}" %COMPLETE% "${words[@]}" 2>/dev/null)
    if ((${#answer[@]} == 0)); then
        return
    fi
    directive=${answer[${#answer[@]} - 1]#:}
    unset "answer[${#answer[@]} - 1]"
    if [[ $directive == 0 ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    [[ $current == [=:] ]] && current=""
    for line in "${answer[@]}"; do
        line=${line%%$'\t'*}
        # Candidates for a value stand for what follows the "=" alone.
        if [[ $word == --*=* || $line == "$word"* ]]; then
            COMPREPLY+=("${line#"${word%"$current"}"}")
        fi
    done
}

complete -F _kubelet_logs %BINARY%
"#;

const ZSH: &str = r#"#compdef %BINARY%
# zsh completion for %BINARY%

_kubelet_logs() {
    local -a answer candidates
    local line word directive
    word=${words[CURRENT]}
    answer=("${(@f)$(${~words[1]} %COMPLETE% "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${answer[-1]#:}
    # Candidates for a value stand for what follows the "=" alone.
    [[ $word == --*=* ]] && compset -P '*='
    if [[ $directive == 0 ]]; then
        _files
        return
    fi
    for line in "${(@)answer[1,-2]}"; do
        candidates+=("${${line//:/\\:}//$'\t'/:}")
    done
    (($#candidates)) && _describe -t words 'kubelet-logs' candidates
}

if [[ $funcstack[1] == _kubelet_logs || $funcstack[1] == _%BINARY% ]]; then
    _kubelet_logs "$@"
else
    compdef _kubelet_logs %BINARY%
fi
"#;

const FISH: &str = r#"# fish completion for %BINARY%

function __kubelet_logs_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l answer ($words[1] %COMPLETE% $words[2..-1] $word 2>/dev/null)
    set -l directive (string replace ':' '' -- $answer[-1])
    set -l before (string match -r -- '^--[^=]*=' $word)
    if test "$directive" = 0
        for path in (__fish_complete_path (string replace -- "$before" '' $word))
            echo "$before$path"
        end
        return
    end
    for line in $answer[1..-2]
        echo "$before$line"
    end
end

complete -c %BINARY% -f -a '(__kubelet_logs_complete)'
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Parsed, parse};

    fn asked(words: &[&str]) -> Candidates {
        match parse(words, HOOK) {
            Ok(Parsed::Candidates(candidates)) => *candidates,
            other => panic!("{other:?}"),
        }
    }

    fn offered(words: &[&str]) -> Vec<String> {
        let nodes = ["node-1".to_owned(), "node-2".to_owned(), "evil\nnode".to_owned()];
        let text = asked(words).render(&nodes);
        let mut lines: Vec<String> = text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        assert!(lines.pop().unwrap().starts_with(':'));
        lines
    }

    #[test]
    fn commands_and_nodes_come_first() {
        assert_eq!(offered(&[""]), ["logs", "ls", "version", "help", "man", "completion", "node-1", "node-2"]);
        assert_eq!(offered(&["l"]), ["logs", "ls"]);
        assert_eq!(offered(&["node-2"]), ["node-2"]);
        assert_eq!(offered(&["logs", ""]), ["node-1", "node-2"]);
        assert_eq!(offered(&["ls", "-q", "node-1"]), ["node-1"]);
        assert_eq!(offered(&["--", ""]), ["node-1", "node-2"]);
        assert_eq!(offered(&["logs", "node-1", ""]), ["node-1", "node-2"]);
        for nothing in [["ls", "node-1", ""].as_slice(), &["man", ""], &["--tail", ""]] {
            assert_eq!(offered(nothing), [""; 0], "{nothing:?}");
        }
        assert_eq!(offered(&["completion", ""]), ["bash", "zsh", "fish"]);
        assert_eq!(offered(&["help", "v"]), ["version"]);
    }

    #[test]
    fn flags_are_those_of_the_command() {
        assert_eq!(offered(&["node-1", "--sin"]), ["--since", "--since-time"]);
        assert_eq!(offered(&["ls", "--lo"]), ["--long"]);
        assert_eq!(offered(&["logs", "--lo"]), [""; 0]);
        assert!(offered(&["node-1", "-"]).contains(&"-g".to_owned()));
        assert_eq!(offered(&["--", "--si"]), [""; 0]);
    }

    #[test]
    fn values_are_those_of_the_flag() {
        assert_eq!(offered(&["n", "--source", ""]), ["auto", "query", "journal", "file"]);
        assert_eq!(offered(&["n", "--source=q"]), ["query"]);
        assert_eq!(offered(&["n", "--timestamps=f"]), ["false"]);
        assert_eq!(offered(&["n", "--bogus=f"]), [""; 0]);
        assert_eq!((asked(&["--kubeconfig", ""]).directive, asked(&["--context", ""]).directive), (FILES, NO_FILES));
    }

    #[test]
    fn the_cluster_already_chosen_is_the_one_asked() {
        let found = asked(&["--context", "prod", "--tail", "nonsense", "-n", "100", ""]);
        assert_eq!(found.connection.context.as_deref(), Some("prod"));
        assert!(found.nodes);
    }

    #[test]
    fn the_answer_ends_with_the_directive() {
        assert_eq!(asked(&["man", ""]).render(&["node-1".to_owned()]), ":4\n");
        assert_eq!(asked(&[]).render(&[]).lines().last(), Some(":4"));
    }
}
