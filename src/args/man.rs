//! The manual page, as roff.

use super::command::{COMMANDS, Spec};
use super::flag::{Flag, Group, Value};
use super::help::{EXIT_CODES, SWITCHES, TAGLINE};
use super::{BINARY, Command, PROGRAM, flags};

/// The whole page, section 1.
pub fn page() -> String {
    let mut roff = Roff(String::new());
    // No date: the same source makes the same page.
    roff.raw(&format!(
        ".TH KUBECTL\\-KUBELET_LOGS 1 \"\" \"{} {}\" \"User Commands\"\n",
        "kubelet-logs",
        env!("CARGO_PKG_VERSION")
    ));
    roff.raw(".nh\n.ad l\n");
    roff.section("NAME");
    roff.text(&format!(
        "{BINARY} - {}",
        TAGLINE.trim_end_matches('.').to_ascii_lowercase().replace("kubernetes", "Kubernetes").replace("api", "API")
    ));
    roff.section("SYNOPSIS");
    for spec in COMMANDS {
        let name = if spec.command == Command::Logs { "[logs]" } else { spec.name };
        roff.raw(&format!(".B {}\n{}\n.br\n", escape(PROGRAM), escape(format!("{name} {}", spec.usage).trim_end())));
    }
    roff.section("DESCRIPTION");
    roff.paragraphs(Command::Logs.spec().about);
    roff.section("COMMANDS");
    for spec in COMMANDS.iter().filter(|spec| spec.command != Command::Logs) {
        roff.command(spec);
    }
    roff.section("OPTIONS");
    roff.text(SWITCHES);
    for group in Group::ALL {
        roff.raw(&format!(".SS {}\n", escape(group.title())));
        for flag in flags::all().filter(|flag| flag.group == group) {
            roff.flag(flag);
        }
    }
    roff.section("EXIT STATUS");
    for (code, meaning) in EXIT_CODES {
        roff.raw(&format!(".TP\n.B {code}\n{}\n", escape(meaning)));
    }
    roff.section("ENVIRONMENT");
    roff.raw(&format!(
        ".TP\n.B KUBECONFIG\n{}\n",
        escape("Configuration files to merge, joined as in PATH; ~/.kube/config if it is empty or unset.")
    ));
    roff.raw(&format!(".TP\n.B TZ\n{}\n", escape("What --timezone local means, where it is set.")));
    roff.section("EXAMPLES");
    for spec in COMMANDS {
        for (purpose, words) in spec.examples {
            roff.raw(&format!(".PP\n{}:\n.PP\n.nf\n.RS 4\n{}\n.RE\n.fi\n", escape(purpose), escape(words)));
        }
    }
    roff.section("SEE ALSO");
    roff.raw(".BR kubectl (1),\n.BR journalctl (1)\n");
    roff.0
}

/// A page being written.
struct Roff(String);

impl Roff {
    fn raw(&mut self, roff: &str) {
        self.0.push_str(roff);
    }

    fn section(&mut self, name: &str) {
        self.raw(&format!(".SH {name}\n"));
    }

    fn text(&mut self, text: &str) {
        self.raw(&format!("{}\n", escape(text)));
    }

    fn paragraphs(&mut self, paragraphs: &[&str]) {
        for (n, paragraph) in paragraphs.iter().enumerate() {
            if n > 0 {
                self.raw(".PP\n");
            }
            self.text(paragraph);
        }
    }

    fn command(&mut self, spec: &Spec) {
        let head = format!("\\fB{}\\fR {}", escape(spec.name), escape(spec.usage));
        self.raw(&format!(".TP\n{}\n", head.trim_end()));
        self.entry(spec.about);
    }

    fn flag(&mut self, flag: &Flag) {
        let short = flag.short.map_or(String::new(), |short| format!("\\fB\\-{short}\\fR, "));
        let value = match flag.value {
            Value::Choice(_) => format!(" {}", escape(flag.metavar().trim_start())),
            _ if flag.metavar().is_empty() => String::new(),
            _ => format!(" \\fI{}\\fR", escape(flag.metavar().trim_start())),
        };
        self.raw(&format!(".TP\n{short}\\fB\\-\\-{}\\fR{value}\n", escape(flag.long)));
        self.entry(flag.help);
    }

    /// What stands indented below a name.
    fn entry(&mut self, paragraphs: &[&str]) {
        for (n, paragraph) in paragraphs.iter().enumerate() {
            if n > 0 {
                self.raw(".IP\n");
            }
            self.text(paragraph);
        }
    }
}

/// Text that roff prints as it is: dashes that can be copied, no macros by accident.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    if text.starts_with(['.', '\'']) {
        escaped.push_str("\\&");
    }
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '~' => escaped.push_str("\\(ti"),
            '^' => escaped.push_str("\\(ha"),
            '`' => escaped.push_str("\\(ga"),
            '\'' => escaped.push_str("\\(aq"),
            '"' => escaped.push_str("\\(dq"),
            c if c.is_ascii() => escaped.push(c),
            c => escaped.push_str(&format!("\\[u{:04X}]", c as u32)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_plain_ascii_and_names_every_flag() {
        let page = page();
        assert!(page.is_ascii());
        for flag in flags::all() {
            assert!(page.contains(&format!("\\fB\\-\\-{}\\fR", escape(flag.long))), "{}", flag.long);
        }
        assert!(page.lines().all(|line| !line.starts_with('\'')));
    }
}
