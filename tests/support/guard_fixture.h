/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of guard mode share: a guarded buffer with two devices. */
#ifndef GUARD_FIXTURE_H
#define GUARD_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)
#define DEV_R      METAL_SHM_DIR_DEV_R
#define DEV_W      METAL_SHM_DIR_DEV_W
#define DEV_RW     METAL_SHM_DIR_DEV_RW
#define PAGES      8

static struct guarded {
	struct metal_device *source;
	struct fake_importer *one, *two;
	struct metal_generic_shm *shm, *view, *other_view;
	volatile unsigned char *bytes;
	size_t page, size;
} g;

/* In a scene cmocka isn't there. */
static inline void start_with(struct metal_generic_shm *shm, enum metal_shm_access access,
			      bool guard)
{
	g.page = (size_t)sysconf(_SC_PAGESIZE);
	g.size = metal_shm_size(shm);
	g.shm = shm;
	g.one = fake_importer_new("one", access);
	g.two = fake_importer_new("two", access);
	if (guard && metal_shm_guard(g.shm, true)) {
		fprintf(stderr, "%s\n", metal_shm_last_error());
		abort();
	}
	g.view = metal_shm_attach(g.shm, g.one->dev);
	g.other_view = metal_shm_attach(g.shm, g.two->dev);
	g.bytes = metal_shm_map(g.shm, READ_WRITE);
	if (!g.view || !g.other_view || !g.bytes)
		abort();
	memset((void *)(uintptr_t)g.bytes, 0x11, g.size);
}

static inline void start(bool guard)
{
	struct metal_generic_shm *shm;

	if (metal_shm_device_open("memfd", &g.source) ||
	    metal_shm_open("ring", PAGES * (size_t)sysconf(_SC_PAGESIZE), 0, &shm))
		abort();
	start_with(shm, METAL_SHM_ACCESS_CPU_USER, guard);
}

static inline void end_all(void)
{
	metal_shm_detach(g.view, g.one->dev);
	metal_shm_detach(g.other_view, g.two->dev);
	metal_shm_free(g.shm, NULL);
	metal_shm_device_close(g.source);
	fake_importer_end(g.one);
	fake_importer_end(g.two);
}

/* The call that a message has to name: neither inlined nor a jump, so that its address means something. */
static __attribute__((noinline)) int hand_over_here(struct metal_generic_shm *shm,
						    struct fake_importer *to,
						    enum metal_shm_dir dir)
{
	volatile int error = metal_shm_sync_for_device(shm, to->dev, dir);

	return error;
}

static inline void give(struct metal_generic_shm *shm, struct fake_importer *to,
			enum metal_shm_dir dir)
{
	if (hand_over_here(shm, to, dir)) {
		fprintf(stderr, "%s\n", metal_shm_last_error());
		abort();
	}
}

/* What a system call may do with a byte tells what the program may, without a signal. */
static inline bool may_read(size_t offset)
{
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	n = write(ends[1], (const void *)(uintptr_t)&g.bytes[offset], 1);
	assert_true(n == 1 || errno == EFAULT);
	close(ends[0]);
	close(ends[1]);
	return n == 1;
}

static inline bool may_write(size_t offset)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(zero >= 0);
	n = read(zero, (void *)(uintptr_t)&g.bytes[offset], 1);
	assert_true(n == 1 || errno == EFAULT);
	close(zero);
	return n == 1;
}

struct end {
	int status;
	char said[2048];
};

/* What a scene writes to its standard error, and how it ends. */
static inline struct end play(const char *scene, bool guard_all)
{
	struct end end = { .status = -1 };
	char program[4096];
	size_t length = 0;
	int ends[2];
	pid_t child;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	/* valgrind stands in the program's place there, and answers right to this */
	n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	assert_true(n > 0);
	program[n] = '\0';
	child = fork();
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		/* the suite is run with it in the environment, too */
		if (guard_all)
			setenv("LIBSHM_GUARD", "1", 1);
		else
			unsetenv("LIBSHM_GUARD");
		execl(program, program, "--scene", scene, (char *)NULL);
		_exit(99);
	}
	assert_true(child > 0);
	close(ends[1]);
	while ((n = read(ends[0], end.said + length, sizeof(end.said) - 1 - length)) > 0)
		length += (size_t)n;
	close(ends[0]);
	assert_int_equal(waitpid(child, &end.status, 0), child);
	return end;
}

static inline void assert_said(const struct end *end, const char *what)
{
	if (!strstr(end->said, what))
		fail_msg("'%s' is not in '%s'", what, end->said);
}

static inline void assert_died(const struct end *end)
{
	if (!WIFSIGNALED(end->status) || WTERMSIG(end->status) != SIGSEGV)
		fail_msg("status 0x%x, said '%s'", end->status, end->said);
}

static inline void assert_silent_exit(const struct end *end, int code)
{
	if (!WIFEXITED(end->status) || WEXITSTATUS(end->status) != code || end->said[0])
		fail_msg("status 0x%x, said '%s'", end->status, end->said);
}

#define ROUNDS 200

struct part {
	struct metal_generic_shm *shm;
	struct fake_importer *to;
	volatile unsigned char *bytes;
	size_t size;
};

/* Its part is its own, up to the byte in the page that it shares with its neighbour. */
static inline void *hand_round(void *argument)
{
	struct part *part = argument;

	for (unsigned char i = 0; i < ROUNDS; i++) {
		part->bytes[0] = i;
		part->bytes[part->size - 1] = i;
		if (metal_shm_sync_for_device(part->shm, part->to->dev, i % 2 ? DEV_R : DEV_W) ||
		    metal_shm_sync_for_cpu(part->shm, DEV_RW))
			return argument;
		if (part->bytes[0] != i || part->bytes[part->size - 1] != i)
			return argument;
	}
	return NULL;
}

#endif
