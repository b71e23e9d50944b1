//! Colours of a terminal: one for each node, by its name, so that it keeps it from run to run.

use crate::args::Color;
use crate::config::Env;

/// Foreground colours that can be read on light and dark grounds alike.
const PALETTE: [&str; 12] = ["32", "33", "34", "35", "36", "92", "93", "94", "95", "96", "91", "31"];

/// Whether to use colours: on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`, if nothing else was said.
pub fn wanted(said: Color, terminal: bool, env: &Env) -> bool {
    match said {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && env.text("NO_COLOR").is_none() && env.text("TERM") != Some("dumb"),
    }
}

/// A name in its colour.
pub fn of_name(name: &str) -> String {
    // FNV-1a: any hash will do, so long as it is the same tomorrow.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let colour = PALETTE[(hash % PALETTE.len() as u64) as usize];
    format!("\x1b[{colour}m{name}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_said_otherwise() {
        let env = |vars: &[(&'static str, &'static str)]| Env::new(vars.to_vec());
        assert!(wanted(Color::Auto, true, &env(&[])) && !wanted(Color::Auto, false, &env(&[])));
        assert!(
            !wanted(Color::Auto, true, &env(&[("NO_COLOR", "1")]))
                && !wanted(Color::Auto, true, &env(&[("TERM", "dumb")]))
        );
        assert!(wanted(Color::Always, false, &env(&[("NO_COLOR", "1")])) && !wanted(Color::Never, true, &env(&[])));
        assert_eq!(of_name("node-1"), of_name("node-1"));
        assert!(of_name("node-1").ends_with("mnode-1\x1b[0m"));
    }
}
