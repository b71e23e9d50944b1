//! The parameters of a node log query: parsed and validated with the words of a 1.36 kubelet.

use std::path::Path;

use super::files::{Outside, inside};
use super::zone::Civil;

/// A time as it was written: the kubelet passes its digits on and drops its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// As in the request; errors repeat it.
    pub(crate) text: String,
    /// The digits.
    pub(crate) shown: Civil,
    /// The instant, nanoseconds since 1970, which decides whether until is before since.
    nanos: i128,
}

/// A query that has something to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) services: Vec<String>,
    pub(crate) files: Vec<String>,
    pub(crate) options: Options,
}

/// What narrows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) since: Option<Written>,
    pub(crate) until: Option<Written>,
    pub(crate) boot: Option<i64>,
    pub(crate) tail: Option<i64>,
    pub(crate) pattern: Option<String>,
}

/// How a kubelet checks the path of a file query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FileCheck {
    /// 1.36.2: nothing absolute, so the documented `/foo.log` is refused.
    #[default]
    OsRoot,
    /// Before: joined below /var/log.
    SecureJoin,
}

/// The pairs of a query string; malformed ones are dropped, as Go drops them.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(name, Plus::Space)?, unescape(value, Plus::Space)?))
        })
        .collect()
}

/// What a plus sign stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    Space,
    Plus,
}

/// Undoes percent-encoding; `None` where it is malformed.
pub(crate) fn unescape(text: &str, plus: Plus) -> Option<String> {
    unescape_bytes(text, plus).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The same, for names that need not be UTF-8.
pub(crate) fn unescape_bytes(text: &str, plus: Plus) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                out.push((digit(at)? * 16 + digit(at + 1)?) as u8);
                at += 2;
            }
            b'+' if plus == Plus::Space => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(out)
}

/// Reads the parameters. `Ok(None)`: nothing was asked, the path decides. `Err`: the text of a 400.
pub(crate) fn parse(pairs: &[(String, String)]) -> Result<Option<Query>, String> {
    let first = |name: &str| {
        pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let mut query = Query::default();
    let mut errors = Vec::new();
    let asked: Vec<&str> = pairs.iter().filter(|(key, _)| key == "query").map(|(_, value)| value.as_str()).collect();
    for value in &asked {
        if value.contains(['/', '\\']) {
            query.files.push((*value).to_owned());
        } else if !value.trim().is_empty() {
            query.services.push((*value).to_owned());
        }
    }
    if !asked.is_empty() && query.files.is_empty() && query.services.is_empty() {
        errors.push(format!("query: Invalid value: {}: query cannot be empty", list(&asked)));
    }
    let mut time = |name: &str| {
        let text = first(name)?;
        let written = rfc3339(text);
        if written.is_none() {
            errors.push(format!("{name}: Invalid value: {}: invalid time format", quote(text)));
        }
        written
    };
    query.options.since = time("sinceTime");
    query.options.until = time("untilTime");
    let mut number = |name: &str| {
        let text = first(name)?;
        match atoi(text) {
            Ok(number) => Some(number),
            Err(why) => {
                errors.push(format!(
                    "{name}: Invalid value: {}: strconv.Atoi: parsing {}: {why}",
                    quote(text),
                    quote(text)
                ));
                None
            }
        }
    };
    query.options.boot = number("boot");
    query.options.tail = number("tailLines");
    query.options.pattern = first("pattern").map(str::to_owned);
    if !errors.is_empty() {
        return Err(aggregate(&errors));
    }
    Ok((query != Query::default()).then_some(query))
}

impl Query {
    /// Whether it names neither file nor service.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.services.is_empty()
    }

    /// Checks it against the node's /var/log. `Err`: the text of a 406.
    pub(crate) fn validate(&self, root: &Path, check: FileCheck) -> Result<(), String> {
        let mut errors = Vec::new();
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let invalid = |why: &str| format!("query: Invalid value: {}: {why}", list(&files));
        match (files.len(), self.services.len()) {
            (0, 0) => errors.push("query: Required value: cannot be empty with options".to_owned()),
            (1.., 1..) => errors.push(format!(
                "query: Invalid value: {}: cannot specify a file and service",
                quote(&format!("[{}], [{}]", self.files.join(" "), self.services.join(" ")))
            )),
            (2.., _) => errors.push(invalid("cannot specify more than one file")),
            (1, _) if self.options != Options::default() => errors.push(invalid("cannot specify file with options")),
            (1, _) => {
                if let Err(why) = stat(root, files[0], check) {
                    errors.push(invalid(&why));
                }
            }
            _ => {}
        }
        if self.files.len() + self.services.len() > 4 {
            let count = self.files.len() + self.services.len();
            errors.push(format!("query: Too many: {count}: must have at most 4 items"));
        }
        for service in &self.services {
            let why = if service.len() > 256 {
                match check {
                    FileCheck::OsRoot => "length must be less than 256",
                    // Its authors' slip: the limit was the same.
                    FileCheck::SecureJoin => "length must be less than 100",
                }
            } else if !is_service_name(service) {
                "input contains unsupported characters"
            } else {
                continue;
            };
            errors.push(format!("query: Invalid value: {}: {why}", quote(service)));
        }
        let options = &self.options;
        if let (Some(since), Some(until)) = (&options.since, &options.until)
            && until.nanos < since.nanos
        {
            errors.push(format!("untilTime: Invalid value: {}: must be after `sinceTime`", quote(&until.text)));
        }
        if let Some(boot) = options.boot.filter(|boot| *boot > 0) {
            errors.push(format!("boot: Invalid value: {boot}: must be less than 1"));
        }
        if let Some(tail) = options.tail.filter(|tail| !(0..=100_000).contains(tail)) {
            errors.push(format!("tailLines: Invalid value: {tail}: must be between 0 and 100000, inclusive"));
        }
        if let Some(pattern) = &options.pattern
            && let Err(why) = go_regexp(pattern)
        {
            errors.push(format!("pattern: Invalid value: {}: error parsing regexp: {why}", quote(pattern)));
        }
        if errors.is_empty() { Ok(()) } else { Err(aggregate(&errors)) }
    }
}

/// Whether a kubelet takes it for a service's name.
pub(crate) fn is_service_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte))
}

/// Looks at a file query's file as the kubelet does.
fn stat(root: &Path, name: &str, check: FileCheck) -> Result<(), String> {
    match check {
        FileCheck::OsRoot => inside(root, name).map(|_| ()).map_err(|why| {
            let why = match why {
                Outside::Escapes => "path escapes from parent",
                Outside::Missing => "no such file or directory",
            };
            format!("statat {name}: {why}")
        }),
        FileCheck::SecureJoin => {
            let joined = secure_join(root, name);
            match std::fs::metadata(root.join(&joined)) {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("stat /var/log/{joined}: no such file or directory")),
            }
        }
    }
}

/// A path below the root: `..` stops there, and the target of an absolute link is taken to be there too.
pub(crate) fn secure_join(root: &Path, name: &str) -> String {
    let mut at: Vec<String> = Vec::new();
    let mut left: Vec<String> = name.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => {}
        }
        at.push(part);
        if let Ok(target) = std::fs::read_link(root.join(at.join("/")))
            && links < 40
        {
            links += 1;
            at.pop();
            if target.is_absolute() {
                at.clear();
            }
            left.extend(target.to_string_lossy().split('/').rev().map(str::to_owned));
        }
    }
    at.join("/")
}

fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A string as Go's `%q` and JSON both write it, for the characters that occur.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(values: &[&str]) -> String {
    format!("[{}]", values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(","))
}

fn atoi(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("invalid syntax");
    }
    text.parse().map_err(|_| "value out of range")
}

/// RFC 3339, as strictly as Go takes it.
fn rfc3339(text: &str) -> Option<Written> {
    let (date, rest) = (text.get(..19)?, text.get(19..)?);
    let shape = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let number = |range: std::ops::Range<usize>| date.get(range).and_then(|digits| digits.parse::<i64>().ok());
    let shown = Civil {
        year: number(0..4)?,
        month: number(5..7)?,
        day: number(8..10)?,
        hour: number(11..13)?,
        minute: number(14..16)?,
        second: number(17..19)?,
    };
    let valid = shape && shown.hour < 24 && shown.minute < 60 && shown.second < 60 && (1..=12).contains(&shown.month);
    if !valid || Civil::from_seconds(shown.seconds()) != shown {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, zone) = rest.split_at(end);
            let nine: String = digits.chars().chain(std::iter::repeat('0')).take(9).collect();
            (if digits.is_empty() { return None } else { nine.parse::<i128>().ok()? }, zone)
        }
        None => (0, rest),
    };
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) => {
            let two = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let seconds = two(h1, h2) * 3_600 + two(m1, m2) * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let nanos = i128::from(shown.seconds() - offset) * 1_000_000_000 + fraction;
    Some(Written { text: text.to_owned(), shown, nanos })
}

/// Whether Go's regexp parser takes the pattern; its words where it does not, for the mistakes people make.
fn go_regexp(pattern: &str) -> Result<(), String> {
    let mut depth = 0_i32;
    let mut repeatable = false;
    let mut chars = pattern.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let was_repeatable = std::mem::replace(&mut repeatable, true);
        match c {
            '\\' => match chars.next() {
                None => return Err("trailing backslash at end of expression: ``".to_owned()),
                Some((_, next @ ('1'..='9' | 'Z' | 'R' | 'X' | 'g' | 'k'))) => {
                    return Err(format!("invalid escape sequence: `\\{next}`"));
                }
                Some(_) => {}
            },
            '[' => {
                let rest = &pattern[at + 1..];
                let negated = usize::from(rest.starts_with('^'));
                let skip = negated + usize::from(rest[negated..].starts_with(']'));
                match rest[skip..].find(']') {
                    Some(end) => {
                        let last = at + 1 + skip + end;
                        while chars.next_if(|(at, _)| *at <= last).is_some() {}
                    }
                    None => return Err(format!("missing closing ]: `{}`", &pattern[at..])),
                }
            }
            '(' => {
                depth += 1;
                repeatable = false;
                let rest = &pattern[at + 1..];
                if let Some(after) = rest.strip_prefix('?') {
                    let bad = ["=", "!", "<=", "<!", ">", "|", "#", "P=", "P>"]
                        .iter()
                        .find(|start| after.starts_with(**start));
                    if let Some(bad) = bad {
                        // Go names the part up to the character it could not take.
                        let shown = bad.chars().next().map_or(String::new(), |c| c.to_string());
                        return Err(format!("invalid or unsupported Perl syntax: `(?{shown}`"));
                    }
                    chars.next();
                }
            }
            ')' => {
                depth -= 1;
                if depth < 0 {
                    return Err(format!("unexpected ): `{pattern}`"));
                }
            }
            '|' => repeatable = false,
            '*' | '+' | '?' if !was_repeatable => {
                return Err(format!("missing argument to repetition operator: `{c}`"));
            }
            _ => {}
        }
    }
    if depth > 0 { Err(format!("missing closing ): `{pattern}`")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> (u16, String) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("foo.log"), "x").unwrap();
        match parse(&pairs(query)) {
            Err(text) => (400, text),
            Ok(None) => (0, String::new()),
            Ok(Some(parsed)) => match parsed.validate(root.path(), FileCheck::OsRoot) {
                Err(text) => (406, text),
                Ok(()) => (200, String::new()),
            },
        }
    }

    #[test]
    fn errors_read_as_the_kubelets() {
        for (query, status, text) in [
            ("foo=bar", 0, ""),
            ("query=kubelet&boot=0&tailLines=2&unknown=1", 200, ""),
            ("query=./foo.log", 200, ""),
            ("query=", 400, r#"query: Invalid value: [""]: query cannot be empty"#),
            ("query=%20%20", 400, r#"query: Invalid value: ["  "]: query cannot be empty"#),
            (
                "query=kubelet&sinceTime=2026-11-21",
                400,
                r#"sinceTime: Invalid value: "2026-11-21": invalid time format"#,
            ),
            (
                "query=kubelet&boot=x&tailLines=y&sinceTime=z",
                400,
                r#"[sinceTime: Invalid value: "z": invalid time format, boot: Invalid value: "x": strconv.Atoi: parsing "x": invalid syntax, tailLines: Invalid value: "y": strconv.Atoi: parsing "y": invalid syntax]"#,
            ),
            (
                "query=kubelet&tailLines=99999999999999999999",
                400,
                r#"tailLines: Invalid value: "99999999999999999999": strconv.Atoi: parsing "99999999999999999999": value out of range"#,
            ),
            ("tailLines=5", 406, "query: Required value: cannot be empty with options"),
            (
                "query=/foo.log&query=kubelet",
                406,
                r#"query: Invalid value: "[/foo.log], [kubelet]": cannot specify a file and service"#,
            ),
            (
                "query=/foo.log&query=/baz",
                406,
                r#"query: Invalid value: ["/foo.log","/baz"]: cannot specify more than one file"#,
            ),
            (
                "query=./foo.log&tailLines=1",
                406,
                r#"query: Invalid value: ["./foo.log"]: cannot specify file with options"#,
            ),
            ("query=/foo.log", 406, r#"query: Invalid value: ["/foo.log"]: statat /foo.log: path escapes from parent"#),
            (
                "query=%5Cfoo.log",
                406,
                r#"query: Invalid value: ["\\foo.log"]: statat \foo.log: no such file or directory"#,
            ),
            ("query=a&query=b&query=c&query=d&query=e", 406, "query: Too many: 5: must have at most 4 items"),
            (
                "query=ku%20be&boot=5&tailLines=-4",
                406,
                r#"[query: Invalid value: "ku be": input contains unsupported characters, boot: Invalid value: 5: must be less than 1, tailLines: Invalid value: -4: must be between 0 and 100000, inclusive]"#,
            ),
            (
                "query=kubelet&sinceTime=2026-11-21T02:00:00Z&untilTime=2026-11-21T01:00:00Z",
                406,
                r#"untilTime: Invalid value: "2026-11-21T01:00:00Z": must be after `sinceTime`"#,
            ),
            (
                "query=kubelet&pattern=%28",
                406,
                r#"pattern: Invalid value: "(": error parsing regexp: missing closing ): `(`"#,
            ),
            (
                "query=kubelet&pattern=%28%3F%3Dfoo%29",
                406,
                r#"pattern: Invalid value: "(?=foo)": error parsing regexp: invalid or unsupported Perl syntax: `(?=`"#,
            ),
            ("query=kubelet&pattern=a%2Bb*%5Bx%5D%7C(c)", 200, ""),
            (
                "query=kubelet&pattern=*a",
                406,
                r#"pattern: Invalid value: "*a": error parsing regexp: missing argument to repetition operator: `*`"#,
            ),
        ] {
            assert_eq!(refused(query), (status, text.to_owned()), "{query}");
        }
    }

    #[test]
    fn the_offset_of_a_time_is_dropped_but_orders_it() {
        let written = rfc3339("2026-11-21T04:05:00.5+02:00").unwrap();
        assert_eq!(written.shown.unpadded(), "2026-11-21 4:5:0");
        assert!(written.nanos > rfc3339("2026-11-21T02:05:00Z").unwrap().nanos);
        for bad in ["2026-11-21T04:05:00", "2026-11-21t04:05:00Z", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z", "x"]
        {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn joined_paths_stay_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/os-release", root.path().join("out")).unwrap();
        assert_eq!(secure_join(root.path(), "/../../etc/passwd"), "etc/passwd");
        assert_eq!(secure_join(root.path(), "/out"), "etc/os-release");
    }
}
