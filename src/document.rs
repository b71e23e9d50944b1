//! JSON and YAML read into typed places.
//!
//! serde's derived readers would be generated anew for each type and each format, and they quote the offending value in
//! their errors, which may be a token. Here one reader serves all types, through [`Slot`], and names only a value's kind.
//! Otherwise it follows Go's rules: null is unset, unknown keys are passed over, of repeated keys the last counts, a
//! number or a boolean is no string. YAML's merge key `<<` fills what the mapping itself leaves out.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

use crate::named::Named;

/// Reads one JSON document; white space alone may follow it.
pub fn read_json<T: Slot + Default>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut read = T::default();
    put_json(text, &mut read)?;
    Ok(read)
}

fn put_json(text: &[u8], slot: &mut dyn Slot) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Put::into(slot).deserialize(&mut reader)?;
    reader.end()
}

/// A place that takes a value of a document, if it is of the right kind. What is not overridden refuses.
pub trait Slot {
    /// What belongs there, for an error: `a string`.
    fn wanted(&self) -> &'static str;

    /// Makes it unset, or empty.
    fn clear(&mut self);

    /// Whether a merge key may fill it.
    fn is_unset(&self) -> bool {
        false
    }

    /// Where a value other than null goes: itself, or a place inside that this makes.
    fn place(&mut self) -> &mut dyn Slot;

    /// Takes null.
    fn null(&mut self) -> Fit {
        self.clear();
        Ok(())
    }

    /// Takes a boolean.
    fn boolean(&mut self, _: bool) -> Fit {
        Err(Unfit::Kind)
    }

    /// Takes a number.
    fn number(&mut self, _: Number) -> Fit {
        Err(Unfit::Kind)
    }

    /// Takes a string.
    fn text(&mut self, _: &str) -> Fit {
        Err(Unfit::Kind)
    }

    /// Becomes an empty list, if it can.
    fn list(&mut self) -> Fit {
        Err(Unfit::Kind)
    }

    /// The place for a list's next element.
    fn element(&mut self) -> Option<&mut dyn Slot> {
        None
    }

    /// Becomes a mapping, if it can; what it holds stays.
    fn mapping(&mut self) -> Fit {
        Err(Unfit::Kind)
    }

    /// The place for a mapping's value, if that is of interest.
    fn field(&mut self, _: &str) -> Option<&mut dyn Slot> {
        None
    }
}

/// Whether a value fits its slot.
pub type Fit = Result<(), Unfit>;

/// Why a value does not fit.
pub enum Unfit {
    /// It is of another kind than [`Slot::wanted`].
    Kind,
    /// In words that do not quote it.
    Because(String),
}

/// A number as it is written.
pub enum Number {
    /// A whole number.
    Signed(i64),
    /// A whole number, positive.
    Unsigned(u64),
    /// Any other.
    Float(f64),
    /// Beyond all of these.
    Huge,
}

/// Defines a struct that takes a mapping, each field with its key: `pub field: Type = "key",`.
macro_rules! object {
    ($(#[$about:meta])* $vis:vis struct $Name:ident {
        $($(#[$note:meta])* $open:vis $field:ident: $Type:ty = $key:literal,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        $vis struct $Name {
            $($(#[$note])* $open $field: $Type,)*
        }

        impl $crate::document::Slot for $Name {
            fn wanted(&self) -> &'static str {
                "a mapping"
            }

            fn clear(&mut self) {
                *self = Self::default();
            }

            fn place(&mut self) -> &mut dyn $crate::document::Slot {
                self
            }

            fn mapping(&mut self) -> $crate::document::Fit {
                Ok(())
            }

            fn field(&mut self, key: &str) -> Option<&mut dyn $crate::document::Slot> {
                match key {
                    $($key => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use object;

/// Puts what a deserializer holds into a slot.
pub(crate) struct Put<'a> {
    slot: &'a mut dyn Slot,
    /// Whether only what is unset is taken, as a merge key's value is.
    fill: bool,
}

impl<'a> Put<'a> {
    /// Whatever comes.
    pub(crate) fn into(slot: &'a mut dyn Slot) -> Self {
        Put { slot, fill: false }
    }

    /// Hands a value over.
    fn give<E: Error>(self, got: &str, take: impl FnOnce(&mut dyn Slot) -> Fit) -> Result<(), E> {
        let slot = self.slot.place();
        take(slot).map_err(|unfit| refused(unfit, got, slot))
    }
}

impl<'de> DeserializeSeed<'de> for Put<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Put<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slot.wanted())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.fill {
            true => Ok(()),
            false => self.slot.null().map_err(|unfit| refused(unfit, "nothing", self.slot)),
        }
    }

    // serde_yaml's name for a document with nothing in it.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.give("a boolean", |slot| slot.boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.give("a number", |slot| slot.number(Number::Signed(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.give("a number", |slot| slot.number(Number::Unsigned(value)))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.give("a number", |slot| slot.number(Number::Huge))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.give("a number", |slot| slot.number(Number::Huge))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.give("a number", |slot| slot.number(Number::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.give("a string", |slot| slot.text(value))
    }

    // serde_yaml's name for a value with a tag of its own, such as `!mine x`, which Go reads as if it had none.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (IgnoredAny, value) = tagged.variant()?;
        value.newtype_variant_seed(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let slot = self.slot.place();
        if !self.fill {
            slot.list().map_err(|unfit| refused(unfit, "a list", slot))?;
        }
        while seq.next_element_seed(Next { slot, fill: self.fill })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let slot = self.slot.place();
        slot.mapping().map_err(|unfit| refused(unfit, "a mapping", slot))?;
        let mut key = Key(String::new());
        while map.next_key_seed(Put::into(&mut key))?.is_some() {
            match slot.field(&key.0) {
                Some(field) if self.fill && !field.is_unset() => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(field) => {
                    field.clear();
                    map.next_value_seed(Put::into(field))?;
                }
                None if key.0 == "<<" => map.next_value_seed(Put { slot, fill: true })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The next element of a list: a place of its own, or one more mapping to fill from.
struct Next<'a> {
    slot: &'a mut dyn Slot,
    fill: bool,
}

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.fill {
            true => deserializer.deserialize_any(Put { slot: self.slot, fill: true }),
            false => match self.slot.element() {
                Some(element) => deserializer.deserialize_any(Put::into(element)),
                None => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            },
        }
    }
}

fn refused<E: Error>(unfit: Unfit, got: &str, slot: &dyn Slot) -> E {
    match unfit {
        Unfit::Kind => E::custom(format_args!("{got} where {} belongs", slot.wanted())),
        Unfit::Because(words) => E::custom(words),
    }
}

/// A mapping's key. YAML's may be of other kinds than text, which Go writes out.
struct Key(String);

impl Slot for Key {
    fn wanted(&self) -> &'static str {
        "a key"
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn boolean(&mut self, value: bool) -> Fit {
        self.text(if value { "true" } else { "false" })
    }

    fn number(&mut self, value: Number) -> Fit {
        match value {
            Number::Signed(value) => self.0 = value.to_string(),
            Number::Unsigned(value) => self.0 = value.to_string(),
            Number::Float(_) | Number::Huge => self.0.clear(),
        }
        Ok(())
    }

    fn text(&mut self, value: &str) -> Fit {
        self.0.clear();
        self.0.push_str(value);
        Ok(())
    }
}

impl<T: Slot + Default> Slot for Option<T> {
    fn wanted(&self) -> &'static str {
        T::default().wanted()
    }

    fn clear(&mut self) {
        *self = None;
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }

    fn place(&mut self) -> &mut dyn Slot {
        self.get_or_insert_default().place()
    }
}

impl<T: Slot + Default> Slot for Vec<T> {
    fn wanted(&self) -> &'static str {
        "a list"
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn list(&mut self) -> Fit {
        self.clear();
        Ok(())
    }

    fn element(&mut self) -> Option<&mut dyn Slot> {
        self.push(T::default());
        self.last_mut().map(|element| element as &mut dyn Slot)
    }
}

impl<T: Slot + Default> Slot for Named<T> {
    fn wanted(&self) -> &'static str {
        "a mapping"
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn mapping(&mut self) -> Fit {
        self.clear();
        Ok(())
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        Some(self.entry(key))
    }
}

impl Slot for String {
    fn wanted(&self) -> &'static str {
        "a string (in quotes)"
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn text(&mut self, value: &str) -> Fit {
        *self = value.to_owned();
        Ok(())
    }
}

impl Slot for bool {
    fn wanted(&self) -> &'static str {
        "true or false"
    }

    fn clear(&mut self) {
        *self = false;
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn boolean(&mut self, value: bool) -> Fit {
        *self = value;
        Ok(())
    }
}

/// Integers, refused outside their range.
macro_rules! integers {
    ($($Int:ty)*) => {
        $(impl Slot for $Int {
            fn wanted(&self) -> &'static str {
                concat!("a whole number (", stringify!($Int), ")")
            }

            fn clear(&mut self) {
                *self = 0;
            }

            fn place(&mut self) -> &mut dyn Slot {
                self
            }

            fn number(&mut self, value: Number) -> Fit {
                *self = match value {
                    Number::Signed(value) => value.try_into().ok(),
                    Number::Unsigned(value) => value.try_into().ok(),
                    Number::Float(_) | Number::Huge => None,
                }
                .ok_or(Unfit::Kind)?;
                Ok(())
            }
        })*
    };
}
integers!(u16 u32 i32);

/// Any value.
impl Slot for Value {
    fn wanted(&self) -> &'static str {
        "what JSON knows"
    }

    fn clear(&mut self) {
        *self = Value::Null;
    }

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn boolean(&mut self, value: bool) -> Fit {
        *self = value.into();
        Ok(())
    }

    fn number(&mut self, value: Number) -> Fit {
        *self = match value {
            Number::Signed(value) => value.into(),
            Number::Unsigned(value) => value.into(),
            Number::Float(value) => value.into(),
            Number::Huge => return Err(Unfit::Kind),
        };
        Ok(())
    }

    fn text(&mut self, value: &str) -> Fit {
        *self = value.into();
        Ok(())
    }

    fn list(&mut self) -> Fit {
        *self = Value::Array(Vec::new());
        Ok(())
    }

    fn element(&mut self) -> Option<&mut dyn Slot> {
        let list = self.as_array_mut()?;
        list.push(Value::Null);
        list.last_mut().map(|element| element as &mut dyn Slot)
    }

    fn mapping(&mut self) -> Fit {
        *self = Value::Object(serde_json::Map::new());
        Ok(())
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        Some(self.as_object_mut()?.entry(key).or_insert(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    object! {
        struct Sample {
            name: String = "name",
            ready: bool = "ready",
            port: u16 = "port",
            code: Option<i32> = "code",
            labels: Named<String> = "labels",
            parts: Vec<Sample> = "parts",
            rest: Value = "rest",
        }
    }

    fn yaml<T: Slot + Default>(text: &str) -> Result<T, String> {
        let mut read = T::default();
        let put = Put::into(&mut read).deserialize(serde_yaml::Deserializer::from_str(text));
        put.map(|()| read).map_err(|error| error.to_string())
    }

    #[test]
    fn types_take_what_they_hold() {
        let text = r#"{"name": "é\n", "ready": true, "port": 10250, "code": -1, "labels": {"a": "x", "b": null},
            "parts": [{"name": "p"}, null], "rest": {"n": [1, -1, 1.5, null, false, "s"]}, "other": {"name": []}} "#;
        for read in [read_json::<Sample>(text.as_bytes()).unwrap(), yaml(text).unwrap()] {
            assert_eq!((read.name.as_str(), read.ready, read.port, read.code), ("é\n", true, 10250, Some(-1)));
            assert_eq!((read.labels.get("a").unwrap().as_str(), read.labels.get("b").unwrap().as_str()), ("x", ""));
            assert_eq!(read.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["p", ""]);
            assert_eq!(read.rest, json!({"n": [1, -1, 1.5, null, false, "s"]}));
        }
    }

    #[test]
    fn null_is_unset_and_the_last_of_repeated_keys_counts() {
        let text = r#"{"name": "a", "name": null, "code": 1, "code": null, "labels": {"a": "x"}, "labels": {"b": "y"},
            "parts": [{}, {}], "parts": [{}], "rest": {"a": 1}, "rest": {}}"#;
        let read: Sample = read_json(text.as_bytes()).unwrap();
        assert_eq!((read.name.as_str(), read.code, read.parts.len(), read.rest), ("", None, 1, json!({})));
        assert_eq!(read.labels.names().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn keys_of_yaml_are_text() {
        let read: Named<String> = yaml("{1: a, -2: b, true: c, x: d, ~: e}").unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["", "-2", "1", "true", "x"]);
        let read: Value = yaml("{a: &a {k: 1}, b: {<<: *a}}").unwrap();
        assert_eq!(read, json!({"a": {"k": 1}, "b": {"<<": {"k": 1}}}), "what is nobody's type stays as written");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (text, words) in [
            (r#"{"name": 1}"#, "a number where a string (in quotes) belongs at line 1 column 10"),
            (r#"{"ready": "s3cr3t"}"#, "a string where true or false belongs"),
            (r#"{"port": 65536}"#, "a number where a whole number (u16) belongs"),
            (r#"{"port": -1}"#, "a number where"),
            (r#"{"port": 1.0}"#, "a number where"),
            (r#"{"code": 99999999999999999999}"#, "a number where a whole number (i32) belongs"),
            (r#"{"labels": []}"#, "a list where a mapping belongs"),
            (r#"{"parts": {}}"#, "a mapping where a list belongs"),
            (r#"{"parts": [[]]}"#, "a list where a mapping belongs"),
            (r#"{"<<": "s3cr3t"}"#, "a string where a mapping belongs"),
            (r#"null x"#, "trailing characters"),
            (r#"{"name": "a""#, "EOF"),
        ] {
            let error = read_json::<Sample>(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("s3cr3t"), "{text}: {error}");
        }
        let deep = "[".repeat(1000);
        assert!(read_json::<Value>(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
    }
}
