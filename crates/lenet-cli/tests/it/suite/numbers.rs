//! Synthetic numbers with marks: decimals, dates, times, telephone numbers, sums, and numbers side by side.
//!
//! The generator shares no code with that of the training data of the network for marks.

use fastrand::Rng;
use lenet::{Dataset, SIDE};

use super::Canvas;

/// Forms of numbers, in which `d` is a digit.
pub const FORMS: [&str; 12] = [
    "d.dd",
    "dd.d",
    "-dd",
    "-d.dd",
    "dd/dd/dddd",
    "d/d",
    "dd:dd",
    "d,ddd.dd",
    "dd,dd",
    "(ddd)dddd",
    "dd+d=dd",
    "ddd dddd",
];

/// Row of the top of the digits on the canvas, at MNIST's scale, and their height.
const TOP: f32 = 14.0;
const HEIGHT: f32 = 20.0;

/// Returns `count` photos of a number of one of `forms`, with their labels.
pub fn numbers(
    data: &Dataset,
    forms: &[&str],
    count: usize,
    seed: u64,
) -> impl Iterator<Item = (Canvas, String)> {
    let mut random = Rng::with_seed(seed);
    (0..count).map(move |_| {
        let form = forms[random.usize(..forms.len())];
        let mut page = Canvas::new(form.len() * (SIDE + 14), 48);
        let radius = 0.9 + 0.6 * random.f32();
        // The hand keeps its way of writing within a number.
        let way = random.usize(..3);
        let (mut x, mut label) = (4.0, String::new());
        for char in form.chars() {
            let gap = match char {
                'd' => 1.5 + 4.0 * random.f32(),
                ' ' => 18.0 + 14.0 * random.f32(),
                _ => 2.5 + 4.0 * random.f32(),
            };
            x += gap;
            if char == 'd' {
                let index = random.usize(..data.len());
                let digit = Canvas::digit(data.image(index));
                page.draw(&digit, x as usize, (TOP as usize + random.usize(0..=3)).saturating_sub(5));
                label.push(char::from(b'0' + data.labels()[index]));
                x += digit.width as f32;
            } else {
                label.push(char);
                // Gaps are those between ink, which reaches beyond the strokes by the radius of the pen.
                x += 2.0 * radius + draw_mark(&mut page, char, x + radius, radius, way, &mut random);
            }
        }
        let width = (x + 4.0) as usize;
        let mut line = Canvas::new(width, page.height);
        for (new, old) in line.values.chunks_mut(width).zip(page.values.chunks(page.width)) {
            new.copy_from_slice(&old[..width]);
        }
        let line = line.enlarge(random.usize(1..=4)).with_margins(SIDE, &mut random);
        (line.photograph(&mut random), label)
    })
}

/// Draws a mark with its left edge at `x`, in one of three ways. Returns its width.
fn draw_mark(page: &mut Canvas, mark: char, x: f32, radius: f32, way: usize, random: &mut Rng) -> f32 {
    let mut around = |value: f32, spread: f32| value + spread * (2.0 * random.f32() - 1.0);
    // Points as fractions of the digits' height, relative to the left edge of the mark and the top of the digits.
    let mut strokes: Vec<[[f32; 2]; 3]> = Vec::new();
    let line = |a: [f32; 2], b: [f32; 2]| [a, [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])], b];
    let width = match mark {
        ' ' => 0.0,
        '.' => {
            let foot = around(0.96, 0.04);
            let length = [0.0, 0.0, 0.06][way];
            strokes.push(line([0.05, foot], [0.05 + length, foot]));
            0.1 + length
        }
        ',' => {
            let (foot, length) = (around(0.95, 0.04), around(0.28, 0.08));
            let bend = [0.0, 0.12, 0.05][way];
            strokes.push([[0.18, foot], [0.16 + bend, foot + 0.5 * length], [0.05, foot + length]]);
            0.2
        }
        '-' => {
            let (middle, length) = (around(0.52, 0.06), around([0.4, 0.6, 0.3][way], 0.05));
            strokes.push(line([0.0, around(middle, 0.03)], [length, around(middle, 0.03)]));
            length
        }
        '/' => {
            let (reach, lean) = (around([0.1, 0.2, 0.05][way], 0.04), around(0.5, 0.08));
            strokes.push(line([lean, -reach], [0.0, 1.0 + reach]));
            lean
        }
        ':' => {
            let (high, low) = (around(0.35, 0.07), around(0.88, 0.06));
            let length = [0.0, 0.04, 0.0][way];
            strokes.push(line([0.05, high], [0.05 + length, high]));
            strokes.push(line([0.05, low], [0.05 + length, low]));
            0.1 + length
        }
        '(' | ')' => {
            let (reach, depth) = (around(0.16, 0.06), around([0.4, 0.5, 0.34][way], 0.04));
            let [ends, middle] = if mark == '(' { [0.25, 0.25 - depth] } else { [0.0, depth] };
            strokes.push([[ends, -reach], [middle, 0.5], [ends, 1.0 + reach]]);
            0.25
        }
        '+' => {
            let (middle, half) = (around(0.52, 0.05), around(0.26, 0.05));
            strokes.push(line([0.0, middle], [2.0 * half, around(middle, 0.03)]));
            strokes.push(line([half, middle - half], [around(half, 0.03), middle + half]));
            2.0 * half
        }
        '=' => {
            let (middle, half, length) = (around(0.52, 0.05), around(0.15, 0.03), around(0.5, 0.08));
            strokes.extend([-half, half].map(|y| line([0.0, middle + y], [length, middle + y])));
            length
        }
        _ => unreachable!("no mark {mark}"),
    };
    for [a, control, b] in strokes {
        for step in 0..=40 {
            let t = step as f32 / 40.0;
            let at = |axis: usize| {
                (1.0 - t) * (1.0 - t) * a[axis] + 2.0 * t * (1.0 - t) * control[axis] + t * t * b[axis]
            };
            page.dot(x + HEIGHT * at(0), TOP + HEIGHT * at(1), radius);
        }
    }
    HEIGHT * width
}
