/// What the library can't do, and why: each says what was wrong, where, what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes or values from outside are not what their format says.
    #[error("{what}: expected {expected}, found {found}")]
    Malformed {
        /// The part that is wrong, such as "magic number".
        what: String,
        /// What the format asks for.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A network that can't be.
    #[error(transparent)]
    Network(#[from] lenet_nn::Error),
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

impl Error {
    pub(crate) fn malformed(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Malformed { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// An [`Error::Setting`] unless the setting is `good`.
pub(crate) fn ensure(name: &str, good: bool, expected: &str, found: impl ToString) -> Result<(), Error> {
    if good {
        return Ok(());
    }
    Err(Error::Setting { name: name.into(), expected: expected.into(), found: found.to_string() })
}
