/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-overs of a part that its device works on elsewhere, so that it is copied there first.
 *
 * usage: copy bandwidth ROUNDS SIZE...    for each: bytes, and the ns of memcpy() and of the hand-over
 *        copy reported ROUNDS SIZE...     for each and each count of reported bytes up to it: both,
 *                                         the bytes copied by a hand-over, and its ns
 *
 * memcpy() copies between the same addresses, in turn with the hand-over. Times are medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fake.h"
#include "quiet.h"

#define PAGE 4096u
#define R    METAL_SHM_DIR_DEV_R

struct job {
	struct metal_device *dev;
	struct metal_generic_shm *part;
	unsigned char *here; /* the part's bytes */
	char *there;         /* what its device works on */
	size_t size, rounds;
	uint64_t *times[2];
};

/* A page of the memory is before it. */
static void make(struct job *job)
{
	struct fake_importer *device = fake_importer_new("device", METAL_SHM_ACCESS_DMA);
	struct metal_generic_shm *shm = metal_shm_allocate(job->size + 2 * PAGE, quiet_source(), 0);
	unsigned char *bytes = shm ? metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE) : NULL;

	must(bytes != NULL, "map");
	memset(bytes, 1, job->size + 2 * PAGE);
	job->dev = device->dev;
	job->here = bytes + PAGE;
	job->part = metal_shm_sub(shm, PAGE, job->size, 0);
	must(job->part && metal_shm_attach(job->part, job->dev), "attach");
	job->there = fake_view_bytes(device, job->part);
	must(job->there != (char *)job->here, "the part isn't copied");
	for (int i = 0; i < 2; i++) {
		job->times[i] = calloc(job->rounds, sizeof(uint64_t));
		must(job->times[i] != NULL, "memory");
	}
}

static uint64_t bytes_out(const struct job *job)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	must(!metal_shm_buffer_stats(job->part, &stats), "stats");
	return stats.bytes_out;
}

static uint64_t hand_over(struct job *job)
{
	uint64_t begin = now_ns(), took;

	must(!metal_shm_sync_for_device(job->part, job->dev, R), "sync_for_device");
	took = now_ns() - begin;
	must(!metal_shm_sync_for_cpu(job->part, R), "sync_for_cpu");
	return took;
}

static uint64_t copy_plainly(struct job *job)
{
	uint64_t begin = now_ns();

	memcpy(job->there, job->here, job->size);
	return now_ns() - begin;
}

static void measure_bandwidth(struct job *job)
{
	uint64_t before = bytes_out(job);

	for (size_t i = 0; i < job->rounds; i++) {
		job->here[i % job->size]++;
		/* each goes first in half of the rounds */
		if (i % 2)
			job->times[1][i] = hand_over(job);
		job->times[0][i] = copy_plainly(job);
		if (!(i % 2))
			job->times[1][i] = hand_over(job);
	}
	must(bytes_out(job) - before == job->rounds * job->size, "not all was copied");
	must(!memcmp(job->there, job->here, job->size), "the copy differs");
	printf("%zu %llu %llu\n", job->size, (unsigned long long)median(job->times[0], job->rounds),
	       (unsigned long long)median(job->times[1], job->rounds));
}

static void measure_reported(struct job *job, size_t reported)
{
	uint64_t before = bytes_out(job);

	for (size_t i = 0; i < job->rounds; i++) {
		job->here[job->size - reported]++;
		must(!metal_shm_wrote(job->part, job->size - reported, reported), "wrote");
		job->times[0][i] = hand_over(job);
	}
	must(!memcmp(job->there, job->here, job->size), "the copy differs");
	printf("%zu %zu %llu %llu\n", job->size, reported,
	       (unsigned long long)((bytes_out(job) - before) / job->rounds),
	       (unsigned long long)median(job->times[0], job->rounds));
}

int main(int argc, char **argv)
{
	bool bandwidth = argc > 3 && !strcmp(argv[1], "bandwidth");

	if (argc < 4 || (!bandwidth && strcmp(argv[1], "reported") != 0) || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: copy bandwidth|reported ROUNDS SIZE...\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		struct job job = { .size = strtoul(argv[i], NULL, 10),
				   .rounds = strtoul(argv[2], NULL, 10) };

		make(&job);
		hand_over(&job); /* the first one brings pages and copies what was never there */
		if (bandwidth)
			measure_bandwidth(&job);
		for (size_t reported = 64; !bandwidth && reported <= job.size; reported *= 16)
			measure_reported(&job, reported);
		free(job.times[0]);
		free(job.times[1]);
	}
	return 0;
}
