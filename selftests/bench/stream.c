// SPDX-License-Identifier: GPL-2.0
/*
 * One connection carries -n MiB from the client to the server, in writes and
 * reads of 64 KiB. Prints one JSON object; an operation is one MiB. The ends and
 * their stacks come from the environment, see lib/net.h.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "measure.h"

#define CHUNK 65536
#define MIB (1ull << 20)

static char buf[CHUNK];

/* Takes @bytes and says so. */
static void receive(int fd, unsigned long long bytes)
{
	while (bytes) {
		ssize_t n = recv(fd, buf, bytes < CHUNK ? bytes : CHUNK, 0);

		ASSERT_GE(n, 1);
		bytes -= n;
	}
	net_send_all(fd, "x", 1);
}

static void deliver(int fd, unsigned long long bytes)
{
	char done;

	for (; bytes; bytes -= CHUNK)
		net_send_all(fd, buf, CHUNK);
	net_recv_all(fd, &done, 1);
}

int main(int argc, char **argv)
{
	unsigned long long mib = 1024;
	struct moment from, to;
	int listener, fd, c;
	pid_t server;

	while ((c = getopt(argc, argv, "n:")) != -1)
		mib = c == 'n' ? strtoull(optarg, NULL, 0) : 0;
	if (!mib) {
		fprintf(stderr, "usage: stream [-n MIB]\n");
		return 2;
	}
	net_setup();
	listener = net_listener(1);
	server = fork();
	ASSERT_GE(server, 0);
	if (!server) {
		fd = net_accept(listener);
		receive(fd, 16 * MIB);
		receive(fd, mib * MIB);
		_exit(0);
	}
	fd = net_connect(listener);
	deliver(fd, 16 * MIB);
	from = moment_now();
	deliver(fd, mib * MIB);
	to = moment_now();
	ASSERT_EQ(server, waitpid(server, NULL, 0));
	printf("{\"operations\":%llu,", mib);
	moment_print(&from, &to);
	puts("}");
	return 0;
}
