//! What happens to a session, as text: one step a line, so that a fuzzer's mutations of a line are mutations of a frame, and any
//! file of frames is a script already.
//!
//! | line | step |
//! |---|---|
//! | `@o` | a socket opens |
//! | `@c N` | the N-th open socket closes |
//! | `@t N` | N tenths of a second pass, at most an hour |
//! | `@b N` | time goes back by N tenths |
//! | `@a N TEXT` | the N-th open request is answered with TEXT |
//! | `@x N` | the N-th open request fails, with a status that N gives |
//! | `@p N` | pressure |
//! | `@r N` | the N-th instrument's book is wanted anew |
//! | `@i N` | the instruments are those whose bits N has |
//! | `@n BYTES` | a binary frame |
//! | `@l N TEXT` | TEXT comes from the N-th open socket |
//! | else | the line comes from the newest socket |

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Open,
    Close(usize),
    Pass(i64),
    Back(i64),
    Answer(usize, &'a str),
    Fail(usize),
    Pressure(usize),
    Resync(usize),
    Instruments(usize),
    Binary(&'a [u8]),
    Frame(Option<usize>, &'a str),
}

/// Tenths of a second in an hour.
const TENTHS_MAX: usize = 36_000;
/// Steps of one script; more bytes only repeat what fewer show.
const STEPS_MAX: usize = 2_000;

/// The steps of a script.
pub(crate) fn steps(bytes: &[u8]) -> impl Iterator<Item = Step<'_>> {
    bytes.split(|byte| *byte == b'\n').take(STEPS_MAX).filter_map(step)
}

fn step(line: &[u8]) -> Option<Step<'_>> {
    if let Some(bytes) = line.strip_prefix(b"@n ") {
        return Some(Step::Binary(bytes));
    }
    let line = str::from_utf8(line).ok()?;
    let Some(command) = line.strip_prefix('@') else { return Some(Step::Frame(None, line)) };
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let number: usize = number.parse().ok().unwrap_or_default();
    let tenths = i64::try_from(number.min(TENTHS_MAX)).ok()?;
    Some(match name {
        "o" => Step::Open,
        "c" => Step::Close(number),
        "t" => Step::Pass(tenths),
        "b" => Step::Back(tenths),
        "a" => Step::Answer(number, text),
        "x" => Step::Fail(number),
        "p" => Step::Pressure(number),
        "r" => Step::Resync(number),
        "i" => Step::Instruments(number),
        "l" => Step::Frame(Some(number), text),
        _ => Step::Frame(None, line),
    })
}
