//! Everything that only the outside can judge: the library against oracles and real bytes.

mod golden; // PyTorch's answers
mod naive; // slow twins of every layer, loss and optimiser
