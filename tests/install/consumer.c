/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of someone who installed libshm; it is C and C++. */
#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/shm.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	return 1;
}

int main(void)
{
	struct metal_device *memory;
	struct metal_generic_shm *shm;
	char *bytes;
	int fd;

	if (metal_shm_device_open("memfd", &memory))
		return fail("open");
	shm = metal_shm_allocate(4096, memory, METAL_SHM_ZEROED);
	if (!shm)
		return fail("allocate");
	bytes = (char *)metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	if (!bytes)
		return fail("map");
	strcpy(bytes, "hello");
	fd = metal_shm_export(shm, 0);
	if (fd < 0)
		return fail("export");
	close(fd);
	printf("%s %s\n", bytes, metal_shm_version());
	metal_shm_free(shm, memory);
	metal_shm_device_close(memory);
	return 0;
}
