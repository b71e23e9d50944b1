//! Which nodes: names, patterns of names, selectors; and which of a cluster's nodes they mean.

use super::PROGRAM;
use super::options::is_dns_name;
use crate::error::{Error, Result};

/// What was said about which nodes. What is given narrows down together: names and patterns are looked for among the nodes
/// that selector, roles and fields leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Plain names, each once, in the order they were said.
    pub names: Vec<String>,
    /// Names with `*`, `?` or `[…]`.
    pub patterns: Vec<String>,
    /// Whether the names were said as one word without a comma: then the answer is about one node, not a list of one.
    pub single: bool,
    /// `--all-nodes`.
    pub all: bool,
    /// `-l`: a label selector for the server.
    pub selector: String,
    /// `--role`: any of these.
    pub roles: Vec<String>,
    /// `--field-selector`, for the server.
    pub field_selector: String,
}

impl Nodes {
    /// Takes an operand: a name, a pattern, or several with commas between; each with or without `node/`.
    pub fn add(&mut self, word: &str) -> Result<()> {
        self.single = self.is_empty() && !word.contains(',');
        for part in word.split(',') {
            let bare = ["node/", "nodes/", "no/"].iter().find_map(|kind| part.strip_prefix(kind)).unwrap_or(part);
            let (list, name) = if bare.contains(['*', '?', '[']) {
                self.single = false;
                (&mut self.patterns, pattern(bare)?)
            } else {
                (&mut self.names, node_name(part)?)
            };
            if !list.contains(&name) {
                list.push(name);
            }
        }
        Ok(())
    }

    /// Whether no node was named, by name or pattern.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Whether anything but plain names chooses: only the cluster knows which nodes these are.
    pub fn needs_list(&self) -> bool {
        self.all || self.is_narrowed() || !self.patterns.is_empty()
    }

    /// The one node that was named, where nothing else was said.
    pub fn one(&self) -> Option<&str> {
        match &*self.names {
            [name] if self.single && !self.needs_list() => Some(name),
            _ => None,
        }
    }

    /// Whether a node of this name, with these labels, is meant, once the server has applied the selectors. `label` gives
    /// the value of a label.
    pub fn admits<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let named = self.is_empty()
            || self.names.iter().any(|wanted| wanted == name)
            || self.patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()));
        // The second label is older clusters'.
        let plays = |role: &String| {
            label(&format!("node-role.kubernetes.io/{role}")).is_some()
                || label("kubernetes.io/role") == Some(role.as_str())
        };
        named && (self.roles.is_empty() || self.roles.iter().any(plays))
    }

    /// Checks what was said as a whole.
    pub fn check(&self) -> Result<()> {
        if self.all && !self.names.is_empty() {
            return Err(Error::usage(format!("--all-nodes, and yet a node is named: {}", self.names.join(", ")))
                .hint("leave out one of them; a pattern such as 'worker-*' or a selector narrows --all-nodes down"));
        }
        if self.is_empty() && !self.needs_list() {
            return Err(Error::usage("no node was named").hint(format!(
                "write {PROGRAM} NODE, or choose with --all-nodes, -l or --role; `kubectl get nodes` lists nodes, {PROGRAM} -h explains"
            )));
        }
        Ok(())
    }

    /// What chooses, in the words it was said with: for the error that nothing matched.
    pub fn said(&self) -> String {
        let mut words: Vec<String> = self.names.iter().chain(&self.patterns).cloned().collect();
        words.extend(self.all.then(|| "--all-nodes".to_owned()));
        words.extend((!self.selector.is_empty()).then(|| format!("-l {}", self.selector)));
        words.extend(self.roles.iter().map(|role| format!("--role {role}")));
        words.extend((!self.field_selector.is_empty()).then(|| format!("--field-selector {}", self.field_selector)));
        words.join(" ")
    }

    /// Whether more than names and patterns of names chooses.
    pub fn is_narrowed(&self) -> bool {
        !self.selector.is_empty() || !self.roles.is_empty() || !self.field_selector.is_empty()
    }
}

/// One of several runs that share a cluster's nodes among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0; unset where the environment says it.
    pub index: Option<u32>,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// Reads `I/N`, or `N` alone.
    pub fn parse(text: &str) -> Result<Shard> {
        let (index, of) = match text.split_once('/') {
            Some((index, of)) => (Some(index.parse::<u32>()), of.parse::<u32>()),
            None => (None, text.parse::<u32>()),
        };
        match (index.transpose(), of) {
            (Ok(index), Ok(of @ 1..=10_000)) if index.is_none_or(|index| index < of) => Ok(Shard { index, of }),
            _ => Err(Error::usage(format!("not a shard: {text:?}"))
                .hint("give I/N, the first being 0/N; or N alone in an Indexed Job, where JOB_COMPLETION_INDEX is I")),
        }
    }
}

/// Whether a node belongs to a shard: by its name alone, so that nodes that come and go move no other node.
pub fn in_shard(name: &str, index: u32, of: u32) -> bool {
    // FNV-1a, mixed so that names that differ in a digit spread: must stay the same from version to version.
    let hash =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    mixed % u64::from(of) == u64::from(index)
}

/// Checks a node's name, with or without `node/`.
pub fn node_name(text: &str) -> Result<String> {
    let bare = ["node/", "nodes/", "no/"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    if let Some(("pod" | "pods" | "po", _)) = bare.split_once('/') {
        return Err(Error::usage(format!("{text} is a pod, not a node"))
            .hint(format!("name the pod's node, and the pod with --for {text}")));
    }
    if let Some((node, path)) = bare.split_once(':').filter(|(node, path)| is_dns_name(node) && !path.is_empty()) {
        return Err(Error::usage(format!("not a node's name: {text:?}"))
            .hint(format!("for a file write {node} --path {path}, for a folder {PROGRAM} ls {text}")));
    }
    if !is_dns_name(bare) {
        return Err(Error::usage(format!("not a node's name: {text:?}"))
            .hint("node names have lower-case letters, digits, '-' and '.': see `kubectl get nodes`"));
    }
    Ok(bare.to_owned())
}

/// Checks a pattern for names.
fn pattern(text: &str) -> Result<String> {
    let wrong = |why: &str| {
        Err(Error::usage(format!("not a pattern for node names: {text:?}: {why}"))
            .hint("* stands for any characters, ? for one, [a-c] for one of these; put it in quotes for the shell"))
    };
    if text.len() > 253 {
        return wrong("too long");
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.*?[]!^".contains(&b)) {
        return wrong("node names have lower-case letters, digits, '-' and '.'");
    }
    let mut rest = text;
    while let Some((_, class)) = rest.split_once('[') {
        match class.find(']') {
            Some(end) if end > 0 => rest = &class[end + 1..],
            _ => return wrong("a [ without its ]"),
        }
    }
    Ok(text.to_owned())
}

/// Whether a name fits a pattern of `*`, `?`, `[a-c]` and `[!a-c]`. Takes at most as many steps as both are long, multiplied.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: that star takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p + 1..], name[n]),
            Some(other) => (*other == name[n]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(step), _) => (p, n) = (p + step, n + 1),
            (None, Some((after, taken))) => {
                star = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// How much of the pattern the class behind a `[` takes, if it holds this character.
fn class(rest: &[u8], byte: u8) -> Option<usize> {
    let end = rest.iter().position(|b| *b == b']')?;
    let (negated, mut members) = match rest[..end].split_first() {
        Some((b'!' | b'^', members)) => (true, members),
        _ => (false, &rest[..end]),
    };
    let mut found = false;
    while let Some((first, left)) = members.split_first() {
        members = match left {
            [b'-', last, left @ ..] => {
                found |= (*first..=*last).contains(&byte);
                left
            }
            _ => {
                found |= *first == byte;
                left
            }
        };
    }
    (found != negated).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(words: &[&str]) -> Nodes {
        let mut nodes = Nodes::default();
        words.iter().for_each(|word| nodes.add(word).unwrap_or_else(|e| panic!("{word}: {}", e.chain())));
        nodes
    }

    #[test]
    fn names_are_taken_with_commas_and_kinds_and_once() {
        let taken = nodes(&["a,node/b", "no/a", "c-*"]);
        assert_eq!((taken.names, taken.patterns), (vec!["a".into(), "b".to_owned()], vec!["c-*".to_owned()]));
        assert_eq!(nodes(&["node/ls"]).one(), Some("ls"));
        for words in [&["a,a"][..], &["a", "a"], &["a", "b"], &["a*"], &["a", "b*"]] {
            assert_eq!(nodes(words).one(), None, "{words:?}");
        }
        for word in ["", "a,", ",", "A", "a b", "a/b", "..", "a[", "a[]", "ü*", "a*/b", "node/", &"*".repeat(254)] {
            assert!(Nodes::default().add(word).is_err(), "{word}");
        }
    }

    #[test]
    fn node_names_are_taken_with_and_without_their_kind() {
        for text in ["node-1", "node/node-1", "nodes/node-1", "no/node-1"] {
            assert_eq!(node_name(text).unwrap(), "node-1");
        }
        assert_eq!(
            node_name("ip-10-0-0-1.eu-west-1.compute.internal").unwrap(),
            "ip-10-0-0-1.eu-west-1.compute.internal"
        );
        assert_eq!(node_name("node/ls").unwrap(), "ls");
        for text in
            ["", "node/", "..", ".", "a/b", "a..b", "-a", "a b", "a%2f", "Node", "a,b", "n*", "pod/x", &"a".repeat(254)]
        {
            assert!(node_name(text).is_err(), "{text}");
        }
        assert!(node_name("node-1:messages").unwrap_err().remedy().unwrap().contains("node-1 --path messages"));
        assert!(node_name("pod/ns/x").unwrap_err().remedy().unwrap().contains("--for pod/ns/x"));
    }

    #[test]
    fn shards_are_told_by_number_and_hold_each_node_once() {
        assert_eq!(Shard::parse("2/5").unwrap(), Shard { index: Some(2), of: 5 });
        assert_eq!(Shard::parse("5").unwrap(), Shard { index: None, of: 5 });
        for text in ["", "5/5", "0/0", "0", "-1/5", "a/5", "1/", "/5", "1/2/3", "1/99999"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
        let names: Vec<String> = (0..1000).map(|n| format!("ip-10-0-{}-{}.internal", n / 256, n % 256)).collect();
        let mut sizes = [0; 8];
        for name in &names {
            let of: Vec<u32> = (0..8).filter(|index| in_shard(name, *index, 8)).collect();
            assert_eq!(of.len(), 1);
            sizes[of[0] as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (90..160).contains(size)), "{sizes:?}");
        // Another number would let a rolling upgrade read some nodes twice and some never.
        assert!(in_shard("node-1", 1, 4), "the assignment changed");
    }

    #[test]
    fn patterns_mean_what_a_shell_means() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "node-1", true),
            ("node-?", "node-1", true),
            ("node-?", "node-12", false),
            ("node-[1-3]", "node-2", true),
            ("node-[1-3]", "node-4", false),
            ("node-[!1-3]", "node-4", true),
            ("node-[^12]", "node-2", false),
            ("*-1.*", "ip-10-1.compute", true),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*a*b*c", "xxaxxbxxbxx", false),
            ("a", "ab", false),
            ("ab", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
        // Would take for ever by trying all ways.
        assert!(!matches("*a".repeat(60).as_bytes(), "a".repeat(59).as_bytes()));
    }

    #[test]
    fn what_is_said_narrows_down_together() {
        let labels = |name: &str| match name {
            "node-role.kubernetes.io/control-plane" => Some(""),
            "kubernetes.io/role" => Some("master"),
            _ => None,
        };
        let mut said = nodes(&["cp-*"]);
        assert!(said.admits("cp-1", labels) && !said.admits("worker-1", labels));
        said.roles = vec!["control-plane".into()];
        assert!(said.admits("cp-1", labels) && !said.admits("cp-1", |_| None));
        said.roles = vec!["worker".into(), "master".into()];
        assert!(said.admits("cp-1", labels));
        assert_eq!(said.said(), "cp-* --role worker --role master");
    }

    #[test]
    fn all_nodes_and_a_name_contradict_each_other() {
        let all = |words| Nodes { all: true, ..nodes(words) };
        assert!(all(&["a"]).check().is_err() && all(&["a", "b-*"]).check().is_err());
        assert!(all(&[]).check().is_ok() && all(&["a-*"]).check().is_ok());
        assert!(Nodes::default().check().is_err());
        assert!(Nodes { roles: vec!["x".into()], ..Nodes::default() }.check().is_ok());
    }
}
