use super::*;
use crate::{
    data::MNIST_NORMALIZE,
    image::{
        ComponentParams, GrayImage, LeftOutReason, NormalizedDigit, TextParams, components, draw_strokes,
        find_text,
    },
    models,
    nn::{Architecture, Layer, Linear, Shape},
    pretrained,
};

/// Strokes on a page of 100 x 100.
type Glyph = &'static [&'static [[f32; 2]]];

const SEVEN: Glyph = &[&[[30.0, 20.0], [70.0, 20.0], [45.0, 80.0]]];
const FOUR: Glyph = &[&[[40.0, 15.0], [25.0, 55.0], [70.0, 55.0]], &[[58.0, 30.0], [55.0, 85.0]]];
const E: Glyph = &[&[[65.0, 20.0], [30.0, 20.0], [30.0, 80.0], [65.0, 80.0]], &[[30.0, 50.0], [60.0, 50.0]]];
/// A seven whose two strokes don't touch.
const BROKEN_SEVEN: Glyph = &[&[[30.0, 20.0], [70.0, 20.0]], &[[65.0, 33.0], [45.0, 80.0]]];

/// Reads a page of 300 x 120 with glyphs of 100 x 100, each with its top left corner at `[x, y]`.
fn read(recognizer: &Recognizer, glyphs: &[(Glyph, [f32; 2])], inverted: bool) -> Reading {
    recognizer.read(&ImageView::new(300, 120, &page(glyphs, inverted)).unwrap())
}

/// The gray levels of that page.
fn page(glyphs: &[(Glyph, [f32; 2])], inverted: bool) -> Vec<u8> {
    let lines: Vec<Vec<_>> = glyphs
        .iter()
        .flat_map(|(glyph, [x, y])| {
            glyph.iter().map(move |stroke| stroke.iter().map(|point| [point[0] + x, point[1] + y]).collect())
        })
        .collect();
    let mut page = draw_strokes(300, 120, &lines, 4.0).values;
    if !inverted {
        page.iter_mut().for_each(|value| *value = 255 - *value);
    }
    page
}

fn handwriting_recognizer() -> Recognizer {
    Recognizer::new(pretrained::handwriting().0).unwrap()
}

fn untrained_recognizer() -> Recognizer {
    Recognizer::new(Network::new(models::lenet5(), MNIST_NORMALIZE, 0).unwrap()).unwrap()
}

#[test]
fn rejects_networks_of_other_shapes() {
    let input = Shape { channels: 3, height: 12, width: 20 };
    let architecture = Architecture::new("other", input, 4)
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(input.len(), 4));
    let network = Network::new(architecture, MNIST_NORMALIZE, 0).unwrap();
    let Err(Error::WrongTask { output, .. }) = Recognizer::new(network) else { panic!("accepted") };
    assert_eq!(output, Shape::flat(4));
}

#[test]
fn reads_a_sheet_in_dark_surroundings_alone() {
    let recognizer = handwriting_recognizer();
    let glyphs = [(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0]), (FOUR, [190.0, 10.0])];
    let (sheet, [left, top]) = (page(&glyphs, false), [130, 90]);
    // A desk with a grain that is darker than paper and coarser than noise.
    let picture = GrayImage::from_fn(560, 340, |x, y| {
        let on_sheet = (left..left + 300).contains(&x) && (top..top + 120).contains(&y);
        if on_sheet { sheet[(y - top) * 300 + x - left] } else { (40 + 30 * ((x / 7 + y / 40) % 2)) as u8 }
    });
    let reading = recognizer.read(&picture.view());
    assert_eq!(reading.text, "474");
    let whole = read(&recognizer, &glyphs, false);
    for (digit, alone) in reading.digits.iter().zip(&whole.digits) {
        let Rect { x, y, .. } = digit.bounds;
        assert!(x.abs_diff(alone.bounds.x + left) <= 2 && y.abs_diff(alone.bounds.y + top) <= 2, "{digit:?}");
    }
    let surroundings =
        LeftOut { bounds: Rect { x: 0, y: 0, width: 560, height: 340 }, reason: LeftOutReason::Edge };
    assert_eq!(reading.left_out.first(), Some(&surroundings));
    let recognizer = recognizer.with_stages(Stages::ALL.without(Stage::Paper));
    assert_eq!(recognizer.trace(&picture.view(), false).paper, None);
}

#[test]
fn reads_digits_rejects_letters_and_remarks_on_the_picture() {
    let recognizer = handwriting_recognizer();
    let text_and_remarks = |glyphs: &[_], inverted| {
        let reading = read(&recognizer, glyphs, inverted);
        (reading.text, reading.remarks)
    };
    assert_eq!(text_and_remarks(&[(SEVEN, [100.0, 10.0])], false), ("7".into(), vec![]));
    assert_eq!(
        text_and_remarks(&[(SEVEN, [0.0, 10.0])], true),
        ("7".into(), vec![ReadingRemark::Inverted, ReadingRemark::OffCenter])
    );
    assert_eq!(
        text_and_remarks(&[(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0]), (FOUR, [190.0, 10.0])], false),
        ("474".into(), vec![ReadingRemark::MultipleDigits])
    );
    assert_eq!(text_and_remarks(&[(E, [100.0, 10.0])], false).0, "?");
    let with_letter = read(&recognizer, &[(E, [20.0, 10.0]), (SEVEN, [130.0, 10.0])], false);
    assert_eq!(with_letter.text, "??");
    assert_eq!(with_letter.digits[0].remarks, [DigitRemark::NotADigit]);
    assert_eq!(with_letter.digits[1].remarks, [DigitRemark::AmongRejected]);
}

#[test]
fn reads_digits_crossed_by_a_rule_and_lists_the_rule() {
    const RULE: Glyph = &[&[[0.0, 0.0], [299.0, 0.0]]];
    let recognizer = handwriting_recognizer();
    let glyphs = [(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0]), (FOUR, [190.0, 10.0]), (RULE, [0.0, 92.0])];
    let reading = read(&recognizer, &glyphs, false);
    assert_eq!(reading.text, "474");
    let rule = reading.left_out.first().expect("the rule");
    assert_eq!(rule.reason, image::LeftOutReason::Rule);
    assert!(rule.bounds.width > 250 && rule.bounds.contains(&Rect { x: 100, y: 92, width: 100, height: 1 }));

    assert_ne!(
        read(&recognizer.with_stages(Stages::ALL.without(Stage::Segment)), &glyphs, false).text,
        "474",
        "the test needs a rule that matters"
    );
}

#[test]
fn reads_sloping_rows_and_locates_their_digits() {
    // Two rows of a 4, a gap and two 7s, 32 pixels high, that descend to the right by 14 degrees.
    let (sin, cos) = 14_f32.to_radians().sin_cos();
    let place = |glyph: Glyph, origin: [f32; 2]| {
        let point = move |[x, y]: [f32; 2]| {
            let [u, v] = [origin[0] + 0.5 * x, origin[1] + 0.5 * y];
            [60.0 + cos * u - sin * v, 10.0 + sin * u + cos * v]
        };
        glyph.iter().map(move |stroke| stroke.iter().copied().map(point).collect::<Vec<_>>())
    };
    let columns = [(FOUR, 0.0), (SEVEN, 250.0), (SEVEN, 320.0)];
    let strokes = [0.0, 60.0]
        .into_iter()
        .flat_map(|v| columns.into_iter().flat_map(move |(glyph, u)| place(glyph, [u, v])));
    let strokes: Vec<_> = strokes.collect();
    let mut page = draw_strokes(480, 280, &strokes, 2.5);
    page.values.iter_mut().for_each(|value| *value = 255 - *value);
    let recognizer = handwriting_recognizer();
    let reading = recognizer.read(&page.view());
    assert_eq!(reading.text, "4 77\n4 77");
    for digit in &reading.digits {
        let center = |start: usize, length: usize| start as f32 + 0.5 * length as f32;
        let bounds = digit.bounds;
        let [x, y] = [center(bounds.x, bounds.width), center(bounds.y, bounds.height)];
        let near = |point: &&[f32; 2]| (point[0] - x).abs() < 20.0 && (point[1] - y).abs() < 24.0;
        assert!(strokes.iter().flatten().filter(near).count() >= 3, "{digit:?}");
    }
    let level = recognizer.with_stages(Stages::ALL.without(Stage::Straighten)).read(&page.view());
    assert_ne!(level.digits_only(), "477\n477", "the test needs a slope that matters");
}

#[test]
fn remarks_on_rejection_without_an_outlier_class() {
    let reading = read(&untrained_recognizer(), &[(SEVEN, [100.0, 10.0])], false);
    assert_eq!((reading.text.as_str(), &reading.digits[0].remarks[..]), ("?", &[DigitRemark::Unsure][..]));
    assert_eq!(reading.remarks[0], ReadingRemark::NoOutlierClass);
}

#[test]
fn rejection_depends_on_rescoring_and_line_context() {
    let recognizer = handwriting_recognizer();
    let [seven, e] =
        [SEVEN, E].map(|glyph| read(&recognizer, &[(glyph, [100.0, 10.0])], false).digits[0].normalized);
    let is_rejected = |pixels, upscaled, context, probability| {
        let bounds = Rect { x: 0, y: 0, width: 10, height: 20 };
        let normalized = NormalizedDigit { pixels, bounds, upscaled, thickened: false };
        let probabilities = std::array::from_fn(|digit| if digit == 7 { probability } else { 0.0 });
        let candidates = vec![Candidate::new(normalized, 100, probabilities)];
        let texts = LineTexts { texts: Vec::new(), constraint_cost: 0.0, is_constraint_met: true };
        let line =
            CandidateLine { candidates, context, marks: Vec::new(), height: 20, texts, left_out: Vec::new() };
        recognizer.reject(vec![line])[0].verdicts[0].rejection.is_some()
    };
    let probabilities = [0.02, 0.2, 0.98, 0.995];
    for (pixels, upscaled, context, expected) in [
        (e, false, LineContext::MostlyDigits, [true, false, false, false]),
        (e, false, LineContext::Unknown, [true, true, true, false]),
        (e, false, LineContext::SingleDigit, [true, true, true, false]),
        (e, true, LineContext::SingleDigit, [true, false, false, false]),
        (e, true, LineContext::Unknown, [true, true, false, false]),
        (seven, false, LineContext::Unknown, [true, false, false, false]),
    ] {
        let rejected = probabilities.map(|probability| is_rejected(pixels, upscaled, context, probability));
        assert_eq!(rejected, expected, "{upscaled}, {context:?}");
    }
}

#[test]
fn line_beyond_the_candidate_budget_is_read_by_component() {
    let page = page(&[(FOUR, [0.0, 10.0]), (BROKEN_SEVEN, [100.0, 10.0])], false);
    let digits = |max_candidates| {
        let mut params = RecognizerParams::default();
        params.lattice.max_candidates = max_candidates;
        let recognizer = handwriting_recognizer().with_params(params);
        let reading = recognizer.read(&ImageView::new(300, 120, &page).unwrap());
        reading.digits.iter().map(|digit| digit.digit).collect::<Vec<_>>()
    };
    assert_eq!(digits(LatticeParams::default().max_candidates), [4, 7]);
    assert_eq!(digits(3), [4, 1]);
}

/// The lattice of a ladder of this length, 20 pixels high, with a rung at each end.
fn ladder(length: usize) -> Lattice {
    let is_ink = |x: usize, y: usize| x < length && (x == 0 || x + 1 == length || !(3..17).contains(&y));
    let ink = GrayImage::from_fn(400, 20, |x, y| if is_ink(x, y) { 255 } else { 0 });
    let components = components(&ink, &ComponentParams::default());
    let components = find_text(&ink, components, &TextParams::default(), Stages::NONE).components;
    let candidates = untrained_recognizer()
        .with_stages(Stages::NONE)
        .classify_groups(&ink, components.iter().map(|component| vec![component]).collect());
    Lattice::new(components, &candidates, 20, &RecognizerParams::default(), Stages::ALL)
}

#[test]
fn does_not_cut_components_longer_than_touching_digits() {
    assert_eq!([320, 321].map(|length| ladder(length).segments.len()), [129, 1]);
}

#[test]
fn whole_component_is_a_span_however_wide() {
    let Lattice { segments, spans } = ladder(100);
    assert!(segments.len() > 1);
    assert_eq!(spans.iter().filter(|span| **span == (0..segments.len())).count(), 1);
}

#[test]
fn boxes_of_a_drawing_are_in_units_of_its_strokes() {
    let strokes: Vec<Vec<[f32; 2]>> = SEVEN.iter().map(|stroke| stroke.to_vec()).collect();
    let reading = handwriting_recognizer().read_drawing(&Drawing::new(&strokes).unwrap(), false);
    let bounds = reading.digits[0].bounds;
    assert_eq!(reading.text, "7");
    assert!(bounds.x <= 30 && bounds.right() >= 70 && bounds.y <= 20 && bounds.bottom() >= 80, "{bounds:?}");
    assert!(bounds.width < 60 && bounds.height < 80, "{bounds:?}");
}

/// Returns a random page of 320 x 200: digits and letters of several sizes, bars, rules, boxes, disks, specks and noise.
fn random_page(random: &mut fastrand::Rng) -> GrayImage {
    let mut strokes: Vec<(Vec<[f32; 2]>, f32)> = Vec::new();
    let mut coordinate = |max: f32| random.f32() * max;
    let count = 1.0 + coordinate(24.0);
    for _ in 0..count as usize {
        let (kind, x, y) = (coordinate(8.0) as usize, coordinate(310.0), coordinate(190.0));
        let (size, radius) = (0.05 + coordinate(0.7), 0.5 + coordinate(3.0));
        match kind {
            0..=3 => {
                let glyph = [SEVEN, FOUR, E, BROKEN_SEVEN][kind];
                let scale = |[a, b]: &[f32; 2]| [x + a * size, y + b * size];
                strokes.extend(glyph.iter().map(|stroke| (stroke.iter().map(scale).collect(), radius)));
            }
            4 => strokes.push((vec![[x, y], [x + coordinate(320.0), y + coordinate(4.0)]], radius)),
            5 => strokes.push((vec![[x, y], [x + coordinate(4.0), y + coordinate(200.0)]], radius)),
            6 => {
                let (right, bottom) = (x + coordinate(200.0), y + coordinate(120.0));
                strokes.push((vec![[x, y], [right, y], [right, bottom], [x, bottom], [x, y]], radius));
            }
            _ => strokes.extend((0..20).map(|_| (vec![[coordinate(320.0), coordinate(200.0)]], radius))),
        }
    }
    let mut page = GrayImage { width: 320, height: 200, values: vec![255; 320 * 200], scale: 1 };
    for (stroke, radius) in strokes {
        for (value, ink) in page.values.iter_mut().zip(draw_strokes(320, 200, &[stroke], radius).values) {
            *value = (*value).min(255 - ink);
        }
    }
    if random.bool() {
        page.values.iter_mut().for_each(|value| *value = value.saturating_sub(random.u8(0..60)));
    }
    page
}

#[test]
fn each_component_is_in_one_candidate_or_left_out() {
    let recognizer = untrained_recognizer();
    let mut random = fastrand::Rng::with_seed(30);
    let mut reasons = std::collections::HashSet::new();
    for number in 0..150 {
        let page = random_page(&mut random);
        let Some(text) = image::locate_text(&page, &recognizer.params.locate, Stages::ALL) else { continue };
        let found = components(&text.ink, &recognizer.params.locate.components);
        for single in [false, true] {
            let reading = recognizer.read_ink(text.clone(), single);
            // Areas are equal, and each box is covered, so that nothing is counted twice or lost.
            assert_eq!(reading.ink_area(), image::total_area(&found), "page {number}");
            let candidates = reading.candidate_bounds();
            let marks = reading.marks().map(|mark| mark.bounds);
            let boxes: Vec<Rect> =
                candidates.chain(marks).chain(reading.left_out.iter().map(|ink| ink.bounds)).collect();
            for component in &found {
                let runs = component.runs();
                let ends = [(runs[0].x, runs[0].y), (runs[runs.len() - 1].end - 1, runs[runs.len() - 1].y)];
                let is_covered = ends.iter().all(|&(x, y)| {
                    boxes.iter().any(|bounds| bounds.contains(&Rect { x, y, width: 1, height: 1 }))
                });
                assert!(is_covered, "page {number}: {:?}", component.bounds());
            }
            reasons.extend(reading.left_out.iter().map(|ink| ink.reason));
        }
    }
    assert!(reasons.len() >= 5, "the pages have too few kinds of ink: {reasons:?}");
}

#[test]
fn digit_that_fills_its_picture_is_read_in_either_polarity() {
    let recognizer = handwriting_recognizer();
    let page = draw_strokes(100, 100, &FOUR.iter().map(|stroke| stroke.to_vec()).collect::<Vec<_>>(), 9.0);
    let rows = (6..94).map(|y| &page.row(y)[16..79]);
    let crop: Vec<u8> = rows.flatten().copied().collect();
    for inverted in [false, true] {
        let pixels: Vec<u8> = crop.iter().map(|&ink| if inverted { ink } else { 255 - ink }).collect();
        let picture = ImageView::new(63, 88, &pixels).unwrap();
        assert_eq!(recognizer.read_single(&picture).text, "4", "{inverted}");
        assert_eq!(recognizer.read(&picture).text, "4", "{inverted}");
    }
}

#[test]
fn rejects_tally_marks_but_not_a_few_ones() {
    const ONE: Glyph = &[&[[50.0, 20.0], [48.0, 80.0]]];
    let recognizer = handwriting_recognizer();
    let text = |count: usize| {
        let glyphs: Vec<_> = (0..count).map(|index| (ONE, [35.0 * index as f32, 10.0])).collect();
        read(&recognizer, &glyphs, false).text
    };
    assert_eq!([text(3), text(7)], ["111", "???????"]);
}

#[test]
fn only_digit_of_a_line_is_rejected_in_a_picture_of_letters() {
    let recognizer = handwriting_recognizer();
    let text = |letters: usize| {
        let digit = page(&[(SEVEN, [100.0, 10.0])], false);
        let xs = [0.0, 70.0, 140.0, 210.0];
        let letters: Vec<_> = xs[..letters].iter().map(|&x| (E, [x, 10.0])).collect();
        let bytes = [digit, page(&letters, false)].concat();
        recognizer.read(&ImageView::new(300, 240, &bytes).unwrap()).text
    };
    assert_eq!(text(2), "7\n??");
    assert_eq!(text(4), "?\n????");
}

#[test]
fn turned_picture_is_read_upright() {
    let recognizer = handwriting_recognizer();
    let page = page(&[(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0]), (FOUR, [190.0, 10.0])], false);
    let mut page = GrayImage { width: 300, height: 120, values: page, scale: 1 };
    let upright = recognizer.read(&page.view());
    for turns in 1..4 {
        page = page.rotate90();
        let reading = recognizer.read(&page.view());
        assert_eq!(reading.text, "474", "{turns}");
        assert!(reading.remarks.contains(&ReadingRemark::Rotated));
        let Rect { x, y, width, height } = upright.digits[0].bounds;
        let expected = match turns {
            1 => Rect { x: 120 - y - height, y: x, width: height, height: width },
            2 => Rect { x: 300 - x - width, y: 120 - y - height, width, height },
            _ => Rect { x: y, y: 300 - x - width, width: height, height: width },
        };
        assert_eq!(reading.digits[0].bounds, expected, "{turns}");
    }
}

#[test]
fn lists_and_remarks_on_what_was_left_out() {
    let recognizer = handwriting_recognizer();
    let reading = read(&recognizer, &[(FOUR, [0.0, 10.0]), (SEVEN, [100.0, 10.0])], false);
    assert_eq!(reading.left_out, []);
    let rule: Glyph = &[&[[5.0, 100.0], [295.0, 100.0]]];
    let reading = read(&recognizer, &[(FOUR, [0.0, 5.0]), (SEVEN, [100.0, 5.0]), (rule, [0.0, 12.0])], false);
    assert_eq!((reading.text.as_str(), reading.left_out.len()), ("47", 1));
    assert_eq!(reading.left_out[0].reason, image::LeftOutReason::Rule);
    assert!(reading.left_out[0].bounds.width > 280);
    assert_eq!(reading.remarks, [ReadingRemark::MultipleDigits]);
}

const POINT: Glyph = &[&[[0.0, 79.0], [1.0, 80.0]]];
const MINUS: Glyph = &[&[[0.0, 45.0], [30.0, 45.0]]];
const HIGH_POINT: Glyph = &[&[[0.0, 35.0], [1.0, 36.0]]];

#[test]
fn text_has_marks_and_spaces_and_digits_only_has_none() {
    let recognizer = handwriting_recognizer();
    let read = |glyphs: &[(Glyph, [f32; 2])]| read(&recognizer, glyphs, false);
    let decimal = read(&[(FOUR, [0.0, 10.0]), (POINT, [88.0, 10.0]), (SEVEN, [105.0, 10.0])]);
    assert_eq!((decimal.text.as_str(), decimal.digits_only().as_str()), ("4.7", "47"));
    let [mark] = decimal.marks[..] else { panic!("{:?}", decimal.marks) };
    assert!(mark.mark == image::Mark::Point && mark.confidence > 0.8 && !mark.doubtful && mark.line == 0);
    let time = read(&[
        (FOUR, [0.0, 10.0]),
        (POINT, [88.0, 10.0]),
        (HIGH_POINT, [88.0, 10.0]),
        (SEVEN, [105.0, 10.0]),
    ]);
    assert_eq!(time.text, "4:7");
    let negative = read(&[(MINUS, [0.0, 10.0]), (FOUR, [45.0, 10.0]), (SEVEN, [140.0, 10.0])]);
    assert_eq!((negative.text.as_str(), negative.digits.len()), ("-47", 2));
    let two = read(&[(FOUR, [0.0, 10.0]), (SEVEN, [85.0, 10.0]), (SEVEN, [220.0, 10.0])]);
    assert_eq!((two.text.as_str(), two.marks.len()), ("47 7", 0));
    // A doubtful mark is listed, but the text is that of the digits beside it.
    let glyphs = [(FOUR, [0.0, 10.0]), (POINT, [88.0, 10.0]), (SEVEN, [105.0, 10.0])];
    let with = |change: fn(&mut RecognizerParams)| {
        let mut params = RecognizerParams::default();
        change(&mut params);
        self::read(&recognizer.clone().with_params(params), &glyphs, false)
    };
    let doubtful = with(|params| params.mark_decision.min_certain_probability = 1.1);
    assert_eq!((doubtful.text.as_str(), doubtful.marks[0].doubtful), ("47", true));
    assert!(doubtful.remarks.contains(&ReadingRemark::DoubtfulMark));
    // The point is a speck in a line of too many groups.
    let without = with(|params| params.marks.max_groups = 2);
    assert_eq!((without.text.as_str(), without.marks.len()), ("47", 0));
    assert_eq!(without.left_out[0].reason, image::LeftOutReason::Speck);
}

#[test]
fn cells_hold_the_numbers_of_a_table() {
    // Two cells side by side in a picture of 300 x 120 pixels, and a number in each.
    let table: Glyph = &[
        &[[6.0, 6.0], [294.0, 6.0], [294.0, 114.0], [6.0, 114.0], [6.0, 6.0]],
        &[[200.0, 6.0], [200.0, 114.0]],
    ];
    let glyphs = [(table, [0.0, 0.0]), (FOUR, [10.0, 15.0]), (SEVEN, [100.0, 15.0]), (SEVEN, [205.0, 15.0])];
    let reading = read(&handwriting_recognizer(), &glyphs, false);
    assert_eq!((reading.text.as_str(), reading.rows()), ("47 7", vec![vec!["47", "7"]]));
    let places: Vec<_> = reading.digits.iter().map(|digit| (digit.row, digit.column)).collect();
    assert_eq!(places, [(Some(0), Some(0)), (Some(0), Some(0)), (Some(0), Some(1))]);
}
