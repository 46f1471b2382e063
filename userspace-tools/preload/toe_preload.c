// SPDX-License-Identifier: GPL-2.0
/*
 * libtoe_preload.so: a program's TCP sockets become AF_TOE sockets.
 *
 * Loaded ahead of the C library (LD_PRELOAD, see toe_run(1)), it replaces
 * socket(2) and nothing else: socket(AF_INET or AF_INET6, SOCK_STREAM, 0 or
 * IPPROTO_TCP) is asked for with protocol IPPROTO_TOE. Where the kernel has
 * none, the program gets the TCP socket it wanted.
 *
 * The replacement is as async-signal-safe and thread-safe as the call itself:
 * it allocates nothing, takes no lock and writes nothing anywhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toe.h"

#define EXPORT __attribute__((visibility("default")))

/* Read once: the program may change its environment while threads make sockets. */
static bool disabled;

__attribute__((constructor)) static void read_environment(void)
{
	const char *value = getenv("TOE_RUN_DISABLE");

	disabled = value && *value && strcmp(value, "0") != 0;
}

static bool is_tcp(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) &&
	       (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP);
}

/*
 * By syscall(2), not by the next socket() that dlsym() finds: dlsym() is not
 * async-signal-safe, and the C library's socket() does just this.
 */
EXPORT int socket(int domain, int type, int protocol)
{
	int errno_before = errno;
	int fd;

	if (!disabled && is_tcp(domain, type, protocol)) {
		fd = syscall(SYS_socket, domain, type, IPPROTO_TOE);
		if (fd >= 0 || errno != EPROTONOSUPPORT)
			return fd;
		errno = errno_before;
	}
	return syscall(SYS_socket, domain, type, protocol);
}
