//! Rules about documents: links lead somewhere, examples are not skipped, and the commands they show exist.

use std::collections::BTreeMap;
use std::path::Path;

use super::Finding;
use super::source;
use super::tree::Tree;

/// Relative links in Markdown files: the file exists, and has the heading that the link names.
pub(super) fn check_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (line, prose) in prose(text) {
            for target in targets(&prose) {
                if let Some(problem) = broken(tree, path, &target) {
                    findings.push(Finding::new(path, line, problem));
                }
            }
        }
    }
    findings
}

/// Code blocks in Markdown files that are marked as not to be run.
pub(super) fn check_fences(tree: &Tree) -> Vec<Finding> {
    tree.texts(".md")
        .flat_map(|(path, text)| skipped_fences(path, text.lines()))
        .collect()
}

/// `cargo xtask X --option` in documents, doc comments and the CI script: X is a command and has the option.
///
/// A changelog also speaks of commands that are no more, and is left out.
pub(super) fn check_commands(tree: &Tree, commands: &BTreeMap<String, Vec<String>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut check = |path: &str, line: usize, text: &str| {
        for problem in wrong_commands(text, commands) {
            findings.push(Finding::new(path, line, problem));
        }
    };
    for (path, text) in tree.texts(".md").chain(tree.texts(".ci/run")) {
        if !path.ends_with("CHANGELOG.md") {
            text.lines()
                .enumerate()
                .for_each(|(index, line)| check(path, index + 1, line));
        }
    }
    for (path, text) in tree.texts(".rs") {
        source::lines(text)
            .iter()
            .enumerate()
            .for_each(|(index, line)| check(path, index + 1, &line.comment));
    }
    findings
}

/// Code blocks that rustdoc would not run, in lines of Markdown.
pub(super) fn skipped_fences<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in lines.enumerate() {
        let line = line.trim_start_matches([' ', '>']);
        let Some(info) = line.strip_prefix("```").or_else(|| line.strip_prefix("~~~")) else {
            continue;
        };
        let skipped = info
            .split([',', ' ', '`', '~', '{', '}'])
            .find(|word| *word == "no_run" || *word == "ignore" || word.starts_with("ignore-"));
        if let Some(word) = skipped {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("a code block marked `{word}`: what is shown runs; make it an example that does, or `text`"),
            ));
        }
    }
    findings
}

/// The lines outside of code blocks, numbered, with code spans blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut in_fence = false;
    let mut prose = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        if start.starts_with("```") || start.starts_with("~~~") {
            in_fence = !in_fence;
        } else if !in_fence {
            // Within a line, what stands between a pair of backticks is code.
            let outside: Vec<&str> = line.split('`').step_by(2).collect();
            prose.push((index + 1, outside.join("`")));
        }
    }
    prose
}

/// The targets of the links in a line: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut add = |text: &str| {
        // A title may follow the target; spaces in a target need the brackets.
        let target = match text.trim_start().strip_prefix('<') {
            Some(rest) => rest.split('>').next(),
            None => text.split_whitespace().next(),
        };
        if let Some(target) = target.filter(|target| !target.is_empty()) {
            targets.push(target.replace("%20", " "));
        }
    };
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        if let Some(end) = rest.find(')') {
            add(&rest[..end]);
        }
    }
    if let Some((name, target)) = line.trim_start().split_once("]: ")
        && name.starts_with('[')
        && !name.starts_with("[^")
    {
        add(target);
    }
    targets
}

/// What is wrong with a link in the file `from`, if anything is.
fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() {
        Some(from.to_owned())
    } else {
        resolve(from, file)
    };
    let Some(path) = path else {
        return Some(format!(
            "the link to {target} leaves the repository: link within it, relative to this file"
        ));
    };
    if !tree.exists(&path) {
        return Some(format!("the link to {target} leads nowhere: there is no {path}"));
    }
    if let (Some(anchor), Some(text)) = (anchor, tree.text(&path))
        && Path::new(&path)
            .extension()
            .is_some_and(|extension| extension == "md")
        && !anchors(text).iter().any(|known| known == anchor)
    {
        return Some(format!(
            "the link to {target} leads nowhere: {path} has no heading `#{anchor}`"
        ));
    }
    None
}

/// The path that a relative link means, if it stays in the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a document's headings, as code hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        let title = line.trim_start_matches('#');
        if in_fence || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let same = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if same == 0 {
            anchor
        } else {
            format!("{anchor}-{same}")
        });
    }
    anchors
}

/// What is wrong with the `cargo xtask` commands that a line shows.
fn wrong_commands(line: &str, commands: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, shown) in line.match_indices("cargo xtask ") {
        let command = &line[at + shown.len()..];
        let end = command
            .find(['`', '"', '\'', '#', '&', ';', '(', ')', ','])
            .unwrap_or(command.len());
        let mut words = command[..end]
            .split_whitespace()
            .map(|word| word.trim_matches(['[', ']', '.', ':', '…']));
        let Some(name) = words
            .next()
            .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        else {
            continue;
        };
        let Some(options) = commands.get(name) else {
            let known: Vec<_> = commands.keys().map(String::as_str).collect();
            problems.push(format!(
                "there is no `cargo xtask {name}`: there are {}",
                known.join(", ")
            ));
            continue;
        };
        for word in words.take_while(|word| *word != "--") {
            if let Some(option) = word
                .strip_prefix("--")
                .and_then(|option| option.split('=').next())
                && !options.iter().any(|known| known == option)
            {
                problems.push(format!(
                    "`cargo xtask {name}` has no option --{option}: see `cargo xtask {name} --help`"
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
