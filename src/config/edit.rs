//! Puts values into a user's auth-provider inside a kubeconfig's text and leaves every other byte as it is.
//!
//! Where a value may stand is guessed from the text; what comes out is read again and must differ in nothing but that
//! value. So a wrong guess is only the next one's turn, and a text that can't be edited is reported, never damaged.

use serde_json::Value;

use super::kubeconfig::read_yaml;

/// The most that is read again in search of the right place, in bytes, and the least places looked at: a kubeconfig of many
/// users may hold many such places.
const MAX_READ: usize = 16 << 20;
const LEAST: usize = 4;

/// The text with these fields of `user`'s `auth-provider.config` set, or `None` where it is written in too odd a way.
pub fn put(text: &str, user: &str, fields: &[(&str, &str)]) -> Option<String> {
    fields.iter().try_fold(text.to_owned(), |text, (key, value)| put_one(&text, user, key, value))
}

fn put_one(text: &str, user: &str, key: &str, value: &str) -> Option<String> {
    let mut wanted: Value = read_yaml(text).ok()?;
    let is_user = |entry: &&mut Value| entry.get("name").and_then(Value::as_str) == Some(user);
    let entry = wanted.get_mut("users")?.as_array_mut()?.iter_mut().find(is_user)?;
    let config = entry.pointer_mut("/user/auth-provider/config")?.as_object_mut()?;
    let (mut places, is_there) = match config.get(key) {
        Some(Value::Null) => (places(text, key, None), true),
        Some(old) => (places(text, key, Some(old.as_str()?)), true),
        None => {
            // Beside the one that every user has of his own, if he has it.
            let (neighbour, its) = config.get_key_value("refresh-token").or(config.iter().next())?;
            (places(text, neighbour, Some(its.as_str()?)), false)
        }
    };
    config.insert(key.to_owned(), value.into());
    nearest_first(&mut places, text, user);
    // Each way is a copy of the text, so one at a time.
    let ways = places.into_iter().flat_map(|place| match is_there {
        true => vec![replaced(text, &place, value)],
        false => inserted(text, &place, key, value),
    });
    let affordable = (MAX_READ / text.len().max(1)).max(LEAST);
    ways.take(affordable).find(|edited| read_yaml::<Value>(edited).is_ok_and(|after| after == wanted))
}

/// Users may have values alike: what stands near a user's name is most likely his.
fn nearest_first(found: &mut [Place], text: &str, user: &str) {
    let mut names: Vec<usize> = places(text, "name", Some(user)).iter().map(|place| place.key).collect();
    names.sort_unstable();
    found.sort_by_cached_key(|place| {
        let next = names.partition_point(|name| *name < place.key);
        names[next.saturating_sub(1)..].iter().take(2).map(|name| name.abs_diff(place.key)).min()
    });
}

/// With `value` in the place of the one that is there.
fn replaced(text: &str, place: &Place, value: &str) -> String {
    let new = match text[place.value..place.end].bytes().next() {
        Some(b'\'') => single(value),
        Some(b'"') => json(value),
        Some(_) => plain(value),
        None => format!(" {}", plain(value)),
    };
    [&text[..place.value], &new, &text[place.end..]].concat()
}

/// Ways to write a new field in front of a place.
fn inserted(text: &str, place: &Place, key: &str, value: &str) -> Vec<String> {
    let (before, after) = text.split_at(place.key);
    let field = match after.starts_with('"') {
        true => format!("{}: {}", json(key), json(value)),
        false => format!("{key}: {}", plain(value)),
    };
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let end = if before[..line].ends_with("\r\n") { "\r\n" } else { "\n" };
    let indent = &before[line..];
    let mut ways = Vec::new();
    if indent.trim().is_empty() {
        ways.push([before, &field, end, indent, after].concat());
        ways.push([before, &field, ",", end, indent, after].concat());
    }
    ways.push([before, &field, ", ", after].concat());
    ways
}

/// Where an entry of a mapping may stand.
struct Place {
    /// Its key begins, quotes included.
    key: usize,
    /// Its value begins, quotes included, and ends.
    value: usize,
    end: usize,
}

/// Every place where `value` (`None` for null) stands behind `key`, however it is quoted. Between them there may be an
/// anchor or a tag.
fn places(text: &str, key: &str, value: Option<&str>) -> Vec<Place> {
    let forms = match value {
        Some(value) => [value.to_owned(), single(value), json(value)],
        None => ["null", "~", ""].map(str::to_owned),
    };
    let mut places = Vec::new();
    for (at, _) in text.match_indices(key) {
        let key_at = at - usize::from(text[..at].ends_with(['"', '\'']));
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']);
        let Some(behind) = rest.trim_start().strip_prefix(':') else { continue };
        let mut rest = behind.trim_start();
        while rest.starts_with(['&', '!']) {
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
        }
        for form in &forms {
            let from = if form.is_empty() { behind } else { rest };
            if from.starts_with(form) && (!form.is_empty() || value.is_none()) {
                let start = text.len() - from.len();
                places.push(Place { key: key_at, value: start, end: start + form.len() });
            }
        }
    }
    places
}

/// Without quotes where no reader of YAML, however old, takes it for anything but text.
fn plain(value: &str) -> String {
    let is_plain = value.len() > 5
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain { value.to_owned() } else { json(value) }
}

fn single(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// In double quotes, which JSON and YAML read alike.
fn json(value: &str) -> String {
    Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "eyJh.eyJl.c2ln";

    /// Puts a token into `…@…`, the place of the field's value, and expects it as `written` there.
    fn put_into(template: &str, old: &str, written: &str) {
        let before = template.replace('@', old);
        let after = put(&before, "u", &[("id-token", NEW)]);
        assert_eq!(after.as_deref(), Some(template.replace('@', written).as_str()), "{before}");
    }

    const BLOCK: &str = "# mine\nusers:\n- name: other\n  user: {token: x}\n- user:   # ü€𝄞\n    auth-provider:\n      config:\n        \
                         id-token: @\n        refresh-token: r # kept\n      name: oidc\n  name: u\nmore: [1, 2]\n---\njunk: [\n";

    #[test]
    fn only_the_value_changes_however_it_is_written() {
        for (old, written) in [
            ("eyJh.eyJl.b2xk", NEW),
            ("a-b_c=d", NEW),
            ("'it''s # old'", "'eyJh.eyJl.c2ln'"),
            ("\"o\\\"l\\\\d\"", "\"eyJh.eyJl.c2ln\""),
            ("old # a comment", "eyJh.eyJl.c2ln # a comment"),
            ("&anchor old", "&anchor eyJh.eyJl.c2ln"),
            ("&anchor \"old\"", "&anchor \"eyJh.eyJl.c2ln\""),
            ("!!str old", "!!str eyJh.eyJl.c2ln"),
            ("\n          old", "\n          eyJh.eyJl.c2ln"),
            ("null", NEW),
            ("~", NEW),
            ("''", "'eyJh.eyJl.c2ln'"),
        ] {
            put_into(BLOCK, old, written);
            put_into(&BLOCK.replace('\n', "\r\n"), &old.replace('\n', "\r\n"), &written.replace('\n', "\r\n"));
        }
        put_into(&BLOCK.replace(" @", "@"), "", " eyJh.eyJl.c2ln");
        put_into(
            "{\"users\": [{\"name\": \"u\", \"user\": {\"auth-provider\": {\"config\": {\"id-token\": @}}}}]}",
            "\"o\"",
            "\"eyJh.eyJl.c2ln\"",
        );
        put_into("users: [{name: u, user: {auth-provider: {config: {id-token: @, a: b}}}}]", "old", NEW);
        put_into("users: [{name: u, user: {auth-provider: {config: {id-token: @}}}}]", "old", NEW);
    }

    #[test]
    fn of_entries_alike_the_one_that_counts_is_changed() {
        let users = "users:\n- {name: a, user: {auth-provider: {config: {id-token: old}}}}\n\
                     - {name: u, user: {auth-provider: {config: {id-token: gone, id-token: old}}}}\n\
                     - {name: b, user: {auth-provider: {config: {id-token: old}}}}\n# id-token: old\n";
        let expected = users.replace("gone, id-token: old", "gone, id-token: eyJh.eyJl.c2ln");
        assert_eq!(put(users, "u", &[("id-token", NEW)]), Some(expected));
    }

    #[test]
    fn among_many_users_with_the_same_values_the_right_one_is_found_soon() {
        // Long, so that only a few of the places are affordable.
        let filler = "x".repeat(6000);
        let users = |mine: &str, at: usize| -> String {
            let entry = |nth: usize| {
                let config = if nth == at { mine } else { "refresh-token: same" };
                format!(
                    "- name: u{nth}\n  user:\n    auth-provider:\n      name: oidc\n      config:\n        # {filler}\n        {config}\n"
                )
            };
            let contexts: String =
                (0..300).map(|nth| format!("- {{name: u{nth}, context: {{user: u{nth}}}}}\n")).collect();
            format!("contexts:\n{contexts}users:\n{}", (0..300).map(entry).collect::<String>())
        };
        let before = users("refresh-token: same", 250);
        assert!(before.len() > MAX_READ / 10);
        let after = users("id-token: eyJh.eyJl.c2ln\n        refresh-token: refresh-two", 250);
        let fields = [("id-token", NEW), ("refresh-token", "refresh-two")];
        assert!(put(&before, "u250", &fields) == Some(after));
    }

    #[test]
    fn a_field_that_is_not_there_is_added_in_the_style_of_its_neighbours() {
        for (before, after) in [
            (
                "users:\n- user:\n    auth-provider:\n      config:\n        client-id: c  # ours\n        refresh-token: r\n  name: u\n",
                "users:\n- user:\n    auth-provider:\n      config:\n        client-id: c  # ours\n        id-token: eyJh.eyJl.c2ln\n        refresh-token: r\n  name: u\n",
            ),
            (
                "users: [{name: u, user: {auth-provider: {config: {refresh-token: r}}}}]",
                "users: [{name: u, user: {auth-provider: {config: {id-token: eyJh.eyJl.c2ln, refresh-token: r}}}}]",
            ),
            // A field of its own counts before a merged one.
            (
                "x: &x {id-token: o}\nusers: [{name: u, user: {auth-provider: {config: {refresh-token: r, <<: *x}}}}]",
                "x: &x {id-token: o}\nusers: [{name: u, user: {auth-provider: {config: {id-token: eyJh.eyJl.c2ln, refresh-token: r, <<: *x}}}}]",
            ),
            (
                "{\"users\": [{\"name\": \"u\", \"user\": {\"auth-provider\": {\"config\": {\r\n \"refresh-token\": \"r\"}}}}]}",
                "{\"users\": [{\"name\": \"u\", \"user\": {\"auth-provider\": {\"config\": {\r\n \"id-token\": \"eyJh.eyJl.c2ln\",\r\n \"refresh-token\": \"r\"}}}}]}",
            ),
        ] {
            assert_eq!(put(before, "u", &[("id-token", NEW)]).as_deref(), Some(after));
        }
    }

    #[test]
    fn odd_values_are_quoted() {
        let text = "users: [{name: u, user: {auth-provider: {config: {refresh-token: r}}}}]";
        for (value, written) in [
            ("Atzr.IQ-_x", "Atzr.IQ-_x"),
            ("true", "\"true\""),
            ("1e1000", "\"1e1000\""),
            ("a/b+c==", "\"a/b+c==\""),
            ("a, b}: #'\"\\", "\"a, b}: #'\\\"\\\\\""),
        ] {
            let after = put(text, "u", &[("refresh-token", value)]);
            assert_eq!(after.as_deref(), Some(text.replace("token: r", &format!("token: {written}")).as_str()));
        }
    }

    #[test]
    fn what_can_not_be_edited_is_left_alone() {
        for text in [
            "",
            "users: []",
            "users: [",
            "users: [{name: u, user: {token: x}}]",
            "users: [{name: u, user: {auth-provider: {config: {}}}}]",
            "users: [{name: u, user: {auth-provider: {config: {id-token: [x]}}}}]",
            // Others would change with it.
            "x: &x old\ny: *x\nusers: [{name: u, user: {auth-provider: {config: {id-token: *x}}}}]",
            "x: &x {id-token: old}\nusers: [{name: u, user: {auth-provider: {config: *x}}}]",
            "users:\n- name: u\n  user:\n    auth-provider:\n      config:\n        id-token: >-\n          old\n",
            // More lines than one.
            "users:\n- name: u\n  user:\n    auth-provider:\n      config:\n        id-token: one\n          two\n",
        ] {
            assert_eq!(put(text, "u", &[("id-token", NEW)]), None, "{text}");
        }
    }
}
