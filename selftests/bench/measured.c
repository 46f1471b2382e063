// SPDX-License-Identifier: GPL-2.0
/*
 * measured PROGRAM ARGUMENT...: runs a program and prints, as the last line on
 * standard error, how long it took and how many instructions the whole machine
 * executed meanwhile.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

int main(int argc, char **argv)
{
	struct moment from, to;
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: measured PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	from = moment_now();
	pid = fork();
	if (pid < 0) {
		perror("fork");
		return 1;
	}
	if (!pid) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0) {
		perror("waitpid");
		return 1;
	}
	to = moment_now();
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return 1;
	putchar('{');
	moment_print(&from, &to);
	puts("}");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
