//! The pages of `lenet serve` in Chromium, controlled by WebDriver (<https://www.w3.org/TR/webdriver2/>). The tests need the
//! WebAssembly modules and Chromium; `./check` installs both.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::serve::TestServer;

mod drawing;
mod hand;
mod learning;

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
        "GET" => agent.get(url).call(),
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

    fn get(&self, path: &str) -> Value {
        send_command("GET", &format!("{}{path}", self.session_url), &Value::Null)
    }

    fn delete(&self, path: &str) -> Value {
        send_command("DELETE", &format!("{}{path}", self.session_url), &Value::Null)
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

    /// Writes a screenshot of the whole page to the temporary folder of the tests, for people to look at, and returns its path.
    fn save_screenshot(&self, name: &str) -> PathBuf {
        let options = json!({ "format": "png", "captureBeyondViewport": true });
        let screenshot = self.send_devtools_command("Page.captureScreenshot", options);
        let screenshot = BASE64_STANDARD.decode(screenshot["data"].as_str().unwrap()).unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        fs::write(&path, screenshot).unwrap();
        path
    }

    /// Asserts that axe-core finds no defect of accessibility. `./check` installs it.
    fn assert_accessible(&self) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../lenet-web/node_modules/axe-core/axe.min.js");
        let axe = fs::read_to_string(file).expect(file);
        self.post("/execute/sync", &json!({ "script": axe, "args": [] }));
        let violations = self.evaluate(
            "(await axe.run()).violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])",
            json!([]),
        );
        assert_eq!(violations, json!([]));
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
