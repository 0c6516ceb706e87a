//! `man`: the manual page, generated from the types of the command line, with every command on one page.

use std::io::{self, Write};

use clap_mangen::Man;

use crate::cmd::cli;
use crate::error::{Exit, Failure};

/// The day of the newest entry in the changelog, so that one version always gives the same page.
pub const DATE: &str = "2026-11-27";

/// Prints the manual page in roff.
///
/// # Errors
/// The output could not be written.
pub fn run(out: &mut dyn Write) -> Result<Exit, Failure> {
    super::written(page().and_then(|page| out.write_all(tidied(&page).as_bytes())).and_then(|()| out.flush()))
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone()).date(DATE).manual("User Commands");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        section(subcommand, &mut page)?;
    }
    remarks(&command, ".SH", &mut page)?;
    Ok(page)
}

/// Writes a section for one command, and one for each of its subcommands.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    // Global options are listed once, at the top of the page.
    let own = command.clone().mut_args(|argument| {
        let common = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(common)
    });
    let mut parts = Vec::new();
    let man = Man::new(own.clone());
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    if own.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut parts)?;
    }
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    // A section of a page of its own is a subsection here.
    for line in String::from_utf8_lossy(&parts).lines() {
        match line.strip_prefix(".SH") {
            Some(heading) => writeln!(page, ".SS{heading}")?,
            None => writeln!(page, "{line}")?,
        }
    }
    remarks(&own, ".SS", page)?;
    command.get_subcommands().try_for_each(|subcommand| section(subcommand, page))
}

/// Writes the text below the options of the help: blocks with a heading keep their lines, others are paragraphs.
fn remarks(command: &clap::Command, heading: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let text = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    for block in text.iter().flat_map(|text| text.split("\n\n")) {
        match block.split_once(":\n") {
            Some((title, lines)) if !title.contains('\n') => {
                let title = title.to_uppercase();
                writeln!(page, "{heading} \"{title}\"\n.nf\n{}\n.fi", plain(lines))?;
            }
            _ => writeln!(page, ".PP\n{}", plain(block))?,
        }
    }
    Ok(())
}

/// The page without the things mandoc warns about: blank lines, repeated breaks, spaces at the end of a line. Settings
/// that each part repeats are kept once.
fn tidied(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let (mut tidied, mut before, mut is_set) = (String::new(), "", false);
    for line in page.lines().map(str::trim_end) {
        let sets = line.starts_with(".ie ") || line.starts_with(".el ");
        let is_spare = line.is_empty() || line == ".br" && before == ".br" || sets && is_set;
        is_set |= line.starts_with(".el ");
        if !is_spare {
            tidied.push_str(line);
            tidied.push('\n');
            before = line;
        }
    }
    tidied
}

/// The text, escaped for roff.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}
