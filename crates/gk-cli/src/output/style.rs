//! Colours, on stderr alone. stdout never has any: it is the same on a terminal and in a pipe.

use anstyle::{AnsiColor, Color};

use crate::env::Env;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal that has them, unless the environment says otherwise
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How text on stderr may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    color: bool,
    terminal: bool,
}

impl Style {
    /// Flag first, then `NO_COLOR`, `CLICOLOR_FORCE` and `TERM`, then whether stderr is a terminal.
    pub(crate) fn choose(choice: ColorChoice, env: &Env, terminal: bool) -> Self {
        let dumb = env.os("TERM").is_some_and(|term| term == "dumb");
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if env.os("NO_COLOR").is_some() => false,
            ColorChoice::Auto if env.is_on("CLICOLOR_FORCE") => true,
            ColorChoice::Auto => terminal && !dumb,
        };
        Self { color, terminal: terminal && !dumb }
    }

    /// Whether lines may be drawn over.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Text of an error.
    pub(crate) fn error(self, text: &str) -> String {
        self.paint(AnsiColor::Red, text)
    }

    /// Text of a warning.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow, text)
    }

    /// Text of a success.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green, text)
    }

    fn paint(self, color: AnsiColor, text: &str) -> String {
        let style = anstyle::Style::new().bold().fg_color(Some(Color::Ansi(color)));
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn paints<const N: usize>(choice: ColorChoice, vars: [(&str, &str); N], terminal: bool) -> bool {
        Style::choose(choice, &Env::of(vars, Path::new("/")), terminal).good("x") != "x"
    }

    #[test]
    fn the_flag_stands_over_the_environment_and_that_over_the_terminal() {
        assert!(paints(ColorChoice::Always, [("NO_COLOR", "1")], false));
        assert!(!paints(ColorChoice::Never, [("CLICOLOR_FORCE", "1")], true));
        assert!(!paints(ColorChoice::Auto, [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true));
        assert!(paints(ColorChoice::Auto, [("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], false));
        assert!(!paints(ColorChoice::Auto, [("TERM", "dumb")], true));
        assert!(paints(ColorChoice::Auto, [], true) && !paints(ColorChoice::Auto, [], false));
    }
}
