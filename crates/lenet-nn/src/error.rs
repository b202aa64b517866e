/// Errors returned by this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The layers of a network don't fit together.
    #[error("layer {layer}: expected {expected}, found {found}")]
    Architecture {
        /// The name of the layer.
        layer: String,
        /// What it can take.
        expected: String,
        /// What it is given.
        found: String,
    },
    /// A setting asks for something impossible.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// The name of the setting.
        name: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// An [`Error::Setting`] unless the setting is `good`.
pub(crate) fn ensure(name: &str, good: bool, expected: &str, found: impl ToString) -> Result<(), Error> {
    if good {
        return Ok(());
    }
    Err(Error::Setting { name: name.into(), expected: expected.into(), found: found.to_string() })
}
