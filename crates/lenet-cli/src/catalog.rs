//! The architectures and the trained networks that the program has by name.

use clap::ValueEnum;
use lenet::{
    models,
    nn::{Architecture, Network},
    pretrained,
    weights::Provenance,
};

/// A value `ARCHITECTURE` of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchitectureName {
    /// One hidden layer of 784 units: the tutorial's "Baseline"
    Mlp,
    /// One convolution, overlapping max pooling, one hidden layer
    Cnn,
    /// LeNet-5 (LeCun et al. 1998) in the form that is taught today
    Lenet5,
    /// Pairs of 3x3 convolutions with batch normalization: slower and more accurate
    Vgg,
    /// vgg with more channels, for other people's handwriting; earlier name: handwriting
    #[value(name = "vgg_wide", alias = "handwriting")]
    VggWide,
    /// Three small convolutions with batch normalization: 5.3 kB as C source of 8 bits
    Micro,
    /// Convolutions that tell ink from rules for each pixel of a page
    Ink,
    /// Convolutions that tell points, commas, slashes and other marks from digits
    Marks,
}

impl ArchitectureName {
    /// Returns the name on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
            Self::Lenet5 => "lenet5",
            Self::Vgg => "vgg",
            Self::VggWide => "vgg_wide",
            Self::Micro => "micro",
            Self::Ink => "ink",
            Self::Marks => "marks",
        }
    }

    /// Returns the architecture with this name or earlier name, or `None` for an unknown name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// Returns the layers.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Mlp => models::mlp(),
            Self::Cnn => models::cnn(),
            Self::Lenet5 => models::lenet5(),
            Self::Vgg => models::vgg(),
            Self::VggWide => models::vgg_wide(),
            Self::Micro => models::micro(),
            Self::Ink => models::ink(),
            Self::Marks => models::marks(),
        }
    }

    /// Returns whether networks of this architecture classify digits.
    pub fn is_for_digits(self) -> bool {
        !matches!(self, Self::Ink | Self::Marks)
    }

    /// Returns the built-in network of this architecture, if there is one.
    pub fn pretrained(self) -> Option<PretrainedName> {
        PretrainedName::value_variants().iter().copied().find(|weights| weights.architecture() == self)
    }
}

/// A trained network inside the program: a value `WEIGHTS` of the command line that is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PretrainedName {
    /// [`pretrained::lenet5`]
    Lenet5,
    /// [`pretrained::vgg`]
    Vgg,
    /// [`pretrained::handwriting`]
    Handwriting,
    /// [`pretrained::micro`]
    Micro,
    /// [`pretrained::ink`]
    Ink,
    /// [`pretrained::marks`]
    Marks,
}

impl PretrainedName {
    /// Returns the network with this name, or `None` for an unknown name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// Returns the name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lenet5 => "lenet5",
            Self::Vgg => "vgg",
            Self::Handwriting => "handwriting",
            Self::Micro => "micro",
            Self::Ink => "ink",
            Self::Marks => "marks",
        }
    }

    /// Returns the network and how it was trained.
    pub fn load(self) -> (Network, Provenance) {
        match self {
            Self::Lenet5 => pretrained::lenet5(),
            Self::Vgg => pretrained::vgg(),
            Self::Handwriting => pretrained::handwriting(),
            Self::Micro => pretrained::micro(),
            Self::Ink => pretrained::ink(),
            Self::Marks => pretrained::marks(),
        }
    }

    fn architecture(self) -> ArchitectureName {
        match self {
            Self::Lenet5 => ArchitectureName::Lenet5,
            Self::Vgg => ArchitectureName::Vgg,
            Self::Handwriting => ArchitectureName::VggWide,
            Self::Micro => ArchitectureName::Micro,
            Self::Ink => ArchitectureName::Ink,
            Self::Marks => ArchitectureName::Marks,
        }
    }
}

/// The trained network that recognizes digits in images where the user names none.
pub const DEFAULT_RECOGNIZER: &str = "handwriting";
