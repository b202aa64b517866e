//! A dataset without files: the ten digits of a pixel font at random positions.

use lenet::{CLASSES, Dataset, PIXELS, SIDE};

/// Rows of 3 bits from the top, one octal digit each.
const FONT: [usize; CLASSES] =
    [0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717];
/// Pixels along each side of a bit.
const BIT: usize = 4;

/// Returns `count` images of digits, each class in turn, at pseudorandom positions that follow from `seed`.
pub fn draw(count: usize, seed: u64) -> Result<Dataset, lenet::Error> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut images = vec![0; count * PIXELS];
    for (index, image) in images.chunks_exact_mut(PIXELS).enumerate() {
        let (top, left) = (random.usize(2..SIDE - 5 * BIT - 2), random.usize(2..SIDE - 3 * BIT - 2));
        for (y, x) in (0..5 * BIT).flat_map(|y| (0..3 * BIT).map(move |x| (y, x))) {
            let bit = 14 - 3 * (y / BIT) - x / BIT;
            if FONT[index % CLASSES] >> bit & 1 == 1 {
                image[(top + y) * SIDE + left + x] = random.u8(180..);
            }
        }
    }
    Dataset::new(images, (0..count).map(|index| (index % CLASSES) as u8).collect())
}
