/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A firmware that adds 1 to each byte that it is given, in place, and hands the bytes back. It signs its
 * work with a message that comes before them: how many bytes, and their sum.
 */
#include <errno.h>

#include "board.h"

#define JOBS 16 /* that can wait */

struct signature {
	char mark[4];
	uint32_t number;
	uint64_t bytes, sum;
};

static struct metal_generic_shm *jobs[JOBS];
static unsigned job_count;

/* An event notes what came: the work is done where it keeps nobody waiting. */
static void given(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	struct metal_device *host = *(struct metal_device **)user;

	if (dir == METAL_SHM_DIR_DEV_RW && job_count < JOBS)
		jobs[job_count++] = shm;
	else
		metal_shm_host_fail(shm, host, -ECANCELED);
}

/* What the host gave before it began anew is its own again. */
static void began(void *user)
{
	(void)user;
	job_count = 0;
}

static uint64_t add_one(uint8_t *bytes, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += ++bytes[i];
	return sum;
}

/* Memory may lie in several places: metal_shm_map() is for that which lies in one. */
static int work(struct metal_generic_shm *shm, struct metal_device *host, uint64_t *ret_sum)
{
	const struct metal_shm_segment *segments;
	uint64_t sum = 0;
	size_t n;
	int error = metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW);

	if (!error)
		error = metal_shm_segments(metal_shm_view(shm, host), &segments, &n);
	if (error)
		return error;
	for (size_t i = 0; i < n; i++)
		sum += add_one((uint8_t *)(uintptr_t)segments[i].device_address,
			       (size_t)segments[i].length);
	*ret_sum = sum;
	return metal_shm_wrote(shm, 0, metal_shm_size(shm));
}

static void do_job(struct metal_generic_shm *shm, struct metal_device *host)
{
	static uint32_t number;
	struct signature signature = { .mark = "INC", .bytes = metal_shm_size(shm) };

	if (work(shm, host, &signature.sum)) {
		metal_shm_host_fail(shm, host, -EIO);
		return;
	}
	signature.number = ++number;
	metal_shm_host_send(host, &signature, sizeof(signature));
	metal_shm_sync_for_device(shm, host, METAL_SHM_DIR_DEV_RW);
}

int main(void)
{
	static struct metal_device *host;
	static struct metal_shm_channel channel;
	static const struct metal_shm_host_events events = { .given = given, .began = began };
	const struct metal_shm_host_setup setup = {
		.struct_size = sizeof(setup),
		.reach_count = board_reach_count,
		.channel = &channel,
		.events = &events,
		.user = &host,
		.reach = board_reach,
		.request_timeout_ns = 1000000000,
	};

	if (metal_shm_platform_set(&board_platform))
		return 1;
	board_channel(&channel);
	if (metal_shm_host_open(&setup, &host))
		return 1;
	for (;;) {
		metal_shm_device_dispatch(host);
		if (job_count)
			do_job(jobs[--job_count], host);
		else
			board_wait();
	}
}
