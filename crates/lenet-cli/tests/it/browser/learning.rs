//! The page for learning.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::{
    metrics::Evaluation,
    models,
    nn::Network,
    train::{Checkpoint, Trainer, recipes},
    weights,
};
use serde_json::{Value, json};

use super::{Browser, STROKE_OF_7};
use crate::serve::TestServer;

impl Browser {
    /// Opens the page for learning and waits until MNIST is loaded.
    fn open_learn_page(&self, server: &TestServer) {
        self.post("/url", &json!({ "url": format!("http://{}/learn", server.address) }));
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        self.wait_for(
            "document.body.dataset.state ?? document.getElementById('problem').textContent",
            |state| state == "ready",
        );
    }

    /// Sets the value of a field.
    fn set(&self, id: &str, value: &str) {
        let script = "(() => {
            const field = document.getElementById(args[0]);
            field.value = args[1];
            field.dispatchEvent(new Event('change'));
        })()";
        self.evaluate(script, json!([id, value]));
        // The fields that depend on it are set by the worker.
        thread::sleep(Duration::from_millis(300));
    }

    fn wait_for_text(&self, id: &str, condition: impl Fn(&str) -> bool) -> String {
        self.wait_for(&format!("document.getElementById('{id}').textContent"), |text| {
            condition(text.as_str().unwrap())
        });
        self.text(id)
    }

    /// Returns the bytes that a method of the training worker returns.
    fn training_bytes(&self, method: &str) -> Vec<u8> {
        let script = "(async () => {
            const bytes = await (await import('./learn.js')).trainer.call(args[0]);
            return btoa(Array.from(new Uint8Array(bytes.buffer), byte => String.fromCharCode(byte)).join(''));
        })()";
        BASE64_STANDARD.decode(self.evaluate(script, json!([method])).as_str().unwrap()).unwrap()
    }
}

/// Returns the accuracy in percent of a text such as `98.76%`.
fn parse_percent(text: &str) -> f64 {
    text.strip_suffix('%').unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn trains_lenet5_pauses_reloads_and_goes_on() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    assert!(browser.text("environment").starts_with("relaxed SIMD, shared memory, "));
    browser.set("train-images", "6000");
    browser.click("step");
    browser.wait_for_text("loss", |loss| loss.starts_with("2.3") || loss.starts_with("2.2"));
    browser.click("start");
    browser.wait_for_text("epoch", |epoch| epoch >= "2 of 7");
    browser.click("pause");
    browser.wait_for("document.getElementById('pause').disabled", |is_disabled| *is_disabled == true);
    let (epoch, checkpoint) = (browser.text("epoch"), browser.training_bytes("checkpoint"));

    browser.post("/refresh", &json!({}));
    browser.wait_until_ready();
    assert_eq!(browser.training_bytes("checkpoint"), checkpoint);
    let completed = Checkpoint::from_bytes(&checkpoint).unwrap().completed_epochs();
    assert_eq!(browser.text("epoch"), format!("{completed} of 7"), "{epoch}");
    browser.click("start");
    browser.wait_for_text("epoch", |epoch| epoch == "7 of 7");
    browser.wait_for("document.getElementById('start').disabled", |is_disabled| *is_disabled == false);
    let accuracy = parse_percent(&browser.text("test-accuracy"));
    assert!(accuracy > 95.0, "{accuracy}");
    assert_eq!(browser.count("#history tr"), 7);
    assert!(browser.count("#mistakes button") > 20);
    assert_eq!(browser.count("#confusion td.right"), 10);
    assert!(browser.text("speed").ends_with(" images a second"));

    // The network reads what is drawn, and is the one that the page has evaluated.
    browser.evaluate("document.getElementById('sheet').scrollIntoView()", json!([]));
    browser.draw(&STROKE_OF_7, "mouse");
    browser.wait_for_text("trained-reading", |text| text == "7");
    browser.wait_for_text("built-in-reading", |text| text == "7");
    let (network, provenance) = weights::from_bytes(&browser.training_bytes("weights")).unwrap();
    let test = lenet_mnist::test();
    let evaluation = Evaluation::new(test.labels(), &network.probabilities(test.images())).unwrap();
    assert!((100.0 * evaluation.accuracy() - accuracy).abs() < 0.03, "{accuracy}");
    assert_eq!((provenance.epochs, provenance.interrupted), (7, false));
    assert!(browser.training_bytes("onnx").len() > 200_000);
    browser.assert_log_is_empty();
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn training_in_the_page_equals_the_native_one() {
    const STEPS: usize = 50;
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    let losses = || -> Vec<f32> {
        browser.open_learn_page(&server);
        for _ in 0..STEPS {
            browser.click("step");
            browser.wait_for("document.getElementById('step').disabled", |is_disabled| *is_disabled == false);
        }
        let bytes = browser.training_bytes("stepLosses");
        browser.click("stop");
        browser.wait_for("document.getElementById('stop').disabled", |is_disabled| *is_disabled == true);
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let (first, second) = (losses(), losses());
    assert_eq!(first, second);

    let train = lenet_mnist::train();
    let recipe = recipes::fast();
    let network = Network::new(models::lenet5(), recipe.normalize, 0).unwrap();
    let mut trainer = Trainer::new(network, &train, recipe, 0).unwrap();
    assert_eq!(first.len(), STEPS);
    for (step, loss) in first.into_iter().enumerate() {
        let native = trainer.run_step().unwrap().loss as f32;
        assert!((loss - native).abs() < 1e-3, "step {step}: {loss} {native}");
    }
}

/// A web server for the files of a folder, without the headers that isolate a page.
struct StaticServer {
    address: String,
}

impl StaticServer {
    fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folder = folder.clone();
                thread::spawn(move || serve_file(stream, &folder));
            }
        });
        Self { address }
    }
}

/// Answers one request.
fn serve_file(mut stream: TcpStream, folder: &Path) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let path = if path.is_empty() { "index.html".to_owned() } else { path };
    let media_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let (status, body) = match fs::read(folder.join(&path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// Returns a folder with the files of the pages, as `compile DIR` writes them.
fn static_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lenet-web");
    let mnist = folder.path().join("mnist");
    fs::create_dir(&mnist).unwrap();
    for (from, to) in [
        (web.join("page"), folder.path().to_owned()),
        (web.join("dist"), folder.path().to_owned()),
        (web.join("../lenet-mnist/data"), mnist),
    ] {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let weights = web.join("../lenet/weights/handwriting.safetensors");
    fs::copy(weights, folder.path().join("weights.safetensors")).unwrap();
    folder
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn trains_on_one_thread_without_isolation() {
    let folder = static_files();
    let server = StaticServer::start(folder.path().to_owned());
    let browser = Browser::open(1100, 900, false);
    browser.post("/url", &json!({ "url": format!("http://{}/learn.html", server.address) }));
    browser.wait_until_ready();
    assert_eq!(browser.text("environment"), "SIMD, 1 thread");
    browser.set("train-images", "1000");
    browser.set("epochs", "1");
    browser.click("start");
    browser.wait_for_text("test-accuracy", |accuracy| accuracy.ends_with('%'));
    assert!(parse_percent(&browser.text("test-accuracy")) > 20.0);
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn impossible_settings_are_told_in_place() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    // A kernel that is larger than the map.
    browser.evaluate(
        "(() => {
            const kernel = document.querySelectorAll('#layers tr:nth-child(4) input')[1];
            kernel.value = 99;
            kernel.dispatchEvent(new Event('change'));
        })()",
        json!([]),
    );
    browser.wait_for_text("network-error", |error| error.starts_with("conv2: "));
    assert_eq!(browser.evaluate("document.getElementById('start').disabled", json!([])), true);
    assert!(browser.count("#layers tr:nth-child(4) .error") == 1);
    browser.set("architecture", "mlp");
    browser.wait_for_text("network-error", |error| error.is_empty());

    browser.set("train-images", "1000");
    browser.set("batch-size", "5000");
    browser.click("start");
    browser.wait_for_text("training-error", |error| error == "batch_size: expected 1 to 4096, found 5000");
    browser.set("recipe", "default");
    browser.set("learning-rate", "1000");
    browser.click("start");
    browser.wait_for_text("training-error", |error| error.starts_with("The training stopped: "));
    // A training that has diverged can be stopped, and another one started.
    browser.wait_for("document.getElementById('stop').disabled", |is_disabled| *is_disabled == false);
    browser.wait_for("document.getElementById('start').disabled", |is_disabled| *is_disabled == false);
    browser.click("stop");
    browser.wait_for("document.getElementById('settings').disabled", |is_disabled| *is_disabled == false);
    browser.set("learning-rate", "0.002");
    browser.click("start");
    browser.wait_for_text("test-accuracy", |accuracy| accuracy.ends_with('%'));
    assert_eq!(browser.text("training-error"), "");
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn a_second_tab_waits_for_the_first_one() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    let first = browser.get("/window");
    let second = browser.post("/window/new", &json!({ "type": "tab" }))["handle"].clone();
    browser.post("/window", &json!({ "handle": second }));
    browser.post("/url", &json!({ "url": format!("http://{}/learn", server.address) }));
    browser.wait_for_text("problem", |problem| problem.starts_with("Another tab "));
    browser.post("/window", &json!({ "handle": first }));
    browser.delete("/window");
    browser.post("/window", &json!({ "handle": second }));
    browser.wait_until_ready();
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn a_tampered_record_is_told_and_kept() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    browser.set("train-images", "1000");
    browser.click("step");
    browser.wait_for("document.getElementById('step').disabled", |is_disabled| *is_disabled == false);
    browser.evaluate(
        "(async () => {
            const { transact } = await import('./store.js');
            const record = await transact('training', 'readonly', store => store.get('current'));
            record.checkpoint[100] ^= 255;
            await transact('training', 'readwrite', store => store.put(record, 'current'));
        })()",
        json!([]),
    );
    browser.post("/refresh", &json!({}));
    browser.wait_until_ready();
    let error = browser.text("training-error");
    assert!(error.starts_with("The saved training can’t be read ("), "{error}");
    let record =
        "(await import('./store.js')).transact('training', 'readonly', store => store.get('current'))";
    assert!(!browser.evaluate(record, json!([]))["checkpoint"].is_null());
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn training_goes_on_if_the_storage_is_full() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    let origin = format!("http://{}", server.address);
    browser.send_devtools_command(
        "Storage.overrideQuotaForOrigin",
        json!({ "origin": origin, "quotaSize": 1000 }),
    );
    browser.set("train-images", "1000");
    browser.click("start");
    browser
        .wait_for_text("training-error", |error| error.starts_with("This browser can’t save the training"));
    browser.wait_for_text("epoch", |epoch| epoch == "7 of 7");
    browser.wait_for_text("test-accuracy", |accuracy| accuracy.ends_with('%'));
}

#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn learn_page_works_offline_and_says_what_is_missing() {
    let server = TestServer::start(&[]);
    let browser = Browser::open(1100, 900, false);
    browser.open_learn_page(&server);
    let keys = "(await caches.open('lenet')).keys().then(keys => keys.filter(({ url }) => /mnist|training_|learn/.test(url)).length)";
    browser.wait_for(keys, |count| count.as_u64().unwrap() >= 9);
    browser.wait_for("Boolean(navigator.serviceWorker.controller)", |is_controlled| *is_controlled == true);
    drop(server);
    browser.post("/refresh", &json!({}));
    browser.wait_until_ready();
    browser.set("train-images", "1000");
    browser.click("step");
    browser.wait_for_text("loss", |loss| loss.starts_with("2."));

    let browser = Browser::open(1100, 900, false);
    let folder = static_files();
    for entry in fs::read_dir(folder.path()).unwrap().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "wasm") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let server = StaticServer::start(folder.path().to_owned());
    browser.post("/url", &json!({ "url": format!("http://{}/learn.html", server.address) }));
    browser.wait_for_text("problem", |problem| problem.starts_with("The page can’t train: "));
}

/// Writes screenshots of the page to the temporary folder of the tests, for people to look at.
#[test]
#[ignore = "needs Chromium and the WebAssembly modules"]
fn learn_page_is_accessible_and_fits_all_sizes() {
    let server = TestServer::start(&[]);
    for (width, height, is_phone, theme) in [
        (1100, 900, false, "light"),
        (768, 1024, false, "dark"),
        (360, 740, true, "light"),
        (360, 740, true, "dark"),
    ] {
        let browser = Browser::open(width, height, is_phone);
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        browser.send_devtools_command("Emulation.setEmulatedMedia", json!({ "features": features }));
        browser.open_learn_page(&server);
        browser.set("train-images", "1000");
        browser.set("epochs", "3");
        browser.click("start");
        browser.wait_for_text("epoch", |epoch| epoch == "3 of 3");
        browser.wait_for_text("test-accuracy", |accuracy| accuracy.ends_with('%'));
        browser.wait_for("document.getElementById('use').hidden", |is_hidden| *is_hidden == false);
        let size: Value = browser.evaluate("[innerWidth, document.documentElement.scrollWidth]", json!([]));
        assert_eq!(size, json!([width, width]));
        browser.save_screenshot(&format!("learn-{width}-{theme}"));
        browser.evaluate(
            "document.querySelectorAll('details').forEach(details => { details.open = true; })",
            json!([]),
        );
        browser.assert_accessible();
        // A training that has not ended fixes the fields.
        browser.click("step");
        browser.wait_for("document.getElementById('settings').disabled", |is_disabled| *is_disabled == true);
        browser.assert_accessible();
    }
}
