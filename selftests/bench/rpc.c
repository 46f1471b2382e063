// SPDX-License-Identifier: GPL-2.0
/*
 * Request and reply: -c connections, one request under way on each, -n of them
 * measured after -w, or a tenth as many, to warm up. The server is this program with -s
 * at port -p, which echoes, or memcached at port -m, asked for a key of 32 bytes
 * with a value of 32 bytes. Prints one JSON object: time, instructions, latency
 * percentiles. Address and stack come from the environment, see lib/net.h.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "measure.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define VALUE "fedcba9876543210fedcba9876543210"
#define MAX_BYTES 4096
#define EVENTS 64

static struct {
	bool serve;
	unsigned int operations, warm_up, connections, bytes, port, memcached_port;
} opt = {
	.operations = 10000,
	.connections = 1,
	.bytes = 64,
};

/* What is sent and how long the reply is. */
static struct {
	char request[MAX_BYTES];
	size_t request_len, reply_len;
} rpc;

struct conn {
	int fd;
	size_t seen;			/* of the reply */
	struct timespec start;
};

static void watch(int epfd, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
}

static void run_server(void)
{
	struct epoll_event events[EVENTS];
	int listener = net_listener_at(opt.port, opt.connections);
	int epfd = epoll_create1(0);
	unsigned int i;

	for (i = 0; i < opt.connections; i++) {
		int fd = net_accept(listener);

		net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		watch(epfd, fd, (void *)(long)fd);
	}
	for (;;) {
		int n = epoll_wait(epfd, events, EVENTS, -1);

		for (i = 0; (int)i < n; i++) {
			int fd = (long)events[i].data.ptr;
			char buf[MAX_BYTES];
			ssize_t len = recv(fd, buf, sizeof(buf), 0);

			if (len <= 0)
				return;
			net_send_all(fd, buf, len);
		}
	}
}

static int open_connection(const union net_addr *to)
{
	int fd = net_socket(&net.client, 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, connect(fd, &to->sa, net_addr_len(to)));
	net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

static void ask(struct conn *conn)
{
	conn->seen = 0;
	clock_gettime(CLOCK_MONOTONIC, &conn->start);
	net_send_all(conn->fd, rpc.request, rpc.request_len);
}

static uint32_t elapsed_ns(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000000 + now.tv_nsec - start->tv_nsec;
}

/* @count requests and replies over all connections; latencies are put in @ns. */
static void run_round(int epfd, struct conn *conns, unsigned int count, uint32_t *ns)
{
	struct epoll_event events[EVENTS];
	unsigned int asked = 0, answered = 0;

	while (asked < count && asked < opt.connections)
		ask(&conns[asked++]);
	while (answered < count) {
		int i, n = epoll_wait(epfd, events, EVENTS, -1);

		for (i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;
			char buf[MAX_BYTES];
			ssize_t len = recv(conn->fd, buf, sizeof(buf), 0);

			ASSERT_GE(len, 1);
			conn->seen += len;
			if (conn->seen < rpc.reply_len)
				continue;
			ASSERT_EQ(rpc.reply_len, conn->seen);
			ns[answered++] = elapsed_ns(&conn->start);
			if (asked < count) {
				ask(conn);
				asked++;
			}
		}
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const uint32_t *sorted, double percent)
{
	size_t at = opt.operations * (percent / 100);

	return sorted[at < opt.operations ? at : opt.operations - 1] / 1000.0;
}

static void run_client(const union net_addr *to)
{
	struct conn *conns = calloc(opt.connections, sizeof(*conns));
	uint32_t *ns = calloc(opt.operations, sizeof(*ns));
	struct moment from, end;
	int epfd = epoll_create1(0);
	unsigned int i;

	ASSERT_TRUE(conns && ns);
	for (i = 0; i < opt.connections; i++) {
		conns[i].fd = open_connection(to);
		watch(epfd, conns[i].fd, &conns[i]);
	}
	/* No page of it is touched for the first time while it is measured. */
	memset(ns, 0xff, opt.operations * sizeof(*ns));
	run_round(epfd, conns, opt.warm_up ? opt.warm_up : opt.operations / 10 + 1, ns);
	from = moment_now();
	run_round(epfd, conns, opt.operations, ns);
	end = moment_now();
	qsort(ns, opt.operations, sizeof(*ns), by_value);
	printf("{\"operations\":%u,", opt.operations);
	moment_print(&from, &end);
	printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p9999_us\":%.1f}\n",
	       percentile_us(ns, 50), percentile_us(ns, 99), percentile_us(ns, 99.99));
}

static void prepare_echo(void)
{
	memset(rpc.request, 'x', opt.bytes);
	rpc.request_len = rpc.reply_len = opt.bytes;
}

/* Stores the value that is then asked for. */
static void prepare_memcached(const union net_addr *to)
{
	static const char set[] = "set " KEY " 0 0 32\r\n" VALUE "\r\n";
	char buf[8];
	int fd = open_connection(to);

	net_send_all(fd, set, sizeof(set) - 1);
	net_recv_all(fd, buf, strlen("STORED\r\n"));
	ASSERT_EQ(0, memcmp(buf, "STORED\r\n", 8));
	close(fd);
	rpc.request_len = sprintf(rpc.request, "get %s\r\n", KEY);
	rpc.reply_len = strlen("VALUE " KEY " 0 32\r\n" VALUE "\r\nEND\r\n");
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "sn:w:c:b:p:m:")) != -1) {
		unsigned int value = optarg ? strtoul(optarg, NULL, 0) : 0;

		if (c == 's')
			opt.serve = true;
		else if (c == 'n')
			opt.operations = value;
		else if (c == 'w')
			opt.warm_up = value;
		else if (c == 'c')
			opt.connections = value;
		else if (c == 'b')
			opt.bytes = value;
		else if (c == 'p')
			opt.port = value;
		else if (c == 'm')
			opt.memcached_port = value;
		else
			opt.operations = 0;
	}
	if (!opt.operations || !opt.connections || !opt.bytes || opt.bytes > MAX_BYTES ||
	    opt.warm_up > opt.operations || !opt.port == !opt.memcached_port) {
		fprintf(stderr,
			"usage: rpc [-n OPERATIONS] [-w OPERATIONS] [-c CONNECTIONS] [-b BYTES] -p|-m PORT\n"
			"       rpc -s [-c CONNECTIONS] -p PORT\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	union net_addr to;

	parse_options(argc, argv);
	net_setup();
	if (opt.serve) {
		run_server();
		return 0;
	}
	to = net.server.addr;
	net_set_port(&to, opt.port + opt.memcached_port);
	if (opt.memcached_port)
		prepare_memcached(&to);
	else
		prepare_echo();
	run_client(&to);
	return 0;
}
