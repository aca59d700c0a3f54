/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What it costs that firmware gets 1 MiB: shared in place, for each kind of memory, or sent in RPMsgs; and a
 * hand-over of a known buffer and back beside a bare RPMsg and its answer. All take turns. Board only.
 *
 * usage: coprocessor ROUNDS     for each: name, the median of nanoseconds and of the process' CPU time
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <shm/rproc.h>

#include "clock.h"
#include "coprocessor_board.h"
#include "module.h"
#include "odd_firmware.h"

#define SIZE        ((size_t)1 << 20)
#define MESSAGE     496
#define RECORD      48 /* about as long as a GIVE */
#define RW          METAL_SHM_DIR_DEV_RW
#define LONG        INT64_C(20000000000)
#define ROUND_TRIPS 20 /* of a turn */

enum { KNOWN, SENT, PING_PONG, FIRST_TIME };

/* The first is the known buffer's too. */
static const char *const kinds[] = { "heap:system", "heap:reserved", "rproc:board/shared",
				     "udmabuf" };

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), JOBS = FIRST_TIME + KINDS };

static const char *const names[] = { "known", "sent", "ping-pong" };

struct bench {
	struct metal_device *dsp, *memory[KINDS];
	struct metal_generic_shm *shm[KINDS], *known;
	int echo, sink;
	uint64_t *wall[JOBS], *cpu[JOBS];
};

static uint64_t cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void give_and_take(struct bench *b, struct metal_generic_shm *shm)
{
	must(!metal_shm_sync_for_device(shm, b->dsp, RW), "give");
	must(!metal_shm_sync_for_cpu_timeout(shm, RW, LONG), "take back");
}

static void share_first_time(struct bench *b, struct metal_generic_shm *shm)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, b->dsp);

	must(view && !metal_shm_rproc_share(b->dsp, shm, RW, NULL), "share");
	give_and_take(b, shm);
	metal_shm_detach(view, b->dsp);
}

static void await(int channel)
{
	struct pollfd wait = { .fd = channel, .events = POLLIN };
	char answer[MESSAGE];

	must(poll(&wait, 1, 20000) == 1 && read(channel, answer, sizeof(answer)) > 0, "answer");
}

/* The last message asks for an answer: then all others are there. */
static void send_all(const struct bench *b, const char *bytes)
{
	for (size_t at = 0; at < SIZE; at += MESSAGE) {
		size_t size = SIZE - at < MESSAGE ? SIZE - at : MESSAGE;

		must(write(b->sink, bytes + at, size) == (ssize_t)size, "write");
	}
	must(write(b->sink, "", 1) == 1, "write");
	await(b->sink);
}

static void ping(const struct bench *b)
{
	static const char record[RECORD];

	must(write(b->echo, record, sizeof(record)) == sizeof(record), "write");
	await(b->echo);
}

static void run(struct bench *b, unsigned job, const char *bytes)
{
	switch (job) {
	case KNOWN:
		for (unsigned i = 0; i < ROUND_TRIPS; i++)
			give_and_take(b, b->known);
		break;
	case SENT:
		send_all(b, bytes);
		break;
	case PING_PONG:
		for (unsigned i = 0; i < ROUND_TRIPS; i++)
			ping(b);
		break;
	default:
		share_first_time(b, b->shm[job - FIRST_TIME]);
		break;
	}
}

static struct metal_generic_shm *allocate(struct metal_device *memory)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, memory, 0);

	must(shm && metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE), "memory");
	return shm;
}

static void begin(struct bench *b)
{
	const struct odd_command nothing = { .what = ODD_ADD };
	struct odd_command answer;

	coprocessor_load("");
	module_load("shm_importer", "");
	module_load("shm_carveout", "");
	must(!metal_shm_rproc_open("board", &b->dsp), "open");
	must(!metal_shm_rproc_start(b->dsp, "board-odd.elf", METAL_SHM_RPROC_STOP_WITH_US),
	     "start");
	must(!metal_shm_rproc_send(b->dsp, &nothing, sizeof(nothing)), "send");
	must(metal_shm_rproc_receive(b->dsp, &answer, sizeof(answer), LONG) == sizeof(answer),
	     "receive");
	for (unsigned kind = 0; kind < KINDS; kind++) {
		must(!metal_shm_device_open(kinds[kind], &b->memory[kind]), kinds[kind]);
		b->shm[kind] = allocate(b->memory[kind]);
	}
	b->known = allocate(b->memory[0]);
	must(metal_shm_attach(b->known, b->dsp) &&
		     !metal_shm_rproc_share(b->dsp, b->known, RW, NULL),
	     "share");
	b->echo = coprocessor_channel(ODD_ECHO);
	b->sink = coprocessor_channel(ODD_SINK);
}

static void measure(struct bench *b, size_t rounds)
{
	char *bytes = calloc(1, SIZE);

	must(bytes != NULL, "memory");
	for (unsigned job = 0; job < JOBS; job++) {
		b->wall[job] = calloc(rounds, sizeof(uint64_t));
		b->cpu[job] = calloc(rounds, sizeof(uint64_t));
		must(b->wall[job] && b->cpu[job], "memory");
		run(b, job, bytes);
	}
	for (size_t round = 0; round < rounds; round++) {
		for (unsigned job = 0; job < JOBS; job++) {
			uint64_t wall = now_ns(), cpu = cpu_ns();

			run(b, job, bytes);
			b->cpu[job][round] = cpu_ns() - cpu;
			b->wall[job][round] = now_ns() - wall;
		}
	}
	free(bytes);
}

int main(int argc, char **argv)
{
	size_t rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct bench b = { .dsp = NULL };

	if (!rounds) {
		fprintf(stderr, "usage: coprocessor ROUNDS\n");
		return 2;
	}
	begin(&b);
	measure(&b, rounds);
	for (unsigned job = 0; job < JOBS; job++) {
		unsigned times = job == KNOWN || job == PING_PONG ? ROUND_TRIPS : 1;

		printf("%s %llu %llu\n", job < FIRST_TIME ? names[job] : kinds[job - FIRST_TIME],
		       (unsigned long long)(median(b.wall[job], rounds) / times),
		       (unsigned long long)(median(b.cpu[job], rounds) / times));
	}
	fflush(stdout);
	close(b.echo);
	close(b.sink);
	metal_shm_device_close(b.dsp);
	return 0;
}
