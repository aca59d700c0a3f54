/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs of fences share: a DMA-BUF that this program plays, and a device that works on it. */
#ifndef FENCE_BENCH_H
#define FENCE_BENCH_H

#include <string.h>
#include <unistd.h>

#include <shm/linux.h>

#include "fake.h"
#include "fake_fence.h"
#include "shm_test.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

/* A buffer and a device that it is attached to, as one's own driver of a GPU would be. */
struct bench {
	struct fake_heap *heap;
	struct fake_importer *gpu;
	struct metal_generic_shm *shm, *view;
};

static inline struct bench new_bench_of(bool coherent)
{
	struct bench b = { .heap = fake_heap_new(),
			   .gpu = fake_importer_new("gpu", METAL_SHM_ACCESS_DMA) };

	b.heap->coherent = coherent;
	b.shm = metal_shm_allocate(8192, b.heap->dev, 0);
	assert_non_null(b.shm);
	b.view = metal_shm_attach(b.shm, b.gpu->dev);
	assert_non_null(b.view);
	return b;
}

static inline struct bench new_bench(void)
{
	return new_bench_of(false);
}

static inline void end_bench(struct bench *b)
{
	assert_int_equal(b->heap->starts_too_early, 0);
	metal_shm_detach(b->view, b->gpu->dev);
	metal_shm_free(b->shm, b->heap->dev);
	fake_importer_end(b->gpu);
	fake_heap_end();
}

static inline void expect_reason(const char *text)
{
	if (!strstr(metal_shm_last_error(), text))
		fail_msg("\"%s\" says nothing of \"%s\"", metal_shm_last_error(), text);
}

/* Work of the device, until the fence that is answered signals. */
static inline int work(struct bench *b, enum metal_shm_dir dir)
{
	int fence = fake_fence_new();

	assert_int_equal(metal_shm_sync_for_device(b->shm, b->gpu->dev, dir), 0);
	assert_int_equal(metal_shm_import_fence(b->shm, b->gpu->dev, dir, fence), 0);
	return fence;
}

#endif
