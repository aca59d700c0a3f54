/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: three processes that work on the same frames, none of which copies one. A camera gives them to a
 * worker, which inverts them in place and gives them on to a display; then they go back the same way. Either
 * side of a socket calls the other one a device.
 *
 *	06-processes		starts the three, each of them this program again
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/linux.h>

#define FRAMES  30u
#define BUFFERS 3u
#define SIZE    ((size_t)640 * 480)
#define LIMIT   INT64_C(10000000000) /* nanoseconds: whoever hangs is given up */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static unsigned char *map(struct metal_generic_shm *shm, int prot)
{
	unsigned char *bytes = metal_shm_map(shm, prot);

	must(bytes, "map");
	return bytes;
}

static struct metal_device *open_peer(const char *socket)
{
	struct metal_device *peer;

	must(!metal_shm_peer_open(atoi(socket), &peer), "peer_open");
	return peer;
}

/* The next frame that another process gives, or NULL when it has ended. */
static struct metal_generic_shm *next_frame(struct metal_device *from)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	int error = metal_shm_peer_next(from, LIMIT, &event);

	must(!error || error == -ENODEV, "peer_next");
	return error ? NULL : event.shm;
}

static void give_back(struct metal_generic_shm *frame, struct metal_device *to)
{
	must(!metal_shm_sync_for_device(frame, to, METAL_SHM_DIR_DEV_RW), "give back");
	metal_shm_free(frame, NULL);
}

static void camera(struct metal_device *worker)
{
	struct metal_generic_shm *frame[BUFFERS], *view[BUFFERS];
	struct metal_device *memory;

	must(!metal_shm_device_open("memfd", &memory), "memfd");
	for (unsigned i = 0; i < BUFFERS; i++) {
		frame[i] = metal_shm_allocate(SIZE, memory, 0);
		must(frame[i], "allocate");
		view[i] = metal_shm_attach(frame[i], worker);
		must(view[i], "attach");
		map(frame[i], METAL_SHM_WRITE);
	}
	for (unsigned n = 0; n < FRAMES; n++) {
		struct metal_generic_shm *shm = frame[n % BUFFERS];

		/* waits until the one that is in it has come back */
		must(!metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, LIMIT), "take");
		memset(map(shm, METAL_SHM_WRITE), (int)n, SIZE);
		must(!metal_shm_sync_for_device(shm, worker, METAL_SHM_DIR_DEV_RW), "give");
	}
	for (unsigned i = 0; i < BUFFERS; i++) {
		must(!metal_shm_sync_for_cpu_timeout(frame[i], METAL_SHM_DIR_DEV_RW, LIMIT), "end");
		metal_shm_detach(view[i], worker);
		metal_shm_free(frame[i], memory);
	}
	metal_shm_device_close(memory);
}

static void work(struct metal_device *from, struct metal_device *to)
{
	struct metal_generic_shm *frame;

	while ((frame = next_frame(from)) != NULL) {
		unsigned char *bytes = map(frame, METAL_SHM_READ | METAL_SHM_WRITE);
		struct metal_generic_shm *view = metal_shm_attach(frame, to);

		must(view, "attach");
		must(!metal_shm_sync_for_cpu(frame, METAL_SHM_DIR_DEV_RW), "take");
		for (size_t i = 0; i < SIZE; i++)
			bytes[i] ^= 0xff;
		must(!metal_shm_sync_for_device(frame, to, METAL_SHM_DIR_DEV_R), "give");
		must(!metal_shm_sync_for_cpu_timeout(frame, METAL_SHM_DIR_DEV_RW, LIMIT), "take");
		metal_shm_detach(view, to);
		give_back(frame, from);
	}
}

static void display(struct metal_device *from)
{
	struct metal_generic_shm *frame;
	unsigned n = 0;

	for (; (frame = next_frame(from)) != NULL; n++) {
		const unsigned char *bytes;

		must(!metal_shm_sync_for_cpu(frame, METAL_SHM_DIR_DEV_W), "take");
		bytes = map(frame, METAL_SHM_READ);
		for (size_t i = 0; i < SIZE; i++) {
			if (bytes[i] == (n ^ 0xff))
				continue;
			fprintf(stderr, "frame %u: byte %zu is %u\n", n, i, bytes[i]);
			exit(1);
		}
		give_back(frame, from);
	}
	printf("display: %u frames, each as the worker left it\n", n);
	if (n != FRAMES)
		exit(1);
}

static pid_t start(const char *program, const char *role, int first, int second)
{
	char sockets[2][12];
	pid_t pid = fork();

	if (pid)
		return pid;
	for (int fd = 3; fd < 16; fd++)
		if (fd != first && fd != second)
			close(fd);
	snprintf(sockets[0], sizeof(sockets[0]), "%d", first);
	snprintf(sockets[1], sizeof(sockets[1]), "%d", second);
	execl(program, program, role, sockets[0], sockets[1], (char *)NULL);
	_exit(127);
}

static int start_all(void)
{
	int picture[2], result[2], status, worst = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, picture) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, result)) {
		perror("socketpair");
		return 1;
	}
	start("/proc/self/exe", "camera", picture[0], -1);
	start("/proc/self/exe", "worker", picture[1], result[0]);
	start("/proc/self/exe", "display", result[1], -1);
	for (int i = 0; i < 2; i++) {
		close(picture[i]);
		close(result[i]);
	}
	for (int i = 0; i < 3; i++) {
		wait(&status);
		worst |= status;
	}
	return worst != 0;
}

int main(int argc, char **argv)
{
	struct metal_device *first, *second;

	if (argc < 4)
		return start_all();
	first = open_peer(argv[2]);
	if (!strcmp(argv[1], "camera")) {
		camera(first);
	} else if (!strcmp(argv[1], "worker")) {
		second = open_peer(argv[3]);
		work(first, second);
		metal_shm_device_close(second);
	} else {
		display(first);
	}
	metal_shm_device_close(first);
	return 0;
}
