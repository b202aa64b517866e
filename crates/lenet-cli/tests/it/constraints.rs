//! `lenet recognize` with constraints, regions and templates of forms.

use std::fs;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use serde_json::Value;

use crate::{
    error, lenet,
    recognize::{boxes, draw_digits, encoded, page, recognize_by_default, table},
};

/// Draws a form with the fields 721 and 04 in a frame, turned by an angle.
fn form(degrees: f32) -> DynamicImage {
    let mut flat = GrayImage::from_fn(360, 90, |x, y| {
        let is_side = !(4..356).contains(&x) || !(4..86).contains(&y);
        Luma([if is_side || (198..202).contains(&x) { 90 } else { 240 }])
    });
    draw_digits(&mut flat, &[(0, 8), (1, 70), (2, 130), (3, 220), (4, 280)]);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turned = GrayImage::from_fn(420, 240, |x, y| {
        let (dx, dy) = (x as f32 - 210.0, y as f32 - 120.0);
        let (u, v) = ((cos * dx + sin * dy + 180.0).round(), (cos * dy - sin * dx + 45.0).round());
        let is_inside = (0.0..360.0).contains(&u) && (0.0..90.0).contains(&v);
        if is_inside { *flat.get_pixel(u as u32, v as u32) } else { Luma([240]) }
    });
    turned.into()
}

#[test]
fn constraints_choose_among_readings_or_reject() {
    let folder = tempfile::tempdir().unwrap();
    // 7, 2, 1, 0, and below them in the probabilities of the network other digits.
    let mut page = GrayImage::from_pixel(260, 90, Luma([240]));
    draw_digits(&mut page, &[(0, 8), (1, 70), (2, 130), (3, 190)]);
    fs::write(folder.path().join("n.png"), encoded(&page.into(), ImageFormat::Png)).unwrap();
    let text = |options: &[&str]| {
        let (stdout, stderr, code) = recognize_by_default(folder.path(), &[options, &["n.png"]].concat());
        assert_eq!((stderr.as_str(), code), ("", Some(0)), "{options:?}");
        stdout.split([' ', '\n']).nth(1).unwrap().to_owned()
    };
    let met: [&[&str]; 5] = [
        &["--length", "4"],
        &["--length", "2-5"],
        &["--pattern", "[67]d{3}"],
        &["--pattern", "d{2,3}10?"],
        &["--charset", "0127.-"],
    ];
    for options in met {
        assert_eq!(text(options), "7210", "{options:?}");
    }
    let unmet: [&[&str]; 4] =
        [&["--length", "9"], &["--pattern", "dd/dd"], &["--checksum", "isbn"], &["--charset", "89"]];
    for options in unmet {
        assert_eq!(text(options), "????", "{options:?}");
    }
    let (json, ..) = recognize_by_default(folder.path(), &["--json", "--length", "9", "n.png"]);
    let reading: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(reading["digits"][0]["digit"], 7, "the best reading");
    assert_eq!(reading["digits"][0]["remarks"][0], "constraint_not_met");
    assert_eq!(reading["probability"], 0.0);
    assert_eq!(text(&["--min-confidence", "1"]), "????");
    assert_eq!(text(&["--min-probability", "1"]), "????");
    let (csv, ..) = recognize_by_default(folder.path(), &["--csv", "n.png"]);
    let columns: Vec<_> = csv.lines().nth(1).unwrap().split(',').collect();
    assert!(columns[3].parse::<f32>().unwrap() > 0.5, "{csv}");
}

#[test]
fn line_much_shorter_than_those_that_meet_a_constraint_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut line = GrayImage::from_pixel(260, 90, Luma([240]));
    draw_digits(&mut line, &[(0, 8), (1, 70), (2, 130), (3, 190)]);
    let mut stray = GrayImage::from_pixel(260, 90, Luma([240]));
    draw_digits(&mut stray, &[(1, 100)]);
    let page = GrayImage::from_fn(260, 180, |x, y| {
        if y < 90 { *line.get_pixel(x, y) } else { *stray.get_pixel(x, y - 90) }
    });
    fs::write(folder.path().join("n.png"), encoded(&page.into(), ImageFormat::Png)).unwrap();
    let read = |options: &[&str]| -> Value {
        let (json, ..) = recognize_by_default(folder.path(), &[options, &["--json", "n.png"]].concat());
        serde_json::from_str(&json).unwrap()
    };
    assert_eq!(read(&[])["text"], "7210\n2");
    let reading = read(&["--length", "4"]);
    assert_eq!(reading["text"], "7210");
    let reasons = reading["left_out"].as_array().unwrap().iter().map(|ink| &ink["reason"]);
    assert_eq!(reasons.filter(|reason| **reason == "stray").count(), 1);
    assert!(reading["remarks"].as_array().unwrap().contains(&"left_out_digit_sized".into()));
    // No line meets it.
    assert_eq!(read(&["--length", "5"])["text"], "????\n?");
}

#[test]
fn constraints_without_pictures_to_evaluate_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let eval = lenet(folder.path()).args(["eval", "lenet5", "--length", "5"]);
    assert!(error(eval).starts_with("constraints: expected --pictures"));
}

#[test]
fn impossible_constraints_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (options, expected) in [
        (["--length", "0"].as_slice(), "length: expected 1 to 63 digits"),
        (&["--length", "x"], "length: expected N or N-M, found `x`"),
        (&["--pattern", "dd*"], "pattern: expected `d`"),
        (&["--checksum", "crc"], "checksum: expected luhn, mod11, isbn or ean, found `crc`"),
        (&["--charset", "abc"], "charset: expected digits and marks"),
        (&["--length", "5", "--pattern", "dd"], "length 5: expected a constraint that a number can meet"),
        (
            &["--checksum", "luhn", "--length", "1"],
            "checksum luhn: expected a constraint that a number can meet",
        ),
        (&["--min-confidence", "2"], "expected a number from 0 to 1"),
        (&["--min-probability", "nan"], "expected a number from 0 to 1"),
        (&["--region", "1,2,3"], "expected x,y,width,height in pixels"),
    ] {
        let (stdout, stderr, code) = recognize_by_default(folder.path(), &[options, &["n.png"]].concat());
        assert!(stderr.contains(expected), "{options:?}: {stderr}");
        assert_eq!((stdout.as_str(), code), ("", Some(2)), "{options:?}");
    }
}

#[test]
fn region_is_read_alone_with_boxes_in_the_whole_image() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("table.png"), encoded(&table(), ImageFormat::Png)).unwrap();
    let (whole, ..) = recognize_by_default(folder.path(), &["--json", "table.png"]);
    let (part, ..) =
        recognize_by_default(folder.path(), &["--json", "--region", "166,12,80,66", "table.png"]);
    let text = |json: &str| serde_json::from_str::<Value>(json).unwrap()["text"].clone();
    assert_eq!((text(&whole), text(&part)), ("7.2 10".into(), "10".into()));
    let x = |value: &Value| value[0].as_i64().unwrap();
    let (whole, part) = (boxes(&whole), boxes(&part));
    assert!(part.len() == 2 && part.iter().zip(&whole[2..]).all(|(a, b)| (x(a) - x(b)).abs() <= 2));
    let (_, stderr, code) = recognize_by_default(folder.path(), &["--region", "200,0,100,50", "table.png"]);
    let expected = "error: table.png: region: expected x, y, width, height within 260 x 90 pixels, found 200, 0, 100, 50\n";
    assert_eq!((stderr.as_str(), code), (expected, Some(1)));
}

#[test]
fn template_gives_the_fields_of_each_form() {
    let folder = tempfile::tempdir().unwrap();
    for (name, image) in
        [("a.png", form(0.0)), ("b.png", form(9.0)), ("c.png", form(-14.0)), ("d.png", page())]
    {
        fs::write(folder.path().join(name), encoded(&image, ImageFormat::Png)).unwrap();
    }
    let template = "[[field]]\nname = 'number'\nbox = [0.02, 0.07, 0.5, 0.86]\nlength = 3\n\n\
                    [[field]]\nname = 'score, points'\nbox = [0.58, 0.07, 0.4, 0.86]\npattern = '0d'\n";
    fs::write(folder.path().join("form.toml"), template).unwrap();
    let (stdout, stderr, code) =
        recognize_by_default(folder.path(), &["--template", "form.toml", "a.png", "b.png", "c.png", "d.png"]);
    let expected = "path,page,number,\"score, points\",error\na.png,,721,04,\nb.png,,721,04,\nc.png,,721,04,\n\
                    d.png,,,,\"frame: expected four rules around the form, within the picture, found none\"\n";
    assert_eq!(stdout, expected);
    assert!(stderr.starts_with("error: d.png: frame: expected four rules"), "{stderr}");
    assert_eq!(code, Some(1));
    let (json, ..) = recognize_by_default(folder.path(), &["--template", "form.toml", "--json", "b.png"]);
    let record: Value = serde_json::from_str(&json).unwrap();
    let field = &record["fields"]["score, points"];
    assert_eq!(field["text"], "04");
    // The center of the 0 is at (248, 44) of the flat form, which is turned by 9 degrees around its center.
    let bounds: [f64; 4] = serde_json::from_value(field["digits"][0]["box"].clone()).unwrap();
    let center = [0, 1].map(|axis| bounds[axis] + bounds[axis + 2] / 2.0);
    assert!((center[0] - 277.0).abs() < 4.0 && (center[1] - 130.0).abs() < 4.0, "{field}");
    fs::write(folder.path().join("form.toml"), template.replace("length", "lenght")).unwrap();
    let (_, stderr, code) = recognize_by_default(folder.path(), &["--template", "form.toml", "a.png"]);
    assert!(stderr.starts_with("error: form.toml: line 4, lenght = 3: unknown field `lenght`"), "{stderr}");
    assert_eq!(code, Some(1));
}
