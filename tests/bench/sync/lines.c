/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the cache that syncs act on when 4 KiB of 64 MiB go to a device that uses DMA, and come
 * back with what it wrote, on the simulated machine. Exact counts, no times.
 *
 * usage: lines     for each case its name, lines written back, lines read in, bytes copied
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "sim_device.h"

#define WHOLE  ((size_t)64 << 20)
#define PART   4096u
#define OFFSET ((size_t)32 << 20)
#define RW     METAL_SHM_DIR_DEV_RW

/* Both sides change a byte of the range and see the other's. */
static void hand_over(struct sim_machine *machine, struct sim_device *device,
		      struct metal_generic_shm *shm, unsigned char *bytes, size_t offset)
{
	struct sim_attached *seen = sim_device_view(device, shm);
	unsigned char byte = 0x5a;

	sim_cpu_write(machine, bytes + offset, &byte, 1);
	must(!metal_shm_wrote(shm, offset, PART), "wrote");
	must(!metal_shm_sync_for_device(shm, device->dev, RW), "sync_for_device");
	byte = 0;
	sim_device_read(seen, offset, &byte, 1);
	must(byte == 0x5a, "the device doesn't see the CPU's byte");
	byte = 0xa5;
	sim_device_write(seen, offset, &byte, 1);
	must(!metal_shm_sync_for_cpu(shm, RW), "sync_for_cpu");
	sim_cpu_read(machine, bytes + offset, &byte, 1);
	must(byte == 0xa5, "the CPU doesn't see the device's byte");
}

static void measure(const char *name, enum sim_kind kind, bool part, size_t skew)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct sim_machine *machine = sim_machine_new();
	struct sim_source *source = sim_source_new(machine, kind, "memory");
	struct sim_device *device = sim_device_new(METAL_SHM_ACCESS_DMA, "device");
	struct metal_generic_shm *whole, *shm;
	unsigned char *bytes;

	whole = metal_shm_allocate(WHOLE, source->dev, 0);
	must(whole != NULL, "allocate");
	shm = part ? metal_shm_sub(whole, OFFSET + skew, PART, 0) : whole;
	must(shm && metal_shm_attach(shm, device->dev), "attach");
	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	must(bytes != NULL, "map");
	/* what never was anybody's before counts as written */
	must(!metal_shm_sync_for_device(shm, device->dev, RW), "sync_for_device");
	must(!metal_shm_sync_for_cpu(shm, RW), "sync_for_cpu");
	machine->counts = (struct sim_counts){ 0 };
	must(!metal_shm_buffer_stats(whole, &stats), "stats");

	uint64_t before = stats.bytes_copied;

	hand_over(machine, device, shm, bytes, part ? 0 : OFFSET + skew);
	must(!metal_shm_buffer_stats(whole, &stats), "stats");
	printf("%s %llu %llu %llu\n", name, (unsigned long long)machine->counts.lines_out,
	       (unsigned long long)machine->counts.lines_in,
	       (unsigned long long)(stats.bytes_copied - before));
	metal_shm_unmap(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	metal_shm_detach(metal_shm_view(shm, device->dev), device->dev);
	if (part)
		metal_shm_free(shm, NULL);
	metal_shm_free(whole, NULL);
	sim_device_end(device);
	sim_source_end(source);
	sim_machine_end(machine);
}

int main(void)
{
	measure("whole", SIM_WHOLE, false, 0);
	measure("whole-ranged", SIM_RANGED, false, 0);
	measure("whole-ranged-skewed", SIM_RANGED, false, 30);
	measure("part", SIM_WHOLE, true, 0);
	measure("part-ranged", SIM_RANGED, true, 0);
	measure("part-ranged-skewed", SIM_RANGED, true, 30);
	measure("part-window", SIM_WINDOWED, true, 0);
	measure("part-window-skewed", SIM_WINDOWED, true, 30);
	return 0;
}
