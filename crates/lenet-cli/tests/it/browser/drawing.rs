//! The page for drawing.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{
    image::{Drawing, ImageView},
    models,
    nn::Network,
    weights::{self, Provenance},
};
use serde_json::{Value, json};

use super::{Browser, FILE_EVENTS, STROKE_OF_7};
use crate::{
    png_size,
    serve::{DRAWING_OF_7, TestServer, encode_png, sample_images},
};

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn recognizes_digits_while_drawing_with_mouse_touch_and_keyboard() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    assert_eq!(browser.text("timing"), "Digits are recognized in this page");
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
    assert!(browser.text("timing").starts_with("Recognized in this page in "));
    assert_eq!(browser.text("caption"), "Input of the network: centered");
    assert_eq!(browser.evaluate("document.querySelector('tr.best th').textContent", json!([])), "7");
    assert!(browser.count("#maps canvas") > 20);
    browser.wait_for("document.getElementById('status').textContent", |text| {
        text.as_str().unwrap().starts_with("7. ")
    });
    // A scribble over the digit is rejected.
    let scribble: Vec<_> =
        (0..24).map(|i| [7, 11].map(|factor| 0.25 + 0.5 * f64::from(i * factor % 24) / 24.0)).collect();
    browser.draw(&scribble, "mouse");
    browser.wait_for_headline("Not a digit");
    browser.click("undo");
    browser.wait_for_headline("7");
    browser.click("clear");
    browser.wait_for_headline("");
    browser.click("undo");
    browser.wait_for_headline("7");
    // A second digit beside the first one. The first one can be selected.
    browser.draw(&[[0.88, 0.25], [0.88, 0.45], [0.87, 0.75]], "mouse");
    browser.wait_for_headline("71");
    browser.evaluate("document.querySelector('#digits button').click()", json!([]));
    assert_eq!(browser.evaluate("document.querySelector('tr.best th').textContent", json!([])), "7");
    // A downward stroke with the keyboard, after Escape.
    browser.press(&["\u{E00C}"]);
    browser.wait_for_headline("");
    browser.evaluate("document.getElementById('sheet').focus()", json!([]));
    let (up, down) = ("\u{E013}", "\u{E015}");
    browser.press(&[[up; 6].as_slice(), &[" "], &[down; 12], &[" "]].concat());
    browser.wait_for_headline("1");
    browser.assert_log_is_empty();

    let phone = Browser::open(360, 740, true);
    phone.open_page(&server);
    phone.draw(&STROKE_OF_7, "touch");
    phone.wait_for_headline("7");
    assert_eq!(
        phone.evaluate("[scrollX, scrollY, document.documentElement.scrollWidth]", json!([])),
        json!([0, 0, 360])
    );
    phone.assert_log_is_empty();
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn recognizes_images_and_rejects_other_files() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    let image = encode_png(sample_images().swap_remove(15));
    let reading = server.request("/v1/recognize", "image/png", Some(&image)).into_body();
    let text = serde_json::from_slice::<Value>(&reading).unwrap()["text"].as_str().unwrap().to_owned();
    for event in FILE_EVENTS {
        browser.give_file(&image, event);
        browser.wait_for_headline(&text);
        assert_eq!(browser.count("#digits button"), text.len() as u64);
        browser.click("clear");
        browser.wait_for_headline("");
    }
    browser.give_file(b"no image", FILE_EVENTS[0]);
    browser.wait_for_headline("Not an image that this browser can open");
    browser.assert_log_is_empty();
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn pattern_constrains_the_reading() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    let set_pattern = |pattern: &str| {
        let script = "const input = document.getElementById('pattern'); input.value = args[0]; input.dispatchEvent(new Event('input'))";
        browser.evaluate(
            &format!("(() => {{ {} }})()", script.replace("args[0]", &format!("{pattern:?}"))),
            json!([]),
        );
    };
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
    set_pattern("dd/dd");
    browser.wait_for_headline("?");
    set_pattern("[7-9]");
    browser.wait_for_headline("7");
    set_pattern("[7-");
    browser.wait_for("document.getElementById('pattern-error').textContent", |text| {
        text.as_str().unwrap().starts_with("pattern: expected")
    });
    set_pattern("");
    browser.wait_for("document.getElementById('pattern-error').textContent", |text| text == "");
    browser.assert_log_is_empty();
}

/// Writes screenshots of the page to the temporary folder of the tests, for people to look at.
#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn page_fits_phones_and_desktops_in_light_and_dark_themes() {
    let server = TestServer::start(&[]);
    for (width, height, is_phone) in [(1100, 900, false), (360, 740, true)] {
        for theme in ["light", "dark"] {
            let browser = Browser::open(width, height, is_phone);
            let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
            browser.send_devtools_command("Emulation.setEmulatedMedia", json!({ "features": features }));
            browser.open_page(&server);
            browser.draw(&STROKE_OF_7, if is_phone { "touch" } else { "mouse" });
            browser.wait_for_headline("7");
            let size = browser.evaluate("[innerWidth, document.documentElement.scrollWidth]", json!([]));
            assert_eq!(size, json!([width, width]));
            let path = browser.save_screenshot(&format!("page-{width}-{theme}"));
            assert!(png_size(&path).1 > height);
        }
    }
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn shows_rejections_of_an_untrained_network() {
    // Its confidence is below the threshold for every input.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let network = Network::new(models::lenet5(), lenet::data::MNIST_NORMALIZE, 0).unwrap();
    fs::write(&file, weights::to_bytes(&network, &Provenance::default()).unwrap()).unwrap();
    let server = TestServer::start(&["--weights", file.to_str().unwrap()]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("Not a digit");
    assert!(browser.text("remarks").starts_with("Most similar digit: "));
    assert_eq!(browser.count("#maps canvas"), 6 + 16);
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn page_works_offline() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_page(&server);
    browser.wait_for("(await caches.open('lenet')).keys().then(keys => keys.length)", |count| {
        count.as_u64() >= Some(25)
    });
    browser.wait_for("Boolean(navigator.serviceWorker.controller)", |is_controlled| *is_controlled == true);
    let errors = browser.send_devtools_command("Page.getInstallabilityErrors", json!({}));
    assert_eq!(errors["installabilityErrors"], json!([]));
    drop(server);
    browser.post("/refresh", &json!({}));
    browser.wait_for("document.getElementById('timing').textContent", |text| {
        text == "Digits are recognized in this page"
    });
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn page_uses_the_server_without_webassembly() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    // The module runs in a worker, which this browser doesn't have.
    let script = json!({ "source": "delete globalThis.Worker" });
    browser.send_devtools_command("Page.addScriptToEvaluateOnNewDocument", script);
    browser.open_page(&server);
    assert_eq!(browser.text("timing"), "Digits are recognized by the server");
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_headline("7");
    assert!(browser.text("timing").starts_with("Recognized by the server in "));
    let image = encode_png(sample_images().swap_remove(0));
    browser.give_file(&image, FILE_EVENTS[0]);
    let reading = server.request("/v1/recognize", "image/png", Some(&image)).into_body();
    let text = serde_json::from_slice::<Value>(&reading).unwrap()["text"].as_str().unwrap().to_owned();
    browser.wait_for_headline(&text);
}

/// Returns an expression that runs a script with a new `recognizer`, which has the weights of the server.
fn with_recognizer(script: &str) -> String {
    format!(
        "(async () => {{
            const {{ default: init, Recognizer }} = await import('./lenet.js');
            await init();
            const weights = await (await fetch('weights.safetensors')).arrayBuffer();
            const recognizer = new Recognizer(new Uint8Array(weights));
            {script}
        }})()"
    )
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn webassembly_module_matches_the_native_library() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(800, 600, false);
    browser.open_page(&server);
    let expression = with_recognizer(
        "const [width, height, pixels, drawing] = args;
         if (drawing) return JSON.parse(recognizer.recognizeDrawing(drawing));
         const bytes = Uint8Array.from(atob(pixels), letter => letter.charCodeAt(0));
         return JSON.parse(recognizer.recognizeImage(width, height, bytes));",
    );
    let recognizer = server.recognizer();
    let mut pairs: Vec<(Value, Value)> = sample_images()
        .iter()
        .map(|image| {
            let (width, height) = image.dimensions();
            let view = ImageView::new(width as usize, height as usize, image).unwrap();
            let pixels = BASE64_STANDARD.encode(image.as_raw());
            (
                serde_json::to_value(recognizer.read(&view)).unwrap(),
                browser.evaluate(&expression, json!([width, height, pixels, null])),
            )
        })
        .collect();
    let drawing: Drawing = serde_json::from_str(DRAWING_OF_7).unwrap();
    let native = serde_json::to_value(recognizer.read_drawing(&drawing, false)).unwrap();
    pairs.push((native, browser.evaluate(&expression, json!([0, 0, "", DRAWING_OF_7]))));
    for (native, wasm) in pairs {
        assert_eq!((&native["text"], &native["remarks"]), (&wasm["text"], &wasm["remarks"]));
        let digits = |reading: &Value| reading["digits"].as_array().unwrap().clone();
        for (native, wasm) in digits(&native).iter().zip(&digits(&wasm)) {
            assert_eq!((&native["digit"], &native["box"]), (&wasm["digit"], &wasm["box"]));
            let confidence = |digit: &Value| digit["confidence"].as_f64().unwrap();
            let (native, wasm) = (confidence(native), confidence(wasm));
            assert!((native - wasm).abs() < 1e-4, "{native}, {wasm}");
        }
    }
}

#[test]
#[ignore = "needs Chromium and the WebAssembly module"]
fn webassembly_module_classifies_a_hundred_images_as_the_native_library() {
    const IMAGES: usize = 100;
    let server = TestServer::start(&[]);
    let browser = Browser::open(800, 600, false);
    browser.open_page(&server);
    let test = lenet_mnist::test().slice(0..IMAGES);
    let expression = with_recognizer(
        "const bytes = Uint8Array.from(atob(args[0]), letter => letter.charCodeAt(0));
         return Array.from({ length: bytes.length / 784 }, (_, index) => {
            const pixels = bytes.subarray(784 * index, 784 * (index + 1));
            return JSON.parse(recognizer.recognizeImage(28, 28, pixels)).digits;
         });",
    );
    let wasm = browser.evaluate(&expression, json!([BASE64_STANDARD.encode(test.images())]));
    let recognizer = server.recognizer();
    for index in 0..IMAGES {
        let reading = recognizer.read(&ImageView::new(28, 28, test.image(index)).unwrap());
        let native = serde_json::to_value(&reading.digits).unwrap();
        let (native, wasm) = (native.as_array().unwrap(), wasm[index].as_array().unwrap());
        assert_eq!(native.len(), wasm.len(), "image {index}");
        for (native, wasm) in native.iter().zip(wasm) {
            assert_eq!(
                (&native["digit"], &native["rejected"]),
                (&wasm["digit"], &wasm["rejected"]),
                "image {index}"
            );
            let confidence = |digit: &Value| digit["confidence"].as_f64().unwrap();
            assert!((confidence(native) - confidence(wasm)).abs() < 1e-4, "image {index}");
        }
    }
}

#[test]
#[ignore = "a measurement without an assertion"]
fn measures_the_time_of_a_reading_in_the_page() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(800, 600, false);
    browser.open_page(&server);
    let expression = with_recognizer(
        "const times = Array.from({ length: 200 }, () => {
            const start = performance.now();
            recognizer.recognizeDrawing(args[0]);
            return performance.now() - start;
         });
         return times.sort((a, b) => a - b);",
    );
    let times: Vec<f64> =
        serde_json::from_value(browser.evaluate(&expression, json!([DRAWING_OF_7]))).unwrap();
    println!("a drawn digit: minimum {:.1} ms, median {:.1} ms", times[0], times[times.len() / 2]);
}
