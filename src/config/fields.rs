//! How single values of a kubeconfig (or of a credential plugin's answer) are read from YAML and JSON.
//!
//! Derived readers would quote the offending value in their errors, and that value may be a token; these name only
//! its kind. Otherwise they follow Go's: null is unset, unknown keys are passed over, of repeated keys the last counts,
//! a number or a boolean is no string. YAML's merge key `<<` fills what the mapping itself leaves out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Visitor};

use crate::secret::Secret;

/// A string that may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

/// The name of a file. It is written as text, but once put behind a directory's name it may be any path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Location(pub(crate) PathBuf);

/// A string that must not be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(pub(crate) Secret);

/// A boolean, also in YAML 1.1's spellings (`yes`, `on`), which Go's reader takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Switch(pub(crate) bool);

/// Bytes written in standard base64; line breaks inside are passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded(pub(crate) Secret<Vec<u8>>);

/// A list whose null elements are empty ones.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// Lists of strings by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists(pub(crate) BTreeMap<String, Vec<String>>);

/// The text, unless it is unset or empty, which mean the same.
pub(crate) fn text(field: &Option<Text>) -> Option<&str> {
    field.as_ref().map(|text| text.0.as_str()).filter(|text| !text.is_empty())
}

/// The path, unless unset or empty.
pub(crate) fn location(field: &Option<Location>) -> Option<&Path> {
    field.as_ref().map(|location| location.0.as_path()).filter(|path| !path.as_os_str().is_empty())
}

/// The secret, unless it is unset or empty.
pub(crate) fn hidden(field: &Option<Hidden>) -> Option<&Secret> {
    field.as_ref().map(|hidden| &hidden.0).filter(|secret| !secret.expose().is_empty())
}

/// The bytes, unless unset or empty.
pub(crate) fn encoded(field: &Option<Encoded>) -> Option<&Secret<Vec<u8>>> {
    field.as_ref().map(|encoded| &encoded.0).filter(|secret| !secret.expose().is_empty())
}

/// Whether the switch is set and on.
pub(crate) fn switch(field: &Option<Switch>) -> bool {
    matches!(field, Some(Switch(true)))
}

/// A value of the wrong kind, told without quoting it.
pub(crate) fn mismatch<E: Error>(got: &str, wanted: &dyn Expected) -> E {
    E::custom(format_args!("{got} where {wanted} belongs"))
}

/// Writes the visitor methods for the kinds of value that do not fit.
macro_rules! refuse {
    (@null) => {
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Err($crate::config::fields::mismatch("nothing", &self))
        }
    };
    (@bool) => { $crate::config::fields::refuse!(@fn visit_bool(bool), "a boolean"); };
    (@number) => {
        $crate::config::fields::refuse!(@fn visit_i64(i64), "a number");
        $crate::config::fields::refuse!(@fn visit_u64(u64), "a number");
        $crate::config::fields::refuse!(@fn visit_i128(i128), "a number");
        $crate::config::fields::refuse!(@fn visit_u128(u128), "a number");
        $crate::config::fields::refuse!(@fn visit_f64(f64), "a number");
    };
    (@text) => { $crate::config::fields::refuse!(@fn visit_str(&str), "a string"); };
    (@list) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err($crate::config::fields::mismatch("a list", &self))
        }
    };
    (@map) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err($crate::config::fields::mismatch("a mapping", &self))
        }
    };
    (@fn $visit:ident($kind:ty), $got:literal) => {
        fn $visit<E: serde::de::Error>(self, _: $kind) -> Result<Self::Value, E> {
            Err($crate::config::fields::mismatch($got, &self))
        }
    };
    ($($kind:ident)*) => { $($crate::config::fields::refuse!(@$kind);)* };
}
pub(crate) use refuse;

/// Defines a struct of optional fields and how it is read from a mapping: `field: Type = "key",` each.
macro_rules! mapping {
    ($(#[$about:meta])* $Name:ident { $($(#[$note:meta])* $field:ident: $Type:ty = $key:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $Name {
            $($(#[$note])* pub(crate) $field: Option<$Type>,)*
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl<'de> serde::de::Visitor<'de> for Reader {
                    type Value = $Name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a mapping")
                    }
                    $crate::config::fields::refuse!(bool number text list);
                    fn visit_unit<E: serde::de::Error>(self) -> Result<$Name, E> {
                        Ok($Name::default())
                    }
                    // serde_yaml's name for a document with nothing in it.
                    fn visit_none<E: serde::de::Error>(self) -> Result<$Name, E> {
                        Ok($Name::default())
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$Name, A::Error> {
                        let mut own = $Name::default();
                        let mut bases: Vec<$Name> = Vec::new();
                        while let Some($crate::config::fields::Key(key)) = map.next_key()? {
                            match key.as_str() {
                                $($key => own.$field = map.next_value()?,)*
                                "<<" => bases.extend(map.next_value::<$crate::config::fields::OneOrMore<$Name>>()?.0),
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        for base in bases {
                            $(if own.$field.is_none() { own.$field = base.$field; })*
                        }
                        Ok(own)
                    }
                }
                deserializer.deserialize_any(Reader)
            }
        }
    };
}
pub(crate) use mapping;

/// Counts what a document unfolds to, aliases followed, and refuses beyond `limit` (scalar bytes plus one a value).
pub(crate) struct Weigh<'a> {
    limit: usize,
    spent: &'a Cell<usize>,
}

impl<'a> Weigh<'a> {
    /// A count towards `limit`, kept in `spent`.
    pub(crate) fn new(limit: usize, spent: &'a Cell<usize>) -> Self {
        Weigh { limit, spent }
    }

    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.spent.set(self.spent.get().saturating_add(bytes).saturating_add(1));
        match self.spent.get() > self.limit {
            true => Err(E::custom("its aliases unfold to too much")),
            false => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Weigh<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Weigh<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag of its own")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.spend(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// A mapping's key; one that is no string names none of our fields.
pub(crate) struct Key(pub(crate) String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            refuse!(list map);

            fn visit_unit<E: Error>(self) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string (in quotes)")
            }

            refuse!(null bool number list map);

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|Text(text)| Location(text.into()))
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|Text(text)| Hidden(Secret::new(text)))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Switch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            refuse!(null number list map);

            fn visit_bool<E: Error>(self, on: bool) -> Result<Switch, E> {
                Ok(Switch(on))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Switch, E> {
                match text {
                    "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => Ok(Switch(true)),
                    "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => Ok(Switch(false)),
                    _ => Err(mismatch("a string", &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Encoded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 text")
            }

            refuse!(null bool number list map);

            fn visit_str<E: Error>(self, text: &str) -> Result<Encoded, E> {
                decode(text).map(|bytes| Encoded(Secret::new(bytes))).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Reader<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            refuse!(null bool number text map);

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element::<Option<T>>()? {
                    list.push(element.unwrap_or_default());
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(Reader(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Lists {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Lists;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of lists")
            }

            refuse!(null bool number text list);

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lists, A::Error> {
                let mut lists = BTreeMap::new();
                while let Some(Text(key)) = map.next_key()? {
                    let values: Option<List<Text>> = map.next_value()?;
                    lists.insert(key, values.into_iter().flat_map(|list| list.0).map(|Text(value)| value).collect());
                }
                Ok(Lists(lists))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What a merge key `<<` stands for: a mapping or a list of mappings.
pub(crate) struct OneOrMore<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or a list of mappings,")
            }

            refuse!(null bool number text);

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMore<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMore(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|one| OneOrMore(vec![one]))
            }
        }
        deserializer.deserialize_any(Reader(std::marker::PhantomData))
    }
}

/// Standard base64 as Go takes it: padding needed, line breaks skipped.
fn decode(text: &str) -> Result<Vec<u8>, String> {
    const GO: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let plain: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    GO.decode(&plain).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            format!("not standard base64 (at byte {at})")
        }
        _ => "not standard base64 (cut short, or its padding is missing)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    mapping! {
        /// A stand-in.
        Sample {
            name: Text = "name",
            token: Hidden = "token",
            on: Switch = "on",
            data: Encoded = "data",
            list: List<Text> = "list",
            lists: Lists = "lists",
        }
    }

    fn yaml(text: &str) -> Result<Sample, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn go_reads_it_so() {
        let read = yaml(
            "name: a\nname: b\nunknown: {x: [1]}\n1: x\ntoken: null\n\"on\": yes\ndata: \"aGVs\\nbG8=\"\nlist: [a, null]\n\
             lists: {k: null, l: [x]}\n",
        )
        .unwrap();
        assert_eq!(text(&read.name), Some("b"), "the last of repeated keys");
        assert!(hidden(&read.token).is_none(), "null is unset");
        assert!(switch(&read.on), "YAML 1.1's yes");
        assert_eq!(encoded(&read.data).unwrap().expose(), b"hello");
        assert_eq!(read.list.unwrap().0, [Text("a".into()), Text(String::new())]);
        assert_eq!(read.lists.unwrap().0["l"], ["x"]);
        assert!(text(&yaml("").unwrap().name).is_none(), "an empty document is an empty mapping");
    }

    #[test]
    fn a_merge_key_fills_what_is_left_out() {
        let read = yaml("base: &b {name: base, token: t}\n<<: *b\nname: own\n").unwrap();
        assert_eq!((text(&read.name), hidden(&read.token).unwrap().expose().as_str()), (Some("own"), "t"));
        let read = yaml("a: &a {name: a}\nb: &b {name: b, token: t}\n<<: [*a, *b]\n").unwrap();
        assert_eq!((text(&read.name), hidden(&read.token).unwrap().expose().as_str()), (Some("a"), "t"));
    }

    #[test]
    fn values_of_the_wrong_kind_are_named_but_never_quoted() {
        for (input, words) in [
            ("token: 1234567", "token: a number where a string (in quotes) belongs at line 1"),
            ("token: 123456789012345678901234567890", "a number"),
            ("token: 12.34567", "a number"),
            ("token: true", "a boolean"),
            ("token: [s3cr3t]", "a list where a string (in quotes) belongs"),
            ("token: {s3cr3t: s3cr3t}", "a mapping where a string (in quotes) belongs"),
            ("\"on\": s3cr3t", "a string where true or false belongs"),
            ("\"on\": 1", "a number where true or false belongs"),
            ("list: s3cr3t", "a string where a list belongs"),
            ("lists: {k: s3cr3t}", "a string where a list belongs"),
            ("lists: s3cr3t", "a string where a mapping of lists belongs"),
            ("data: s3cr3t!", "not standard base64 (at byte 6)"),
            ("data: aGVsbG8", "padding is missing"),
            ("s3cr3t", "a string where a mapping belongs"),
            ("[s3cr3t]", "a list where a mapping belongs"),
        ] {
            let error = yaml(input).unwrap_err();
            assert!(error.contains(words), "{input}: {error}");
            assert!(!error.contains("s3cr3t") && !error.contains("34567"), "quoted: {error}");
        }
    }

    #[test]
    fn json_is_read_the_same_way() {
        let read: Sample = serde_json::from_str(r#"{"name":"a","name":"b","other":[1],"token":null}"#).unwrap();
        assert_eq!(text(&read.name), Some("b"));
        let error = serde_json::from_str::<Sample>(r#"{"token":1234567}"#).unwrap_err().to_string();
        assert!(error.contains("where a string (in quotes) belongs") && !error.contains("1234567"), "{error}");
    }
}
