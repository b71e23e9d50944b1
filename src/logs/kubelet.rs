//! Telling a kubelet's lines from the others of a unit that holds a whole distribution; sans-io.
//!
//! k0s and MicroShift mark each line with the part that wrote it. k3s and MicroK8s run everything in one process, whose
//! klog lines name no part but the source file: there a line is left out only if it certainly is not the kubelet's, by
//! its file or its layout. Where nothing tells, a line stays.

use bytes::{BufMut, Bytes, BytesMut};

use crate::logs::klog;
use crate::logs::layout::Head;
use crate::logs::line::Line;
use crate::logs::unit::{self, Holds, NOT_THE_KUBELETS};

/// So many programs' last lines are remembered, for the lines that continue them.
const MOST_WRITERS: usize = 16;

/// Where the kubelet's lines are among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// In the log of a unit that holds this.
    Unit(Holds),
    /// In a syslog file, under any of the identifiers of [`unit::HOMES`].
    Syslog,
}

/// One pass over one log.
#[derive(Clone, Debug)]
pub struct KubeletLines {
    among: Among,
    /// Each program's `name[pid]`, and whether its last line with a head was kept. The newest last.
    writers: Vec<(Bytes, Owner)>,
    saw_supervisor: bool,
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The kubelet's, or perhaps.
    Kubelet,
    /// Certainly somebody else's.
    Other,
    /// That of the line before it.
    LineBefore,
}

impl KubeletLines {
    /// For lines of this origin.
    pub fn new(among: Among) -> Self {
        KubeletLines { among, writers: Vec::new(), saw_supervisor: false }
    }

    /// Whether a line of a supervisor went by whose kubelet logs elsewhere.
    pub fn saw_supervisor(&self) -> bool {
        self.saw_supervisor
    }

    /// Whether a line is to be shown; takes it out of what it is wrapped in. Lines come in the log's order.
    pub fn keep(&mut self, line: &mut Line) -> bool {
        let identifier = line.head.map_or((0, 0), |head| head.identifier);
        let identifier = line.text.get(identifier.0..identifier.1).unwrap_or_default();
        let holds = match self.among {
            Among::Unit(holds) => holds,
            Among::Syslog => match unit::home_of_identifier(identifier) {
                Some(home) => home.holds,
                // Others' lines are told apart by their identifier.
                None => return true,
            },
        };
        // When the unit was started and how it ended is said by systemd.
        if identifier == b"systemd" && holds != Holds::Supervisor {
            return true;
        }
        let (owner, inner) = match holds {
            Holds::Kubelet => return true,
            Holds::Supervisor => {
                self.saw_supervisor = true;
                return false;
            }
            Holds::Process => (process(line.message()), None),
            Holds::Components => component(line.message()),
            Holds::Prefixed => prefixed(line.message()),
        };
        let owner = self.remember(line, owner);
        if owner == Owner::Kubelet
            && let Some(inner) = inner
        {
            unwrap(line, &inner);
        }
        owner == Owner::Kubelet
    }

    /// Settles whose a line without a head is.
    fn remember(&mut self, line: &Line, owner: Owner) -> Owner {
        let writer =
            line.head.map_or(&[][..], |head| line.text.get(head.identifier.0..head.message).unwrap_or_default());
        let known = self.writers.iter().position(|(known, _)| *known == writer);
        if owner == Owner::LineBefore {
            return known.and_then(|at| self.writers.get(at)).map_or(Owner::Kubelet, |(_, owner)| *owner);
        }
        match known {
            Some(at) => {
                let entry = self.writers.remove(at);
                self.writers.push((entry.0, owner));
            }
            None => {
                if self.writers.len() >= MOST_WRITERS {
                    self.writers.remove(0);
                }
                self.writers.push((Bytes::copy_from_slice(writer), owner));
            }
        }
        owner
    }
}

/// Puts a message in the place of the one that it was wrapped in.
fn unwrap(line: &mut Line, inner: &[u8]) {
    let prefix = line
        .head
        .filter(|head| head.message > 0)
        .map_or(&[][..], |head| line.text.get(..head.message).unwrap_or_default());
    let mut text = BytesMut::with_capacity(prefix.len() + inner.len() + 1);
    text.put_slice(prefix);
    text.put_slice(inner);
    if line.text.ends_with(b"\n") && !inner.ends_with(b"\n") {
        text.put_u8(b'\n');
    }
    if prefix.is_empty() {
        line.head = Head::of(&text).or(line.head.map(|head| Head { message: 0, identifier: (0, 0), ..head }));
    }
    line.text = text.freeze();
}

/// A line of k3s or MicroK8s.
fn process(message: &[u8]) -> Owner {
    if klog::Header::of(message).is_some() {
        return by_file(klog_file(message));
    }
    // k3s itself, kine and helm write logrus's text, etcd zap's JSON. Libraries in a kubelet hardly ever do.
    if message.starts_with(b"time=\"") || message.starts_with(b"{\"level\":\"") {
        return Owner::Other;
    }
    if message.starts_with(b"{\"ts\":") {
        const CALLER: &[u8] = b"\"caller\":\"";
        let caller = memchr::memmem::find(message, CALLER).and_then(|at| message.get(at + CALLER.len()..));
        let file = caller.unwrap_or_default();
        let file = file.get(..memchr::memchr(b':', file).unwrap_or(0)).unwrap_or_default();
        return by_file(file.rsplit(|b| *b == b'/').next().unwrap_or_default());
    }
    headless(message)
}

/// A line of k0s: `time="2024-07-08 08:46:25" level=info msg="I0708 …" component=kubelet stream=stderr`; what is in `msg`,
/// as it was before logrus quoted it.
fn component(message: &[u8]) -> (Owner, Option<Vec<u8>>) {
    if !message.starts_with(b"time=") {
        return (headless(message), None);
    }
    let (mut component, mut inner) = (None, None);
    let mut rest = message.strip_suffix(b"\n").unwrap_or(message);
    while let Some(equals) = memchr::memchr(b'=', rest) {
        let key = rest.get(..equals).unwrap_or_default().trim_ascii_start();
        let Some((value, after)) = value(rest.get(equals + 1..).unwrap_or_default()) else {
            // A line that was cut: whose it is shows nowhere.
            return (Owner::Kubelet, None);
        };
        match key {
            b"component" => component = Some(value),
            b"msg" => inner = Some(value),
            _ => {}
        }
        rest = after;
    }
    match component.as_deref() {
        Some(b"kubelet") => (Owner::Kubelet, inner),
        _ => (Owner::Other, None),
    }
}

/// One of logrus's values, unquoted, and what follows it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b' ', text).unwrap_or(text.len());
        return Some((text.get(..end)?.to_vec(), text.get(end..)?));
    };
    let mut plain = Vec::new();
    let mut rest = quoted;
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        plain.extend_from_slice(rest.get(..at)?);
        rest = rest.get(at..)?;
        if let Some(after) = rest.strip_prefix(b"\"") {
            return Some((plain, after));
        }
        rest = unescape(rest, &mut plain)?;
    }
}

/// Undoes one of Go's escapes (`strconv.Quote`) at the front of a text. One line stays one line.
fn unescape<'t>(text: &'t [u8], plain: &mut Vec<u8>) -> Option<&'t [u8]> {
    let kind = *text.get(1)?;
    let hex = |digits: usize| {
        let text = std::str::from_utf8(text.get(2..2 + digits)?).ok()?;
        u32::from_str_radix(text, 16).ok()
    };
    let length = match kind {
        b'x' => {
            plain.push(u8::try_from(hex(2)?).ok()?);
            4
        }
        b'u' | b'U' => {
            let digits = if kind == b'u' { 4 } else { 8 };
            let mut utf8 = [0; 4];
            plain.extend_from_slice(char::from_u32(hex(digits)?)?.encode_utf8(&mut utf8).as_bytes());
            2 + digits
        }
        b't' => {
            plain.push(b'\t');
            2
        }
        b'"' | b'\\' => {
            plain.push(kind);
            2
        }
        _ => {
            plain.extend_from_slice(text.get(..2)?);
            2
        }
    };
    text.get(length..)
}

/// A line of MicroShift: `kubelet I1020 12:06:40.013209  138928 manager.go:114] …`, and `???` where it does not know.
fn prefixed(message: &[u8]) -> (Owner, Option<Vec<u8>>) {
    if let Some(space) = memchr::memchr(b' ', message.get(..64).unwrap_or(message))
        && let (Some(part), Some(rest)) = (message.get(..space), message.get(space + 1..))
        && klog::Header::of(rest).is_some()
    {
        return match part {
            b"kubelet" | b"???" => (Owner::Kubelet, Some(rest.to_vec())),
            _ => (Owner::Other, None),
        };
    }
    // Releases before 4.12 named no part.
    (process(message), None)
}

/// A line without a head continues the one before it, unless the process crashed, and the kubelet with it.
fn headless(message: &[u8]) -> Owner {
    const CRASHES: [&[u8]; 4] = [b"panic: ", b"fatal error: ", b"goroutine ", b"runtime: "];
    if CRASHES.iter().any(|crash| message.starts_with(crash)) { Owner::Kubelet } else { Owner::LineBefore }
}

/// The source file in `I1121 03:07:12.123456     974 file.go:12] …`.
fn klog_file(message: &[u8]) -> &[u8] {
    const TIME: usize = 21;
    let rest = message.get(TIME..).unwrap_or_default().trim_ascii_start();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = rest.get(digits..).unwrap_or_default().trim_ascii_start();
    rest.get(..memchr::memchr(b':', rest.get(..100).unwrap_or(rest)).unwrap_or(0)).unwrap_or_default()
}

fn by_file(file: &[u8]) -> Owner {
    match NOT_THE_KUBELETS.binary_search_by(|name| name.as_bytes().cmp(file)) {
        Ok(_) => Owner::Other,
        Err(_) => Owner::Kubelet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of these lines is shown, each as its node's journal gives it.
    fn shown(holds: Holds, lines: &[&str]) -> Vec<String> {
        let mut kubelet = KubeletLines::new(Among::Unit(holds));
        lines
            .iter()
            .filter_map(|text| {
                let text = Bytes::from(format!("{text}\n"));
                let mut line = Line::new(Head::of(&text), text);
                kubelet.keep(&mut line).then(|| String::from_utf8_lossy(&line.text).trim_end().to_owned())
            })
            .collect()
    }

    /// Checks which are shown, unchanged: those that do not begin with a `!`.
    #[track_caller]
    fn check(holds: Holds, prefix: &str, messages: &[&str]) {
        let lines: Vec<String> = messages.iter().map(|m| format!("{prefix}{}", m.trim_start_matches('!'))).collect();
        let expected: Vec<&String> =
            lines.iter().zip(messages).filter(|(_, m)| !m.starts_with('!')).map(|(line, _)| line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(shown(holds, &lines).iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn of_one_process_only_certain_strangers_are_left_out() {
        for prefix in ["Nov 21 03:07:12.123456 n k3s[812]: ", ""] {
            check(
                Holds::Process,
                prefix,
                &[
                    "!time=\"2026-11-21T03:07:11Z\" level=info msg=\"Starting k3s v1.30.6+k3s1 (1829eaae)\"",
                    "!{\"level\":\"info\",\"ts\":\"2026-11-21T03:07:11.5Z\",\"caller\":\"raft/raft.go:77\",\"msg\":\"elected\"}",
                    "I1121 03:07:12.123456     812 kubelet.go:2422] \"SyncLoop ADD\" source=\"api\"",
                    "E1121 03:07:12.123456     812 reflector.go:138] k8s.io/client-go: Failed to watch",
                    "!I1121 03:07:12.123456     812 replica_set.go:626] \"Too few replicas\"",
                    "!W1121 03:07:12.123456     812 garbagecollector.go:747] failed to discover",
                    "!continued: of a stranger",
                    "I1121 03:07:12.123456     812 trace.go:205] Trace[835477659]: \"List\":",
                    "Trace[835477659]: [6.620229159s] END",
                    "!I1121 03:07:12.123456 2538362 proxier.go:853] \"Syncing iptables rules\"",
                    "panic: runtime error",
                    "goroutine 1 [running]:",
                    "main.main()",
                    "{\"ts\":1795230432123.456,\"caller\":\"kubelet/kubelet.go:2422\",\"msg\":\"x\"}",
                    "!{\"ts\":1795230432123.456,\"caller\":\"app/controllermanager.go:2\",\"msg\":\"x\"}",
                ],
            );
        }
    }

    #[test]
    fn a_line_that_continues_another_goes_with_its_own_program() {
        check(
            Holds::Process,
            "",
            &[
                "Nov 21 03:07:12.000001 n k3s[812]: unknown: before it nothing was seen",
                "!Nov 21 03:07:12.000001 n k3s[812]: I1121 03:07:12.000001     812 proxier.go:853] x",
                "Nov 21 03:07:12.000002 n helper[813]: unknown: of another process",
                "Nov 21 03:07:12.000003 n systemd[1]: k3s.service: Main process exited",
            ]
            .map(|line| line),
        );
        let lines = [
            "Nov 21 03:07:12.000001 n k3s[812]: I1121 03:07:12.000001     812 proxier.go:853] x",
            "Nov 21 03:07:12.000003 n systemd[1]: Stopping k3s.service",
            "Nov 21 03:07:12.000003 n k3s[812]:   more of it",
        ];
        assert_eq!(shown(Holds::Process, &lines).len(), 1);
    }

    #[test]
    fn k0s_wraps_the_kubelets_lines_and_marks_them() {
        let prefix = "Jul 08 08:46:25.877000 w k0s[1766]: ";
        let line = |rest: &str| format!("{prefix}time=\"2024-07-08 08:46:25\" level=info msg={rest}");
        let wrapped = [
            line(
                r#""I0708 08:46:25.876821    1814 a.go:721] \"Mounted \\\"v\\\"\" pod=\"ns/p\"" component=kubelet stream=stderr"#,
            ),
            line(r#""time=\"2024-07-08T08:46:25Z\" component=kubelet" component=containerd stream=stderr"#),
            line(r#""Shutting down k0s""#),
            line("bare component=kubelet stream=stderr"),
            line(r#""tab\tnull\x00\u00e4\n" chunk=2 component=kubelet stream=stderr"#),
            line(r#""cut in its mid"#),
        ];
        let lines: Vec<&str> = wrapped.iter().map(String::as_str).collect();
        let expected = [
            r#"I0708 08:46:25.876821    1814 a.go:721] "Mounted \"v\"" pod="ns/p""#.to_owned(),
            "bare".to_owned(),
            "tab\tnull\0ä\\n".to_owned(),
            wrapped[5][prefix.len()..].to_owned(),
        ];
        assert_eq!(shown(Holds::Components, &lines), expected.map(|text| format!("{prefix}{text}")));
        let bare: Vec<&str> = lines.iter().map(|line| &line[prefix.len()..]).collect();
        assert_eq!(shown(Holds::Components, &bare).len(), 4, "the same from a file");
    }

    #[test]
    fn a_line_taken_out_of_its_wrapping_tells_its_own_time() {
        let text = Bytes::from_static(
            b"time=\"2024-07-08 08:46:25\" level=info msg=\"I0708 08:46:25.876821    1 a.go:7] x\" component=kubelet\n",
        );
        let mut line = Line::new(Head::of(&text), text);
        assert_eq!(line.head, None);
        assert!(KubeletLines::new(Among::Unit(Holds::Components)).keep(&mut line));
        assert_eq!(&line.text[..], b"I0708 08:46:25.876821    1 a.go:7] x\n");
        assert_eq!(line.head, Head::of(&line.text));
    }

    #[test]
    fn microshift_names_the_part_before_the_line() {
        let prefix = "Oct 20 12:06:40.013300 n microshift[138928]: ";
        let lines = [
            "kubelet I1020 12:06:40.013209  138928 manager.go:114] x",
            "etcd W1020 12:06:40.014905  138928 logging.go:59] grpc: {",
            "\"Addr\": \"localhost:2379\",",
            "??? I1020 12:06:40.013209  138928 a.go:1] y",
            "I1020 12:06:40.013209  138928 kubelet.go:1] of an older release",
            "I1020 12:06:40.013209  138928 cacher.go:1] of an older release",
        ]
        .map(|line| format!("{prefix}{line}"));
        let shown = shown(Holds::Prefixed, &lines.each_ref().map(String::as_str));
        let expected = [
            "I1020 12:06:40.013209  138928 manager.go:114] x",
            "I1020 12:06:40.013209  138928 a.go:1] y",
            "I1020 12:06:40.013209  138928 kubelet.go:1] of an older release",
        ];
        assert_eq!(shown, expected.map(|line| format!("{prefix}{line}")));
    }

    #[test]
    fn in_syslog_each_program_has_its_own_rule() {
        let mut kubelet = KubeletLines::new(Among::Syslog);
        for (text, kept) in [
            ("Nov 21 03:07:12 n kubelet[9]: I1121 03:07:12.000001     812 proxier.go:853] x\n", true),
            ("Nov 21 03:07:12 n k3s[9]: I1121 03:07:12.000001     812 proxier.go:853] x\n", false),
            ("Nov 21 03:07:12 n sshd[9]: not looked at here\n", true),
            ("Nov 21 03:07:12 n rke2[9]: time=\"2026-11-21T03:07:12Z\" level=info msg=x\n", false),
        ] {
            let mut line = Line::new(Head::of(text.as_bytes()), Bytes::from_static(text.as_bytes()));
            assert_eq!(kubelet.keep(&mut line), kept, "{text}");
        }
        assert!(kubelet.saw_supervisor());
    }

    #[test]
    fn what_no_log_holds_is_kept_as_it_is() {
        for holds in [Holds::Process, Holds::Components, Holds::Prefixed] {
            for text in [
                "",
                "\n",
                "time=",
                "time=\"",
                "time=\"x\" msg=\"\\",
                "I1121 03:07:12.123456 ",
                "kubelet ",
                "\u{fffd}= =",
            ] {
                let bytes = Bytes::copy_from_slice(text.as_bytes());
                let mut line = Line::new(Head::of(&bytes), bytes.clone());
                if KubeletLines::new(Among::Unit(holds)).keep(&mut line) {
                    assert_eq!(line.text, bytes, "{holds:?}");
                }
            }
        }
    }

    #[test]
    fn the_list_of_strangers_is_sorted_and_spares_what_kubelets_have() {
        assert!(NOT_THE_KUBELETS.is_sorted());
        // Names that occur in the logs of kubelets alone.
        for file in [
            "kubelet.go",
            "server.go",
            "reflector.go",
            "trace.go",
            "controller.go",
            "manager.go",
            "factory.go",
            "config.go",
            "preemption.go",
            "event.go",
            "tlsconfig.go",
            "plugins.go",
            "watcher.go",
            "handler.go",
            "shared_informer.go",
            "certificate_manager.go",
            "nodelease.go",
            "iptables.go",
            "clientconn.go",
        ] {
            assert_eq!(by_file(file.as_bytes()), Owner::Kubelet, "{file}");
        }
    }
}
