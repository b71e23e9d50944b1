//! What someone may have meant: the nearest known word, and flags they know from other programs.

/// The known word nearest to `word`, if it is near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter_map(|candidate| {
            // A beginning typed on its own counts as near: `--name` for `--namespace`.
            let begins = word.len() >= 3 && candidate.starts_with(word);
            let steps = if begins { 1 } else { distance(word, candidate) };
            (steps <= allowed).then_some((steps, candidate))
        })
        .min_by_key(|(steps, candidate)| (*steps, candidate.len()))
        .map(|(_, candidate)| candidate)
}

/// What to do here instead of a flag of kubectl, journalctl or another log plugin. `flag` has its dashes.
pub fn habit(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "-A" | "--all-namespaces" | "--all" => "nodes have no namespaces: --all-nodes reads every node",
        "-Q" | "--query" => "name a service with -u, a file with --path",
        "-S" => "use --since",
        "-U" => "use --until",
        "--lines" => "use --tail",
        "--pattern" => "use --grep",
        "--filename" | "--file" => "use --path for a file under the node's /var/log",
        "--utc" => "times are UTC unless --timezone says otherwise",
        _ => return None,
    })
}

/// Insertions, deletions, replacements and swaps of neighbours between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut steps = (last[j] + usize::from(a[i] != b[j])).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                steps = steps.min(before[j - 1] + 1);
            }
            row.push(steps);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_fingers_are_understood() {
        let known = ["since", "since-time", "tail", "namespace", "unit", "v"];
        for (word, meant) in [
            ("tial", Some("tail")),
            ("sicne", Some("since")),
            ("name", Some("namespace")),
            ("units", Some("unit")),
            ("xyz", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
