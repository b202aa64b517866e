//! The samples of one thread's chunk of a batch: digits, replaced and augmented, or drawn samples.

use super::recipe::Recipe;
use crate::{
    CLASSES, Dataset, Error, PIXELS,
    data::{
        Task,
        augment::Augmenter,
        synthetic::{
            MARK_SAMPLE_PIXELS, MarkSample, SyntheticFractions, SyntheticSample,
            page::{self, LABEL_NAMES, PagePatch},
        },
    },
    image::Mark,
    nn::Targets,
};

/// Makes the samples of a chunk for a task.
///
/// The random numbers of a sample follow from the key of the step and the sample's position in the batch, so that they do
/// not depend on the number of threads.
pub(super) enum SampleSource {
    /// For [`Task::Digits`].
    Digits(Box<DigitSource>),
    /// For [`Task::Ink`] and [`Task::Marks`].
    Drawn(DrawnSource),
}

impl SampleSource {
    /// Allocates the buffers for chunks of at most `samples`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if a strength of the augmentation is out of its range.
    pub fn new(task: Task, recipe: &Recipe, samples: usize) -> Result<Self, Error> {
        Ok(match task {
            Task::Digits => Self::Digits(Box::new(DigitSource::new(recipe, samples)?)),
            Task::Ink => Self::Drawn(DrawnSource::of_page_patches(samples)),
            Task::Marks => Self::Drawn(DrawnSource::of_marks(samples)),
        })
    }
}

/// Draws samples with digits of a dataset.
pub(super) struct DrawnSource {
    draw: fn(u64, &Dataset) -> DrawnSample,
    /// Lengths of the pixels and of the targets of a sample.
    lens: [usize; 2],
    /// `(sample, pixel)`
    pixels: Vec<u8>,
    /// `(sample, target)`
    targets: Vec<f32>,
}

/// The pixels and the targets of a sample.
type DrawnSample = (Vec<u8>, Vec<f32>);

/// Number of pixels of a patch.
const PATCH_PIXELS: usize = page::PATCH_SIDE * page::PATCH_SIDE;

impl DrawnSource {
    fn new(lens: [usize; 2], draw: fn(u64, &Dataset) -> DrawnSample, samples: usize) -> Self {
        let [pixels, targets] = lens.map(|len| samples * len);
        Self { draw, lens, pixels: Vec::with_capacity(pixels), targets: Vec::with_capacity(targets) }
    }

    fn of_page_patches(samples: usize) -> Self {
        let draw = |key, digits: &Dataset| {
            let PagePatch { pixels, targets } = PagePatch::draw(key, digits);
            (pixels, targets)
        };
        Self::new([PATCH_PIXELS, LABEL_NAMES.len() * PATCH_PIXELS], draw, samples)
    }

    fn of_marks(samples: usize) -> Self {
        let draw = |key, digits: &Dataset| {
            let MarkSample { pixels, mark } = MarkSample::draw(key, digits);
            (pixels, Mark::ALL.map(|other| if mark == Some(other) { 1.0 } else { 0.0 }).to_vec())
        };
        Self::new([MARK_SAMPLE_PIXELS, Mark::ALL.len()], draw, samples)
    }

    /// Returns the pixels and the targets of `samples` samples with digits of `data`. `first` is the position of the first
    /// one in the batch.
    pub fn draw(
        &mut self,
        data: &Dataset,
        samples: usize,
        key: u64,
        first: usize,
    ) -> (impl ExactSizeIterator<Item = &[u8]>, impl Iterator<Item = &[f32]>) {
        self.pixels.clear();
        self.targets.clear();
        for position in first..first + samples {
            let (pixels, targets) = (self.draw)(random_key_of_sample(key, position), data);
            self.pixels.extend_from_slice(&pixels);
            self.targets.extend_from_slice(&targets);
        }
        let [pixels, targets] = self.lens;
        (self.pixels.chunks_exact(pixels), self.targets.chunks_exact(targets))
    }
}

/// Replaces digits by synthetic ones and augments them, as the recipe says.
pub(super) struct DigitSource {
    synthetic: Option<SyntheticFractions>,
    augmenter: Option<Augmenter>,
    /// The replacement of each sample of the chunk, if any; empty without synthetic data.
    replacements: Vec<Option<SyntheticSample>>,
    /// Transformed images of the chunk `(sample, row, column)`; empty if nothing changes images.
    images: Vec<u8>,
}

impl DigitSource {
    /// Allocates the buffers for chunks of at most `samples`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if a strength of the augmentation is out of its range.
    pub fn new(recipe: &Recipe, samples: usize) -> Result<Self, Error> {
        let Recipe { synthetic, augmentation, .. } = *recipe;
        let changes_images = synthetic.is_some() || augmentation.is_some();
        Ok(Self {
            synthetic,
            augmenter: augmentation.map(Augmenter::new).transpose()?,
            replacements: Vec::with_capacity(if synthetic.is_some() { samples } else { 0 }),
            images: vec![0; if changes_images { samples * PIXELS } else { 0 }],
        })
    }

    /// Returns the images and the targets of a chunk: the samples of `data` at `indices`, or their replacements, augmented.
    ///
    /// `first` is the position of the chunk's first sample in the batch. `targets` are those of the whole dataset.
    pub fn apply<'a>(
        &'a mut self,
        data: &'a Dataset,
        targets: Targets<'a>,
        indices: &'a [u32],
        key: u64,
        first: usize,
    ) -> (impl ExactSizeIterator<Item = &'a [u8]>, impl Iterator<Item = [f32; CLASSES]>) {
        let Self { synthetic, augmenter, replacements, images } = self;
        replacements.clear();
        if let Some(synthetic) = synthetic {
            let keys = (first..first + indices.len()).map(|position| random_key_of_sample(key, position));
            replacements.extend(keys.map(|key| synthetic.replacement(key, data)));
        }
        let replacements = &*replacements;
        let replacement = |sample: usize| replacements.get(sample).and_then(Option::as_ref);

        let mut buffers = images.chunks_exact_mut(PIXELS);
        let images = indices.iter().enumerate().map(move |(sample, &index)| {
            let original = data.image(index as usize);
            let Some(buffer) = buffers.next() else { return original };
            let synthetic = replacement(sample).map(|replacement| replacement.render(data));
            let image = synthetic.as_ref().map_or(original, |image| image);
            match augmenter {
                Some(augmenter) => {
                    augmenter.augment(image, random_key_of_sample(key, first + sample), buffer)
                }
                None => buffer.copy_from_slice(image),
            }
            &*buffer
        });
        let targets = indices.iter().enumerate().map(move |(sample, &index)| {
            replacement(sample).map_or_else(
                || {
                    let mut row = [0.0; CLASSES];
                    targets.write_row(index as usize, &mut row);
                    row
                },
                |replacement| replacement.target(targets),
            )
        });
        (images, targets)
    }
}

/// Returns the key of the random numbers of the sample at a position in its batch.
fn random_key_of_sample(key: u64, position: usize) -> u64 {
    // Dropout counts in the lower half of the key.
    key ^ ((position as u64 + 1) << 32)
}
