//! Handlers for a stop signal, in the language of the program.

use super::cure::cure;
use crate::cause::{Cure, Language};
use crate::signal;

/// A handler in the program's own language.
pub(super) fn handler(language: Language, number: u8) -> Cure {
    let name = signal::name(number);
    let (fence, code) = match language {
        Language::Go => ("go", GO),
        Language::Python => ("python", PYTHON),
        Language::Node => ("javascript", NODE),
        Language::Java => ("java", JAVA),
        Language::Ruby => ("ruby", RUBY),
        Language::Php => ("php", PHP),
        Language::Perl => ("perl", PERL),
        Language::DotNet => ("csharp", DOT_NET),
        Language::Rust => ("rust", RUST),
        Language::Shell => ("sh", SHELL),
        Language::Erlang | Language::Native | Language::Unknown => ("c", NATIVE),
    };
    cure(
        format!("Give the program a handler for {name} that finishes its work and exits."),
        fence,
        code.replace("SIGTERM", &name)
            .replace("@COMMAND", "app")
            .replace("@TERM", name.trim_start_matches("SIG")),
    )
}

const GO: &str = "\
ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
defer stop()
<-ctx.Done()
server.Shutdown(context.Background())
";

const PYTHON: &str = "\
import signal, sys
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
";

const NODE: &str = "\
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
});
";

const JAVA: &str = "\
Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop()));
";

const RUBY: &str = "\
trap('SIGTERM') { exit }
";

const PHP: &str = "\
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () { exit(0); });
";

const PERL: &str = "\
$SIG{@TERM} = sub { exit 0 };
";

const DOT_NET: &str = "\
using var handler = PosixSignalRegistration.Create(
    PosixSignal.SIGTERM, context => lifetime.StopApplication());
";

const RUST: &str = "\
// tokio
let mut stop = tokio::signal::unix::signal(SignalKind::terminate())?;
stop.recv().await;
server.shutdown().await;
";

pub(super) const SHELL: &str = "\
trap 'kill -@TERM \"$child\"' @TERM
@COMMAND &
child=$!
wait \"$child\" # the trap interrupts it
wait \"$child\" # until it has ended
";

const NATIVE: &str = "\
static volatile sig_atomic_t stopping;
static void stop(int number) { (void)number; stopping = 1; }

struct sigaction action = { .sa_handler = stop };
sigaction(SIGTERM, &action, NULL);
";
