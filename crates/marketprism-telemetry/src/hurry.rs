//! Rules and routes with shorter times, for tests that cannot wait as long as an operator does.

/// What a time follows in rules and in Alertmanager's configuration.
const BEFORE: &[&str] =
    &["for: ", "[", "offset ", "group_wait: ", "group_interval: ", "resolve_timeout: ", "    interval: "];
/// Shorter windows than this would see a single scrape of each second.
const SHORTEST_SECONDS: u32 = 4;

/// The text with every time so many times shorter.
#[must_use]
pub fn hurried(text: &str, times: u32) -> String {
    let lines = text
        .lines()
        .map(|line| BEFORE.iter().fold(line.to_owned(), |line, mark| shorter(&line, mark, times)));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn shorter(line: &str, mark: &str, times: u32) -> String {
    let mut done = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        done.push_str(before);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, unit) = after.split_at(digits);
        let seconds = match unit.chars().next() {
            Some('s') => Some(1),
            Some('m') => Some(60),
            Some('h') => Some(3600),
            _ => None,
        };
        let scaled =
            number.parse::<u32>().ok().zip(seconds).map(|(number, seconds)| number * seconds / times);
        match scaled {
            Some(scaled) if mark == "[" => done.push_str(&format!("{}s", scaled.max(SHORTEST_SECONDS))),
            Some(scaled) => done.push_str(&format!("{}s", scaled.max(1))),
            None => done.push_str(
                after.get(..digits + unit.chars().next().map_or(0, char::len_utf8)).unwrap_or(after),
            ),
        }
        rest = unit.get(unit.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_shrink_and_nothing_else_does() {
        assert_eq!(hurried("        for: 3m", 15), "        for: 12s\n");
        assert_eq!(
            hurried("expr: rate(x[5m] offset 30m) > 300", 15),
            "expr: rate(x[20s] offset 120s) > 300\n"
        );
        assert_eq!(hurried("expr: rate(x[30s]) > 5", 15), "expr: rate(x[4s]) > 5\n");
        assert_eq!(hurried("files: [rules/*.yaml]", 15), "files: [rules/*.yaml]\n");
        assert_eq!(hurried("group_wait: 10s", 15), "group_wait: 1s\n");
        assert_eq!(hurried("repeat_interval: 10m", 15), "repeat_interval: 10m\n");
    }
}
