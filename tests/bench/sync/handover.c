/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-overs to a device and back that need no cache operation. Cases take turns, round by round, so
 * that what else the machine does meets all of them; for each is printed its name and the picoseconds
 * of a hand-over, the median of the rounds. Case "mutex" is a pthread mutex, locked and unlocked: what the
 * C library takes for the least that a hand-over does.
 *
 * usage: handover [--threads] PAIRS ROUNDS CASE...
 *
 * --threads: with a second thread, that sleeps. Without one the C library locks with plain stores.
 */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fake.h"

#define LINE 64u
#define R    METAL_SHM_DIR_DEV_R

/* What is handed over, one after another. */
struct job {
	struct metal_device *dev;
	struct metal_generic_shm **shm;
	size_t count, at;
	uint64_t *times; /* of each round */
};

static struct metal_generic_shm *attached(struct metal_generic_shm *shm, struct metal_device *dev)
{
	must(shm && metal_shm_attach(shm, dev), "attach");
	return shm;
}

static struct metal_generic_shm *buffer(bool syncs, size_t size)
{
	struct fake_source *source = fake_source_new("memory", syncs);

	source->properties.cached = METAL_SHM_YES; /* as of memfd, udmabuf and the heaps */
	if (syncs)
		source->properties.sync_granule = LINE;
	return fake_buffer(source, size);
}

static void make_whole(struct job *job, bool syncs, enum metal_shm_access access)
{
	job->dev = fake_importer_new("device", access)->dev;
	job->shm = calloc(1, sizeof(*job->shm));
	must(job->shm != NULL, "memory");
	job->shm[0] = attached(buffer(syncs, 4096), job->dev);
	job->count = 1;
}

/*
 * Every other part is another device's, so that no two ranges become one, whoever has the rest. All are
 * attached first, since each attach looks at all ranges.
 */
static void make_parts(struct job *job, size_t n, bool all)
{
	struct metal_device *other = fake_importer_new("other", METAL_SHM_ACCESS_DMA)->dev;
	struct metal_generic_shm *shm = buffer(true, n * LINE);
	struct metal_generic_shm **part = calloc(n, sizeof(struct metal_generic_shm *));

	job->dev = fake_importer_new("device", METAL_SHM_ACCESS_DMA)->dev;
	job->shm = calloc(n, sizeof(*job->shm));
	must(part && job->shm, "memory");
	for (size_t i = 0; i < n; i++)
		part[i] = attached(metal_shm_sub(shm, i * LINE, LINE, 0), i % 2 ? job->dev : other);
	for (size_t i = 0; i < n; i++) {
		if (i % 2 == 0)
			must(!metal_shm_sync_for_device(part[i], other, R), "sync_for_device");
		else if (all || i == n / 2 + 1 - n / 2 % 2)
			job->shm[job->count++] = part[i];
	}
	free(part);
	/* neighbours in memory must not be neighbours in time */
	for (size_t i = 1; i < job->count; i++) {
		size_t with = i * 7919 % (i + 1);
		struct metal_generic_shm *one = job->shm[i];

		job->shm[i] = job->shm[with];
		job->shm[with] = one;
	}
}

static void make(struct job *job, const char *name)
{
	if (!strcmp(name, "coherent"))
		make_whole(job, false, METAL_SHM_ACCESS_DMA);
	else if (!strcmp(name, "dma"))
		make_whole(job, true, METAL_SHM_ACCESS_DMA);
	else if (!strcmp(name, "cpu"))
		make_whole(job, true, METAL_SHM_ACCESS_CPU_KERNEL);
	else if (!strncmp(name, "one-of-", 7))
		make_parts(job, strtoul(name + 7, NULL, 10), false);
	else if (!strncmp(name, "each-of-", 8))
		make_parts(job, strtoul(name + 8, NULL, 10), true);
	else
		must(!strcmp(name, "mutex"), name);
}

static void lock_alone(size_t times)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	for (size_t i = 0; i < times; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

/* Picoseconds of a hand-over. */
static uint64_t hand_over(struct job *job, size_t pairs)
{
	uint64_t begin = now_ns();

	if (!job->dev)
		lock_alone(2 * pairs);
	for (size_t i = 0; job->dev && i < pairs; i++) {
		struct metal_generic_shm *shm = job->shm[job->at++];

		if (job->at == job->count)
			job->at = 0;
		must(!metal_shm_sync_for_device(shm, job->dev, R), "sync_for_device");
		must(!metal_shm_sync_for_cpu(shm, R), "sync_for_cpu");
	}
	return (now_ns() - begin) * 500 / pairs;
}

static void check_elided(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	must(!metal_shm_stats(&stats) && !stats.starts && !stats.ends, "an operation was issued");
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	bool threads = argc > 1 && !strcmp(argv[1], "--threads");
	pthread_t thread;

	argc -= threads;
	argv += threads;
	must(!threads || !pthread_create(&thread, NULL, sleep_on, NULL), "thread");

	size_t pairs = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
	size_t rounds = argc > 3 ? strtoul(argv[2], NULL, 10) : 0, cases = (size_t)argc - 3;
	struct job *jobs;

	if (!pairs || !rounds) {
		fprintf(stderr, "usage: handover [--threads] PAIRS ROUNDS CASE...\n");
		return 2;
	}
	jobs = calloc(cases, sizeof(*jobs));
	must(jobs != NULL, "memory");
	for (size_t i = 0; i < cases; i++) {
		make(&jobs[i], argv[3 + i]);
		jobs[i].times = calloc(rounds, sizeof(uint64_t));
		must(jobs[i].times != NULL, "memory");
	}
	CALLGRIND_START_INSTRUMENTATION; /* to make many parts would take it a minute */
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < cases; i++)
			jobs[i].times[round] = hand_over(&jobs[i], pairs);
	check_elided();
	for (size_t i = 0; i < cases; i++) {
		printf("%s %llu\n", argv[3 + i], (unsigned long long)median(jobs[i].times, rounds));
		free(jobs[i].times);
		free(jobs[i].shm);
	}
	free(jobs);
	return 0;
}
