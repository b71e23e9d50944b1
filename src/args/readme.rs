//! The flag table of the README.

use super::flag::Group;
use super::flags;

/// The line before the table in README.md.
pub const BEGIN: &str = "<!-- flags -->";

/// The line after it.
pub const END: &str = "<!-- /flags -->";

/// A Markdown table a group; ends with a line end.
pub fn table() -> String {
    let mut page = String::new();
    for group in Group::ALL {
        page.push_str(&format!("**{}**\n\n| Flag | |\n|---|---|\n", group.title()));
        for flag in flags::all().filter(|flag| flag.group == group) {
            let commands: Vec<String> = flag.commands.iter().map(|command| format!("`{}`", command.name())).collect();
            let only = if flag.commands == [super::Command::Ls] {
                format!(" ({} only)", commands.join(", "))
            } else {
                String::new()
            };
            page.push_str(&format!("| `{}` | {}{only} |\n", cell(&flag.spelling()), cell(flag.brief)));
        }
        page.push('\n');
    }
    page.pop();
    page
}

/// The table as it stands in a README: what is between the markers, if they are there.
pub fn table_in(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once(BEGIN)?;
    let (table, _) = rest.split_once(END)?;
    Some(table.trim_start_matches('\n'))
}

/// A bar would end the cell, even between backticks.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_found_between_its_markers() {
        let readme = format!("# Title\n\n{BEGIN}\n{}{END}\nmore", table());
        assert_eq!(table_in(&readme), Some(table().as_str()));
        assert_eq!(table_in("no markers"), None);
    }

    #[test]
    fn every_flag_has_a_row() {
        let rows = table().lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, flags::all().count());
    }
}
