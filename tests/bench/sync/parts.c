/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many parts of one buffer, made, attached, detached and freed. Every other part is with a device all the
 * time, so that the buffer has as many ranges as parts; those between are what is counted, by callgrind,
 * which is told one of the functions make_parts, attach_parts, detach_parts and free_parts.
 *
 * usage: parts in-place|copied N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fake.h"
#include "quiet.h"

#define LINE 64u
#define R    METAL_SHM_DIR_DEV_R

#define COUNTED static __attribute__((noinline)) void

struct job {
	struct metal_device *dev;
	struct metal_generic_shm *shm, **part, **view;
	size_t n;
};

COUNTED make_parts(struct job *job)
{
	for (size_t i = 1; i < job->n; i += 2) {
		job->part[i] = metal_shm_sub(job->shm, i * LINE, LINE, 0);
		must(job->part[i] != NULL, "sub");
	}
}

COUNTED attach_parts(struct job *job)
{
	for (size_t i = 1; i < job->n; i += 2) {
		job->view[i] = metal_shm_attach(job->part[i], job->dev);
		must(job->view[i] != NULL, "attach");
	}
}

COUNTED detach_parts(struct job *job)
{
	for (size_t i = 1; i < job->n; i += 2)
		metal_shm_detach(job->view[i], job->dev);
}

COUNTED free_parts(struct job *job)
{
	for (size_t i = 1; i < job->n; i += 2)
		metal_shm_free(job->part[i], NULL);
}

/* With those that stay, whose making isn't counted. */
static void hand_over_others(struct job *job)
{
	for (size_t i = 0; i < job->n; i += 2) {
		job->part[i] = metal_shm_sub(job->shm, i * LINE, LINE, 0);
		must(job->part[i] && metal_shm_attach(job->part[i], job->dev), "attach");
		must(!metal_shm_sync_for_device(job->part[i], job->dev, R), "sync_for_device");
	}
}

int main(int argc, char **argv)
{
	bool copied = argc == 3 && !strcmp(argv[1], "copied");
	struct job job = { .n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0 };
	struct metal_device *source;

	if (!job.n || (!copied && strcmp(argv[1], "in-place") != 0)) {
		fprintf(stderr, "usage: parts in-place|copied N\n");
		return 2;
	}
	job.dev = fake_importer_new("device", METAL_SHM_ACCESS_DMA)->dev;
	if (copied) {
		source = quiet_source();
	} else {
		struct fake_source *ranged = fake_source_new("memory", true);

		ranged->properties.sync_granule = LINE;
		source = ranged->dev;
	}
	job.shm = metal_shm_allocate(job.n * LINE, source, 0);
	job.part = calloc(job.n, sizeof(struct metal_generic_shm *));
	job.view = calloc(job.n, sizeof(struct metal_generic_shm *));
	must(job.shm && job.part && job.view, "memory");
	hand_over_others(&job);
	make_parts(&job);
	attach_parts(&job);
	detach_parts(&job);
	free_parts(&job);
	free(job.part);
	free(job.view);
	return 0;
}
