//! Prints a page of a made-up cluster: `cargo run -p sexton-page --example cluster [NODES]`.

mod situation;

fn main() {
    let nodes = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let mut view = situation::cluster(nodes.unwrap_or(60));
    view.refresh = None;
    print!("{}", sexton_page::cluster(&view));
}
