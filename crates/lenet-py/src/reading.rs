//! The result of recognition.

use anyhow::Context;
use lenet::{
    PIXELS, SIDE,
    image::{ImageView, Rect},
    recognize,
};
use lenet_cli::{decode::DEFAULT_MAX_MEGAPIXELS, figure};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyType},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, OrRaise},
    picture::{DecodeOptions, Picture},
    pool,
};

/// Returns the JSON form of a value as Python's dictionaries, lists, strings and numbers.
pub fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (to_json(value)?,))
}

/// Returns the JSON form of a value.
pub fn to_json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).or_raise()
}

/// Parses the JSON form of a value.
pub fn from_json<T: DeserializeOwned>(name: &str, json: &str) -> PyResult<T> {
    serde_json::from_str(json).with_context(|| format!("{name}: expected its JSON form")).or_raise()
}

/// Returns the number that the JSON form has: the shortest decimal that rounds to `value`.
fn shortest(value: f32) -> f64 {
    // A number that was formatted can be parsed.
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Returns a bounding box as Python has it: `(x, y, width, height)`.
fn to_tuple(bounds: Rect) -> (usize, usize, usize, usize) {
    <[usize; 4]>::from(bounds).into()
}

/// What `__reduce__` returns: the class method that restores an instance, and its arguments.
pub type Reduced<'py, T> = PyResult<(Bound<'py, PyAny>, T)>;

/// Defines a class of a value that its JSON form restores.
macro_rules! json_class {
    ($(#[doc = $doc:literal])* $class:ident($value:ty) { $($methods:tt)* }) => {
        $(#[doc = $doc])*
        #[pyclass(frozen, eq, module = "lenet")]
        #[derive(Clone, PartialEq)]
        pub struct $class($value);

        #[pymethods]
        impl $class {
            /// Restores one from its JSON form.
            ///
            /// Raises `lenet.Error` for other text.
            #[classmethod]
            fn from_json(_: &Bound<PyType>, json: &str) -> PyResult<Self> {
                from_json(stringify!($class), json).map(Self)
            }

            /// Returns the JSON form as a dictionary.
            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                to_python(py, &self.0)
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (String,)> {
                Ok((slf.get_type().getattr("from_json")?, (to_json(&slf.get().0)?,)))
            }

            /// The bounding box in pixels of the picture: (x, y, width, height).
            #[getter]
            fn r#box(&self) -> (usize, usize, usize, usize) {
                to_tuple(self.0.bounds)
            }

            $($methods)*
        }
    };
}

json_class! {
    /// A cell of a table, a box of a form or a comb, and what is written in it.
    CellReading(recognize::CellReading) {
        /// The row, from 0 at the top.
        #[getter]
        fn row(&self) -> usize {
            self.0.row
        }

        /// The column, from 0 at the left.
        #[getter]
        fn column(&self) -> usize {
            self.0.column
        }

        /// The digits and certain marks in the cell, with `?` for rejected candidates; empty if there are none.
        #[getter]
        fn text(&self) -> &str {
            &self.0.text
        }

        fn __repr__(&self) -> String {
            let recognize::CellReading { row, column, text, .. } = &self.0;
            format!("CellReading(row={row}, column={column}, text={text:?}, box={:?})", self.r#box())
        }
    }
}

json_class! {
    /// A mark between digits.
    MarkReading(recognize::MarkReading) {
        /// The most probable mark, a character.
        #[getter]
        fn mark(&self) -> char {
            self.0.mark.char()
        }

        /// The probability of the mark.
        #[getter]
        fn confidence(&self) -> f64 {
            shortest(self.0.confidence)
        }

        /// The line of text, from 0.
        #[getter]
        fn line(&self) -> usize {
            self.0.line
        }

        /// Whether the mark is doubtful. Then it is not in the text.
        #[getter]
        fn doubtful(&self) -> bool {
            self.0.doubtful
        }

        fn __repr__(&self) -> String {
            let (mark, confidence, line) = (self.mark(), self.confidence(), self.0.line);
            let doubtful = python_bool(self.0.doubtful);
            format!(
                "MarkReading(mark='{mark}', confidence={confidence:?}, box={:?}, line={line}, doubtful={doubtful})",
                self.r#box()
            )
        }
    }
}

json_class! {
    /// Ink that was left out.
    LeftOut(recognize::LeftOut) {
        /// Why it was left out: `rule`, `frame`, `edge`, `speck`, `shadow`, `too_small`, `mark`, `texture` or `stray`.
        #[getter]
        fn reason(&self) -> &'static str {
            self.0.reason.code()
        }

        fn __repr__(&self) -> String {
            format!("LeftOut(reason='{}', box={:?})", self.reason(), self.r#box())
        }
    }
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A digit, or a rejected candidate.
#[pyclass(frozen, eq, module = "lenet")]
#[derive(Clone, PartialEq)]
pub struct Digit(recognize::Digit);

#[pymethods]
impl Digit {
    /// Restores a digit from its JSON form, which lacks the normalized image: 784 bytes, blank if there are none.
    ///
    /// Raises `lenet.Error` for other text.
    #[classmethod]
    #[pyo3(signature = (json, normalized = None))]
    fn from_json(_: &Bound<PyType>, json: &str, normalized: Option<&[u8]>) -> PyResult<Self> {
        let mut digits = [from_json("Digit", json)?];
        restore_normalized(&mut digits, normalized)?;
        let [digit] = digits;
        Ok(Self(digit))
    }

    /// Returns the JSON form as a dictionary.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (String, Bound<'py, PyBytes>)> {
        let digit = &slf.get().0;
        let normalized = PyBytes::new(slf.py(), &digit.normalized);
        Ok((slf.get_type().getattr("from_json")?, (to_json(digit)?, normalized)))
    }

    /// The most probable digit, even if it was rejected.
    #[getter]
    fn digit(&self) -> u8 {
        self.0.digit
    }

    /// The probability of the digit.
    #[getter]
    fn confidence(&self) -> f64 {
        shortest(self.0.confidence)
    }

    /// The probability of each digit. They add up to the probability of being a digit.
    #[getter]
    fn probabilities(&self) -> Vec<f64> {
        self.0.probabilities.iter().copied().map(shortest).collect()
    }

    /// The bounding box in pixels of the picture: (x, y, width, height).
    #[getter]
    fn r#box(&self) -> (usize, usize, usize, usize) {
        to_tuple(self.0.bounds)
    }

    /// The line of text, from 0.
    #[getter]
    fn line(&self) -> usize {
        self.0.line
    }

    /// The row of the cell that holds the digit, or `None`.
    #[getter]
    fn row(&self) -> Option<usize> {
        self.0.row
    }

    /// The column of the cell that holds the digit, or `None`.
    #[getter]
    fn column(&self) -> Option<usize> {
        self.0.column
    }

    /// Whether the candidate was rejected as probably not one digit.
    #[getter]
    fn rejected(&self) -> bool {
        self.0.rejected
    }

    /// Why the candidate was rejected, and how its image was changed: `not_a_digit`, `unsure`,
    /// `constraint_not_met`, `among_rejected`, `thickened`.
    #[getter]
    fn remarks(&self) -> Vec<&'static str> {
        self.0.remarks.iter().map(|remark| remark.code()).collect()
    }

    /// The image that was classified: uint8 array (28, 28), ink from 0 to 255. It is not in the JSON form.
    #[getter]
    fn normalized<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        PyArray1::from_slice(py, &self.0.normalized).reshape([SIDE, SIDE])
    }

    fn __repr__(&self) -> String {
        let (digit, confidence, line) = (self.0.digit, self.confidence(), self.0.line);
        let (bounds, rejected) = (self.r#box(), python_bool(self.0.rejected));
        format!(
            "Digit(digit={digit}, confidence={confidence:?}, box={bounds:?}, line={line}, rejected={rejected})"
        )
    }
}

/// Sets the normalized images of digits to `images` `(digit, row, column)`, if there are any.
fn restore_normalized(digits: &mut [recognize::Digit], images: Option<&[u8]>) -> PyResult<()> {
    let Some(images) = images else { return Ok(()) };
    let (expected, found) = (digits.len() * PIXELS, images.len());
    let (images, _) = images.as_chunks();
    if expected != found {
        return Err(Error::new_err(format!("normalized: expected {expected} bytes, found {found}")));
    }
    for (digit, image) in digits.iter_mut().zip(images) {
        digit.normalized = *image;
    }
    Ok(())
}

/// The digits of a picture.
#[pyclass(frozen, eq, module = "lenet")]
pub struct Reading {
    reading: recognize::Reading,
    /// What was read, to draw it.
    picture: Option<(Picture, DecodeOptions)>,
}

impl PartialEq for Reading {
    fn eq(&self, other: &Self) -> bool {
        self.reading == other.reading
    }
}

impl Reading {
    pub fn new(reading: recognize::Reading, picture: Option<(Picture, DecodeOptions)>) -> Self {
        Self { reading, picture }
    }
}

#[pymethods]
impl Reading {
    /// Restores a reading from its JSON form, which lacks the normalized images: 784 bytes for each digit, blank if there
    /// are none.
    ///
    /// Raises `lenet.Error` for other text.
    #[classmethod]
    #[pyo3(signature = (json, normalized = None))]
    fn from_json(_: &Bound<PyType>, json: &str, normalized: Option<&[u8]>) -> PyResult<Self> {
        let mut reading: recognize::Reading = from_json("Reading", json)?;
        restore_normalized(&mut reading.digits, normalized)?;
        Ok(Self::new(reading, None))
    }

    /// Returns the JSON form as a dictionary: that of `lenet recognize --json`, without the path.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.reading)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py, (String, Bound<'py, PyBytes>)> {
        let reading = &slf.get().reading;
        let normalized: Vec<u8> = reading.digits.iter().flat_map(|digit| digit.normalized).collect();
        let normalized = PyBytes::new(slf.py(), &normalized);
        Ok((slf.get_type().getattr("from_json")?, (to_json(reading)?, normalized)))
    }

    /// What is written: the digits and the certain marks, with spaces between numbers, `\n` between lines, and `?` for
    /// rejected candidates.
    #[getter]
    fn text(&self) -> &str {
        &self.reading.text
    }

    /// The probability that the text is right as a whole: 0 if candidates were rejected, `None` if there are none.
    #[getter]
    fn probability(&self) -> Option<f64> {
        self.reading.probability.map(shortest)
    }

    /// Other texts with their probabilities, from the most probable to the least. Each differs in one line.
    #[getter]
    fn alternatives(&self) -> Vec<(&str, f64)> {
        let alternatives = self.reading.alternatives.iter();
        alternatives.map(|alternative| (&*alternative.text, shortest(alternative.probability))).collect()
    }

    /// The digits and rejected candidates, line by line, from left to right.
    #[getter]
    fn digits(&self) -> Vec<Digit> {
        self.reading.digits.iter().cloned().map(Digit).collect()
    }

    /// The marks between digits, line by line, from left to right, doubtful ones as well.
    #[getter]
    fn marks(&self) -> Vec<MarkReading> {
        self.reading.marks.iter().copied().map(MarkReading).collect()
    }

    /// The cells of tables, boxes and combs, by row and column.
    #[getter]
    fn cells(&self) -> Vec<CellReading> {
        self.reading.cells.iter().cloned().map(CellReading).collect()
    }

    /// The ink that is no candidate, from the largest bounding box to the smallest.
    #[getter]
    fn left_out(&self) -> Vec<LeftOut> {
        self.reading.left_out.iter().copied().map(LeftOut).collect()
    }

    /// What was noticed about the picture: `blank`, `inverted`, `rotated`, `no_digits`, `off_center`, `multiple_digits`,
    /// `no_outlier_class`, `doubtful_mark`, `left_out_digit_sized`, `more_left_out`.
    #[getter]
    fn remarks(&self) -> Vec<&'static str> {
        self.reading.remarks.iter().map(|remark| remark.code()).collect()
    }

    /// The lowest confidence of the digits, or `None` if there are no digits.
    #[getter]
    fn min_confidence(&self) -> Option<f64> {
        self.reading.min_confidence().map(shortest)
    }

    /// Returns the digits alone, with `\n` between lines and `?` for rejected candidates.
    fn digits_only(&self) -> String {
        self.reading.digits_only()
    }

    /// Returns the texts of the cells row by row, each with as many columns as the widest. Cells that don't exist are
    /// empty.
    fn rows(&self) -> Vec<Vec<&str>> {
        self.reading.rows()
    }

    /// Returns the picture with boxes and answers, as PNG.
    ///
    /// The picture is the one that `Recognizer.read` was given, or `picture`: anything that `read` takes. A reading of
    /// `read_many`, or one that was pickled, keeps no picture.
    ///
    /// Raises `ValueError` without a picture, and the errors of `read`.
    #[pyo3(signature = (picture = None))]
    fn to_png<'py>(
        &self,
        py: Python<'py>,
        picture: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let given = picture.map(Picture::extract).transpose()?;
        let options = DecodeOptions { page: None, max_megapixels: DEFAULT_MAX_MEGAPIXELS };
        let kept = self.picture.as_ref().map(|(picture, options)| (picture, *options));
        let (picture, options) =
            given.as_ref().map(|picture| (picture, options)).or(kept).ok_or_else(|| {
                PyValueError::new_err(
                    "picture: expected the picture, which this reading does not keep, found None",
                )
            })?;
        let draw = || {
            let canvas = |view: &ImageView| figure::digit_boxes(&view.to_gray(), &self.reading);
            picture.with_view(options, canvas)?.to_png()
        };
        Ok(PyBytes::new(py, &pool::run(py, draw)?.or_raise()?))
    }

    /// Returns the picture with boxes and answers for a notebook, or `None` if this reading keeps no picture.
    fn _repr_png_<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.picture.as_ref().map(|_| self.to_png(py, None)).transpose()
    }

    fn __repr__(&self) -> String {
        let confidence = self.min_confidence().map_or("None".to_owned(), |value| format!("{value:?}"));
        let recognize::Reading { text, digits, .. } = &self.reading;
        let digits = digits.len();
        let remarks = self.remarks().join("', '");
        let remarks = if remarks.is_empty() { remarks } else { format!("'{remarks}'") };
        format!("Reading(text={text:?}, digits={digits}, min_confidence={confidence}, remarks=[{remarks}])")
    }
}
