//! Rust source, split line by line into code and comment, so that a rule about code does not stumble over the text of a
//! string or a comment, nor a rule about docs over code.
//!
//! This is a lexer's first half and no parser: it knows comments, strings, raw strings and characters, and nothing more.

/// One line of source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The line without comments and without what is inside strings and characters; the quotes stay.
    pub(super) code: String,
    /// The text of its comments, with `//`, `///` or `//!`.
    pub(super) comment: String,
}

enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(usize),
    Text,
    /// A raw string ends at a quote with this many `#`.
    RawText(usize),
}

/// Splits a source file.
pub(super) fn lines(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = Vec::new();
    let mut line = Line::default();
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied();
        if c == '\n' {
            lines.push(std::mem::take(&mut line));
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            at += 1;
            continue;
        }
        match state {
            State::Code => match (c, next) {
                ('/', Some('/')) => {
                    line.comment.push_str("//");
                    state = State::LineComment;
                    at += 2;
                }
                ('/', Some('*')) => {
                    state = State::BlockComment(1);
                    at += 2;
                }
                ('"', _) => {
                    line.code.push('"');
                    state = State::Text;
                    at += 1;
                }
                ('\'', _) => at += character(&chars[at..], &mut line.code),
                ('r', _) if !continues_a_word(&line.code) => {
                    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                    line.code.push('r');
                    at += 1;
                    if chars.get(at + hashes) == Some(&'"') {
                        line.code.push('"');
                        state = State::RawText(hashes);
                        at += hashes + 1;
                    }
                }
                _ => {
                    line.code.push(c);
                    at += 1;
                }
            },
            State::LineComment => {
                line.comment.push(c);
                at += 1;
            }
            State::BlockComment(depth) => match (c, next) {
                ('*', Some('/')) => {
                    state = if depth == 1 {
                        State::Code
                    } else {
                        State::BlockComment(depth - 1)
                    };
                    at += 2;
                }
                ('/', Some('*')) => {
                    state = State::BlockComment(depth + 1);
                    at += 2;
                }
                _ => {
                    line.comment.push(c);
                    at += 1;
                }
            },
            State::Text => match c {
                // A backslash at the end of a line escapes the newline, which still ends the line here.
                '\\' => at += if next == Some('\n') { 1 } else { 2 },
                '"' => {
                    line.code.push('"');
                    state = State::Code;
                    at += 1;
                }
                _ => at += 1,
            },
            State::RawText(hashes) => {
                at += 1;
                if c == '"' && chars[at..].iter().take_while(|c| **c == '#').count() >= hashes {
                    line.code.push('"');
                    state = State::Code;
                    at += hashes;
                }
            }
        }
    }
    if line != Line::default() {
        lines.push(line);
    }
    lines
}

/// Takes a character literal or a lifetime's tick; says how many characters it took.
fn character(rest: &[char], code: &mut String) -> usize {
    code.push('\'');
    let length = match (rest.get(1), rest.get(2)) {
        // An escape: its second character cannot end the literal.
        (Some('\\'), Some(_)) => rest.iter().skip(3).position(|c| *c == '\'').map(|end| end + 4),
        (Some(_), Some('\'')) => Some(3),
        _ => None,
    };
    if length.is_some() {
        code.push('\'');
    }
    length.unwrap_or(1)
}

/// Whether what follows `code` would belong to an identifier. `b` and `c` may stand before a raw string.
fn continues_a_word(code: &str) -> bool {
    let word = code
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or("");
    !matches!(word, "" | "b" | "c")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> Vec<String> {
        lines(source).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_are_kept_apart_from_code() {
        let lines = lines("//! Doc.\nlet a = 1; // why\nb /* in /* nested */ still */ c");
        assert_eq!(
            lines[0],
            Line {
                code: String::new(),
                comment: "//! Doc.".to_owned()
            }
        );
        assert_eq!(
            lines[1],
            Line {
                code: "let a = 1; ".to_owned(),
                comment: "// why".to_owned()
            }
        );
        assert_eq!(lines[2].code, "b  c");
    }

    #[test]
    fn text_is_left_out() {
        assert_eq!(code(r#"f("todo!() // \" no comment", x)"#), [r#"f("", x)"#]);
        assert_eq!(code("f(\"two\nlines\") + 1"), ["f(\"", "\") + 1"]);
        assert_eq!(code("f(\"two \\\nlines\") + 1"), ["f(\"", "\") + 1"]);
    }

    #[test]
    fn raw_text_is_left_out() {
        assert_eq!(
            code(r##"f(r#"a "quoted" // b"#) + br"x\" + 1"##),
            [r#"f(r"") + br"" + 1"#]
        );
        assert_eq!(
            code(r#"let r#type = for_r("x");"#),
            [r#"let r#type = for_r("");"#]
        );
    }

    #[test]
    fn characters_are_not_lifetimes() {
        assert_eq!(code(r#"a('"', '\'', '\u{1b}', 'x')"#), ["a('', '', '', '')"]);
        assert_eq!(
            code("fn f<'a>(x: &'a str) -> &'static str"),
            ["fn f<'a>(x: &'a str) -> &'static str"]
        );
    }
}
