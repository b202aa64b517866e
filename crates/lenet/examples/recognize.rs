//! Recognizes digits in a picture, here one that is drawn by strokes of a pen.
//!
//! ```text
//! cargo run --release -p lenet --example recognize
//! ```

use std::error::Error;

use lenet::{image::Drawing, pretrained, recognize::Recognizer};

fn main() -> Result<(), Box<dyn Error>> {
    // Strokes are lists of points (x, y): here 1, 4 and 7.
    let strokes = [
        vec![[20.0, 30.0], [32.0, 20.0], [32.0, 80.0]],
        vec![[78.0, 20.0], [60.0, 55.0], [95.0, 55.0]],
        vec![[84.0, 40.0], [84.0, 80.0]],
        vec![[125.0, 22.0], [158.0, 22.0], [138.0, 80.0]],
    ];
    let drawing = Drawing::new(&strokes)?;

    let (network, _) = pretrained::handwriting();
    let recognizer = Recognizer::new(network)?;
    let reading = recognizer.read(&drawing.view());
    println!("text: {}", reading.text);
    for digit in &reading.digits {
        println!("{} with a confidence of {:.3} at {:?}", digit.digit, digit.confidence, digit.bounds);
    }
    Ok(())
}
