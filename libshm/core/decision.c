/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hand-over needs, as a pure function: no memory, no device, no clock.
 *
 * END with WRITE overwrites what a device wrote and START with READ what the CPU wrote, in all the bytes
 * that they act on (both measured). So where a source can only sync all of a memory, a CPU's bytes and
 * a device's are never both dirty in it: what would make them so, or destroy either, is refused. Device
 * kinds that move bytes with the CPU own ranges like devices but count as the CPU here.
 */
#include "core.h"

static bool may_write(const struct shm__question *q)
{
	return q->taker == SHM__PROGRAM || (q->dir & METAL_SHM_DIR_DEV_W);
}

/*
 * A CPU must see what a DMA device wrote; an unknown taker may be a CPU. And where all of the memory is
 * synced at once, what devices wrote elsewhere is read in before the CPU writes: afterwards it couldn't.
 */
static void decide_start(const struct shm__question *q, struct shm__plan *plan)
{
	bool last = shm__is_cpu(q->taker) && may_write(q) && !q->ranged && q->out.device;
	bool sees = q->in.device && (shm__is_cpu(q->taker) || q->taker == METAL_SHM_ACCESS_UNKNOWN);
	bool needed = sees || last;
	bool destroys = q->in.cpu || (!q->ranged && q->out.cpu);

	/* by ranges only those that a device wrote are read in */
	if (needed && !q->ranged && destroys)
		plan->refusal = SHM__START_DESTROYS;
	else if (needed || (q->paranoid && shm__is_cpu(q->taker) && !destroys))
		plan->start = METAL_SHM_DIR_DEV_W;
	if (plan->start && (q->dir & METAL_SHM_DIR_DEV_W) && shm__is_cpu(q->taker))
		plan->start |= METAL_SHM_DIR_DEV_R;
}

/*
 * A DMA device must see what a CPU wrote. Also if it only writes: a dirty line evicted later would land
 * on its bytes. For an unknown taker nothing is elided.
 */
static void decide_end(const struct shm__question *q, struct shm__plan *plan)
{
	bool always = q->taker == METAL_SHM_ACCESS_UNKNOWN || q->paranoid;
	bool destroys =
		!q->ranged && (q->out.busy || (!plan->start && (q->in.device || q->out.device)));

	if (shm__is_cpu(q->taker) || !(q->in.cpu || always))
		return;
	if (destroys) {
		if (q->in.cpu)
			plan->refusal = SHM__END_DESTROYS;
		return;
	}
	if (!q->started && !plan->start)
		plan->start = METAL_SHM_DIR_DEV_R; /* moves nothing; udmabuf wants it */
	plan->end = METAL_SHM_DIR_DEV_R | ((unsigned)q->dir & METAL_SHM_DIR_DEV_W);
}

struct shm__plan shm__decide(const struct shm__question *q)
{
	struct shm__plan plan = { 0 };

	if (q->coherent)
		return plan;
	if (shm__is_cpu(q->taker) && may_write(q) && !q->ranged && q->out.busy)
		plan.refusal = SHM__STILL_WRITES;
	else
		decide_start(q, &plan);
	if (!plan.refusal)
		decide_end(q, &plan);
	if (plan.refusal)
		plan.start = plan.end = 0;
	return plan;
}
