//! Recognizes the digits of arbitrary pixels, and checks that the text, the digits and their boxes agree.
//!
//! The input is a byte each for width, height, and form (2 bits for the channels, then one for a single digit), and then pixels,
//! repeated as often as necessary.

#![no_main]

use std::sync::LazyLock;

use lenet::{image::ImageView, pretrained, recognize::Recognizer};
use libfuzzer_sys::fuzz_target;

static RECOGNIZER: LazyLock<Recognizer> = LazyLock::new(|| {
    Recognizer::new(pretrained::lenet5().0).expect("lenet5 classifies digits")
});

fuzz_target!(|bytes: &[u8]| {
    let [width, height, form, pixels @ ..] = bytes else { return };
    let (width, height, channels) = (usize::from(*width), usize::from(*height), 1 + usize::from(form % 4));
    let pixels: Vec<_> = pixels.iter().copied().cycle().take(width * height * channels).collect();
    let Ok(picture) = ImageView::new(width, height, &pixels) else { return };
    let reading = if form & 4 > 0 { RECOGNIZER.read_single(&picture) } else { RECOGNIZER.read(&picture) };
    let text = reading.digits_only();
    let is_digit = |char: &char| char.is_ascii_digit() || matches!(char, '?' | '\n');
    assert_eq!(reading.text.chars().filter(is_digit).collect::<String>(), text);
    let certain_marks: String =
        reading.marks.iter().filter(|mark| !mark.doubtful).map(|mark| mark.mark.char()).collect();
    let has_mark = |char: &char| !is_digit(char) && *char != ' ';
    assert_eq!(reading.text.chars().filter(has_mark).collect::<String>(), certain_marks);
    let mut text_lines = text.split('\n').map(|line| line.chars());
    for (index, line) in reading.digits.chunk_by(|a, b| a.line == b.line).enumerate() {
        let mut text = text_lines.next().expect("a line of text for each line of digits");
        for digit in line {
            assert_eq!(digit.line, index);
            let shown = if digit.rejected { '?' } else { char::from(b'0' + digit.digit) };
            assert_eq!(text.next(), Some(shown));
            let (bounds, sum) = (digit.bounds, digit.probabilities.iter().sum::<f32>());
            assert!(
                bounds.width > 0 && bounds.height > 0 && bounds.right() <= width && bounds.bottom() <= height
            );
            assert!((0.99..1.01).contains(&sum) && (0.0..=1.0).contains(&digit.confidence));
        }
        assert_eq!(text.next(), None);
    }
    let marks = reading.marks.iter().map(|mark| mark.bounds);
    let cells = reading.cells.iter().map(|cell| cell.bounds);
    for bounds in reading.left_out.iter().map(|ink| ink.bounds).chain(marks).chain(cells) {
        assert!(
            bounds.width > 0 && bounds.height > 0 && bounds.right() <= width && bounds.bottom() <= height
        );
    }
    assert_eq!(text_lines.find(|line| !line.as_str().is_empty()).map(|line| line.as_str()), None);
});
