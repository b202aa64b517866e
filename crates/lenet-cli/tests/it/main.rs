//! Tests of the program as its users meet it, a module for each topic.

mod fetch;
mod server;
