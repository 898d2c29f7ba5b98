//! Columns of text.

use anstyle::Style;

use crate::text::{cut, padded, width};

const HEADER: Style = Style::new().bold();

/// Rows under a header, with styles. The last column is cut to what the others leave of `columns`.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    columns: Option<usize>,
) -> String {
    let mut widths = header.map(width);
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(width(cell));
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells[..N - 1].iter().zip(widths) {
            line += &padded(cell, width + 2);
        }
        line += cells[N - 1];
        match columns {
            Some(columns) => cut(line.trim_end(), columns).into_owned(),
            None => line.trim_end().to_owned(),
        }
    };
    let mut text = format!("{HEADER}{}{HEADER:#}\n", line(header));
    for row in rows {
        text += &line(row.each_ref().map(String::as_str));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_as_the_terminal() {
        let rows = [
            ["orders_queue_dlq", "3", "timed out"],
            ["ほし", "12", "a very long error"],
        ]
        .map(|row| row.map(String::from));
        let table = |columns| {
            let text = table(["QUEUE", "ID", "ERROR"], &rows, columns);
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            table(None),
            "\
QUEUE             ID  ERROR
orders_queue_dlq  3   timed out
ほし              12  a very long error
"
        );
        assert_eq!(
            table(Some(28)),
            "\
QUEUE             ID  ERROR
orders_queue_dlq  3   timed…
ほし              12  a ver…
"
        );
    }
}
