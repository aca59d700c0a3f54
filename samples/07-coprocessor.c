/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: memory that a coprocessor works on in place. It is allocated where the core reaches it, shared with
 * its firmware, given and taken back; nothing is copied, and the firmware's addresses are its own.
 *
 *	07-coprocessor REMOTEPROC [FIRMWARE]     as in 07-coprocessor remoteproc0 increment.elf
 */
#include <stdio.h>
#include <stdlib.h>

#include <shm/rproc.h>

#define SIZE   ((size_t)1 << 20)
#define RW     METAL_SHM_DIR_DEV_RW
#define SECOND INT64_C(1000000000)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

/* A core that runs already is taken as it is. */
static struct metal_device *start(const char *name, const char *firmware)
{
	struct metal_device *core;
	int state;

	must(!metal_shm_rproc_open(name, &core), name);
	state = metal_shm_rproc_state(core);
	must(state > 0, name);
	if (state == METAL_SHM_RPROC_OFFLINE)
		must(!metal_shm_rproc_start(core, firmware, METAL_SHM_RPROC_STOP_WITH_US), "start");
	must(!metal_shm_rproc_connect(core, 5 * SECOND), "connect");
	return core;
}

static void print_addresses(struct metal_generic_shm *view)
{
	const struct metal_shm_segment *segments;
	size_t n;

	must(!metal_shm_segments(view, &segments, &n), "segments");
	printf("the firmware finds %zu bytes in %zu segments, the first at %#llx\n", SIZE, n,
	       (unsigned long long)segments[0].device_address);
}

static size_t changed(const unsigned char *bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < SIZE; i++)
		n += bytes[i] != (unsigned char)i;
	return n;
}

int main(int argc, char **argv)
{
	struct metal_generic_shm *shm, *view;
	struct metal_device *core;
	unsigned char *bytes;
	uint32_t id;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: 07-coprocessor REMOTEPROC [FIRMWARE]\n");
		return 2;
	}
	core = start(argv[1], argc == 3 ? argv[2] : NULL);

	shm = metal_shm_allocate_for(SIZE, &core, 1, 0);
	must(shm, "allocate");
	view = metal_shm_attach(shm, core);
	must(view, "attach");
	print_addresses(view);
	must(!metal_shm_rproc_share(core, shm, RW, &id), "share");

	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	must(bytes, "map");
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)i;

	/* the firmware's from here on, and the program's again when it says so */
	must(!metal_shm_sync_for_device(shm, core, RW), "give");
	must(!metal_shm_sync_for_cpu_timeout(shm, RW, 5 * SECOND), "take back");
	printf("it changed %zu of them in place, byte 7 from 7 to %u\n", changed(bytes), bytes[7]);

	metal_shm_detach(view, core);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(core);
	return 0;
}
