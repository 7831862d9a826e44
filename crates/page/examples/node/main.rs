//! Prints the page of a made-up node: `cargo run -p sexton-page --example node > node.html`.
//! With `quiet`: of one without zombies; with `hostile`: of one whose processes try to be markup.

mod situation;

fn main() {
    let situation = match std::env::args().nth(1).as_deref() {
        Some("quiet") => situation::quiet(),
        Some("hostile") => situation::hostile(),
        _ => situation::busy(),
    };
    print!("{}", sexton_page::node(&situation.view()));
}
