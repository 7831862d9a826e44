//! Tables as `kubectl get` prints them: headers in capitals, three spaces, no lines, no colour,
//! nothing cut.

use std::io::{self, Write};

use sexton_core::text::safe;
use unicode_width::UnicodeWidthStr;

/// What stands where there is nothing.
pub const NONE: &str = "<none>";

/// Rows under headers.
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers.
    pub fn new(headers: &[&'static str]) -> Self {
        Self {
            headers: headers.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; an empty cell is `<none>`. Names are made safe: programs choose them.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.headers.len(), "a cell for each header");
        self.rows.push(
            cells
                .into_iter()
                .map(|cell| match cell.as_str() {
                    "" => NONE.to_owned(),
                    cell => safe(cell).into_owned(),
                })
                .collect(),
        );
    }

    /// Writes it, every line behind `indent`.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, out: &mut impl Write, headers: bool, indent: &str) -> io::Result<()> {
        let head: Vec<String> = self.headers.iter().map(|h| (*h).to_owned()).collect();
        let lines: Vec<&Vec<String>> = headers
            .then_some(&head)
            .into_iter()
            .chain(&self.rows)
            .collect();
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|i| lines.iter().map(|line| line[i].width()).max().unwrap_or(0))
            .collect();
        for line in lines {
            let mut text = indent.to_owned();
            for (cell, width) in line.iter().zip(&widths) {
                text += cell;
                text += &" ".repeat(width - cell.width() + 3);
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A cell of what may be missing.
pub fn or_none(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(table: &Table, headers: bool) -> String {
        let mut out = Vec::new();
        table.write(&mut out, headers, "").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_kubectl_prints_them() {
        let mut table = Table::new(&["NAME", "NODE", "AGE"]);
        table.row(vec!["a-long-name".into(), String::new(), "3m".into()]);
        table.row(vec!["b".into(), "node1".into(), "1h".into()]);
        assert_eq!(
            drawn(&table, true),
            "NAME          NODE     AGE\na-long-name   <none>   3m\nb             node1    1h\n"
        );
        assert_eq!(
            drawn(&table, false),
            "a-long-name   <none>   3m\nb             node1    1h\n"
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        let mut table = Table::new(&["A"]);
        table.row(vec!["x\n\x1b[31my".into()]);
        assert_eq!(drawn(&table, true), "A\nx\\n\\x1b[31my\n");
    }
}
