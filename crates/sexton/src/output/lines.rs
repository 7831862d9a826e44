//! Lines of text that fit the terminal; everything that goes in is made safe.

use std::io::{self, Write};

use anstyle::Style;

use super::{paint, text};

/// Writes wrapped lines.
pub struct Lines<W> {
    /// Where to.
    pub out: W,
    /// Columns.
    pub width: usize,
}

impl<W: Write> Lines<W> {
    /// Lines as wide as the terminal, at most 100 columns.
    pub fn new(out: W) -> Self {
        Self {
            out,
            width: super::table::terminal_width().min(100),
        }
    }

    /// An empty line.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// `value` in `style`, from the left edge.
    pub fn line(&mut self, style: Style, value: &str) -> io::Result<()> {
        self.hanging(0, "", style, value)
    }

    /// `  name      value`, in columns.
    pub fn field(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.hanging(12, &format!("  {name}"), Style::new(), value)
    }

    /// `value` after `mark`, both further to the right.
    pub fn item(&mut self, mark: &str, value: &str) -> io::Result<()> {
        self.hanging(9, &format!("      {mark}"), Style::new(), value)
    }

    /// `value` in `style`, indented by `indent` columns; `mark` stands before its first line.
    pub fn hanging(
        &mut self,
        indent: usize,
        mark: &str,
        style: Style,
        value: &str,
    ) -> io::Result<()> {
        let lines = text::wrap(&text::safe(value), self.width - indent);
        for (i, line) in lines.iter().enumerate() {
            let mark = if i == 0 { mark } else { "" };
            writeln!(self.out, "{mark:<indent$}{}", paint(style, line))?;
        }
        Ok(())
    }
}
