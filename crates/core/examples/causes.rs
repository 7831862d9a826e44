//! Prints `docs/causes.md` from the knowledge base.

fn main() {
    print!("{}", sexton_core::cause::handbook());
}
