//! The user's own digits on the page for drawing.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::weights;
use serde_json::json;
use zip::ZipArchive;

use super::{Browser, STROKE_OF_7};
use crate::{folder, lenet, serve::TestServer};

/// In fractions of the sheet's width and height.
const STROKE_OF_1: [[f64; 2]; 3] = [[0.52, 0.2], [0.5, 0.5], [0.49, 0.8]];

/// Draws ten digits and tells the page which they are: 7 by a key, 1 by a button.
fn keep_ten_digits(browser: &Browser) {
    for index in 0..5 {
        for (stroke, digit) in [(&STROKE_OF_7[..], 7), (&STROKE_OF_1[..], 1)] {
            // Equal digits are kept once.
            let shape = 1.0 - 0.1 * f64::from(index);
            let stroke: Vec<_> = stroke.iter().map(|[x, y]| [x * shape, *y]).collect();
            browser.draw(&stroke, "mouse");
            browser.wait_for_headline(&digit.to_string());
            if digit == 7 {
                browser.press(&["7"]);
            } else {
                browser.evaluate("document.querySelectorAll('#correction button')[1].click()", json!([]));
            }
            let kept = 2 * index + if digit == 7 { 1 } else { 2 };
            browser
                .wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == kept);
            browser.click("clear");
            browser.wait_for_headline("");
        }
    }
}

fn is_disabled(browser: &Browser, id: &str) -> bool {
    browser.evaluate("document.getElementById(args[0]).disabled", json!([id])).as_bool().unwrap()
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn keeps_digits_learns_them_and_undoes_it() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    assert!(is_disabled(&browser, "learn-hand") && is_disabled(&browser, "export-digits"));
    keep_ten_digits(&browser);
    assert_eq!(browser.text("hand-status"), "Kept. 10 digits of yours.");
    browser.evaluate("document.querySelector('#kept-digits button').click()", json!([]));
    browser.wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == 9);
    assert!(is_disabled(&browser, "learn-hand"));
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
    browser.press(&["7"]);
    browser.wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == 10);

    browser.click("learn-hand");
    browser.wait_for("document.getElementById('hand-status').textContent", |text| {
        text.as_str()
            .unwrap()
            .starts_with("Your hand is learned. Of your 10 digits, 0 were misread and 0 rejected before")
    });
    browser.wait_for_headline("7");
    let stored =
        "(await import('./store.js')).transact('networks', 'readonly', store => store.get('adapted'))";
    let script = format!("btoa(String.fromCharCode(...(await {stored}).subarray(0, 50)))");
    assert!(browser.evaluate(&script, json!([])).is_string());

    browser.post("/refresh", &json!({}));
    browser.wait_for("document.getElementById('hand-status').textContent", |text| {
        text == "The network that has learned your hand reads."
    });
    assert_eq!(browser.count("#kept-digits button"), 10);
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
    browser.click("forget-hand");
    browser.wait_for("document.getElementById('hand-status').textContent", |text| {
        text == "The built-in network reads again. Your digits are still kept."
    });
    browser.wait_for_headline("7");
    browser.click("delete-digits");
    browser.wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == 0);
    browser.assert_log_is_empty();
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn exported_digits_are_data_of_the_program_and_of_the_page() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    keep_ten_digits(&browser);
    let script = "(async () => {
        const { transact } = await import('./store.js');
        const { WorkerClient } = await import('./worker-client.js');
        const digits = await transact('digits', 'readonly', store => store.getAll());
        const pixels = Uint8Array.from(digits.flatMap(digit => [...digit.pixels]));
        const labels = Uint8Array.from(digits, digit => digit.label);
        const archive = await new WorkerClient('training-worker.js').call('exportDigits', pixels, labels);
        return btoa(String.fromCharCode(...archive));
    })()";
    let archive = BASE64_STANDARD.decode(browser.evaluate(script, json!([])).as_str().unwrap()).unwrap();
    let folder = folder();
    ZipArchive::new(Cursor::new(archive)).unwrap().extract(folder.path()).unwrap();
    let adapt = lenet(folder.path()).args(["adapt", "--data", "my-digits", "--out", "mine.safetensors"]);
    let output = adapt.assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(output).unwrap().starts_with("10 digits: 0 misread and 0 rejected before"));
    weights::from_bytes(&std::fs::read(folder.path().join("mine.safetensors")).unwrap()).unwrap();

    // The page imports the folder, and says which files are no digits.
    browser.click("delete-digits");
    browser.wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == 0);
    let digit = std::fs::read(folder.path().join("my-digits/7/0000.png")).unwrap();
    let script = "(() => {
        const bytes = Uint8Array.from(atob(args[0]), letter => letter.charCodeAt(0));
        const contents = [['my-digits/7/0000.png', bytes], ['my-digits/7/notes.txt', 'no picture']];
        const files = contents.map(([path, content]) =>
            Object.defineProperty(new File([content], path.split('/').at(-1)), 'webkitRelativePath', { value: path }));
        const input = document.getElementById('digit-files');
        Object.defineProperty(input, 'files', { value: files });
        input.dispatchEvent(new Event('change'));
    })()";
    browser.evaluate(script, json!([BASE64_STANDARD.encode(digit)]));
    browser.wait_for("document.getElementById('hand-error').textContent", |text| {
        text.as_str().unwrap().ends_with("found 1 other files (notes.txt)")
    });
    assert_eq!(browser.count("#kept-digits button"), 1);
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn drawing_page_is_accessible() {
    let server = TestServer::start(&[]);
    for theme in ["light", "dark"] {
        let browser = Browser::open(360, 740, true);
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        browser.send_devtools_command("Emulation.setEmulatedMedia", json!({ "features": features }));
        browser.open_page(&server);
        browser.draw(&STROKE_OF_7, "touch");
        browser.wait_for_headline("7");
        browser.press(&["7"]);
        browser.wait_for("document.querySelectorAll('#kept-digits button').length", |count| *count == 1);
        browser.save_screenshot(&format!("hand-360-{theme}"));
        browser.assert_accessible();
    }
}
