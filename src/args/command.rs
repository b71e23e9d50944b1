//! The command table: each command once, with all that help, man page and completion say about it.

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Print a node's log.
    #[default]
    Logs,
    /// List what can be read on a node.
    Ls,
    /// Say what this binary is.
    Version,
    /// Explain a command.
    Help,
    /// Print the manual page.
    Man,
    /// Print a shell's completion script.
    Completion,
}

/// What must be there before a command can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Works with a broken configuration, or none.
    Nothing,
    /// Talks to a cluster.
    Cluster,
}

/// What a command takes beside flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positionals {
    /// Nothing.
    None,
    /// Nodes.
    Nodes,
    /// A node and, behind a colon, a folder under /var/log.
    NodeAndFolder,
    /// A command's name, or nothing.
    CommandName,
    /// A shell's name.
    Shell,
}

/// A row of the table.
#[derive(Debug)]
pub struct Spec {
    /// Which one.
    pub command: Command,
    /// As typed.
    pub name: &'static str,
    /// What follows the name in a usage line.
    pub usage: &'static str,
    /// One line.
    pub brief: &'static str,
    /// Paragraphs, without line breaks inside.
    pub about: &'static [&'static str],
    /// What it is for, and what to type.
    pub examples: &'static [(&'static str, &'static str)],
    /// What it takes beside flags.
    pub positionals: Positionals,
    /// What must be there.
    pub needs: Needs,
}

/// The shells completion is made for.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// Every command, in the order help shows them.
pub const COMMANDS: &[Spec] = &[
    Spec {
        command: Command::Logs,
        name: "logs",
        usage: "NODE... [flags]",
        brief: "Print a node's log: the kubelet's, a service's or a file (the default)",
        about: &[
            "Prints the kubelet's log of a node as the node wrote it, oldest line first; with -u another service's, with --path a file \
             under the node's /var/log. The node answers through the API server: nothing is installed on it and no pod is started.",
            "The word `logs` may be left out. `node/NAME` names a node that is called like a command.",
            "Filters act in this order: unit and pod, since and until, priority, grep and exclude, tail, limit-bytes. A filter that \
             leaves nothing is no error: the output is empty, and one line on stderr says so.",
        ],
        examples: &[
            ("The kubelet's log of a node", "kubectl kubelet-logs node-1"),
            ("Warnings and worse of the last hour", "kubectl kubelet-logs node-1 --since 1h -P W"),
            ("The last 100 lines about a pod", "kubectl kubelet-logs node-1 --for pod/default/web-0 --tail 100"),
            (
                "Ten minutes around a moment copied from a log",
                "kubectl kubelet-logs node-1 --around \"I1121 03:07:12.123456\"",
            ),
            ("What the kubelet wrote before it was last started", "kubectl kubelet-logs node-1 -p"),
            (
                "The kernel's last words before the node was last started",
                "kubectl kubelet-logs node-1 -k -b -1 --tail 50",
            ),
            ("The container runtime instead", "kubectl kubelet-logs node-1 -u containerd --since 30m -g timeout"),
            ("A file under the node's /var/log", "kubectl kubelet-logs node-1 --path kubelet.log"),
        ],
        positionals: Positionals::Nodes,
        needs: Needs::Cluster,
    },
    Spec {
        command: Command::Ls,
        name: "ls",
        usage: "NODE[:FOLDER] [flags]",
        brief: "List what can be read on a node",
        about: &[
            "Lists a folder of the node's /var/log, with the size of each file. What it shows can be read with --path.",
            "Without a folder it also shows what the node's journal holds: units, with how many entries each has and when it last wrote, \
             for --unit; and boots, for --boot. Of journals with very many units some may be missing.",
            "Sizes cost a request a file: without --long they are asked for up to 200 files.",
        ],
        examples: &[
            ("What is in /var/log and in the journal", "kubectl kubelet-logs ls node-1"),
            ("A folder in it, all sizes", "kubectl kubelet-logs ls node-1:pods --long"),
        ],
        positionals: Positionals::NodeAndFolder,
        needs: Needs::Cluster,
    },
    Spec {
        command: Command::Version,
        name: "version",
        usage: "",
        brief: "Print the version and how this binary was built",
        about: &["Prints the version and how this binary was built. `--version` prints the version alone."],
        examples: &[],
        positionals: Positionals::None,
        needs: Needs::Nothing,
    },
    Spec {
        command: Command::Help,
        name: "help",
        usage: "[COMMAND]",
        brief: "Explain a command, or everything",
        about: &["Explains a command and each of its flags; without one, the whole program. `-h` is the short form."],
        examples: &[("All about listing", "kubectl kubelet-logs help ls")],
        positionals: Positionals::CommandName,
        needs: Needs::Nothing,
    },
    Spec {
        command: Command::Man,
        name: "man",
        usage: "",
        brief: "Print the manual page",
        about: &["Prints the manual page as roff, for `man -l -` or a folder of the manual path."],
        examples: &[("Read it", "kubectl kubelet-logs man | man -l -")],
        positionals: Positionals::None,
        needs: Needs::Nothing,
    },
    Spec {
        command: Command::Completion,
        name: "completion",
        usage: "bash|zsh|fish",
        brief: "Print a shell's completion script",
        about: &[
            "Prints a script that completes the binary's own name, kubectl-kubelet_logs, in a shell.",
            "For `kubectl kubelet-logs` itself no script is needed: kubectl asks an executable called kubectl_complete-kubelet_logs on \
             the PATH. A link of that name to this binary is all it takes; node names come from the cluster.",
        ],
        examples: &[
            ("bash, in this shell", "source <(kubectl kubelet-logs completion bash)"),
            ("zsh, for good", "kubectl kubelet-logs completion zsh > \"${fpath[1]}/_kubectl-kubelet_logs\""),
            (
                "fish, for good",
                "kubectl kubelet-logs completion fish > ~/.config/fish/completions/kubectl-kubelet_logs.fish",
            ),
            (
                "For `kubectl kubelet-logs` in any shell that completes kubectl",
                "ln -s \"$(command -v kubectl-kubelet_logs)\" ~/.local/bin/kubectl_complete-kubelet_logs",
            ),
        ],
        positionals: Positionals::Shell,
        needs: Needs::Nothing,
    },
];

impl Command {
    /// Its row.
    pub fn spec(self) -> &'static Spec {
        COMMANDS.iter().find(|spec| spec.command == self).unwrap_or(&COMMANDS[0])
    }

    /// The command of this name.
    pub fn named(name: &str) -> Option<Command> {
        COMMANDS.iter().find(|spec| spec.name == name).map(|spec| spec.command)
    }

    /// As typed.
    pub fn name(self) -> &'static str {
        self.spec().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_row_and_a_name_of_its_own() {
        for spec in COMMANDS {
            assert_eq!(COMMANDS.iter().filter(|other| other.name == spec.name).count(), 1);
            assert_eq!(spec.command.name(), spec.name);
            assert_eq!(Command::named(spec.name), Some(spec.command));
            assert!(!spec.brief.is_empty() && !spec.about.is_empty());
        }
    }
}
