//! Why a report can't be made.

/// Why a report can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No epoch has ended.
    #[error("report: expected at least 1 epoch, found none")]
    NoEpochs,
    /// An error of the network.
    #[error(transparent)]
    Network(#[from] lenet::nn::Error),
    /// The recipe can't be written as TOML.
    #[error("recipe: {0}")]
    Recipe(#[from] toml::ser::Error),
    /// An image can't be written as PNG.
    #[error("image: {0}")]
    Image(#[from] png::EncodingError),
}
