//! `--redact`: secrets are masked before any format sees them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::logs::line::Line;
use crate::logs::outlet::Event;
use crate::redact::Redactor;

/// Masks what comes of each node; what stands in front of a message stays.
#[derive(Debug, Default)]
pub struct Mask {
    /// A secret may go on in the next entry of its node.
    nodes: Vec<Redactor>,
    masks: bool,
}

impl Mask {
    /// For so many nodes; `Mask::default()` masks nothing.
    pub fn new(nodes: usize) -> Self {
        Mask { nodes: vec![Redactor::default(); nodes], masks: true }
    }

    /// Takes the secrets out of what has come of the node at this place in the list. Bytes must be whole lines.
    pub fn event(&mut self, node: usize, event: &mut Event) {
        if !self.masks {
            return;
        }
        // Nodes may come while others are followed.
        if self.nodes.len() <= node {
            self.nodes.resize(node + 1, Redactor::default());
        }
        let Some(redactor) = self.nodes.get_mut(node) else { return };
        match event {
            Event::Bytes(bytes) => mask(redactor, bytes),
            Event::Lines(lines) => lines.iter_mut().for_each(|line| mask_line(redactor, line)),
        }
    }
}

fn mask_line(redactor: &mut Redactor, line: &mut Line) {
    // The same text a second time, as the journal holds it.
    if let Some(entry) = &line.entry
        && let Some(message) = entry.message()
        && let Cow::Owned(masked) = redactor.clone().mask(message)
    {
        line.entry = Some(Arc::new(entry.with_message(&masked)));
    }
    let message = line.head.map_or(0, |head| head.message).min(line.text.len());
    if let Cow::Owned(masked) = redactor.mask(&line.text[message..]) {
        line.text = [&line.text[..message], &masked].concat().into();
    }
}

fn mask(redactor: &mut Redactor, bytes: &mut Bytes) {
    if let Cow::Owned(masked) = redactor.mask(bytes) {
        *bytes = masked.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;

    #[test]
    fn a_key_over_several_entries_is_masked_and_heads_stay() {
        let lines = ["-----BEGIN PRIVATE KEY-----", "MIIE", "-----END PRIVATE KEY-----", "MIIE"].map(|message| {
            let text = format!("Nov 21 03:07:12.123456 password=x app[1]: {message}\n");
            Line::new(Head::of(text.as_bytes()), text.into())
        });
        let heads = lines.clone().map(|line| line.head);
        let mut mask = Mask::new(0);
        let mut event = Event::Lines(lines.to_vec());
        mask.event(0, &mut event);
        let Event::Lines(masked) = event else { panic!("lines stay lines") };
        let messages: Vec<_> = masked.iter().map(|line| String::from_utf8_lossy(line.message()).into_owned()).collect();
        assert_eq!(messages, ["-----BEGIN PRIVATE KEY-----", "(redacted)", "-----END PRIVATE KEY-----", "MIIE"]);
        assert_eq!(masked.iter().map(|line| line.head).collect::<Vec<_>>(), heads);
        let mut event = Event::Bytes(Bytes::from_static(b"password=x"));
        Mask::default().event(7, &mut event);
        assert!(matches!(event, Event::Bytes(same) if same == "password=x"));
    }
}
