//! Pictures made of the digits of MNIST, as others would photograph, scan or draw them. The same seed makes the same.

use std::io::Cursor;

use fastrand::Rng;
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};
use lenet::{Dataset, SIDE, checkpoint, image::Picture, recognize::Recognizer};

/// A grey picture.
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    /// (row, column): ink from 0 to 1 while it is drawn, light from 0 to 255 when it is done
    pub values: Vec<f32>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// The ink of an image, without the empty columns around it.
    fn digit(image: &[u8]) -> Self {
        let filled = |x: &usize| (0..SIDE).any(|y| image[y * SIDE + x] > 0);
        let (left, right) = ((0..SIDE).find(filled).unwrap(), (0..SIDE).rfind(filled).unwrap() + 1);
        let mut digit = Self::new(right - left, SIDE);
        for (index, value) in digit.values.iter_mut().enumerate() {
            *value = f32::from(image[index / (right - left) * SIDE + left + index % (right - left)]) / 255.0;
        }
        digit
    }

    /// Draws `other` with its corner at column `x` and row `y`; the darker ink wins.
    fn draw(&mut self, other: &Self, x: usize, y: usize) {
        for (row, values) in other.values.chunks(other.width).enumerate() {
            for (old, new) in self.values[(y + row) * self.width + x..].iter_mut().zip(values) {
                *old = old.max(*new);
            }
        }
    }

    /// Enlarged, with the values between the old ones interpolated.
    fn enlarge(&self, scale: usize) -> Self {
        let mut large = Self::new(self.width * scale, self.height * scale);
        let old =
            |x: usize, y: usize| self.values[y.min(self.height - 1) * self.width + x.min(self.width - 1)];
        for (index, value) in large.values.iter_mut().enumerate() {
            let place = |new: usize| ((new as f32 + 0.5) / scale as f32 - 0.5).max(0.0);
            let (x, y) = (place(index % (self.width * scale)), place(index / (self.width * scale)));
            let (left, top) = (x as usize, y as usize);
            let (a, b) = (x.fract(), y.fract());
            *value = (old(left, top) * (1.0 - a) + old(left + 1, top) * a) * (1.0 - b)
                + (old(left, top + 1) * (1.0 - a) + old(left + 1, top + 1) * a) * b;
        }
        large
    }

    /// With margins of random width around it.
    fn place(&self, most: usize, random: &mut Rng) -> Self {
        let mut margin = || random.usize(2..=most.max(2));
        let (left, right, top, bottom) = (margin(), margin(), margin(), margin());
        let mut page = Self::new(left + self.width + right, top + self.height + bottom);
        page.draw(self, left, top);
        page
    }

    /// Ink on paper in uneven light, taken by a noisy camera: 8 bits of light.
    fn photograph(mut self, random: &mut Rng) -> Self {
        let light_on_dark = random.bool();
        let contrast = 0.5 + 0.5 * random.f32();
        // A soft edge of a shadow, anywhere and at any angle.
        let (sin, cos) = (random.f32() * std::f32::consts::TAU).sin_cos();
        let (depth, softness) = (0.5 * random.f32(), 0.05 + random.f32());
        let (x0, y0) = (random.f32() * self.width as f32, random.f32() * self.height as f32);
        let noise = 16.0 * random.f32();
        let (width, side) = (self.width, self.width.max(self.height) as f32);
        for (index, value) in self.values.iter_mut().enumerate() {
            let (x, y) = ((index % width) as f32 - x0, (index / width) as f32 - y0);
            let along = (x * cos + y * sin) / side / softness;
            let light = 1.0 - depth / (1.0 + (-4.0 * along).exp());
            let ink = contrast * *value;
            let shade = if light_on_dark { 0.1 + 0.9 * ink } else { 1.0 - ink };
            // The sum of four uniform values is nearly normal.
            let bell: f32 = (0..4).map(|_| random.f32() - 0.5).sum::<f32>() * 3_f32.sqrt();
            *value = (240.0 * shade * light + noise * bell).clamp(0.0, 255.0).round();
        }
        self
    }

    /// 8 bits of light: (row, column).
    pub fn bytes(&self) -> Vec<u8> {
        self.values.iter().map(|&value| value as u8).collect()
    }

    /// As it comes back from JPEG.
    fn compressed(&self, random: &mut Rng) -> Self {
        let mut file = Vec::new();
        let size = (self.width as u32, self.height as u32);
        JpegEncoder::new_with_quality(&mut file, random.u8(40..=90))
            .write_image(&self.bytes(), size.0, size.1, ExtendedColorType::L8)
            .unwrap();
        let decoded =
            image::ImageReader::new(Cursor::new(file)).with_guessed_format().unwrap().decode().unwrap();
        let values = decoded.to_luma8().into_raw().into_iter().map(f32::from).collect();
        Self { values, ..*self }
    }
}

/// One digit a picture: `count` digits of `data` 2 to 8 times as large, inverted or not, anywhere, in uneven light, with
/// noise, through JPEG; each with what it shows.
pub fn singles(data: &Dataset, count: usize, seed: u64) -> impl Iterator<Item = (Canvas, String)> {
    let mut random = Rng::with_seed(seed);
    (0..count).map(move |_| {
        let index = random.usize(..data.len());
        let digit = Canvas::digit(data.image(index)).enlarge(random.usize(2..=8));
        let page = digit.place(digit.height / 2, &mut random).photograph(&mut random);
        (page.compressed(&mut random), data.labels()[index].to_string())
    })
}

/// `count` strings of 2 to 8 digits with gaps from 6 pixels, at MNIST's scale, to an overlap of 2; each with what it shows.
pub fn strings(data: &Dataset, count: usize, seed: u64) -> impl Iterator<Item = (Canvas, String)> {
    let mut random = Rng::with_seed(seed);
    (0..count).map(move |_| {
        let indices: Vec<_> = (0..random.usize(2..=8)).map(|_| random.usize(..data.len())).collect();
        let mut page = Canvas::new(8 * (SIDE + 6), SIDE + 4);
        let mut end = 2;
        for (place, &index) in indices.iter().enumerate() {
            let digit = Canvas::digit(data.image(index));
            let x = if place == 0 { end } else { (end + random.usize(0..=8)).saturating_sub(2) };
            page.draw(&digit, x, random.usize(0..=4));
            end = x + digit.width;
        }
        let mut line = Canvas::new(end + 2, SIDE + 4);
        for (new, old) in line.values.chunks_mut(end + 2).zip(page.values.chunks(page.width)) {
            new.copy_from_slice(&old[..end + 2]);
        }
        let line = line.enlarge(random.usize(1..=4)).place(SIDE, &mut random);
        let label = indices.iter().map(|&index| char::from(b'0' + data.labels()[index])).collect();
        (line.photograph(&mut random), label)
    })
}

#[test]
#[ignore = "measures; asserts nothing. The network in the file NETWORK must not have seen the last training images"]
fn accuracy_of_the_suite() {
    let file = std::fs::read(std::env::var_os("NETWORK").expect("NETWORK")).unwrap();
    let recognizer = Recognizer::new(checkpoint::from_bytes(&file).unwrap().0);
    let data = lenet_mnist::train().slice(50_000..60_000);
    let right = |suite: &mut dyn Iterator<Item = (Canvas, String)>| {
        let right = suite.map(|(canvas, label)| {
            let bytes = canvas.bytes();
            recognizer.read(&Picture::new(canvas.width, canvas.height, &bytes).unwrap()).text == label
        });
        let right: Vec<_> = right.collect();
        right.iter().filter(|&&right| right).count() as f64 / right.len() as f64
    };
    let (singles, strings) = (right(&mut singles(&data, 1000, 1)), right(&mut strings(&data, 1000, 2)));
    println!("of 1000 singles {singles} are right, of 1000 strings {strings}");
}
