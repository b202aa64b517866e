//! The page of `lenet serve` in Chromium, by WebDriver (<https://www.w3.org/TR/webdriver2/>). It must have been built with
//! the library for browsers; `./check` sees to that, and to Chromium.

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
    nn::{Network, Normalize},
    weights::{self, Provenance},
};
use serde_json::{Value, json};

use crate::{
    png_size,
    serve::{SEVEN, Server, pictures, png},
};

/// A window of Chromium without a screen, which ends with the test.
struct Browser {
    driver: Child,
    session: String,
}

/// Asks the driver; an error is one of the test.
fn ask(method: &str, url: &str, body: &Value) -> Value {
    let agent: ureq::Agent = ureq::config::Config::builder().http_status_as_error(false).build().into();
    let body = body.to_string();
    let answer = match method {
        "POST" => agent.post(url).header("Content-Type", "application/json").send(body),
        _ => agent.delete(url).call(),
    };
    let text = answer.unwrap().into_body().with_config().limit(1 << 28).read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert!(answer["value"]["error"].is_null(), "{answer}");
    answer["value"].clone()
}

impl Browser {
    /// A window of this size; that of a phone has a touch screen.
    fn open(width: u32, height: u32, phone: bool) -> Self {
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
        let started =
            lines.find_map(|line| Some(line.split_once("started successfully on port ")?.1.to_owned()));
        let port = started.unwrap().trim_end_matches('.').to_owned();
        // What else it says must be read, lest it waits.
        thread::spawn(move || lines.for_each(drop));
        let size = format!("--window-size={width},{height}");
        let mut options =
            json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size] });
        if phone {
            let screen = json!({ "width": width, "height": height, "pixelRatio": 2, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": screen });
        }
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let url = format!("http://127.0.0.1:{port}/session");
        let session = ask("POST", &url, &json!({ "capabilities": { "alwaysMatch": wanted } }));
        Self { driver, session: format!("{url}/{}", session["sessionId"].as_str().unwrap()) }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        ask("POST", &format!("{}{path}", self.session), body)
    }

    /// What Chromium answers to a command of its own.
    fn chromium(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Opens the page of a server, as far as to know who reads.
    fn visit(&self, server: &Server) {
        self.post("/url", &json!({ "url": format!("http://{}/", server.address) }));
        self.wait("document.getElementById('engine').textContent", |text| text != "");
    }

    /// The value of an expression, once its promise is kept.
    fn value(&self, script: &str, arguments: Value) -> Value {
        let script = format!(
            "const args = [...arguments], done = args.pop();
             (async () => {script})().then(done, error => done(`error: ${{error}}`));"
        );
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    fn text(&self, id: &str) -> String {
        self.value("document.getElementById(args[0]).textContent", json!([id])).as_str().unwrap().to_owned()
    }

    /// Waits until an expression is as it should be.
    fn wait(&self, script: &str, good: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        while !good(&self.value(script, json!([]))) {
            assert!(start.elapsed() < Duration::from_secs(30), "{script}: {}", self.value(script, json!([])));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for what stands on the page as its answer.
    fn argmax(&self, expected: &str) {
        self.wait("document.getElementById('answer').textContent", |text| text == expected);
    }

    /// Draws a stroke through points, in parts of the sheet's width and height.
    fn draw(&self, points: &[[f64; 2]], pointer: &str) {
        let script = "(({ left, top, width, height }) => [left, top, width, height])(
            document.getElementById('sheet').getBoundingClientRect())";
        let [left, top, width, height]: [f64; 4] =
            serde_json::from_value(self.value(script, json!([]))).unwrap();
        let mut actions: Vec<_> = points
            .iter()
            .map(|[x, y]| {
                let (x, y) = ((left + x * width).round(), (top + y * height).round());
                json!({ "type": "pointerMove", "duration": 20, "x": x, "y": y })
            })
            .collect();
        actions.insert(1, json!({ "type": "pointerDown", "button": 0 }));
        actions.push(json!({ "type": "pointerUp", "button": 0 }));
        let parameters = json!({ "pointerType": pointer });
        let pointer = json!({ "type": "pointer", "id": "pen", "parameters": parameters, "actions": actions });
        self.post("/actions", &json!({ "actions": [pointer] }));
    }

    /// Presses keys, one after the other.
    fn press(&self, keys: &[&str]) {
        let actions: Vec<_> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    fn click(&self, id: &str) {
        self.value("document.getElementById(args[0]).click()", json!([id]));
    }

    /// Gives the page a file in one of [`WAYS`].
    fn give(&self, file: &[u8], way: &str) {
        let script = format!(
            "(() => {{
                const bytes = Uint8Array.from(atob(args[0]), letter => letter.charCodeAt(0));
                const data = new DataTransfer(), find = id => document.getElementById(id);
                data.items.add(new File([bytes], 'picture.png', {{ type: 'image/png' }}));
                {way}
            }})()"
        );
        self.value(&script, json!([BASE64_STANDARD.encode(file)]));
    }

    /// Asserts that the browser has found no fault with the page.
    fn is_content(&self) {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        assert_eq!(log, json!([]));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which the driver's end alone would not.
        if !thread::panicking() {
            ask("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Drop, paste and choose.
const WAYS: [&str; 3] = [
    "find('sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));",
    "dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));",
    "find('file').files = data.files; find('file').dispatchEvent(new Event('change'));",
];

/// In parts of the sheet's width and height.
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
#[ignore = "needs Chromium and the library for browsers"]
fn a_digit_is_read_as_it_is_drawn_by_mouse_touch_and_keys() {
    let server = Server::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.visit(&server);
    assert_eq!(browser.text("engine"), "Digits are read in this page");
    browser.draw(&STROKE_OF_7, "mouse");
    browser.argmax("7");
    assert!(browser.text("engine").starts_with("Read in this page in "));
    assert_eq!(browser.text("mended"), "As the network sees it: centred");
    assert_eq!(browser.value("document.querySelector('tr.best th').textContent", json!([])), "7");
    let maps = browser.value("document.querySelectorAll('#maps canvas').length", json!([]));
    assert!(maps.as_u64() > Some(20), "{maps}");
    browser.wait("document.getElementById('status').textContent", |text| {
        text.as_str().unwrap().starts_with("7. ")
    });
    // A scribble over it, which the network has learnt to refuse.
    let scribble: Vec<_> =
        (0..24).map(|i| [7, 11].map(|step| 0.25 + 0.5 * f64::from(i * step % 24) / 24.0)).collect();
    browser.draw(&scribble, "mouse");
    browser.argmax("Not a digit");
    browser.click("undo");
    browser.argmax("7");
    // A second digit beside the first one, and each can be looked at.
    browser.click("clear");
    browser.argmax("");
    browser.click("undo");
    browser.argmax("7");
    browser.draw(&[[0.88, 0.25], [0.88, 0.45], [0.87, 0.75]], "mouse");
    browser.argmax("71");
    browser.value("document.querySelector('#digits button').click()", json!([]));
    assert_eq!(browser.value("document.querySelector('tr.best th').textContent", json!([])), "7");
    // With the keyboard, a stroke downwards.
    browser.press(&["\u{E00C}"]);
    browser.argmax("");
    browser.value("document.getElementById('sheet').focus()", json!([]));
    let (up, down) = ("\u{E013}", "\u{E015}");
    browser.press(&[[up; 6].as_slice(), &[" "], &[down; 12], &[" "]].concat());
    browser.argmax("1");
    browser.is_content();

    let phone = Browser::open(360, 740, true);
    phone.visit(&server);
    phone.draw(&STROKE_OF_7, "touch");
    phone.argmax("7");
    assert_eq!(
        phone.value("[scrollX, scrollY, document.documentElement.scrollWidth]", json!([])),
        json!([0, 0, 360])
    );
    phone.is_content();
}

#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn pictures_are_read_and_what_is_none_refused() {
    let server = Server::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.visit(&server);
    let picture = png(pictures().swap_remove(15));
    let answer = server.ask("/v1/recognize", "image/png", Some(&picture)).into_body();
    let text = serde_json::from_slice::<Value>(&answer).unwrap()["text"].as_str().unwrap().to_owned();
    for way in WAYS {
        browser.give(&picture, way);
        browser.argmax(&text);
        let buttons = browser.value("document.querySelectorAll('#digits button').length", json!([]));
        assert_eq!(buttons, text.len());
        browser.click("clear");
        browser.argmax("");
    }
    browser.give(b"no picture", WAYS[0]);
    browser.argmax("Not a picture that this browser can open");
    browser.is_content();
}

/// In the folder of the tests there are pictures of the page afterwards, for people to look at.
#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn the_page_fits_phones_and_desktops_light_and_dark() {
    let server = Server::start(&[]);
    for (width, height, phone) in [(1100, 900, false), (360, 740, true)] {
        for theme in ["light", "dark"] {
            let browser = Browser::open(width, height, phone);
            let theme_of_system = json!([{ "name": "prefers-color-scheme", "value": theme }]);
            browser.chromium("Emulation.setEmulatedMedia", json!({ "features": theme_of_system }));
            browser.visit(&server);
            browser.draw(&STROKE_OF_7, if phone { "touch" } else { "mouse" });
            browser.argmax("7");
            let size = browser.value("[innerWidth, document.documentElement.scrollWidth]", json!([]));
            assert_eq!(size, json!([width, width]));
            let picture = json!({ "format": "png", "captureBeyondViewport": true });
            let picture = browser.chromium("Page.captureScreenshot", picture);
            let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{width}-{theme}.png"));
            fs::write(&file, picture).unwrap();
            assert!(png_size(&file).1 > height);
        }
    }
}

#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn what_the_network_refuses_is_not_a_digit() {
    // A network that has learnt nothing is sure of nothing.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let network = Network::new(models::lenet5(), Normalize::MNIST, 0).unwrap();
    fs::write(&file, weights::to_bytes(&network, &Provenance::default()).unwrap()).unwrap();
    let server = Server::start(&["--model", file.to_str().unwrap()]);
    let browser = Browser::open(1100, 900, false);
    browser.visit(&server);
    browser.draw(&STROKE_OF_7, "mouse");
    browser.argmax("Not a digit");
    assert!(browser.text("remark").starts_with("If it were one, a "));
    assert_eq!(browser.value("document.querySelectorAll('#maps canvas').length", json!([])), 6 + 16);
}

#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn the_page_outlives_its_server() {
    let server = Server::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.visit(&server);
    browser.wait("(await caches.open('lenet')).keys().then(keys => keys.length)", |count| *count == 8);
    browser.wait("Boolean(navigator.serviceWorker.controller)", |controlled| *controlled == true);
    let faults = browser.chromium("Page.getInstallabilityErrors", json!({}));
    assert_eq!(faults["installabilityErrors"], json!([]));
    drop(server);
    browser.post("/refresh", &json!({}));
    browser
        .wait("document.getElementById('engine').textContent", |text| text == "Digits are read in this page");
    browser.draw(&STROKE_OF_7, "mouse");
    browser.argmax("7");
}

#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn without_the_library_the_server_reads() {
    let server = Server::start(&[]);
    let browser = Browser::open(1100, 900, false);
    let block = json!({ "urls": ["*lenet_bg.wasm"] });
    browser.chromium("Network.enable", json!({}));
    browser.chromium("Network.setBlockedURLs", block);
    browser.visit(&server);
    assert_eq!(browser.text("engine"), "Digits are read by the server");
    browser.draw(&STROKE_OF_7, "mouse");
    browser.argmax("7");
    assert!(browser.text("engine").starts_with("Read by the server in "));
    let picture = png(pictures().swap_remove(0));
    browser.give(&picture, WAYS[0]);
    let answer = server.ask("/v1/recognize", "image/png", Some(&picture)).into_body();
    browser.argmax(serde_json::from_slice::<Value>(&answer).unwrap()["text"].as_str().unwrap());
}

/// A script in which `reader` is a new one, with the network of the server.
fn with_reader(script: &str) -> String {
    format!(
        "(async () => {{
            const {{ default: load, Reader }} = await import('./lenet.js');
            await load();
            const network = await (await fetch('network.safetensors')).arrayBuffer();
            const reader = new Reader(new Uint8Array(network));
            {script}
        }})()"
    )
}

#[test]
#[ignore = "needs Chromium and the library for browsers"]
fn the_library_in_the_page_gives_the_answers_of_the_native_one() {
    let server = Server::start(&[]);
    let browser = Browser::open(800, 600, false);
    browser.visit(&server);
    let script = with_reader(
        "const [width, height, pixels, drawing] = args;
         if (drawing) return JSON.parse(reader.drawing(drawing));
         const bytes = Uint8Array.from(atob(pixels), letter => letter.charCodeAt(0));
         return JSON.parse(reader.picture(width, height, bytes));",
    );
    let recognizer = server.recognizer();
    let mut pairs: Vec<(Value, Value)> = pictures()
        .iter()
        .map(|grey| {
            let (width, height) = grey.dimensions();
            let picture = ImageView::new(width as usize, height as usize, grey).unwrap();
            let native = serde_json::to_value(recognizer.read(&picture)).unwrap();
            (
                native,
                browser.value(&script, json!([width, height, BASE64_STANDARD.encode(grey.as_raw()), null])),
            )
        })
        .collect();
    let drawing: Drawing = serde_json::from_str(SEVEN).unwrap();
    let native = serde_json::to_value(recognizer.read_drawing(&drawing, false)).unwrap();
    pairs.push((native, browser.value(&script, json!([0, 0, "", SEVEN]))));
    for (native, found) in pairs {
        assert_eq!((&native["text"], &native["remarks"]), (&found["text"], &found["remarks"]));
        let digits = |reading: &Value| reading["digits"].as_array().unwrap().clone();
        for (native, found) in digits(&native).iter().zip(&digits(&found)) {
            assert_eq!((&native["digit"], &native["box"]), (&found["digit"], &found["box"]));
            let confidence = |digit: &Value| digit["confidence"].as_f64().unwrap();
            let (native, found) = (confidence(native), confidence(found));
            assert!((native - found).abs() < 1e-4, "{native}, {found}");
        }
    }
}

#[test]
#[ignore = "measures; asserts nothing"]
fn time_of_a_reading_in_the_page() {
    let server = Server::start(&[]);
    let browser = Browser::open(800, 600, false);
    browser.visit(&server);
    let script = with_reader(
        "const times = Array.from({ length: 200 }, () => {
            const start = performance.now();
            reader.drawing(args[0]);
            return performance.now() - start;
         });
         return times.sort((a, b) => a - b);",
    );
    let times: Vec<f64> = serde_json::from_value(browser.value(&script, json!([SEVEN]))).unwrap();
    println!("a drawn digit takes {:.1} ms at best, {:.1} ms as a median", times[0], times[times.len() / 2]);
}
