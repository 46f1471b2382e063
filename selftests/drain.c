// SPDX-License-Identifier: GPL-2.0
/*
 * drain ADDRESS COMMAND...: while the command runs, packets are sent to the discard
 * port of that IPv4 address, a few at a time, the next ones when these have left the
 * host. Fails if some stay, which no other comes after, and as the command does.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DISCARD 9
#define BURST 4
#define PATIENCE 20		/* seconds */

static int connected(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(DISCARD) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		errx(2, "%s is no IPv4 address", address);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connect");
	return fd;
}

static bool has_drained(int fd)
{
	int bytes;

	if (ioctl(fd, SIOCOUTQ, &bytes))
		err(1, "SIOCOUTQ");
	return bytes == 0;
}

/* Sends some packets and waits until they are gone. That nobody takes them doesn't matter. */
static void burst(int fd)
{
	const time_t end = time(NULL) + PATIENCE;
	int i;

	for (i = 0; i < BURST; i++)
		(void)!send(fd, "", 1, 0);
	while (!has_drained(fd)) {
		if (time(NULL) > end)
			errx(1, "packets were given to the netdev and don't leave it");
		usleep(100);
	}
}

int main(int argc, char **argv)
{
	int fd, status;
	pid_t pid;

	if (argc < 3)
		errx(2, "usage: drain ADDRESS COMMAND...");
	fd = connected(argv[1]);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		/* It ends with us, if packets stay. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[2], argv + 2);
		err(1, "%s", argv[2]);
	}
	while (!waitpid(pid, &status, WNOHANG))
		burst(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
