// SPDX-License-Identifier: GPL-2.0
/* sendfile(2), splice(2) and tee(2) from and to the socket under test. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "lib/stream.h"

#define FILE_SIZE (1 << 20)

static char content[FILE_SIZE], seen[FILE_SIZE];

/* A file of FILE_SIZE pseudo-random bytes, also in @content. */
static int random_file(void)
{
	struct stream stream;
	int fd = memfd_create("file", 0);

	stream_init(&stream, 1);
	stream_read(&stream, content, sizeof(content));
	ASSERT_GE(fd, 0);
	ASSERT_EQ(sizeof(content), write(fd, content, sizeof(content)));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	return fd;
}

static void *receive_file(void *arg)
{
	net_recv_all(*(int *)arg, seen, sizeof(seen));
	return NULL;
}

static void *send_file(void *arg)
{
	net_send_all(*(int *)arg, content, sizeof(content));
	return NULL;
}

TEST(sendfile__whole)
{
	struct net_pair pair = net_pair();
	int file = random_file();
	pthread_t thread;
	off_t at = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, receive_file, &pair.peer));
	while (at < FILE_SIZE)
		ASSERT_GE(sendfile(pair.ut, file, &at, FILE_SIZE - at), 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, memcmp(content, seen, sizeof(seen)));
}

TEST(sendfile__nonblocking)
{
	struct net_pair pair = net_pair();
	int file = random_file();
	pthread_t thread;
	off_t at = 0;

	net_set_nonblock(pair.ut, true);
	ASSERT_EQ(0, pthread_create(&thread, NULL, receive_file, &pair.peer));
	while (at < FILE_SIZE) {
		ssize_t n = sendfile(pair.ut, file, &at, FILE_SIZE - at);

		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_EQ(POLLOUT, net_poll(pair.ut, POLLOUT, 10000));
		}
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, memcmp(content, seen, sizeof(seen)));
}

TEST(sendfile__past_the_end)
{
	struct net_pair pair = net_pair();
	int file = random_file();
	off_t at = FILE_SIZE - 3;
	char buf[3];

	EXPECT_EQ(3, sendfile(pair.ut, file, &at, 100));
	EXPECT_EQ(0, sendfile(pair.ut, file, &at, 100));
	net_recv_all(pair.peer, buf, 3);
	EXPECT_EQ(0, memcmp(content + FILE_SIZE - 3, buf, 3));
}

TEST(splice__into_socket)
{
	struct net_pair pair = net_pair();
	int ends[2];
	char buf[6];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(6, write(ends[1], "spliced", 6));
	EXPECT_EQ(6, splice(ends[0], NULL, pair.ut, NULL, 6, SPLICE_F_MORE));
	net_recv_all(pair.peer, buf, 6);
	EXPECT_EQ(0, memcmp("splice", buf, 6));
}

TEST(splice__out_of_socket)
{
	struct net_pair pair = net_pair();
	size_t total = 0;
	pthread_t thread;
	int ends[2];

	close(random_file());
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_file, &pair.peer));
	while (total < FILE_SIZE) {
		ssize_t n = splice(pair.ut, NULL, ends[1], NULL, 16384, SPLICE_F_MOVE);

		ASSERT_GE(n, 1);
		ASSERT_EQ(n, read(ends[0], seen + total, n));
		total += n;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, memcmp(content, seen, sizeof(seen)));
}

TEST(splice__out_of_socket_nonblocking)
{
	struct net_pair pair = net_pair();
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	net_set_nonblock(pair.ut, true);
	EXPECT_FAIL(EAGAIN, splice(pair.ut, NULL, ends[1], NULL, 16, SPLICE_F_NONBLOCK));
	shutdown(pair.peer, SHUT_WR);
	EXPECT_TRUE(net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(0, splice(pair.ut, NULL, ends[1], NULL, 16, 0));
}

/* A proxy's way: one connection spliced into another. */
TEST(splice__between_sockets)
{
	struct net_pair from = net_pair(), to = net_pair();
	size_t total = 0;
	pthread_t threads[2];
	int ends[2];

	close(random_file());
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, send_file, &from.peer));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, receive_file, &to.peer));
	while (total < FILE_SIZE) {
		ssize_t n = splice(from.ut, NULL, ends[1], NULL, 65536, 0);

		ASSERT_GE(n, 1);
		total += n;
		while (n > 0) {
			ssize_t moved = splice(ends[0], NULL, to.ut, NULL, n, 0);

			ASSERT_GE(moved, 1);
			n -= moved;
		}
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	EXPECT_EQ(0, memcmp(content, seen, sizeof(seen)));
}

TEST_MAIN(net_setup)
