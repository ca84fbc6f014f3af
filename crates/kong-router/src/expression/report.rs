//! Where in an expression something is wrong, drawn as the Admin API shows it.

/// Draws `message` under the character at `position`.
pub(crate) fn at(source: &str, position: usize, message: &str) -> String {
    drawn(source, position, "^---".to_owned(), message)
}

/// Draws `message` under the characters from `start` to `end`.
pub(crate) fn over(source: &str, start: usize, end: usize, message: &str) -> String {
    let marked = source.get(start..end).unwrap_or_default();
    let width = marked.split('\n').next().unwrap_or_default().chars().count();
    let marker = match width {
        0 | 1 => "^".to_owned(),
        _ => format!("^{}^", "-".repeat(width - 2)),
    };
    drawn(source, start, marker, message)
}

fn drawn(source: &str, position: usize, marker: String, message: &str) -> String {
    let before = source.get(..position).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_number = before.matches('\n').count() + 1;
    let in_line = before.get(line_start..).unwrap_or_default();
    let column = in_line.chars().count() + 1;
    let rest = source.get(line_start..).unwrap_or_default();
    let line = rest.split_inclusive('\n').next().unwrap_or_default();
    // A position on the line break itself makes it visible.
    let line = if source
        .get(position..)
        .is_some_and(|rest| rest.starts_with(['\n', '\r']))
    {
        line.replace('\r', "␍").replace('\n', "␊")
    } else {
        line.replace(['\r', '\n'], "")
    };
    let indent: String = in_line
        .chars()
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    let number = line_number.to_string();
    let margin = " ".repeat(number.len());
    format!(
        "{margin}--> {number}:{column}\n{margin} |\n{number} | {line}\n{margin} | {indent}{marker}\n{margin} |\n{margin} = {message}"
    )
}
