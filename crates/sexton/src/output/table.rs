//! Plain tables in the manner of `ps` and `kubectl get`: no lines, one row a thing.

use std::io::{self, Write};

use anstyle::Style;

use super::{HEADING, text};

/// One column.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Figures stand right.
    pub right: bool,
    /// It may be cut to this width when the table is too wide; 0: never.
    pub least: usize,
}

impl Column {
    /// A column of text that is never cut.
    pub const fn text(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            least: 0,
        }
    }
    /// A column of figures.
    pub const fn figure(title: &'static str) -> Self {
        Self {
            title,
            right: true,
            least: 0,
        }
    }
    /// A column that gives way when there is no room, down to `least` columns.
    pub const fn flexible(title: &'static str, least: usize) -> Self {
        Self {
            title,
            right: false,
            least,
        }
    }
}

/// Rows under headings; texts are made safe as they come in.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: vec![],
        }
    }

    /// Adds a row; the number of cells is that of the columns.
    pub fn row(&mut self, cells: Vec<(String, Style)>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(
            cells
                .into_iter()
                .map(|(cell, style)| (text::safe(&cell).into_owned(), style))
                .collect(),
        );
    }

    /// Writes the table in at most `width` columns; `None`: as wide as it is.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, out: &mut impl Write, width: Option<usize>) -> io::Result<()> {
        let widths = self.widths(width);
        let headings = self
            .columns
            .iter()
            .map(|c| (c.title.to_owned(), HEADING))
            .collect::<Vec<_>>();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (i, ((cell, style), column)) in row.iter().zip(&self.columns).enumerate() {
                let cell = text::cut(cell, widths[i]);
                let pad = " ".repeat(widths[i] - text::width(&cell));
                let last = i + 1 == row.len();
                let shown = super::paint(*style, &cell);
                line += &match (column.right, last) {
                    (true, _) => format!("{pad}{shown}"),
                    (false, true) => shown,
                    (false, false) => format!("{shown}{pad}"),
                };
                if !last {
                    line += "  ";
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Natural widths; the flexible columns give way, the widest first, until the table fits.
    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|i| {
                let cells = self.rows.iter().map(|row| text::width(&row[i].0));
                cells
                    .chain([text::width(self.columns[i].title)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let Some(limit) = limit else { return widths };
        let gaps = 2 * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            let widest = (0..widths.len())
                .filter(|&i| self.columns[i].least > 0 && widths[i] > self.columns[i].least)
                .max_by_key(|&i| widths[i]);
            match widest {
                Some(i) => widths[i] -= 1,
                None => break,
            }
        }
        widths
    }
}

/// Columns of the terminal on standard output; 100 where it is none, so that what is pasted
/// into a ticket reads the same everywhere.
pub fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|&columns| columns > 0)
        .map_or(100, |columns| columns.max(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(table: &Table, width: Option<usize>) -> String {
        let mut out = vec![];
        table
            .write(&mut anstream::StripStream::new(&mut out), width)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    fn plain(cells: &[&str]) -> Vec<(String, Style)> {
        cells
            .iter()
            .map(|c| ((*c).to_owned(), Style::new()))
            .collect()
    }

    #[test]
    fn flexible_columns_give_way_and_figures_stand_right() {
        let mut table = Table::new(&[
            Column::figure("N"),
            Column::flexible("COMMAND", 8),
            Column::text("AGE"),
        ]);
        table.row(plain(&["1,000", "a very long command line indeed", "3m"]));
        table.row(plain(&["7", "short", "1h"]));
        let text = drawn(&table, Some(30));
        assert_eq!(
            text,
            "    N  COMMAND             AGE\n1,000  a very long comma…  3m\n    7  short               1h\n"
        );
        assert!(drawn(&table, None).contains("a very long command line indeed"));
    }

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        let mut table = Table::new(&[Column::text("A")]);
        table.row(plain(&["x\n\x1b[31my"]));
        assert_eq!(drawn(&table, None), "A\nx\\n\\x1b[31my\n");
    }
}
