//! Prints the reference of the command line as Markdown: `cargo run -p lenet-cli --example cli_docs > docs/cli.md`

fn main() {
    print!("{}", lenet_cli::cli_docs::markdown());
}
