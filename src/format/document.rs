//! The documents of the proposal, as JSON or YAML: one for a single node, another for several; written as their parts come,
//! so that a log of any length needs no memory.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::{Error, Kind};
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
    about: About,
    /// When the run began: every response's `timestamp`.
    at: Timestamp,
    /// The node whose response is being written.
    open: Option<usize>,
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
        notation: Notation,
        about: About,
        at: Timestamp,
    ) -> Self {
        let text = Text::new(output, nodes, style);
        Document {
            text,
            nodes,
            notation,
            about,
            at,
            open: None,
            responses: 0,
            ended: vec![false; nodes.len()],
            good: 0,
            errors: Vec::new(),
        }
    }

    /// What has come of the node at this place in the list.
    pub fn event(&mut self, node: usize, event: Event) -> ControlFlow<()> {
        self.open(node);
        self.text.event(node, event)
    }

    /// Whether the limit of the node at this place has cut something off.
    pub fn is_cut(&self, node: usize) -> bool {
        self.text.is_cut(node)
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
            self.raw("\"");
            if let Some(error) = &error {
                self.field("error", error);
            }
            if self.json() {
                self.raw(if self.about == About::Single { "\n}" } else { "\n    }" });
            }
            self.raw(if self.json() && self.about == About::Several { "" } else { "\n" });
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

    /// The nodes whose limit cut something off, with the bytes that were printed of each.
    pub fn cut(&self) -> impl Iterator<Item = (usize, u64)> {
        self.text.cut()
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
        let (json, errors) = (self.json(), std::mem::take(&mut self.errors));
        match (json, self.responses) {
            (true, 0) => self.raw("{\n  \"responses\": []"),
            (true, _) => self.raw("\n  ]"),
            (false, 0) => self.raw("responses: []\n"),
            (false, _) => {}
        }
        self.raw(match (json, errors.is_empty()) {
            (true, true) => ",\n  \"errors\": []",
            (true, false) => ",\n  \"errors\": [",
            (false, true) => "errors: []\n",
            (false, false) => "errors:\n",
        });
        for (number, (node, error)) in errors.iter().enumerate() {
            let (name, error) = (quoted(self.nodes.get(*node).map_or("", String::as_str)), quoted(error));
            let comma = if number > 0 { "," } else { "" };
            self.raw(&if json {
                format!("{comma}\n    {{\n      \"nodeName\": {name},\n      \"error\": {error}\n    }}")
            } else {
                format!("- nodeName: {name}\n  error: {error}\n")
            });
        }
        let took = quoted(&go_duration(Duration::from_millis(took.as_millis() as u64)));
        let (total, failed) = (self.nodes.len(), errors.len());
        let good = self.good;
        let end = if errors.is_empty() { "" } else { "\n  ]" };
        self.raw(&if json {
            format!(
                "{end},\n  \"summary\": {{\n    \"totalNodes\": {total},\n    \"successNodes\": {good},\n    \"errorNodes\": {failed},\n    \"executionTime\": {took}\n  }}\n}}\n"
            )
        } else {
            format!(
                "summary:\n  totalNodes: {total}\n  successNodes: {good}\n  errorNodes: {failed}\n  executionTime: {took}\n"
            )
        });
    }

    /// The beginning of a node's response, up to its log.
    fn open(&mut self, node: usize) {
        if self.open.is_some() {
            return;
        }
        self.open = Some(node);
        match (self.notation, self.about, self.responses) {
            (Notation::Json, About::Single, _) => self.raw("{"),
            (Notation::Json, About::Several, 0) => self.raw("{\n  \"responses\": [\n    {"),
            (Notation::Json, About::Several, _) => self.raw(",\n    {"),
            (Notation::Yaml, About::Several, 0) => self.raw("responses:"),
            (Notation::Yaml, ..) => {}
        }
        self.responses += 1;
        let name = self.nodes.get(node).cloned().unwrap_or_default();
        self.first_field("nodeName", &name);
        self.field("timestamp", &self.at.rfc3339().to_string());
        self.field_begins("logs");
        self.raw("\"");
        self.output().begin_quotes();
    }

    fn first_field(&mut self, name: &str, value: &str) {
        let value = quoted(value);
        self.raw(&match (self.notation, self.about) {
            (Notation::Json, About::Single) => format!("\n  \"{name}\": {value}"),
            (Notation::Json, About::Several) => format!("\n      \"{name}\": {value}"),
            (Notation::Yaml, About::Single) => format!("{name}: {value}"),
            (Notation::Yaml, About::Several) if self.responses == 1 => format!("\n- {name}: {value}"),
            (Notation::Yaml, About::Several) => format!("- {name}: {value}"),
        });
    }

    fn field(&mut self, name: &str, value: &str) {
        self.field_begins(name);
        self.raw(&quoted(value));
    }

    fn field_begins(&mut self, name: &str) {
        self.raw(&match (self.notation, self.about) {
            (Notation::Json, About::Single) => format!(",\n  \"{name}\": "),
            (Notation::Json, About::Several) => format!(",\n      \"{name}\": "),
            (Notation::Yaml, About::Single) => format!("\n{name}: "),
            (Notation::Yaml, About::Several) => format!("\n  {name}: "),
        });
    }

    fn raw(&mut self, text: &str) {
        self.output().put(text.as_bytes());
    }

    fn json(&self) -> bool {
        self.notation == Notation::Json
    }

    fn output(&mut self) -> &mut Output {
        self.text.output()
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = Vec::new();
    quote(text, &mut quoted);
    String::from_utf8(quoted).unwrap_or_default()
}
