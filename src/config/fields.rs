//! The kinds of field a kubeconfig (or a credential plugin's answer) has.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::document::{Fit, Number, Slot, Unfit};
use crate::named::Named;
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
#[derive(Clone, Debug, Default)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// Lists of strings by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists(pub(crate) Named<Vec<String>>);

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

/// Defines a struct of optional fields and how it is read from a mapping: `field: Type = "key",` each.
macro_rules! mapping {
    ($(#[$about:meta])* $Name:ident { $($(#[$note:meta])* $field:ident: $Type:ty = $key:literal,)* }) => {
        $crate::document::object! {
            $(#[$about])*
            pub(crate) struct $Name {
                $($(#[$note])* pub(crate) $field: Option<$Type> = $key,)*
            }
        }
    };
}
pub(crate) use mapping;

/// Counts what a document unfolds to, aliases followed, and refuses beyond `limit` (scalar bytes plus one a value).
pub(crate) struct Weigh {
    limit: usize,
    spent: usize,
}

impl Weigh {
    /// A count towards `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Weigh { limit, spent: 0 }
    }

    fn spend(&mut self, bytes: usize) -> Fit {
        self.spent = self.spent.saturating_add(bytes).saturating_add(1);
        match self.spent > self.limit {
            true => Err(Unfit::Because("its aliases unfold to too much".to_owned())),
            false => Ok(()),
        }
    }
}

impl Slot for Weigh {
    fn wanted(&self) -> &'static str {
        "a value without a tag of its own"
    }

    fn clear(&mut self) {}

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn null(&mut self) -> Fit {
        self.spend(0)
    }

    fn boolean(&mut self, _: bool) -> Fit {
        self.spend(0)
    }

    fn number(&mut self, _: Number) -> Fit {
        self.spend(0)
    }

    fn text(&mut self, text: &str) -> Fit {
        self.spend(text.len())
    }

    fn list(&mut self) -> Fit {
        self.spend(0)
    }

    fn element(&mut self) -> Option<&mut dyn Slot> {
        Some(self)
    }

    fn mapping(&mut self) -> Fit {
        self.spend(0)
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        // Where this is too much, the value is refused.
        let _ = self.spend(key.len());
        Some(self)
    }
}

/// Makes a wrapper a slot that takes what it wraps.
macro_rules! like {
    ($Wrapper:ty, $wanted:literal, $($take:tt)*) => {
        impl Slot for $Wrapper {
            fn wanted(&self) -> &'static str {
                $wanted
            }

            fn clear(&mut self) {
                *self = Self::default();
            }

            fn place(&mut self) -> &mut dyn Slot {
                self
            }

            $($take)*
        }
    };
}

like! {Text, "a string (in quotes)",
    fn text(&mut self, text: &str) -> Fit {
        self.0 = text.to_owned();
        Ok(())
    }
}

like! {Location, "a string (in quotes)",
    fn text(&mut self, text: &str) -> Fit {
        self.0 = text.into();
        Ok(())
    }
}

like! {Hidden, "a string (in quotes)",
    fn text(&mut self, text: &str) -> Fit {
        self.0 = text.into();
        Ok(())
    }
}

like! {Switch, "true or false",
    fn boolean(&mut self, on: bool) -> Fit {
        self.0 = on;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Fit {
        self.0 = match text {
            "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => true,
            "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => false,
            _ => return Err(Unfit::Kind),
        };
        Ok(())
    }
}

impl<T: Slot + Default> Slot for List<T> {
    fn wanted(&self) -> &'static str {
        self.0.wanted()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn place(&mut self) -> &mut dyn Slot {
        &mut self.0
    }
}

like! {Lists, "a mapping of lists",
    fn mapping(&mut self) -> Fit {
        Ok(())
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        Some(self.0.entry(key))
    }
}

like! {Encoded, "base64 text",
    fn text(&mut self, text: &str) -> Fit {
        self.0 = Secret::new(decode(text).map_err(Unfit::Because)?);
        Ok(())
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
    use serde::de::DeserializeSeed;

    use super::*;
    use crate::document::{Put, read_json};

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
        let mut sample = Sample::default();
        let put = Put::into(&mut sample).deserialize(serde_yaml::Deserializer::from_str(text));
        put.map(|()| sample).map_err(|e| e.to_string())
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
        assert_eq!(read.lists.unwrap().0.get("l").unwrap(), &["x"]);
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
        let read: Sample = read_json(br#"{"name":"a","name":"b","other":[1],"token":null}"#).unwrap();
        assert_eq!(text(&read.name), Some("b"));
        let error = read_json::<Sample>(br#"{"token":1234567}"#).unwrap_err().to_string();
        assert!(error.contains("where a string (in quotes) belongs") && !error.contains("1234567"), "{error}");
    }
}
