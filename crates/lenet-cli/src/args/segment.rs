//! The option that adds the ink network to a recognizer.

use lenet::{
    Error,
    nn::Network,
    recognize::{InkNetwork, Recognizer},
};

/// Whether pictures are segmented by the ink network.
#[derive(clap::Args)]
pub struct SegmentArgs {
    /// For images: also segment them into ink and rules, to read writing on ruled paper, in boxes and in tables
    ///
    /// Takes several times as long where the reading is uncertain, and reads more non-digits as digits.
    #[arg(long)]
    segment: bool,
}

impl SegmentArgs {
    /// Makes a recognizer that classifies with `network`.
    ///
    /// # Errors
    /// If the network is not for digits.
    pub fn recognizer(&self, network: Network) -> Result<Recognizer, Error> {
        let recognizer = Recognizer::new(network)?;
        Ok(if self.segment { recognizer.with_ink_network(InkNetwork::pretrained()) } else { recognizer })
    }
}
