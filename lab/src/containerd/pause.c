// PID 1 of a pod: holds its namespaces, reaps what it inherits, ends when asked to.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int signal)
{
	(void)signal;
	while (waitpid(-1, 0, WNOHANG) > 0)
		;
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

int main(void)
{
	struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
	struct sigaction on_term = {.sa_handler = end};
	sigaction(SIGCHLD, &on_child, 0);
	sigaction(SIGTERM, &on_term, 0);
	sigaction(SIGINT, &on_term, 0);
	for (;;)
		pause();
}
