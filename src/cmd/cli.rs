//! The command line: types and help texts, nothing else.
//!
//! What a command does is in [`crate::cmd`]; `completions` and `man` are made from these types.
//!
//! Longer than other files because every command explains itself here, with examples.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::core::event_log::Position;
use crate::core::remote::alive;
use crate::core::source::Agent;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::core::names::one_line;
use crate::core::template::Template;
use crate::error::Exit;
use crate::io::paths::Environment;

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The options that every command has.
    pub global: Global,
    /// The command.
    pub command: Command,
}

/// Shows friends in Discord what your coding agents are doing
///
/// agent-presence runs in the background, reads the session files that coding agents write on this
/// computer, and keeps your Discord profile up to date: what the agent is doing, its tokens and the remaining
/// limits. Prompts, replies, commands and file contents never leave this computer.
#[derive(Debug, Parser)]
#[command(name = "agent-presence", bin_name = "agent-presence", version, after_help = EXAMPLES, after_long_help = examples_and_environment())]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  agent-presence run --demo      see what it looks like, without Discord
  agent-presence setup           set it up, step by step
  agent-presence run             show it in Discord";

fn examples_and_environment() -> String {
    let row = |names: Vec<String>, meaning: &str| {
        let names = names.join(", ");
        let gap = if names.len() < 30 { "" } else { "\n                                 " };
        format!("  {names:<31}{gap}{meaning}")
    };
    let variables = Agent::ALL.iter().flat_map(|agent| agent.spec().homes.named());
    let variables = row(variables.map(str::to_owned).collect(), "the agents' homes");
    let usual = Agent::ALL.into_iter().filter_map(|agent| agent.spec().homes.usual.first());
    let homes = usual.map(|folder| format!("~/{folder}")).collect();
    let homes = row(homes, "the agents' homes, of which only session files are read");
    format!(
        "\
Examples:
  agent-presence run --demo      see what it looks like, without Discord
  agent-presence setup           set it up, step by step
  agent-presence run             show it in Discord
  agent-presence status --json   what is shown now, for scripts

Environment:
  AGENT_PRESENCE_APPLICATION_ID  your Discord application's id; stronger than the settings file
  AGENT_PRESENCE_CONFIG          the settings file
  AGENT_PRESENCE_STATE_DIR       the folder for state, lock, logs and control socket
{variables}
  XDG_CONFIG_HOME, XDG_STATE_HOME
                                 on Linux, where the settings and the state are
  RUST_LOG                       the log level; stronger than the settings file
  NO_COLOR                       no colours

Files:
  ~/.config/agent-presence/config.toml
                                 the settings, on Linux; `config path` names yours
  ~/.local/state/agent-presence  state, lock, limits, logs and control socket
{homes}

Exit codes:
  0 done, 1 failed, 2 usage, 3 no daemon is running, 4 another instance keeps the lock"
    )
}

const CONFIG: &str = "\
Examples:
  agent-presence config init     write a settings file to edit
  agent-presence config check    after editing it
  agent-presence config show     what is in effect, and who set it

A running daemon reads the file again within a second; a broken file changes nothing.";

const COMPLETIONS: &str = "\
Examples:
  agent-presence completions bash > ~/.local/share/bash-completion/completions/agent-presence
  agent-presence completions fish > ~/.config/fish/completions/agent-presence.fish
  agent-presence completions zsh > \"${fpath[1]}/_agent-presence\"";

const GLOBAL: &str = "Global options";

/// The options that every command has.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Global {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// When to use colours: auto, always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true,
        help_heading = GLOBAL
    )]
    pub color: Color,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether output to `stream` is coloured.
    pub fn wanted(self, stream: &impl IsTerminal, environment: &Environment) -> bool {
        match self {
            Self::Auto => stream.is_terminal() && environment.text("NO_COLOR").is_none(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the daemon, in the foreground
    Run(Run),
    /// Set up: application id, what may be shown, launch at login
    Setup(Setup),
    /// Print what is shown now: sessions, tokens, limits, links
    Status(Status),
    /// Draw the card as friends will see it
    Preview,
    /// Show events as they happen: a dashboard on a terminal, lines elsewhere
    Watch(Watch),
    /// Print one line for a status bar: limits and activity, or any words of the card
    Bar(Bar),
    /// Feed session files through the engine and print what would have been shown
    Replay(Replay),
    /// Copy what an agent prints, unchanged, and report the usage in it
    Tap(Tap),
    /// Clear the card and end the daemon
    Stop,
    /// Clear the card and show none until `resume`, also after a restart
    Pause(Pause),
    /// End a pause
    Resume,
    /// Check everything and print how to fix it; exit code 1 if anything is wrong
    Doctor(Doctor),
    /// Launch at login: switch it on or off, or print its state
    #[command(subcommand)]
    Autostart(Autostart),
    /// Claude Code's statusline command: stores the limits passed to it, and prints a line
    ///
    /// Claude Code runs it with JSON on standard input. It always succeeds.
    Statusline {
        /// Change Claude Code's settings instead
        #[command(subcommand)]
        action: Option<StatuslineAction>,
    },
    /// Undo the setup: daemon, launch at login, status line
    Uninstall(Uninstall),
    /// Find, show, check or write the settings file
    #[command(subcommand, after_help = CONFIG)]
    Config(Config),
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:\n  agent-presence man | man -l -")]
    Man,
}

/// `run`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence run --dry-run          print cards instead of sending them
  agent-presence run --demo             one minute of a recorded session, in the terminal
  agent-presence run --demo --discord   the same in Discord")]
pub struct Run {
    /// Print cards to standard output instead of sending them to Discord
    #[arg(long)]
    pub dry_run: bool,
    /// Play a built-in recorded session once, in accelerated time, instead of reading your files
    #[arg(long)]
    pub demo: bool,
    /// Send the demo to Discord
    #[arg(long, requires = "demo", conflicts_with = "dry_run")]
    pub discord: bool,
    /// Do not take over from a healthy instance; exit with code 4 instead
    #[arg(long)]
    pub no_takeover: bool,
    /// Take over from a newer version as well
    #[arg(long, conflicts_with = "no_takeover")]
    pub replace: bool,
    /// Print no usage lines
    #[arg(short, long)]
    pub quiet: bool,
}

/// `setup`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence setup
  agent-presence setup --application-id 1234567890123456789 --show project,branch --autostart

Asks a question for each option that is not given. Off a terminal it asks nothing, and what has no option stays as it is.
In the settings file only the answered settings are changed.")]
pub struct Setup {
    /// Your Discord application's id
    #[arg(long, value_name = "ID")]
    pub application_id: Option<String>,
    /// What cards may show of your work besides agent, activity, model, tokens and limits: nothing, or any of project,
    /// branch, file
    #[arg(long, value_name = "WHAT", value_delimiter = ',', hide_possible_values = true)]
    pub show: Option<Vec<Shown>>,
    /// Launch at login, and start now
    #[arg(long)]
    pub autostart: bool,
    /// Leave launch at login as it is
    #[arg(long, conflicts_with = "autostart")]
    pub no_autostart: bool,
    /// Read limits from Claude Code's status line: `yes`, as with `statusline install`, or `no` to leave it as it is
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no(), ignore_case = true, hide_possible_values = true)]
    pub statusline: Option<bool>,
    /// Listen to the servers of agents that have one (Codex), which report when an approval waits: `yes` or `no`
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no(), ignore_case = true, hide_possible_values = true)]
    pub listen: Option<bool>,
}

/// The two words in the help, and the other common spellings.
fn yes_or_no() -> impl TypedValueParser<Value = bool> {
    let yes = PossibleValue::new("yes").aliases(["y", "true", "t", "on", "1"]);
    let no = PossibleValue::new("no").aliases(["n", "false", "f", "off", "0"]);
    PossibleValuesParser::new([yes.clone(), no]).map(move |word| yes.matches(&word, true))
}

/// `--show`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    /// Nothing more
    Nothing,
    /// The name of the project's folder
    Project,
    /// The git branch
    Branch,
    /// The name of the file at hand
    File,
}

/// `tap`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  codex exec --json 'fix the tests' | agent-presence tap
  claude -p --output-format stream-json --verbose 'fix the tests' | agent-presence tap | jq .

For runs that may leave no session file. Every byte goes to standard output as it comes; the usage goes to the daemon, if
one runs. At the end the usage line is printed to standard error. If the reader of standard output goes away, it ends with
code 141, as a shell reports for any program in a pipe.")]
pub struct Tap {
    /// Whose output it is
    #[arg(long, value_name = "AGENT", value_parser = agents(), hide_possible_values = true, help = whose_output())]
    pub agent: Option<Agent>,
    /// The folder that the agent works in, where that is not this one
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub cd: Option<PathBuf>,
    /// Print no usage line
    #[arg(short, long)]
    pub quiet: bool,
}

fn whose_output() -> String {
    format!(
        "Whose output it is: {}; recognised from its first lines if not given",
        tapped().map(|(agent, _)| agent.word()).collect::<Vec<_>>().join(", ")
    )
}

/// The agents whose output can be tapped, each with the command that prints it.
fn tapped() -> impl Iterator<Item = (Agent, &'static str)> {
    Agent::ALL.into_iter().filter_map(|agent| Some((agent, agent.spec().stream.as_ref()?.command)))
}

fn agents() -> impl TypedValueParser<Value = Agent> {
    let value =
        |(agent, command): (Agent, &str)| PossibleValue::new(agent.word()).help(format!("`{command}`"));
    PossibleValuesParser::new(tapped().map(value))
        .try_map(|word| Agent::of_word(&word).ok_or("unknown agent"))
}

/// `status`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence status
  agent-presence status --json | jq '.sessions[] | select(.shown).tokens'

Asks the running daemon; without one the session files are read once. Changes nothing and opens no Discord connection.")]
pub struct Status {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `doctor`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence doctor
  agent-presence doctor --json | jq '.checks[] | select(.state == \"failure\")'

Changes nothing, and opens no Discord connection while a daemon runs.")]
pub struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `pause`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Pause {
    /// End the pause after this time, e.g. 30m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = crate::core::duration::parse)]
    pub duration: Option<Duration>,
}

/// `watch`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence watch
  agent-presence watch | tee usage.txt
  agent-presence watch --json | jq 'select(.event == \"usage\")'

On a terminal it is a dashboard: sessions, tokens, remaining limits, the card as friends see it, links; `q` quits, `p`
pauses, `?` explains. Elsewhere the usage so far of each live session comes first, then every event of the running
daemon, and of the next one that takes over from it. Without a daemon it reads the session files itself. Ends with its reader.")]
pub struct Watch {
    /// Print one JSON event a line, of every kind
    #[arg(long, conflicts_with = "bare")]
    pub json: bool,
    /// Print the usage lines alone, without time, agent and session
    #[arg(long)]
    pub bare: bool,
    /// For another machine's `[[remote]]`: print a hello first, and a keep-alive line after this time without another
    /// line, e.g. 60s
    #[arg(long, value_name = "TIME", requires = "json", value_parser = alive_interval)]
    pub alive: Option<Duration>,
    /// Continue after this event, if it is still stored
    #[arg(long, value_name = "STREAM:SEQ", requires = "alive", value_parser = position)]
    pub since: Option<Position>,
}

fn alive_interval(text: &str) -> Result<Duration, String> {
    let time = crate::core::duration::parse(text)?;
    let fits = alive::SHORTEST <= time && time <= alive::LONGEST;
    fits.then_some(time).ok_or_else(|| "expected a time from 100ms to 1h".to_owned())
}

fn position(text: &str) -> Result<Position, String> {
    Position::parse(text).ok_or_else(|| "expected a stream and a number, as in `s:7`".to_owned())
}

/// `bar`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence bar
  agent-presence bar --follow --format waybar
  agent-presence bar --agent codex --template '{limits} · {tokens}'

With --follow it prints the line again whenever it changes, and at no other time. Asks the daemon, and the next one that
takes over from it; without one it reads the session files itself. Ends with its reader. A bar is your own screen: it
shows the project and the branch where the template has them, and the file where privacy.file allows it.")]
pub struct Bar {
    /// Keep running, and print the line again whenever it changes
    #[arg(short, long)]
    pub follow: bool,
    /// The program that reads it: plain, waybar, i3blocks, tmux, or json for any other
    #[arg(
        long,
        value_name = "BAR",
        default_value = "plain",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub format: BarFormat,
    /// The line, with the placeholders of `card.details`
    #[arg(long, value_name = "TEXT", value_parser = template, default_value = "{limits} · {activity}")]
    pub template: Template,
    /// Only sessions and limits of this agent
    #[arg(long, value_name = "AGENT", value_parser = any_agent(), hide_possible_values = true)]
    pub agent: Option<Agent>,
}

fn template(text: &str) -> Result<Template, String> {
    Template::parse(text)
}

fn any_agent() -> impl TypedValueParser<Value = Agent> {
    let value = |agent: Agent| PossibleValue::new(agent.word()).help(agent.card_name());
    PossibleValuesParser::new(Agent::ALL.map(value))
        .try_map(|word| Agent::of_word(&word).ok_or("unknown agent"))
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BarFormat {
    /// The line alone: polybar, SketchyBar, and other bars that show a command's output
    Plain,
    /// A JSON object as Waybar's custom modules read it
    Waybar,
    /// A JSON object as i3blocks reads it
    I3blocks,
    /// The line in tmux's format language
    Tmux,
    /// A JSON object with all fields
    Json,
}

/// `replay`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence replay ~/.codex/sessions/2026/11/20
  agent-presence replay --json rollout.jsonl | jq 'select(.event == \"usage\")'

The agent is recognised from a file's first lines, not from its name. Needs no daemon, no Discord and no state folder.")]
pub struct Replay {
    /// Print one JSON event a line
    #[arg(long)]
    pub json: bool,
    /// Session files, or folders of them
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// `autostart`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Autostart {
    /// Start the daemon at every login of this user, and now
    Enable(Enable),
    /// Do not start the daemon at login any more; a running daemon continues
    Disable,
    /// Print what login starts; exit code 1 unless it is this program
    Status(AutostartStatus),
}

/// `autostart enable`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  agent-presence autostart enable --print
  agent-presence autostart enable --config ~/work.toml

Linux gets a systemd user unit, or a desktop autostart entry where there is no user manager; macOS a LaunchAgent;
Windows a value under the Run key. A settings file given with --config is passed on.")]
pub struct Enable {
    /// Do not start the daemon now
    #[arg(long)]
    pub no_start: bool,
    /// Print what would be written and where, and write nothing
    #[arg(long, conflicts_with = "no_start")]
    pub print: bool,
}

/// `autostart status`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AutostartStatus {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `statusline install`, `statusline uninstall`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum StatuslineAction {
    /// Set it in Claude Code's settings; a command that is there runs as before
    Install,
    /// Remove it from Claude Code's settings, and put back the command that was there before
    Uninstall,
}

/// `uninstall`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = "\
Prints what is left. The program itself is removed in the way it was installed.")]
pub struct Uninstall {
    /// Remove settings, state, logs and record as well
    #[arg(long)]
    pub purge: bool,
}

/// `config`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Config {
    /// Print where the settings file is, or would be
    Path,
    /// Print the effective settings and where each comes from
    Show,
    /// Print what is wrong with the settings file; exit code 1 if anything is
    Check,
    /// Write a settings file with every default as a comment, never over an existing one
    Init,
}

/// Reads the process's command line. Prints help, the version and usage errors here; `Err` is then the exit code.
/// Without a command it prints the short help.
///
/// # Errors
/// The exit code, when there is nothing left to run.
pub fn parse() -> Result<Invocation, Exit> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    parse_from(&arguments).map_err(|answer| {
        // The message may quote the arguments.
        let answer = parse_from(&printable(&arguments)).err().unwrap_or(answer);
        let printed = answer.print().and_then(|()| std::io::stdout().flush());
        match printed {
            _ if answer.use_stderr() => Exit::Usage,
            // A reader that has gone is not an error.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                super::note(
                    &mut std::io::stderr(),
                    format_args!("error: could not write the output: {error}\n"),
                );
                Exit::Failed
            }
            _ => Exit::Done,
        }
    })
}

/// The arguments without control characters, fit to print on a terminal.
fn printable(arguments: &[OsString]) -> Vec<OsString> {
    arguments.iter().map(|argument| one_line(&argument.to_string_lossy()).into_owned().into()).collect()
}

/// Parses any arguments and prints nothing; the first one is the program's name.
///
/// # Errors
/// The help or the usage error to print instead of running a command.
pub fn parse_from(arguments: &[OsString]) -> Result<Invocation, clap::Error> {
    let mut command = command().color(color_of_help(arguments));
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let line = <CommandLine as clap::FromArgMatches>::from_arg_matches_mut(&mut matches)?;
    match line.command {
        Some(command) => Ok(Invocation { global: line.global, command }),
        None => Err(short_help(command)),
    }
}

/// What `-h` gives.
fn short_help(mut command: clap::Command) -> clap::Error {
    match command.try_get_matches_from_mut(["agent-presence", "-h"]) {
        Err(help) => help,
        Ok(_) => command.error(clap::error::ErrorKind::MissingSubcommand, "a command is needed"),
    }
}

/// The whole command line, for completions and the manual page.
pub fn command() -> clap::Command {
    CommandLine::command()
}

/// Help is printed while parsing, so `--color` is looked for before it.
fn color_of_help(arguments: &[OsString]) -> clap::ColorChoice {
    let words = arguments.iter().map(|word| word.to_str().unwrap_or_default());
    let after = words.clone().skip(1).chain([""]);
    words.zip(after).fold(clap::ColorChoice::Auto, |choice, (word, next)| {
        match word.strip_prefix("--color=").or_else(|| (word == "--color").then_some(next)) {
            Some("always") => clap::ColorChoice::Always,
            Some("never") => clap::ColorChoice::Never,
            _ => choice,
        }
    })
}
