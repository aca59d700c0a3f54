/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: three processes that work on the same frames, none of which copies one. A camera gives them to a
 * worker, which inverts them in place and gives them on to a display; then they go back the same way. Either
 * side of a socket calls the other one a device.
 *
 *	06-processes		starts the three, each of them this program again
 */
#include <errno.h>

#include "three.h"

#define FRAMES  30u
#define BUFFERS 3u
#define SIZE    ((size_t)640 * 480)

static unsigned char *map(struct metal_generic_shm *shm, int prot)
{
	unsigned char *bytes = metal_shm_map(shm, prot);

	must(bytes, "map");
	return bytes;
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

int main(int argc, char **argv)
{
	const char *role = getenv("ROLE");
	struct metal_device *first, *second = NULL;

	(void)argc;
	if (!role)
		return start_three(argv);
	first = open_peer(10);
	if (!strcmp(role, "camera")) {
		camera(first);
	} else if (!strcmp(role, "worker")) {
		second = open_peer(11);
		work(first, second);
	} else {
		display(first);
	}
	metal_shm_device_close(second);
	metal_shm_device_close(first);
	return 0;
}
