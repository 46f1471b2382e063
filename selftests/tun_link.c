// SPDX-License-Identifier: GPL-2.0
/*
 * tun_link [-o] NAMESPACE NAMESPACE NAME: a link without a link layer. Makes a
 * tun device NAME in both namespaces, and carries packets between the two until
 * one is deleted; with -o checksums and segmentation are left to the other side,
 * as a hypervisor does. Goes to the background once the devices are there.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int tun_in(const char *namespace, const char *name, bool offload)
{
	const unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[128];
	int ns, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		err(1, "%s", path);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		err(1, "/dev/net/tun");
	if (offload)
		request.ifr_flags |= IFF_VNET_HDR;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request))
		err(1, "%s in %s", name, namespace);
	if (offload && ioctl(fd, TUNSETOFFLOAD, offloads))
		err(1, "offloads of %s", name);
	return fd;
}

/* Carries what there is; false when a device is gone. A packet the other side refuses is lost, as on a wire. */
static bool carry(int from, int to)
{
	static char packet[1 << 17];
	ssize_t len;

	while ((len = read(from, packet, sizeof(packet))) > 0)
		if (write(to, packet, len) < 0)
			continue;
	return len < 0;
}

int main(int argc, char **argv)
{
	bool offload = argc == 5 && !strcmp(argv[1], "-o");
	struct pollfd ends[2];
	int i;

	if (argc != 4 + offload)
		errx(2, "usage: tun_link [-o] NAMESPACE NAMESPACE NAME");
	for (i = 0; i < 2; i++)
		ends[i] = (struct pollfd) {
			.fd = tun_in(argv[1 + offload + i], argv[argc - 1], offload),
			.events = POLLIN,
		};
	if (daemon(0, 0))
		err(1, "daemon");
	while (poll(ends, 2, -1) > 0)
		for (i = 0; i < 2; i++) {
			if (ends[i].revents & (POLLERR | POLLHUP | POLLNVAL))
				return 0;
			if (ends[i].revents && !carry(ends[i].fd, ends[!i].fd))
				return 0;
		}
	return 1;
}
