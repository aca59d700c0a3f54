/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs of parts share: a mapped buffer and devices of two kinds. */
#ifndef PARTS_BENCH_H
#define PARTS_BENCH_H

#include <errno.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

#define SIZE 65536
#define RDWR (METAL_SHM_READ | METAL_SHM_WRITE)

struct bench {
	struct fake_source *source;
	struct fake_importer *dma, *dma2, *cpu;
	struct metal_generic_shm *shm;
	char *bytes; /* of shm, mapped for writing */
};

static inline int set_up_with(void **state, uint64_t granule)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	b->source = fake_source_new("src", true);
	b->source->properties.sync_granule = granule;
	b->dma = fake_importer_new("dma", METAL_SHM_ACCESS_DMA);
	b->dma2 = fake_importer_new("dma2", METAL_SHM_ACCESS_DMA);
	b->cpu = fake_importer_new("cpu", METAL_SHM_ACCESS_CPU_KERNEL);
	b->shm = fake_buffer(b->source, SIZE);
	b->bytes = metal_shm_map(b->shm, RDWR);
	assert_non_null(b->bytes);
	b->source->log[0] = '\0';
	*state = b;
	return 0;
}

static inline int set_up(void **state)
{
	return set_up_with(state, 0);
}

static inline int set_up_ranged(void **state)
{
	return set_up_with(state, 64);
}

static inline int set_up_coherent(void **state)
{
	struct bench *b;

	set_up_with(state, 0);
	b = *state;
	metal_shm_free(b->shm, NULL);
	b->source->properties.coherent = METAL_SHM_YES;
	b->shm = fake_buffer(b->source, SIZE);
	b->bytes = metal_shm_map(b->shm, RDWR);
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	metal_shm_free(b->shm, NULL);
	fake_importer_end(b->dma);
	fake_importer_end(b->dma2);
	fake_importer_end(b->cpu);
	fake_source_end(b->source);
	test_free(b);
	return 0;
}

static inline struct metal_generic_shm *part_of(struct bench *b, size_t offset, size_t size,
						struct fake_importer *importer)
{
	struct metal_generic_shm *part = metal_shm_sub(b->shm, offset, size, 0);

	assert_non_null(part);
	assert_non_null(metal_shm_attach(part, importer->dev));
	return part;
}

static inline void end_part(struct metal_generic_shm *part, struct fake_importer *importer)
{
	metal_shm_detach(metal_shm_view(part, importer->dev), importer->dev);
	metal_shm_free(part, NULL);
}

static inline struct metal_shm_stats stats_of(const struct bench *b)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_buffer_stats(b->shm, &stats), 0);
	return stats;
}

#endif
