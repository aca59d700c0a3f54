/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: allocate memory, map it, and share it with another process by a descriptor.
 *
 *	01-allocate [memfd | udmabuf | heap:system]
 *
 * The program starts itself once more as the other process, which gets the descriptor through a
 * socket, imports it and answers in the same bytes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/shm.h>

#define SIZE 65536

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

/* A descriptor travels beside at least one byte. */
static bool send_fd(int socket, int fd)
{
	char byte = 0;
	struct iovec data = { &byte, 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1;
}

static int receive_fd(int socket)
{
	char byte;
	int fd = -1;
	struct iovec data = { &byte, 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))];
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

/* The other process: the same memory, whatever gave it. */
static int answer(void)
{
	int fd = receive_fd(STDIN_FILENO);
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0);
	char *text;

	must(shm, "import");
	close(fd);
	must(!metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), "sync_for_cpu");
	text = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	must(text, "map");
	printf("process %d reads: %s\n", (int)getpid(), text);
	snprintf(text, SIZE, "thank you, says %d", (int)getpid());
	metal_shm_free(shm, NULL);
	return 0;
}

/* After fork() libshm may only free, so the child becomes a program of its own. */
static pid_t start_other(const char *program, int socket)
{
	pid_t child = fork();

	if (child)
		return child;
	dup2(socket, STDIN_FILENO);
	execl("/proc/self/exe", program, "--answer", (char *)NULL);
	_exit(127);
}

int main(int argc, char **argv)
{
	struct metal_device *source;
	struct metal_generic_shm *shm;
	int sockets[2], fd, status;
	char *text;
	pid_t other;

	if (argc > 1 && !strcmp(argv[1], "--answer"))
		return answer();

	must(!metal_shm_device_open(argc > 1 ? argv[1] : "memfd", &source), "open");
	shm = metal_shm_allocate(SIZE, source, METAL_SHM_CACHED | METAL_SHM_ZEROED);
	must(shm, "allocate");
	text = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	must(text, "map");
	snprintf(text, SIZE, "hello from %d", (int)getpid());

	fd = metal_shm_export(shm, 0);
	must(fd >= 0, "export");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)) {
		perror("socketpair");
		return 1;
	}
	other = start_other(argv[0], sockets[1]);
	if (other < 0 || !send_fd(sockets[0], fd)) {
		perror("the other process");
		return 1;
	}
	close(fd);
	waitpid(other, &status, 0);
	printf("process %d reads: %s\n", (int)getpid(), text);
	status = status || strncmp(text, "thank you", 9) != 0;

	metal_shm_free(shm, source);
	metal_shm_device_close(source);
	return status;
}
