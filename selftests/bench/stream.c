// SPDX-License-Identifier: GPL-2.0
/*
 * One connection carries -n MiB from the client to the server, or with -r from
 * the server to the client, in writes and reads of 64 KiB. The server is this
 * program with -s, at port -p. The client prints one JSON object; an operation is
 * one MiB. Address and stack come from the environment, see lib/net.h.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "measure.h"

#define CHUNK 65536
#define MIB (1ull << 20)
#define WARM_UP (16 * MIB)

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

static int connection(bool server, in_port_t port)
{
	union net_addr to = net.server.addr;
	int fd;

	if (server)
		return net_accept(net_listener_at(port, 1));
	net_set_port(&to, port);
	fd = net_socket(&net.client, 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, connect(fd, &to.sa, net_addr_len(&to)));
	return fd;
}

int main(int argc, char **argv)
{
	void (*part)(int fd, unsigned long long bytes);
	bool server = false, reverse = false;
	unsigned long long mib = 1024;
	struct moment from, to;
	in_port_t port = 0;
	int fd, c;

	while ((c = getopt(argc, argv, "srn:p:")) != -1) {
		if (c == 's')
			server = true;
		else if (c == 'r')
			reverse = true;
		else if (c == 'n')
			mib = strtoull(optarg, NULL, 0);
		else
			port = c == 'p' ? strtoul(optarg, NULL, 0) : 0;
	}
	if (!mib || !port) {
		fprintf(stderr, "usage: stream [-s] [-r] [-n MIB] -p PORT\n");
		return 2;
	}
	net_setup();
	part = server == reverse ? deliver : receive;
	fd = connection(server, port);
	part(fd, WARM_UP);
	from = moment_now();
	part(fd, mib * MIB);
	to = moment_now();
	if (server)
		return 0;
	printf("{\"operations\":%llu,", mib);
	moment_print(&from, &to);
	puts("}");
	return 0;
}
