/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two ends of the link under test, and sockets on them.
 *
 * A test names no address, namespace or socket family itself. They come from
 * the environment, so that one binary is run over kernel TCP and over AF_TOE:
 *
 *	TOE_TEST_SERVER, TOE_TEST_CLIENT	tcp | toe | toe-proto: the stack of that end
 *	TOE_TEST_SERVER_NS, TOE_TEST_CLIENT_NS	network namespace (default: the current one)
 *	TOE_TEST_SERVER_ADDR, TOE_TEST_CLIENT_ADDR	IPv4 or IPv6 address (default: loopback)
 *	TOE_TEST_OFFLOAD	1: connections of the end under test go by a device
 */
#ifndef SELFTESTS_NET_H
#define SELFTESTS_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef AF_TOE
#define AF_TOE 18
#endif
#ifndef IPPROTO_TOE
#define IPPROTO_TOE 257
#endif

enum net_stack {
	STACK_TCP,		/* socket(AF_INET or AF_INET6, SOCK_STREAM, 0) */
	STACK_TOE,		/* socket(AF_TOE, SOCK_STREAM, 0) */
	STACK_TOE_PROTO,	/* socket(AF_INET or AF_INET6, SOCK_STREAM, IPPROTO_TOE) */
};

union net_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/** struct net_end - one end of the link. */
struct net_end {
	enum net_stack stack;
	int ns;			/* namespace's fd, -1: the current one */
	union net_addr addr;	/* port 0 */
};

/** struct net_pair - a listener and one connection through it. */
struct net_pair {
	int listener;
	int server;		/* the accepted end */
	int client;
	int ut;			/* the end whose API is under test: server or client */
	int peer;		/* the other one */
};

struct net {
	struct net_end server;
	struct net_end client;
	bool client_under_test;	/* only the client is AF_TOE */
	bool offloaded;		/* the end under test has a device */
};

extern struct net net;

/* Reads the environment into @net; ends the program with a message if it is wrong. */
void net_setup(void);

/* The end under test. */
const struct net_end *net_under_test(void);

socklen_t net_addr_len(const union net_addr *addr);
in_port_t net_port(const union net_addr *addr);		/* host order */
void net_set_port(union net_addr *addr, in_port_t port);
bool net_same_addr(const union net_addr *a, const union net_addr *b);
union net_addr net_sockname(int fd);
union net_addr net_peername(int fd);

/* Moves the calling thread into the namespace of @end. */
void net_enter(const struct net_end *end);

/*
 * A socket on @end; @flags: SOCK_NONBLOCK, SOCK_CLOEXEC. Returns -1 with errno
 * as socket(2) does.
 */
int net_socket(const struct net_end *end, int flags);

/*
 * The rest ends the test when a call fails that must not fail.
 */

/* A socket bound to the address of @end and a free port. */
int net_bound(const struct net_end *end, int flags);
/* A listener on the server's end, at a free port or at @port. */
int net_listener(int backlog);
int net_listener_at(in_port_t port, int backlog);
/* A blocking connection from the client's end to @listener. */
int net_connect(int listener);
int net_accept(int listener);
struct net_pair net_pair(void);
void net_close(struct net_pair *pair);
/* The way to @listener for a connect(2) from the client's end. */
union net_addr net_way_to(int listener);

void net_set_int(int fd, int level, int name, int value);
int net_get_int(int fd, int level, int name);
void net_set_nonblock(int fd, bool on);

/* Moves exactly @len bytes, whatever the sizes of the single calls. */
void net_send_all(int fd, const void *buf, size_t len);
void net_recv_all(int fd, void *buf, size_t len);
/* Sends from the end under test until nothing more is taken, and neither buffer grows; returns the number of bytes. */
size_t net_fill(const struct net_pair *pair);
/* Reads until the end of the stream and returns the number of bytes. */
size_t net_drain(int fd);
/* Waits until poll(2) reports any of @events; returns revents, 0 after @ms. */
int net_poll(int fd, int events, int ms);
/* Waits for all of @events, where poll(2) waits for any: a reset shows the error before the rest. Returns revents. */
int net_poll_all(int fd, int events);

/* Whether toetool lists the AF_TOE connection of @fd such that the jq @filter is true of it. */
bool net_listed(int fd, const char *filter);

#endif
