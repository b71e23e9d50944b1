//! The documents of the proposal, as JSON or YAML: one for a single node, another for several; written as their parts come,
//! so that a log of any length needs no memory.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::format::Limits;
use crate::format::text::{Style, Text};
use crate::logs::outlet::Event;
use crate::output::Output;
use crate::output::quote::quote;
use crate::time::{Timestamp, go_duration};

/// In which of two notations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// JSON.
    Json,
    /// YAML whose strings are JSON's.
    Yaml,
}

/// What a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `logs`: a string.
    Log,
    /// `boots`: objects, a line each.
    Boots,
}

/// How many nodes a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// One: its fields are the document's.
    Single,
    /// Any number: `responses`, `errors` and `summary`.
    Several,
}

/// Writes a document. Nodes must come one after another.
pub struct Document<'o> {
    text: Text<'o>,
    nodes: &'o [String],
    notation: Notation,
    content: Content,
    about: About,
    /// When the run began: every response's `timestamp`.
    at: Timestamp,
    /// The node whose response is being written.
    open: Option<usize>,
    /// Whether a boot stands in that response.
    has_boots: bool,
    responses: usize,
    /// Nodes that have ended, and how many of them well.
    ended: Vec<bool>,
    good: usize,
    errors: Vec<(usize, String)>,
}

impl<'o> Document<'o> {
    /// For these nodes; `style` says what their logs look like inside.
    pub fn new(
        output: &'o mut Output,
        nodes: &'o [String],
        style: Style,
        (notation, content): (Notation, Content),
        about: About,
        at: Timestamp,
    ) -> Self {
        let text = Text::new(output, nodes, style);
        Document {
            text,
            nodes,
            notation,
            content,
            about,
            at,
            open: None,
            has_boots: false,
            responses: 0,
            ended: vec![false; nodes.len()],
            good: 0,
            errors: Vec::new(),
        }
    }

    /// What has come of the node at this place in the list.
    pub fn event(&mut self, limits: &mut Limits, node: usize, event: &Event) -> ControlFlow<()> {
        self.open(node);
        match (self.content, event) {
            (Content::Boots, Event::Lines(lines)) => {
                for line in lines {
                    self.raw(if self.has_boots { ", " } else { "" });
                    self.has_boots = true;
                    self.output().put(line.text.trim_ascii_end());
                }
                self.output().state()
            }
            _ => self.text.event(limits, node, event),
        }
    }

    /// A node has ended.
    pub fn ended(&mut self, node: usize, how: Result<(), &Error>) -> ControlFlow<()> {
        let error = how.err().map(Error::chain);
        // A node of which nothing could be read has an error and no response, except where it is all there is.
        if error.is_none() || self.about == About::Single {
            self.open(node);
        }
        if self.open.take().is_some() {
            self.output().end_quotes();
            self.raw(if self.content == Content::Log { "\"" } else { "]" });
            if let Some(error) = &error {
                self.field(Place::Next, "error", error);
            }
            self.raw(match (self.notation, self.about) {
                (Notation::Json, About::Single) => "\n}\n",
                (Notation::Json, About::Several) => "\n    }",
                (Notation::Yaml, _) => "\n",
            });
        }
        if let Some(ended) = self.ended.get_mut(node) {
            *ended = true;
        }
        self.good += usize::from(error.is_none());
        self.errors.extend(error.map(|error| (node, error)));
        self.text.flush()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        self.text.flush()
    }

    /// The rest of the document, after so long.
    pub fn finish(&mut self, took: Duration) {
        if let Some(node) = self.open {
            let _ = self.ended(node, Err(&Error::new(Kind::Partial, "the run ended before the log did")));
        }
        for node in (0..self.nodes.len()).filter(|node| !self.ended[*node]) {
            self.errors.push((node, "not read: the run ended before".to_owned()));
        }
        if self.about == About::Single {
            return;
        }
        let (json, errors) = (self.notation == Notation::Json, std::mem::take(&mut self.errors));
        self.raw(match (json, self.responses) {
            (true, 0) => "{\n  \"responses\": []",
            (true, _) => "\n  ]",
            (false, 0) => "responses: []\n",
            (false, _) => "",
        });
        self.raw(match (json, errors.is_empty()) {
            (true, _) => ",\n  \"errors\": [",
            (false, true) => "errors: []\n",
            (false, false) => "errors:\n",
        });
        let nodes = self.nodes;
        for (number, (node, error)) in errors.iter().enumerate() {
            self.raw(match (json, number) {
                (true, 0) => "\n    {",
                (true, _) => ",\n    {",
                (false, _) => "",
            });
            self.field(Place::First, "nodeName", nodes.get(*node).map_or("", String::as_str));
            self.field(Place::Next, "error", error);
            self.raw(if json { "\n    }" } else { "\n" });
        }
        self.raw(match (json, errors.is_empty()) {
            (true, true) => "],\n  \"summary\": {",
            (true, false) => "\n  ],\n  \"summary\": {",
            (false, _) => "summary:",
        });
        let numbers = [("totalNodes", self.nodes.len()), ("successNodes", self.good), ("errorNodes", errors.len())];
        for (name, number) in numbers {
            self.raw(&if json { format!("\n    \"{name}\": {number},") } else { format!("\n  {name}: {number}") });
        }
        self.raw(if json { "\n    \"executionTime\": " } else { "\n  executionTime: " });
        self.quoted(&go_duration(Duration::from_millis(took.as_millis() as u64)));
        self.raw(if json { "\n  }\n}\n" } else { "\n" });
    }

    /// The beginning of a node's response, up to its log.
    fn open(&mut self, node: usize) {
        if self.open.is_some() {
            return;
        }
        self.open = Some(node);
        self.has_boots = false;
        self.raw(match (self.notation, self.about, self.responses) {
            (Notation::Json, About::Single, _) => "{",
            (Notation::Json, About::Several, 0) => "{\n  \"responses\": [\n    {",
            (Notation::Json, About::Several, _) => ",\n    {",
            (Notation::Yaml, About::Several, 0) => "responses:\n",
            (Notation::Yaml, ..) => "",
        });
        self.responses += 1;
        let nodes = self.nodes;
        self.field(Place::First, "nodeName", nodes.get(node).map_or("", String::as_str));
        let at = self.at.rfc3339().to_string();
        self.field(Place::Next, "timestamp", &at);
        if self.content == Content::Boots {
            self.key(Place::Next, "boots");
            return self.raw("[");
        }
        self.key(Place::Next, "logs");
        self.raw("\"");
        self.output().begin_quotes();
    }

    /// A field of a response, or of an error.
    fn field(&mut self, place: Place, name: &str, value: &str) {
        self.key(place, name);
        self.quoted(value);
    }

    fn key(&mut self, place: Place, name: &str) {
        let [first, next, end] = match (self.notation, self.about) {
            (Notation::Json, About::Single) => ["\n  \"", ",\n  \"", "\": "],
            (Notation::Json, About::Several) => ["\n      \"", ",\n      \"", "\": "],
            (Notation::Yaml, About::Single) => ["", "\n", ": "],
            (Notation::Yaml, About::Several) => ["- ", "\n  ", ": "],
        };
        for part in [if place == Place::First { first } else { next }, name, end] {
            self.raw(part);
        }
    }

    fn quoted(&mut self, text: &str) {
        let mut quoted = Vec::new();
        quote(text, &mut quoted);
        self.output().put(&quoted);
    }

    fn raw(&mut self, text: &str) {
        self.output().put(text.as_bytes());
    }

    fn output(&mut self) -> &mut Output {
        self.text.output()
    }
}

/// Where among the fields of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Next,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::logs::line::Line;
    use crate::output::testing::Sink;

    #[test]
    fn boots_are_one_list_however_they_come() {
        for notation in [Notation::Json, Notation::Yaml] {
            let sink = Sink::default();
            let mut output = Output::new(Box::new(sink.clone()), false);
            let nodes = ["a".to_owned(), "b".to_owned()];
            let how = (notation, Content::Boots);
            let at = Timestamp::from_micros(0);
            let mut document = Document::new(&mut output, &nodes, Style::default(), how, About::Several, at);
            for node in 0..2 {
                for boots in [&["{\"index\":-2}", "{\"index\":-1}"][..], &[], &["{\"index\":0}"]] {
                    let lines = boots.iter().map(|boot| Line::new(None, Bytes::from(format!("{boot}\n")))).collect();
                    let _ = document.event(&mut Limits::new(None), node, &Event::Lines(lines));
                }
                let _ = document.ended(node, Ok(()));
            }
            document.finish(Duration::ZERO);
            output.finish().unwrap();
            let text = sink.text();
            let read: serde_json::Value = match notation {
                Notation::Json => serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}")),
                Notation::Yaml => {
                    let line = text.lines().find(|line| line.contains("boots: ")).unwrap();
                    assert_eq!(line.trim(), "boots: [{\"index\":-2}, {\"index\":-1}, {\"index\":0}]");
                    continue;
                }
            };
            for node in 0..2 {
                let indexes = read["responses"][node]["boots"].as_array().unwrap().iter();
                assert_eq!(indexes.map(|boot| boot["index"].as_i64().unwrap()).collect::<Vec<_>>(), [-2, -1, 0]);
            }
        }
    }
}
