// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_SKIP = 4 };

static struct test *first;
static struct test **last = &first;
static void (*setup_hook)(void);

/*
 * Shared with the children a test forks: their failures are the test's. Programs
 * that only use the library and run no TEST() count here.
 */
static int own_failures;
static volatile int *failures = &own_failures;

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

void test_setup(void (*setup)(void))
{
	setup_hook = setup;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	__atomic_add_fetch(failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: %s\n", file, line, text);
	fflush(stdout);
}

void test_abort(void)
{
	_exit(EXIT_FAIL);
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	printf("# skipped: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(EXIT_SKIP);
}

static void run_child(const struct test *test)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setup_hook)
		setup_hook();
	test->run();
	fflush(stdout);
	_exit(*failures ? EXIT_FAIL : EXIT_PASS);
}

/* Wait for @pid up to @seconds; SIGCHLD is blocked by the caller. */
static bool wait_child(pid_t pid, int seconds, int *status)
{
	struct timespec now, end;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	while (waitpid(pid, status, WNOHANG) != pid) {
		struct timespec left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec)
			return false;
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = 0;
		sigtimedwait(&set, NULL, &left);
	}
	return true;
}

static int run_one(const struct test *test)
{
	sigset_t set, old;
	int status = 0;
	bool ended;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	*failures = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("# fork");
		exit(1);
	}
	if (!pid) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		run_child(test);
	}
	setpgid(pid, pid);
	ended = wait_child(pid, test->timeout, &status);
	kill(-pid, SIGKILL);
	if (!ended) {
		waitpid(pid, &status, 0);
		printf("# %s: still running after %d s\n", test->name, test->timeout);
		status = EXIT_FAIL << 8;
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (WIFSIGNALED(status)) {
		printf("# %s: killed by signal %d\n", test->name, WTERMSIG(status));
		return EXIT_FAIL;
	}
	if (WEXITSTATUS(status) == EXIT_PASS && *failures)
		return EXIT_FAIL;
	return WEXITSTATUS(status);
}

static bool selected(const struct test *test, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!fnmatch(argv[i], test->name, 0))
			return true;
	return argc < 2;
}

/* Arguments are shell patterns of the names of the tests to run. */
int test_run_all(int argc, char **argv)
{
	int failed = 0, planned = 0, number = 0;
	struct test *test;

	failures = mmap(NULL, sizeof(*failures), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (failures == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (test = first; test; test = test->next)
		planned += selected(test, argc, argv);
	printf("KTAP version 1\n1..%d\n", planned);
	for (test = first; test; test = test->next) {
		int result;

		if (!selected(test, argc, argv))
			continue;
		result = run_one(test);
		failed += result != EXIT_PASS && result != EXIT_SKIP;
		printf("%s %d %s%s\n",
		       result == EXIT_PASS || result == EXIT_SKIP ? "ok" : "not ok",
		       ++number, test->name,
		       result == EXIT_SKIP ? " # SKIP" : "");
		fflush(stdout);
	}
	return failed != 0;
}
