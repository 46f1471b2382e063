// SPDX-License-Identifier: GPL-2.0
/*
 * Both ends of one connection send seeded pseudo-random bytes at once, then the
 * SHA-256 of what they sent, then shut down their direction and go on receiving
 * until the other end has done the same. Each end compares every byte with the
 * stream it expects, so that a fault is reported with its offset, and checks the
 * digest. The ends and their stacks come from the environment, see lib/net.h;
 * TOE_TEST_DIVISOR there makes do with a part of the bytes, on a slow kernel.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "lib/sha256.h"
#include "lib/stream.h"

#define CHUNK 65536

enum mode { MODE_BLOCK, MODE_LEVEL, MODE_EDGE };

static struct {
	size_t bytes[2];	/* sent by the client, by the server */
	size_t max_write, max_read;
	int sndbuf, rcvbuf, mss;
	enum mode mode;
	uint64_t seed;
	unsigned int timeout;
	in_port_t port;		/* of the server, if the ends are of different machines */
	bool server_only, client_only;
} opt = {
	.bytes = { 1 << 20, 1 << 20 },
	.max_write = CHUNK,
	.max_read = CHUNK,
	.timeout = 300,
};

/* What one end still has to send. */
struct sender {
	struct stream stream, sizes;
	struct sha256 sha;
	size_t todo;		/* payload not yet in buf */
	uint8_t buf[CHUNK];
	size_t at, end;		/* filled and unsent part of buf */
	bool digest_sent;
};

/* What one end has received. */
struct receiver {
	struct stream stream, sizes;
	struct sha256 sha;
	size_t want, seen;	/* payload */
	uint8_t digest[SHA256_SIZE];
	size_t digest_seen;
	uint8_t buf[CHUNK], expected[CHUNK];
};

struct end {
	const char *name;
	int fd;
	struct sender tx;
	struct receiver rx;
};

static void fail(const struct end *end, const char *what)
{
	printf("# %s: %s: %s; sent all but %zu, received %zu of %zu bytes\n",
	       end->name, what, strerror(errno), end->tx.todo + end->tx.end - end->tx.at,
	       end->rx.seen, end->rx.want);
	fflush(stdout);
	_exit(1);
}

static void end_init(struct end *end, int fd, bool server)
{
	memset(end, 0, sizeof(*end));
	end->name = server ? "server" : "client";
	end->fd = fd;
	stream_init(&end->tx.stream, opt.seed + server);
	stream_init(&end->tx.sizes, opt.seed + 2 + server);
	sha256_init(&end->tx.sha);
	end->tx.todo = opt.bytes[server];
	stream_init(&end->rx.stream, opt.seed + !server);
	stream_init(&end->rx.sizes, opt.seed + 4 + server);
	sha256_init(&end->rx.sha);
	end->rx.want = opt.bytes[!server];
}

/* Makes the next bytes; false when everything has been sent. */
static bool refill(struct sender *tx)
{
	size_t n = tx->todo < CHUNK ? tx->todo : CHUNK;

	tx->at = 0;
	if (n) {
		stream_read(&tx->stream, tx->buf, n);
		sha256_update(&tx->sha, tx->buf, n);
		tx->todo -= n;
		tx->end = n;
		return true;
	}
	tx->end = 0;
	if (tx->digest_sent)
		return false;
	sha256_final(&tx->sha, tx->buf);
	tx->end = SHA256_SIZE;
	tx->digest_sent = true;
	return true;
}

/* One write; 1: progress, 0: would block, -1: all sent and shut down. */
static int send_some(struct end *end)
{
	struct sender *tx = &end->tx;
	size_t len;
	ssize_t n;

	if (tx->at == tx->end && !refill(tx)) {
		if (shutdown(end->fd, SHUT_WR))
			fail(end, "shutdown");
		return -1;
	}
	len = stream_size(&tx->sizes, opt.max_write);
	if (len > tx->end - tx->at)
		len = tx->end - tx->at;
	n = send(end->fd, tx->buf + tx->at, len, MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		fail(end, "send");
	tx->at += n;
	return 1;
}

static void check_payload(struct end *end, size_t n)
{
	struct receiver *rx = &end->rx;
	size_t i;

	stream_read(&rx->stream, rx->expected, n);
	sha256_update(&rx->sha, rx->buf, n);
	if (!memcmp(rx->buf, rx->expected, n))
		return;
	for (i = 0; rx->buf[i] == rx->expected[i]; i++)
		;
	printf("# %s: byte %zu of the stream is wrong: %02x instead of %02x (read of %zu at %zu)\n",
	       end->name, rx->seen + i, rx->buf[i], rx->expected[i], n, rx->seen);
	errno = EILSEQ;
	fail(end, "content");
}

static void check_end(struct end *end)
{
	uint8_t digest[SHA256_SIZE];
	struct receiver *rx = &end->rx;

	errno = 0;
	if (rx->seen != rx->want || rx->digest_seen != SHA256_SIZE)
		fail(end, "stream ended early");
	sha256_final(&rx->sha, digest);
	if (memcmp(digest, rx->digest, sizeof(digest)))
		fail(end, "SHA-256 differs");
}

/* One read; 1: progress, 0: would block, -1: end of the stream, all of it right. */
static int recv_some(struct end *end)
{
	struct receiver *rx = &end->rx;
	size_t len = stream_size(&rx->sizes, opt.max_read), payload;
	ssize_t n = recv(end->fd, rx->buf, len, 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		fail(end, "recv");
	if (!n) {
		check_end(end);
		return -1;
	}
	payload = rx->want - rx->seen;
	if (payload > (size_t)n)
		payload = n;
	check_payload(end, payload);
	rx->seen += payload;
	n -= payload;
	if (rx->digest_seen + n > SHA256_SIZE) {
		errno = EMSGSIZE;
		fail(end, "bytes after the end");
	}
	memcpy(rx->digest + rx->digest_seen, rx->buf + payload, n);
	rx->digest_seen += n;
	return 1;
}

static void *blocking_sender(void *arg)
{
	while (send_some(arg) > 0)
		;
	return NULL;
}

static void run_blocking(struct end *end)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, blocking_sender, end);
	if (errno)
		fail(end, "pthread_create");
	while (recv_some(end) > 0)
		;
	pthread_join(thread, NULL);
}

static void run_epoll(struct end *end, bool edge)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | (edge ? EPOLLET : 0) };
	bool sending = true, receiving = true;
	int epfd = epoll_create1(0);

	net_set_nonblock(end->fd, true);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, end->fd, &event))
		fail(end, "epoll");
	while (sending || receiving) {
		struct epoll_event seen;
		int result;

		if (epoll_wait(epfd, &seen, 1, -1) < 0)
			fail(end, "epoll_wait");
		if (sending && seen.events & (EPOLLOUT | EPOLLERR)) {
			while ((result = send_some(end)) > 0 && edge)
				;
			sending = result >= 0;
		}
		if (receiving && seen.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
			while ((result = recv_some(end)) > 0 && edge)
				;
			receiving = result >= 0;
		}
		event.events = (receiving ? EPOLLIN : 0) | (sending ? EPOLLOUT : 0);
		if (!edge && epoll_ctl(epfd, EPOLL_CTL_MOD, end->fd, &event))
			fail(end, "epoll_ctl");
	}
	close(epfd);
}

static void set_options(int fd)
{
	if (opt.sndbuf)
		net_set_int(fd, SOL_SOCKET, SO_SNDBUF, opt.sndbuf);
	if (opt.rcvbuf)
		net_set_int(fd, SOL_SOCKET, SO_RCVBUF, opt.rcvbuf);
	if (opt.mss)
		net_set_int(fd, IPPROTO_TCP, TCP_MAXSEG, opt.mss);
}

static void run_end(int fd, bool server)
{
	static struct end end;

	alarm(opt.timeout);
	end_init(&end, fd, server);
	if (opt.mode == MODE_BLOCK)
		run_blocking(&end);
	else
		run_epoll(&end, opt.mode == MODE_EDGE);
	close(fd);
}

static void on_alarm(int signal)
{
	static const char text[] = "# transfer: timed out\n";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(3);
	_exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static size_t parse_size(const char *text, char **end)
{
	size_t n = strtoull(text, end, 0);

	if (**end == 'K' || **end == 'M') {
		n <<= **end == 'K' ? 10 : 20;
		++*end;
	}
	return n;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: transfer [-n BYTES[:SERVER_BYTES]] [-m block|level|edge] [-w MAX_WRITE]\n"
		"                [-r MAX_READ] [-S SNDBUF] [-R RCVBUF] [-M MSS] [-x SEED] [-t SECONDS]\n"
		"                [-p PORT -e server|client]\n");
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	char *end = "";
	int c;

	while ((c = getopt(argc, argv, "n:m:w:r:S:R:M:x:t:p:e:")) != -1) {
		switch (c) {
		case 'n':
			opt.bytes[0] = parse_size(optarg, &end);
			opt.bytes[1] = *end == ':' ? parse_size(end + 1, &end) :
						     opt.bytes[0];
			break;
		case 'm':
			opt.mode = !strcmp(optarg, "edge") ? MODE_EDGE :
				   !strcmp(optarg, "level") ? MODE_LEVEL : MODE_BLOCK;
			break;
		case 'w':
			opt.max_write = parse_size(optarg, &end);
			break;
		case 'r':
			opt.max_read = parse_size(optarg, &end);
			break;
		case 'S':
			opt.sndbuf = parse_size(optarg, &end);
			break;
		case 'R':
			opt.rcvbuf = parse_size(optarg, &end);
			break;
		case 'M':
			opt.mss = parse_size(optarg, &end);
			break;
		case 'x':
			opt.seed = strtoull(optarg, &end, 0);
			break;
		case 't':
			opt.timeout = strtoul(optarg, &end, 0);
			break;
		case 'p':
			opt.port = strtoul(optarg, &end, 0);
			break;
		case 'e':
			opt.server_only = !strcmp(optarg, "server");
			opt.client_only = !opt.server_only;
			break;
		default:
			usage();
		}
		if (*end)
			usage();
	}
	if (getenv("TOE_TEST_DIVISOR")) {
		int divisor = atoi(getenv("TOE_TEST_DIVISOR"));

		if (divisor < 1)
			usage();
		opt.bytes[0] /= divisor;
		opt.bytes[1] /= divisor;
	}
	if (optind < argc || !opt.max_write || opt.max_write > CHUNK ||
	    !opt.max_read || opt.max_read > CHUNK)
		usage();
}

static int listening(void)
{
	int listener = net_bound(&net.server, 0);

	set_options(listener);
	ASSERT_EQ(0, listen(listener, 1));
	return listener;
}

static void run_server(int listener)
{
	alarm(opt.timeout);
	run_end(net_accept(listener), true);
}

static void run_client(const union net_addr *to)
{
	int fd;

	alarm(opt.timeout);
	for (;;) {
		fd = net_socket(&net.client, 0);
		ASSERT_GE(fd, 0);
		set_options(fd);
		if (!connect(fd, &to->sa, net_addr_len(to)))
			break;
		/* The server of another machine may not be there yet. */
		ASSERT_TRUE(opt.client_only && errno == ECONNREFUSED);
		close(fd);
		poll(NULL, 0, 50);
	}
	run_end(fd, false);
	alarm(opt.timeout);
}

int main(int argc, char **argv)
{
	int listener, status;
	union net_addr to;
	double start;
	pid_t server;

	parse_options(argc, argv);
	net_setup();
	signal(SIGALRM, on_alarm);
	net_set_port(&net.server.addr, opt.port);
	if (opt.server_only) {
		run_server(listening());
		return 0;
	}
	if (opt.client_only) {
		run_client(&net.server.addr);
		return 0;
	}
	listener = listening();
	to = net_way_to(listener);
	start = seconds();
	server = fork();
	ASSERT_GE(server, 0);
	if (!server) {
		run_server(listener);
		_exit(0);
	}
	close(listener);
	run_client(&to);
	ASSERT_EQ(server, waitpid(server, &status, 0));
	if (status)
		return 1;
	printf("# %zu bytes up, %zu down, SHA-256 right both ways, %.2f s\n",
	       opt.bytes[0], opt.bytes[1], seconds() - start);
	return 0;
}
