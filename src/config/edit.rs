//! Puts values into a user's auth-provider inside a kubeconfig's text and leaves every other byte as it is.
//!
//! libyaml itself says where the values stand, so any style of writing is found. What comes out is read again and must
//! differ in nothing but the values: a text that can't be edited is reported, never damaged.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::kubeconfig::{first_document, read_yaml};

/// The text with these fields of `user`'s `auth-provider.config` set, or `None` where it is written in too odd a way.
pub(super) fn put(text: &str, user: &str, fields: &[(&str, &str)]) -> Option<String> {
    fields.iter().try_fold(text.to_owned(), |text, (key, value)| put_one(&text, user, key, value))
}

fn put_one(text: &str, user: &str, key: &str, value: &str) -> Option<String> {
    let mut wanted: Value = read_yaml(text).ok()?;
    let is_user = |entry: &Value| entry.get("name").and_then(Value::as_str) == Some(user);
    let nth = wanted.get("users")?.as_array()?.iter().position(is_user)?;
    let config = wanted.get_mut("users")?.get_mut(nth)?.get_mut("user")?.get_mut("auth-provider")?.get_mut("config")?;
    let config = config.as_object_mut()?;
    let old = config.get(key).cloned();
    let neighbour = config.keys().next()?.clone();
    config.insert(key.to_owned(), value.into());
    let place = |key, whole| find(text, &[USERS, Step::Nth(nth), USER, AUTH_PROVIDER, CONFIG, Step::Key(key)], whole);
    let candidates = match old {
        Some(old) => replaced(text, place(key, Part::Value)?, old.as_str(), value)?,
        None => inserted(text, place(&neighbour, Part::Key)?, key, value),
    };
    candidates.into_iter().find(|edited| read_yaml::<Value>(edited).is_ok_and(|after| after == wanted))
}

/// Ways to write `value` over the scalar that begins at `at` and is read as `old` (`None` for null).
fn replaced(text: &str, at: usize, old: Option<&str>, value: &str) -> Option<Vec<String>> {
    let mut start = at;
    // An anchor or a tag stays.
    while text[start..].starts_with(['&', '!']) {
        start += text[start..].find(char::is_whitespace)?;
        start += text[start..].find(|c: char| c != ' ')?;
    }
    let rest = &text[start..];
    let (length, written) = match (rest.chars().next(), old) {
        (Some('\''), _) => (single_quoted(rest)?, format!("'{}'", value.replace('\'', "''"))),
        (Some('"'), _) => (double_quoted(rest)?, json(value)),
        (Some('|' | '>'), _) => (block(text, start)?, plain(value)),
        (_, Some(old)) if rest.starts_with(old) => (old.len(), plain(value)),
        (_, Some(_)) => return None,
        (_, None) => match ["null", "~"].into_iter().find(|null| rest.starts_with(null)) {
            Some(null) => (null.len(), plain(value)),
            None => (0, format!(" {}", plain(value))),
        },
    };
    Some(vec![[&text[..start], &written, &rest[length..]].concat()])
}

/// Ways to write a new field in front of the key at `at`.
fn inserted(text: &str, at: usize, key: &str, value: &str) -> Vec<String> {
    let (before, after) = text.split_at(at);
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

/// The length of `'…'`, quotes included.
fn single_quoted(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find('\'')? + 1;
        if !text[at..].starts_with('\'') {
            return Some(at);
        }
        at += 1;
    }
}

/// The length of `"…"`, quotes included.
fn double_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map(|(at, _)| at + 1)
}

/// The length of a block scalar whose `|` or `>` is at `start`, without the last line's end.
fn block(text: &str, start: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let key = indent(&text[text[..start].rfind('\n').map_or(0, |end| end + 1)..]);
    let mut lines = text[start..].split_inclusive('\n');
    let head = lines.next()?;
    if head.contains('#') {
        return None;
    }
    let (mut at, mut end) = (head.len(), head.trim_end().len());
    for line in lines {
        let text = line.trim_end();
        if !text.is_empty() && indent(line) <= key {
            break;
        }
        if !text.is_empty() {
            end = at + text.len();
        }
        at += line.len();
    }
    Some(end)
}

/// Without quotes where no reader of YAML, however old, takes it for anything but text.
fn plain(value: &str) -> String {
    let is_plain = value.len() > 5
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain { value.to_owned() } else { json(value) }
}

/// In double quotes, which JSON and YAML read alike.
fn json(value: &str) -> String {
    Value::from(value).to_string()
}

const USERS: Step<'_> = Step::Key("users");
const USER: Step<'_> = Step::Key("user");
const AUTH_PROVIDER: Step<'_> = Step::Key("auth-provider");
const CONFIG: Step<'_> = Step::Key("config");

/// One step into a document.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Nth(usize),
}

/// What of a mapping's entry is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Value,
}

/// Where a key or a scalar begins: reading stops there with an error, whose place is the answer.
fn find(text: &str, path: &[Step<'_>], part: Part) -> Option<usize> {
    let found = Cell::new(false);
    let seed = Find { path, part, found: &found };
    let mut place = None;
    let _ = first_document(text, |document| {
        seed.deserialize(document).inspect_err(|error| place = error.location().map(|at| at.index()))
    });
    place.filter(|at| found.get() && text.is_char_boundary(*at))
}

#[derive(Clone, Copy)]
struct Find<'a> {
    path: &'a [Step<'a>],
    part: Part,
    found: &'a Cell<bool>,
}

impl Find<'_> {
    fn stop<T, E: Error>(&self) -> Result<T, E> {
        self.found.set(true);
        Err(E::custom("here"))
    }
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is looked for")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        if self.path.is_empty() { self.stop() } else { Ok(()) }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let [Step::Nth(nth), path @ ..] = self.path else { return Ok(()) };
        for _ in 0..*nth {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Find { path, ..self })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let [Step::Key(name), path @ ..] = self.path else { return Ok(()) };
        let stop = (path.is_empty() && self.part == Part::Key).then_some(self);
        while let Some(is_it) = map.next_key_seed(Named { name, stop })? {
            match is_it {
                true => map.next_value_seed(Find { path, ..self })?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Whether a key is this one.
struct Named<'a> {
    name: &'a str,
    stop: Option<Find<'a>>,
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match (key == self.name, self.stop) {
            (true, Some(find)) => find.stop(),
            (is_it, _) => Ok(is_it),
        }
    }
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
            (">-\n          eyJh\n          eyJl\n", "eyJh.eyJl.c2ln\n"),
            ("|\n          old\n\n", "eyJh.eyJl.c2ln\n\n"),
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
    fn a_field_that_is_not_there_is_added_in_the_style_of_its_neighbours() {
        for (before, after) in [
            (
                "users:\n- user:\n    auth-provider:\n      config:\n        client-id: c  # ours\n        refresh-token: r\n  name: u\n",
                "users:\n- user:\n    auth-provider:\n      config:\n        id-token: eyJh.eyJl.c2ln\n        client-id: c  # ours\n        refresh-token: r\n  name: u\n",
            ),
            (
                "users: [{name: u, user: {auth-provider: {config: {refresh-token: r}}}}]",
                "users: [{name: u, user: {auth-provider: {config: {id-token: eyJh.eyJl.c2ln, refresh-token: r}}}}]",
            ),
            // A field of its own counts before a merged one.
            (
                "x: &x {id-token: o}\nusers: [{name: u, user: {auth-provider: {config: {<<: *x}}}}]",
                "x: &x {id-token: o}\nusers: [{name: u, user: {auth-provider: {config: {id-token: eyJh.eyJl.c2ln, <<: *x}}}}]",
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
            // The first is not the one that counts.
            "users: [{name: u, user: {auth-provider: {config: {id-token: old, id-token: new}}}}]",
            // More lines than one.
            "users:\n- name: u\n  user:\n    auth-provider:\n      config:\n        id-token: one\n          two\n",
        ] {
            assert_eq!(put(text, "u", &[("id-token", NEW)]), None, "{text}");
        }
    }
}
