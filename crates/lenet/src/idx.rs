//! IDX, the file format of MNIST.
