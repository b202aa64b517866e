//! Recognition of one picture, and of many.

use std::{
    collections::VecDeque,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use lenet::{
    image::{ImageView, Rect},
    recognize::{self, Charset, Checksum, Constraint, ConstraintError, Length, Pattern, RecognizerParams},
};
use lenet_cli::{catalog::DEFAULT_RECOGNIZER, decode::DEFAULT_MAX_MEGAPIXELS, form_template};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyIterator},
};
use rayon::ThreadPool;

use crate::{
    error::{Error, OrRaise, exception},
    network::Network,
    picture::{DecodeOptions, Picture},
    pool,
    reading::Reading,
};

// Python sees the default of a keyword argument only if it is a literal.
const _: () = assert!(DEFAULT_MAX_MEGAPIXELS == 100);

/// The keyword arguments of `Recognizer`.
#[derive(Clone, Debug, Default)]
struct Options {
    length: Option<Length>,
    pattern: Option<Pattern>,
    checksum: Option<Checksum>,
    charset: Option<Charset>,
    min_confidence: Option<f32>,
    min_probability: Option<f32>,
    tables: bool,
    max_megapixels: u32,
}

impl Options {
    fn params(&self) -> PyResult<RecognizerParams> {
        let mut params =
            if self.tables { RecognizerParams::for_tables() } else { RecognizerParams::default() };
        let confidence = check_probability("min_confidence", self.min_confidence)?;
        let probability = check_probability("min_probability", self.min_probability)?;
        params.reject = params.reject.with_thresholds(confidence, probability);
        Ok(params)
    }

    fn constraint(&self) -> Constraint {
        let Self { length, pattern, checksum, charset, .. } = self.clone();
        Constraint { length, pattern, checksum, charset }
    }

    /// Returns the keyword arguments and their values.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        fn text(value: &Option<impl ToString>) -> Option<String> {
            value.as_ref().map(ToString::to_string)
        }
        let options = PyDict::new(py);
        options.set_item("length", text(&self.length))?;
        options.set_item("pattern", text(&self.pattern))?;
        options.set_item("checksum", text(&self.checksum))?;
        options.set_item("charset", text(&self.charset))?;
        options.set_item("min_confidence", self.min_confidence)?;
        options.set_item("min_probability", self.min_probability)?;
        options.set_item("tables", self.tables)?;
        options.set_item("max_megapixels", self.max_megapixels)?;
        Ok(options)
    }
}

fn check_probability(name: &str, probability: Option<f32>) -> PyResult<Option<f32>> {
    match probability {
        Some(found) if !(0.0..=1.0).contains(&found) => {
            Err(PyValueError::new_err(format!("{name}: expected a number from 0 to 1, found {found}")))
        }
        _ => Ok(probability),
    }
}

/// Parses a part of a constraint from the text of an argument.
fn parse<T: FromStr<Err = ConstraintError>>(argument: Option<&Bound<PyAny>>) -> PyResult<Option<T>> {
    argument.map(|argument| argument.str()?.to_str()?.parse().or_raise()).transpose()
}

/// Recognizes the digits of pictures. Make it once and use it for all pictures, in any number of threads.
///
/// `weights` is a `Network`, the name of pretrained weights, or the path of a weights file.
///
/// What is known of each line makes errors rare: its number of digits `length`, as 5 or "2-4"; its `pattern`, such as
/// "dd/dd/dddd"; a `checksum`, "luhn", "mod11", "isbn" or "ean"; and the only digits and marks that occur, `charset`. A line
/// of which no reading meets the constraint is rejected.
///
/// Digits of a confidence below `min_confidence` are rejected, and lines whose text is right with a probability below
/// `min_probability`: by default 0, with a constraint 0.1.
///
/// With `tables`, every picture is searched for pale rules, as `lenet recognize --cells` does. An encoded picture has at most
/// `max_megapixels` million pixels.
///
/// Raises `OSError` if the weights can't be read, `lenet.Error` if they are not those of a network for digits or nothing can
/// meet the constraint, and `ValueError` for other values.
#[pyclass(frozen, module = "lenet")]
pub struct Recognizer {
    recognizer: Arc<recognize::Recognizer>,
    network: Network,
    options: Options,
}

#[pymethods]
impl Recognizer {
    #[new]
    #[pyo3(signature = (
        weights = None, *, length = None, pattern = None, checksum = None, charset = None, min_confidence = None,
        min_probability = None, tables = false, max_megapixels = 100,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python,
        weights: Option<&Bound<PyAny>>,
        length: Option<&Bound<PyAny>>,
        pattern: Option<&Bound<PyAny>>,
        checksum: Option<&Bound<PyAny>>,
        charset: Option<&Bound<PyAny>>,
        min_confidence: Option<f32>,
        min_probability: Option<f32>,
        tables: bool,
        max_megapixels: u32,
    ) -> PyResult<Self> {
        let network = match weights {
            Some(weights) => Network::from_weights(weights)?,
            None => Network::load_weights(py, DEFAULT_RECOGNIZER.as_ref())?,
        };
        let options = Options {
            length: parse(length)?,
            pattern: parse(pattern)?,
            checksum: parse(checksum)?,
            charset: parse(charset)?,
            min_confidence,
            min_probability,
            tables,
            max_megapixels,
        };
        let recognizer = recognize::Recognizer::new((*network.network).clone()).or_raise()?;
        let recognizer =
            recognizer.with_params(options.params()?).with_constraint(options.constraint()).or_raise()?;
        Ok(Self { recognizer: Arc::new(recognizer), network, options })
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((Network,), Bound<'py, PyDict>)> {
        Ok(((self.network.clone(),), self.options.to_dict(py)?))
    }

    /// The network that classifies the digits.
    #[getter]
    fn network(&self) -> Network {
        self.network.clone()
    }

    /// Returns the reading of a picture: the path of an image file, its content as bytes or a file object, a PIL image, or
    /// a uint8 array (height, width), (height, width, 3) or (height, width, 4) of gray, RGB or RGBA pixels.
    ///
    /// With `single`, all ink is read as one digit. `page` is the page of a TIFF file of several, from 0. `region` is the part that is
    /// read, (x, y, width, height) in pixels.
    ///
    /// Raises `OSError` if a file can't be read, `lenet.Error` if it is not an image, is too large or has several pages and
    /// none is chosen, or the region is not within it, and `TypeError` or `ValueError` for other objects and arrays.
    #[pyo3(signature = (picture, *, single = false, page = None, region = None))]
    fn read(
        &self,
        picture: &Bound<PyAny>,
        single: bool,
        page: Option<usize>,
        region: Option<[usize; 4]>,
    ) -> PyResult<Reading> {
        let py = picture.py();
        let options = DecodeOptions { page, max_megapixels: self.options.max_megapixels };
        let picture = Picture::extract(picture)?;
        let read = |view: &ImageView| match region {
            None => Ok(read_view(&self.recognizer, view, single)),
            Some([x, y, width, height]) => {
                let region = Rect { x, y, width, height };
                Ok(self.recognizer.trace_region(view, region, single)?.reading)
            }
        };
        let reading: anyhow::Result<_> =
            pool::run(py, || picture.with_view(options, read).and_then(|reading| reading))?;
        Ok(Reading::new(reading.or_raise()?, Some((picture, options))))
    }

    /// Returns the readings of the fields of a form by their names. `template` is the path of a TOML file that describes
    /// them, as `lenet recognize --template` takes; the constraint of this recognizer doesn't matter. `page` is as for `read`.
    ///
    /// Raises `OSError` if a file can't be read, and `lenet.Error` if the template is invalid or the picture has no frame.
    #[pyo3(signature = (picture, template, *, page = None))]
    fn read_form<'py>(
        &self,
        picture: &Bound<'py, PyAny>,
        template: PathBuf,
        page: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = picture.py();
        let options = DecodeOptions { page, max_megapixels: self.options.max_megapixels };
        let picture = Picture::extract(picture)?;
        let template = form_template::read(&template).or_raise()?;
        let read = |view: &ImageView| self.recognizer.read_form(view, &template);
        let readings: anyhow::Result<_> =
            pool::run(py, || picture.with_view(options, read).and_then(|readings| Ok(readings?)))?;
        let fields = PyDict::new(py);
        for (field, reading) in template.fields.iter().zip(readings.or_raise()?) {
            fields.set_item(&field.name, Py::new(py, Reading::new(reading, None))?)?;
        }
        Ok(fields)
    }

    /// Returns an iterator over the readings of pictures, in their order. They are what `read` takes.
    ///
    /// The pictures are read on all cores, or on as many `threads`, while the iterator is used. It takes a few pictures a
    /// thread from `pictures` ahead, so that an endless iterable takes bounded memory.
    ///
    /// With `errors="raise"`, a picture that can't be read raises its exception, after which the iterator goes on with the
    /// next picture. With `errors="return"`, the exception takes the place of the reading. An exception of `pictures` itself
    /// is raised and ends the iterator.
    #[pyo3(signature = (pictures, *, single = false, threads = None, errors = "raise"))]
    fn read_many(
        &self,
        pictures: &Bound<PyAny>,
        single: bool,
        threads: Option<usize>,
        errors: &str,
    ) -> PyResult<Readings> {
        let raises = match errors {
            "raise" => true,
            "return" => false,
            _ => {
                let message = format!("errors: expected \"raise\" or \"return\", found \"{errors}\"");
                return Err(PyValueError::new_err(message));
            }
        };
        let pool = match threads {
            None => pool::shared(pictures.py())?,
            Some(threads @ 1..=256) => pool::start(threads)?,
            Some(threads) => {
                return Err(PyValueError::new_err(format!("threads: expected 1 to 256, found {threads}")));
            }
        };
        let state = ReadingsState { pictures: Some(pictures.try_iter()?.unbind()), pending: VecDeque::new() };
        Ok(Readings {
            recognizer: Arc::clone(&self.recognizer),
            options: DecodeOptions { page: None, max_megapixels: self.options.max_megapixels },
            single,
            raises,
            pool,
            process: std::process::id(),
            cancelled: Arc::default(),
            state: Mutex::new(state),
        })
    }

    fn __repr__(&self, py: Python) -> PyResult<String> {
        let mut arguments = vec![self.network.repr()];
        for (name, value) in self.options.to_dict(py)? {
            if !value.is_none() {
                arguments.push(format!("{name}={}", value.repr()?));
            }
        }
        Ok(format!("Recognizer({})", arguments.join(", ")))
    }
}

fn read_view(recognizer: &recognize::Recognizer, view: &ImageView, single: bool) -> recognize::Reading {
    if single { recognizer.read_single(view) } else { recognizer.read(view) }
}

/// Pictures that are taken ahead for each thread.
const PICTURES_AHEAD: usize = 16;
/// How often an iterator that waits for a reading looks for Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

type ReadingResult = anyhow::Result<recognize::Reading>;

/// The iterator that `Recognizer.read_many` returns.
#[pyclass(frozen, module = "lenet")]
pub struct Readings {
    recognizer: Arc<recognize::Recognizer>,
    options: DecodeOptions,
    single: bool,
    /// Whether the error of a picture is raised, not returned.
    raises: bool,
    pool: Arc<ThreadPool>,
    /// The process whose threads read.
    process: u32,
    /// Set when nobody waits for the readings any more.
    cancelled: Arc<AtomicBool>,
    state: Mutex<ReadingsState>,
}

struct ReadingsState {
    /// `None` at the end.
    pictures: Option<Py<PyIterator>>,
    /// The pictures that were taken, in order.
    pending: VecDeque<Pending>,
}

/// A picture that was taken.
enum Pending {
    /// Its result arrives here.
    Reading(Receiver<ReadingResult>),
    /// It is no picture.
    Failed(PyErr),
    /// The iterable of pictures raised this.
    Ended(PyErr),
}

#[pymethods]
impl Readings {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python) -> PyResult<Option<Py<PyAny>>> {
        if self.process != std::process::id() {
            return Err(Error::new_err("read_many: expected the process that called it, found a forked one"));
        }
        // Another thread that waits for a reading holds the lock while it is detached.
        let Ok(mut state) = self.state.try_lock() else {
            return Err(PyValueError::new_err("read_many: the iterator is used by another thread"));
        };
        self.take_pictures(py, &mut state);
        let result = match state.pending.pop_front() {
            None => return Ok(None),
            Some(Pending::Ended(error)) => return Err(error),
            Some(Pending::Failed(error)) => Err(error),
            Some(Pending::Reading(receiver)) => match wait(py, receiver) {
                Ok(result) => result,
                Err((interrupt, receiver)) => {
                    state.pending.push_front(Pending::Reading(receiver));
                    return Err(interrupt);
                }
            },
        };
        match result {
            Ok(reading) => Ok(Some(Py::new(py, Reading::new(reading, None))?.into_any())),
            Err(error) if self.raises => Err(error),
            Err(error) => Ok(Some(error.into_value(py).into_any())),
        }
    }
}

impl Readings {
    /// Takes as many pictures ahead as allowed and starts to read them.
    fn take_pictures(&self, py: Python, state: &mut ReadingsState) {
        while let Some(pictures) = &state.pictures
            && state.pending.len() < PICTURES_AHEAD * self.pool.current_num_threads()
        {
            let pending = match pictures.bind(py).clone().next() {
                Some(Ok(picture)) => match Picture::extract(&picture) {
                    Ok(picture) => Pending::Reading(self.start_reading(picture)),
                    Err(error) => Pending::Failed(error),
                },
                Some(Err(error)) => {
                    state.pictures = None;
                    Pending::Ended(error)
                }
                None => {
                    state.pictures = None;
                    return;
                }
            };
            state.pending.push_back(pending);
        }
    }

    fn start_reading(&self, picture: Picture) -> Receiver<ReadingResult> {
        let (sender, receiver) = sync_channel(1);
        let (recognizer, cancelled) = (Arc::clone(&self.recognizer), Arc::clone(&self.cancelled));
        let (options, single) = (self.options, self.single);
        self.pool.spawn_fifo(move || {
            if !cancelled.load(Ordering::Relaxed) {
                let reading = picture.with_view(options, |view| read_view(&recognizer, view, single));
                // The iterator may have been dropped in the meantime.
                let _ = sender.send(reading);
            }
        });
        receiver
    }
}

impl Drop for Readings {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Waits for the result of a picture. Ctrl-C gives back the receiver with the exception.
fn wait(
    py: Python,
    mut receiver: Receiver<ReadingResult>,
) -> Result<PyResult<recognize::Reading>, (PyErr, Receiver<ReadingResult>)> {
    // The interpreter is left only if the result is not there yet.
    let mut received = receiver.try_recv().map_err(|_| RecvTimeoutError::Timeout);
    loop {
        match received {
            Ok(result) => return Ok(result.map_err(|error| exception(&error))),
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Err(PyRuntimeError::new_err(pool::PANIC_MESSAGE)));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(interrupt) = py.check_signals() {
            return Err((interrupt, receiver));
        }
        (received, receiver) = py.detach(move || (receiver.recv_timeout(SIGNAL_INTERVAL), receiver));
    }
}
