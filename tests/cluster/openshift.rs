//! OpenShift's own parameters: `/logs/journal` with unit, since, until, tail, boot, grep, case-sensitive and output.

use super::kubelet::Release;
use super::query;

/// What such a request asks of journalctl.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) units: Vec<String>,
    since: Option<String>,
    until: Option<String>,
    tail: Option<i64>,
    pub(crate) boot: Option<i64>,
    grep: Option<String>,
    case_sensitive: bool,
    output: Option<String>,
}

const DATES: &str =
    "date must be a relative time of the form '(+|-)[0-9]+(s|m|h|d)' or a date in 'YYYY-MM-DD HH:MM:SS' form";
/// In the order one recorded answer named them; the servers' order changes from answer to answer.
const OUTPUTS_1_36: [&str; 8] =
    ["short-iso-precise", "cat", "", "short-precise", "json", "short", "short-unix", "short-iso"];
const OUTPUTS_1_24: [&str; 8] =
    ["short-precise", "json", "short", "short-unix", "short-iso", "short-iso-precise", "cat", ""];

/// Reads the parameters; the error is the text of a 400 (1.24) or 406 (1.36).
pub(crate) fn parse(pairs: &[(String, String)], release: Release) -> Result<Asked, String> {
    let first = |name: &str| {
        pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let refuse = |name: &str, value: &str, why: &str| match release {
        Release::V1_24 => Err(format!("parameter '{name}' is invalid: {why}")),
        Release::V1_36 => Err(format!("{name}: Invalid value: {}: {why}", query::quote(value))),
    };
    let mut asked = Asked { case_sensitive: true, ..Asked::default() };
    for (key, value) in pairs {
        let named = key == "unit" || (release == Release::V1_36 && key == "query");
        if !named || value.trim().is_empty() {
            continue;
        }
        if !query::is_service_name(value) {
            return refuse(key, value, "input contains unsupported characters");
        }
        asked.units.push(value.clone());
    }
    if release == Release::V1_36 && asked.units.len() > 4 {
        return Err(format!("query: Too many: {}: must have at most 4 items", asked.units.len()));
    }
    asked.since = first("since");
    asked.until = first("until");
    for (name, value) in [("since", &asked.since), ("until", &asked.until)] {
        if let Some(value) = value.as_ref().filter(|value| !is_date(value)) {
            return refuse(name, value, DATES);
        }
    }
    if let Some(tail) = first("tail") {
        match tail.parse::<i64>() {
            Ok(number) if number >= 0 => asked.tail = Some(number.min(100_000)),
            _ => return refuse("tail", &tail, "integer must be in range [0, 100000]"),
        }
    }
    if let Some(boot) = first("boot") {
        match boot.parse::<i64>() {
            Ok(number) if (-100..=0).contains(&number) => asked.boot = Some(number),
            _ => return refuse("boot", &boot, "integer must be in range [-100, 0]"),
        }
    }
    asked.grep = first("grep");
    asked.case_sensitive = first("case-sensitive").is_none_or(|value| value != "false");
    asked.output = first("output");
    if let Some(output) = &asked.output {
        let (known, words) = match release {
            Release::V1_24 => (
                OUTPUTS_1_24,
                format!(
                    "parameter 'output' is invalid: only the following values are allowed: {}",
                    OUTPUTS_1_24.join(", ")
                ),
            ),
            Release::V1_36 => {
                let known = OUTPUTS_1_36.map(|name| format!("\"{name}\"")).join(", ");
                (OUTPUTS_1_36, format!("output: Unsupported value: \"{output}\": supported values: {known}"))
            }
        };
        if !known.contains(&output.as_str()) {
            return Err(words);
        }
    }
    Ok(asked)
}

impl Asked {
    /// The arguments for journalctl, for one boot or none in particular.
    pub(crate) fn arguments(&self, boot: Option<i64>) -> Vec<String> {
        let mut args = vec!["--utc".to_owned(), "--no-pager".to_owned()];
        args.push(format!("--output={}", self.output.as_deref().unwrap_or("short-precise")));
        args.extend(self.since.iter().map(|since| format!("--since={since}")));
        args.extend(self.until.iter().map(|until| format!("--until={until}")));
        if let Some(tail) = self.tail {
            args.push("--pager-end".to_owned());
            args.push(format!("--lines={tail}"));
        }
        args.extend(self.units.iter().map(|unit| format!("--unit={unit}")));
        if let Some(pattern) = &self.grep {
            args.push(format!("--grep={pattern}"));
            args.push(format!("--case-sensitive={}", self.case_sensitive));
        }
        if let Some(boot) = boot {
            args.push("--boot".to_owned());
            args.push(boot.to_string());
        }
        args
    }
}

/// `-1h` or `2023-11-14 22:13:20`.
fn is_date(text: &str) -> bool {
    if let Some(amount) = text.strip_prefix(['+', '-']) {
        let digits = amount.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or_default();
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    }
    text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_openshifts() {
        for (release, query, text) in [
            (Release::V1_24, "unit=ku%24be", "parameter 'unit' is invalid: input contains unsupported characters"),
            (Release::V1_24, "boot=-101", "parameter 'boot' is invalid: integer must be in range [-100, 0]"),
            (
                Release::V1_24,
                "output=export",
                "parameter 'output' is invalid: only the following values are allowed: short-precise, json, short, short-unix, short-iso, short-iso-precise, cat, ",
            ),
            (
                Release::V1_36,
                "since=today",
                "since: Invalid value: \"today\": date must be a relative time of the form '(+|-)[0-9]+(s|m|h|d)' or a date in 'YYYY-MM-DD HH:MM:SS' form",
            ),
            (Release::V1_36, "unit=a&unit=b&query=c&query=d&unit=e", "query: Too many: 5: must have at most 4 items"),
        ] {
            assert_eq!(parse(&query::pairs(query), release), Err(text.to_owned()), "{query}");
        }
    }

    #[test]
    fn parameters_become_arguments() {
        let asked = parse(
            &query::pairs("unit=kubelet&tail=999999&since=-1h&grep=a&case-sensitive=false&output=cat"),
            Release::V1_24,
        );
        assert_eq!(
            asked.unwrap().arguments(Some(-1)).join(" "),
            "--utc --no-pager --output=cat --since=-1h --pager-end --lines=100000 --unit=kubelet --grep=a --case-sensitive=false --boot -1"
        );
    }
}
