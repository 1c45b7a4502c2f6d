//! Which series an expression asks for: names, label values and the labels it groups by. Reads as much of `PromQL` as that
//! takes; whether it is `PromQL` at all says promtool.

use std::collections::BTreeSet;

/// What is followed by a list of labels in parentheses.
const LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are no series.
const WORDS: &[&str] = &["and", "or", "unless", "offset", "bool", "inf", "nan"];

/// The selectors of an expression, each as an expression of its own that has a result when such series exist:
/// `sum by (stream) (x{a="b"})` asks for `x{a="b",stream!=""}`.
#[must_use]
pub fn selectors(expr: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // The labels of the aggregation around us, by depth of parentheses.
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut grouped_by = None;
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let (word, after) = split_while(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let after = after.trim_start();
        if word.is_empty() {
            let skipped = match first {
                // Of a text or a range nothing is a name.
                '"' | '\'' => rest.get(1..).and_then(|text| text.split_once(first)),
                '[' => rest.split_once(']'),
                _ => None,
            };
            match first {
                '(' => groups.push(grouped_by.take().or_else(|| groups.last().cloned()).unwrap_or_default()),
                ')' => drop(groups.pop()),
                _ => {}
            }
            rest = skipped.map_or(rest.get(first.len_utf8()..).unwrap_or_default(), |(_, rest)| rest);
        } else if LISTS.contains(&word) {
            let (list, after) =
                after.strip_prefix('(').and_then(|list| list.split_once(')')).unwrap_or(("", after));
            if word == "by" {
                let labels = list.split(',').map(|label| label.trim().to_owned());
                grouped_by = Some(labels.filter(|label| !label.is_empty()).collect());
            }
            rest = after;
        } else {
            let is_call =
                after.starts_with('(') || LISTS.iter().any(|list| after.starts_with(&format!("{list} (")));
            rest = after;
            if word.starts_with(|c: char| c.is_ascii_digit()) || WORDS.contains(&word) || is_call {
                continue;
            }
            let (conditions, after) =
                after.strip_prefix('{').and_then(|text| text.split_once('}')).unwrap_or(("", after));
            let labels = groups.last().into_iter().flatten().map(|label| format!("{label}!=\"\""));
            let mut all: Vec<_> =
                (!conditions.is_empty()).then(|| conditions.to_owned()).into_iter().collect();
            all.extend(labels);
            found.insert(format!("{word}{{{}}}", all.join(",")));
            rest = after;
        }
    }
    found
}

fn split_while(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(expr: &str) -> Vec<String> {
        selectors(expr).into_iter().collect()
    }

    #[test]
    fn names_values_and_groups_are_found() {
        let expr =
            "sum by (stream) (rate(x_total{a=\"b\"}[5m])) > 2 * max(y offset 30m) or absent(z{c=\"d\"})";
        assert_eq!(found(expr), ["x_total{a=\"b\",stream!=\"\"}", "y{}", "z{c=\"d\"}"]);
    }

    #[test]
    fn words_numbers_and_strings_are_no_names() {
        let expr = "a - on (job, instance) count by (job, instance) (b) > 50 and on () time() - c > 3e9";
        assert_eq!(found(expr), ["a{}", "b{job!=\"\",instance!=\"\"}", "c{}"]);
        assert_eq!(found("label_replace(a, \"x y\", \"$1\", \"job\", \"(.*)\") unless vector(0)"), ["a{}"]);
    }
}
