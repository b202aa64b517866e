//! The page of `lenet serve` in Chromium, controlled by WebDriver (<https://www.w3.org/TR/webdriver2/>). The tests need the
//! WebAssembly module and Chromium; `./check` installs both.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{
    image::{Drawing, ImageView},
    models,
    nn::Network,
    weights::{self, Provenance},
};
use serde_json::{Value, json};

use crate::{
    png_size,
    serve::{DRAWING_OF_7, TestServer, encode_png, sample_images},
};

/// A headless browser window, which is closed at the end of the test.
struct Browser {
    driver: Child,
    session_url: String,
}

/// Sends a command to the driver and returns the value of its response. Panics if the driver reports an error.
fn send_command(method: &str, url: &str, body: &Value) -> Value {
    let agent: ureq::Agent = ureq::config::Config::builder().http_status_as_error(false).build().into();
    let body = body.to_string();
    let response = match method {
        "POST" => agent.post(url).header("Content-Type", "application/json").send(body),
        _ => agent.delete(url).call(),
    };
    let text = response.unwrap().into_body().with_config().limit(1 << 28).read_to_string().unwrap();
    let response: Value = serde_json::from_str(&text).unwrap();
    assert!(response["value"]["error"].is_null(), "{response}");
    response["value"].clone()
}

impl Browser {
    /// Opens a window of this size, with a touch screen if it is a phone's.
    fn open(width: u32, height: u32, is_phone: bool) -> Self {
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
        let started =
            lines.find_map(|line| Some(line.split_once("started successfully on port ")?.1.to_owned()));
        let port = started.unwrap().trim_end_matches('.').to_owned();
        // The driver blocks when the pipe is full, so the rest of its output is discarded.
        thread::spawn(move || lines.for_each(drop));
        let size = format!("--window-size={width},{height}");
        let mut options =
            json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size] });
        if is_phone {
            let screen = json!({ "width": width, "height": height, "pixelRatio": 2, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": screen });
        }
        let capabilities =
            json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let url = format!("http://127.0.0.1:{port}/session");
        let session = send_command("POST", &url, &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        Self { driver, session_url: format!("{url}/{}", session["sessionId"].as_str().unwrap()) }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        send_command("POST", &format!("{}{path}", self.session_url), body)
    }

    /// Sends a command of the Chrome DevTools Protocol.
    fn send_devtools_command(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Opens the page of a server and waits until it has chosen a recognizer.
    fn open_page(&self, server: &TestServer) {
        self.post("/url", &json!({ "url": format!("http://{}/", server.address) }));
        self.wait_for("document.getElementById('timing').textContent", |text| text != "");
    }

    /// Evaluates a JavaScript expression, and awaits it if it is a promise. The expression can use `arguments` as `args`.
    fn evaluate(&self, expression: &str, arguments: Value) -> Value {
        let script = format!(
            "const args = [...arguments], done = args.pop();
             (async () => {expression})().then(done, error => done(`error: ${{error}}`));"
        );
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    fn text(&self, id: &str) -> String {
        let text = self.evaluate("document.getElementById(args[0]).textContent", json!([id]));
        text.as_str().unwrap().to_owned()
    }

    fn count(&self, selector: &str) -> u64 {
        self.evaluate("document.querySelectorAll(args[0]).length", json!([selector])).as_u64().unwrap()
    }

    /// Waits until the value of an expression meets a condition.
    fn wait_for(&self, expression: &str, condition: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        while !condition(&self.evaluate(expression, json!([]))) {
            let value = self.evaluate(expression, json!([]));
            assert!(start.elapsed() < Duration::from_secs(30), "{expression}: {value}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the page shows this headline.
    fn wait_for_headline(&self, expected: &str) {
        self.wait_for("document.getElementById('headline').textContent", |text| text == expected);
    }

    /// Draws a stroke through points, in fractions of the sheet's width and height.
    fn draw(&self, points: &[[f64; 2]], pointer_type: &str) {
        let expression = "(({ left, top, width, height }) => [left, top, width, height])(
            document.getElementById('sheet').getBoundingClientRect())";
        let [left, top, width, height]: [f64; 4] =
            serde_json::from_value(self.evaluate(expression, json!([]))).unwrap();
        let mut actions: Vec<_> = points
            .iter()
            .map(|[x, y]| {
                let (x, y) = ((left + x * width).round(), (top + y * height).round());
                json!({ "type": "pointerMove", "duration": 20, "x": x, "y": y })
            })
            .collect();
        actions.insert(1, json!({ "type": "pointerDown", "button": 0 }));
        actions.push(json!({ "type": "pointerUp", "button": 0 }));
        let parameters = json!({ "pointerType": pointer_type });
        let pointer = json!({ "type": "pointer", "id": "pen", "parameters": parameters, "actions": actions });
        self.post("/actions", &json!({ "actions": [pointer] }));
    }

    /// Presses and releases keys, one after the other.
    fn press(&self, keys: &[&str]) {
        let actions: Vec<_> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|action| json!({ "type": action, "value": key })))
            .collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    fn click(&self, id: &str) {
        self.evaluate("document.getElementById(args[0]).click()", json!([id]));
    }

    /// Gives the page a file, by one of [`FILE_EVENTS`].
    fn give_file(&self, file: &[u8], event: &str) {
        let expression = format!(
            "(() => {{
                const bytes = Uint8Array.from(atob(args[0]), letter => letter.charCodeAt(0));
                const data = new DataTransfer(), find = id => document.getElementById(id);
                data.items.add(new File([bytes], 'image.png', {{ type: 'image/png' }}));
                {event}
            }})()"
        );
        self.evaluate(&expression, json!([BASE64_STANDARD.encode(file)]));
    }

    /// Asserts that the browser has logged no errors or warnings.
    fn assert_log_is_empty(&self) {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        assert_eq!(log, json!([]));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closes Chromium, which would outlive the driver.
        if !thread::panicking() {
            send_command("DELETE", &self.session_url, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Statements that give the page a file: drop, paste and choose.
const FILE_EVENTS: [&str; 3] = [
    "find('sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));",
    "dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));",
    "find('file').files = data.files; find('file').dispatchEvent(new Event('change'));",
];

/// In fractions of the sheet's width and height.
const STROKE_OF_7: [[f64; 2]; 8] = [
    [0.28, 0.26],
    [0.38, 0.24],
    [0.52, 0.23],
    [0.68, 0.21],
    [0.61, 0.37],
    [0.54, 0.55],
    [0.5, 0.68],
    [0.48, 0.8],
];

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
            let options = json!({ "format": "png", "captureBeyondViewport": true });
            let screenshot = browser.send_devtools_command("Page.captureScreenshot", options);
            let screenshot = BASE64_STANDARD.decode(screenshot["data"].as_str().unwrap()).unwrap();
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{width}-{theme}.png"));
            fs::write(&path, screenshot).unwrap();
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
    browser.wait_for("(await caches.open('lenet')).keys().then(keys => keys.length)", |count| *count == 8);
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
    browser.send_devtools_command("Network.enable", json!({}));
    browser.send_devtools_command("Network.setBlockedURLs", json!({ "urls": ["*lenet_bg.wasm"] }));
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
