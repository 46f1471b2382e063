// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of toe_preload.c, which is linked in with syscall() replaced by one
 * that records what it is asked for (-Wl,--wrap=syscall).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "toe.h"

#define MAX_CALLS 4
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct call {
	int domain, type, protocol;
};

/*
 * Not static, since the C library's header promises the compiler that socket()
 * calls nothing in this file.
 */
struct call calls[MAX_CALLS];
int ncalls;

/* What the kernel says to IPPROTO_TOE (0: a descriptor) and to all else. */
int toe_errno, other_errno;

long __wrap_syscall(long number, ...)
{
	struct call *call = &calls[ncalls];
	int error;
	va_list ap;

	if (number != SYS_socket || ncalls == MAX_CALLS)
		abort();
	va_start(ap, number);
	call->domain = va_arg(ap, int);
	call->type = va_arg(ap, int);
	call->protocol = va_arg(ap, int);
	va_end(ap);
	ncalls++;

	error = call->protocol == IPPROTO_TOE ? toe_errno : other_errno;
	if (error) {
		errno = error;
		return -1;
	}
	return call->protocol == IPPROTO_TOE ? 100 : 200;
}

static int failed;

#define CHECK(condition)							\
	do {									\
		if (!(condition)) {						\
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);	\
			failed = 1;						\
		}								\
	} while (0)

static int make(int domain, int type, int protocol)
{
	ncalls = 0;
	errno = EXDEV;
	return socket(domain, type, protocol);
}

static void test_tcp_becomes_toe(void)
{
	static const int domains[] = { AF_INET, AF_INET6 };
	static const int flags[] = { 0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK };
	static const int protocols[] = { 0, IPPROTO_TCP };

	for (int d = 0; d < 2; d++)
		for (int f = 0; f < 4; f++)
			for (int p = 0; p < 2; p++) {
				CHECK(make(domains[d], SOCK_STREAM | flags[f], protocols[p]) == 100);
				CHECK(ncalls == 1);
				CHECK(calls[0].domain == domains[d]);
				CHECK(calls[0].type == (SOCK_STREAM | flags[f]));
				CHECK(errno == EXDEV);
			}
}

static void test_all_else_stays(void)
{
	static const struct call others[] = {
		{ AF_INET, SOCK_DGRAM, 0 },
		{ AF_INET6, SOCK_RAW, IPPROTO_TCP },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP },
		{ AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
		{ AF_UNIX, SOCK_STREAM, 0 },
		{ AF_NETLINK, SOCK_DGRAM, 16 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++) {
		CHECK(make(others[i].domain, others[i].type, others[i].protocol) == 200);
		CHECK(ncalls == 1);
		CHECK(calls[0].domain == others[i].domain);
		CHECK(calls[0].type == others[i].type);
		CHECK(calls[0].protocol == others[i].protocol);
	}
}

static void test_falls_back_without_the_module(void)
{
	toe_errno = EPROTONOSUPPORT;
	CHECK(make(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) == 200);
	CHECK(ncalls == 2);
	CHECK(calls[1].type == (SOCK_STREAM | SOCK_CLOEXEC));
	CHECK(calls[1].protocol == IPPROTO_TCP);
	CHECK(errno == EXDEV);

	other_errno = EMFILE;
	CHECK(make(AF_INET, SOCK_STREAM, 0) == -1);
	CHECK(errno == EMFILE);
	toe_errno = 0;
	other_errno = 0;
}

static void test_other_errors_are_the_programs(void)
{
	toe_errno = EMFILE;
	CHECK(make(AF_INET, SOCK_STREAM, 0) == -1);
	CHECK(ncalls == 1);
	CHECK(errno == EMFILE);
	toe_errno = 0;
}

static void test_disabled(void)
{
	CHECK(make(AF_INET, SOCK_STREAM, 0) == 200);
	CHECK(ncalls == 1);
}

int main(void)
{
	const char *disable = getenv("TOE_RUN_DISABLE");

	test_all_else_stays();
	if (disable && *disable == '1') {
		test_disabled();
	} else {
		test_tcp_becomes_toe();
		test_falls_back_without_the_module();
		test_other_errors_are_the_programs();
	}
	printf("test_preload: %s\n", failed ? "FAILED" : "ok");
	return failed;
}
