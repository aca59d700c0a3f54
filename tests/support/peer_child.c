/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other process of test_peer*.c: `peer_child ROLE` with a socket as descriptor 3. It ends with 0 where all
 * went as it should, and by itself when its peer has gone.
 *
 * worker     adds 1 to each byte of what it is given; does as it is told by messages: "fail" the next one,
 *            "keep" it until it is asked for, "exit" at once, "say" back what follows
 * camera     shares two buffers, fills and gives them in turns: byte i of frame n is i + n
 * granter    gives up to 20000 bytes of memory that isn't contiguous to who asks; told to "add", it takes them back,
 *            adds 1 to each and gives them again; told "live?", it says how many buffers it has
 * reader     adds up the bytes of what it is given, which it may not write, and says the sum
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#define SIZE   20000
#define FRAMES 40

#define MUST(what)                                                                  \
	do {                                                                        \
		if (!(what)) {                                                      \
			fprintf(stderr, "peer_child:%d: %s: %s\n", __LINE__, #what, \
				metal_shm_last_error());                            \
			exit(1);                                                    \
		}                                                                   \
	} while (0)

static struct metal_device *peer;
static char doing[16];

static void add_one(void *user, struct metal_generic_shm *shm)
{
	unsigned char *bytes;

	(void)user;
	MUST(!metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0));
	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	MUST(bytes);
	for (size_t i = 0; i < metal_shm_size(shm); i++)
		bytes[i]++;
	MUST(!metal_shm_unmap(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	MUST(!metal_shm_sync_for_device(shm, peer, METAL_SHM_DIR_DEV_RW));
}

static void work_on(struct metal_generic_shm *shm)
{
	if (!strcmp(doing, "keep"))
		return;
	if (!strcmp(doing, "fail")) {
		MUST(!metal_shm_peer_fail(shm, peer));
		doing[0] = 0;
		return;
	}
	add_one(NULL, shm);
}

static void obey(const struct metal_shm_peer_event *event)
{
	if (event->size > 4 && !memcmp(event->data, "say ", 4)) {
		int error = metal_shm_peer_say(peer, event->data + 4, event->size - 4);

		MUST(!error || error == -ENODEV);
		return;
	}
	MUST(event->size < sizeof(doing));
	memcpy(doing, event->data, event->size);
	doing[event->size] = 0;
	if (!strcmp(doing, "exit"))
		_exit(0);
}

static void worker(void)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	int error;

	MUST(!metal_shm_peer_on_recall(peer, add_one, NULL));
	while (!(error = metal_shm_peer_next(peer, METAL_SHM_FOREVER, &event))) {
		if (!event.shm) {
			obey(&event);
			continue;
		}
		work_on(event.shm);
		metal_shm_free(event.shm, NULL);
	}
	MUST(error == -ENODEV);
}

static void camera(void)
{
	struct metal_generic_shm *shm[2], *view[2];
	struct metal_device *memfd;
	unsigned char *bytes[2];

	MUST(!metal_shm_device_open("memfd", &memfd));
	for (int i = 0; i < 2; i++) {
		shm[i] = metal_shm_allocate(SIZE, memfd, 0);
		MUST(shm[i]);
		view[i] = metal_shm_attach(shm[i], peer);
		bytes[i] = metal_shm_map(shm[i], METAL_SHM_READ | METAL_SHM_WRITE);
		MUST(view[i] && bytes[i]);
	}
	for (unsigned n = 0; n < FRAMES; n++) {
		char text[16];
		int error = metal_shm_sync_for_cpu(shm[n % 2], METAL_SHM_DIR_DEV_RW);

		if (error == -ENODEV)
			break;
		MUST(!error);
		for (size_t i = 0; i < SIZE; i++)
			bytes[n % 2][i] = (unsigned char)(i + n);
		snprintf(text, sizeof(text), "frame %u", n);
		MUST(!metal_shm_peer_say(peer, text, strlen(text)));
		MUST(!metal_shm_sync_for_device(shm[n % 2], peer, METAL_SHM_DIR_DEV_R));
	}
	for (int i = 0; i < 2; i++) {
		metal_shm_sync_for_cpu(shm[i], METAL_SHM_DIR_DEV_RW);
		metal_shm_detach(view[i], peer);
		metal_shm_free(shm[i], NULL);
	}
	metal_shm_device_close(memfd);
}

static struct metal_generic_shm *granted;

static int grant(void *user, uint64_t size, metal_shm_type type, struct metal_generic_shm **ret)
{
	if (type & METAL_SHM_CONTIGUOUS)
		return -EPERM;
	if (size > SIZE)
		return -ENOMEM;
	*ret = metal_shm_allocate((size_t)size, user, 0);
	MUST(*ret);
	metal_shm_free(granted, NULL);
	granted = metal_shm_ref(*ret);
	return 0;
}

static void add_to_granted(void)
{
	unsigned char *bytes = metal_shm_map(granted, METAL_SHM_READ | METAL_SHM_WRITE);

	MUST(!metal_shm_sync_for_cpu(granted, METAL_SHM_DIR_DEV_RW));
	for (size_t i = 0; i < metal_shm_size(granted); i++)
		bytes[i]++;
	MUST(!metal_shm_sync_for_device(granted, peer, METAL_SHM_DIR_DEV_RW));
}

static void granter(void)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_device *memfd;
	int error;

	MUST(!metal_shm_device_open("memfd", &memfd));
	MUST(!metal_shm_peer_on_request(peer, grant, memfd));
	while (!(error = metal_shm_peer_next(peer, METAL_SHM_FOREVER, &event))) {
		if (event.size == 3) {
			add_to_granted();
			continue;
		}
		metal_shm_free(granted, NULL);
		granted = NULL;
		MUST(!metal_shm_stats(&stats));
		MUST(!metal_shm_peer_say(peer, &stats.buffers_live, sizeof(stats.buffers_live)));
	}
	MUST(error == -ENODEV);
	metal_shm_free(granted, NULL);
	metal_shm_device_close(memfd);
}

static void reader(void)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	int error;

	while (!(error = metal_shm_peer_next(peer, METAL_SHM_FOREVER, &event))) {
		const unsigned char *bytes;
		uint32_t sum = 0;

		MUST(event.shm && event.dir == METAL_SHM_DIR_DEV_R);
		MUST(!metal_shm_map(event.shm, METAL_SHM_WRITE) && errno == EACCES);
		bytes = metal_shm_map(event.shm, METAL_SHM_READ);
		MUST(bytes);
		MUST(!metal_shm_sync_for_cpu_timeout(event.shm, METAL_SHM_DIR_DEV_RW, 0));
		for (size_t i = 0; i < metal_shm_size(event.shm); i++)
			sum += bytes[i];
		MUST(!metal_shm_peer_say(peer, &sum, sizeof(sum)));
		MUST(!metal_shm_sync_for_device(event.shm, peer, METAL_SHM_DIR_DEV_RW));
		metal_shm_free(event.shm, NULL);
	}
	MUST(error == -ENODEV);
}

int main(int argc, char **argv)
{
	MUST(argc == 2);
	MUST(!metal_shm_peer_open(3, &peer));
	if (!strcmp(argv[1], "worker"))
		worker();
	else if (!strcmp(argv[1], "camera"))
		camera();
	else if (!strcmp(argv[1], "granter"))
		granter();
	else if (!strcmp(argv[1], "reader"))
		reader();
	else
		return 2;
	metal_shm_device_close(peer);
	return 0;
}
