/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hand-over needs, as a pure function: no memory, no device, no clock.
 *
 * A CPU's bytes and a device's are never both dirty: the one is written back or read in before the
 * other may write. That is what makes the whole-buffer operations of the kernel safe, since END with
 * WRITE overwrites what a device wrote and START with READ what the CPU wrote (both measured). Device
 * kinds that move bytes with the CPU own ranges like devices but count as the CPU here.
 */
#include "core.h"

static bool is_cpu(unsigned taker)
{
	return taker == SHM__PROGRAM || taker == METAL_SHM_ACCESS_CPU_KERNEL ||
	       taker == METAL_SHM_ACCESS_CPU_USER;
}

struct shm__plan shm__decide(struct shm__coherence now, unsigned taker, enum metal_shm_dir dir,
			     bool coherent)
{
	struct shm__plan plan = { .after = now };
	bool unknown = taker == METAL_SHM_ACCESS_UNKNOWN;
	bool writes = dir & METAL_SHM_DIR_DEV_W;

	if (coherent)
		return plan;

	/* A CPU must see what a DMA device wrote; an unknown taker may be a CPU. */
	if (now.device_dirty && (is_cpu(taker) || unknown)) {
		plan.start = METAL_SHM_DIR_DEV_W;
		if (writes && is_cpu(taker))
			plan.start |= METAL_SHM_DIR_DEV_R;
		plan.after.device_dirty = false;
		plan.after.started = true;
	}

	/*
	 * A DMA device must see what a CPU wrote. Also if it only writes: a dirty line evicted later
	 * would land on its bytes. For an unknown taker nothing is elided.
	 */
	if (!is_cpu(taker) && (now.cpu_dirty || unknown)) {
		if (!now.started && !plan.start)
			plan.start = METAL_SHM_DIR_DEV_R; /* moves nothing; udmabuf wants it */
		plan.end = METAL_SHM_DIR_DEV_R | (writes ? METAL_SHM_DIR_DEV_W : 0u);
		plan.after.cpu_dirty = false;
		plan.after.started = true;
	}

	if (writes && is_cpu(taker))
		plan.after.cpu_dirty = true;
	if (writes && !is_cpu(taker))
		plan.after.device_dirty = true;
	return plan;
}
