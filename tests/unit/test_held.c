/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program hears when it ends and devices still have memory, or others what it freed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R METAL_SHM_DIR_DEV_R
#define W METAL_SHM_DIR_DEV_W

static int log_fd = -1;

static void note_line(void *user, enum metal_shm_log_level level, const char *line)
{
	(void)user;
	dprintf(log_fd, "%d %s\n", (int)level, line);
}

/* What the body's process says, as it ends by exit(): by the hook, and to its streams. Fails with it. */
static void hear(void (*body)(void), char *heard, size_t size)
{
	int log[2], status;
	size_t length = 0;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(log[0]);
		log_fd = log[1];
		if (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
			_exit(1);
		alarm(60); /* instead of a deadlock without end */
		body();
		exit(0);
	}
	close(log[1]);
	while ((n = read(log[0], heard + length, size - 1 - length)) > 0)
		length += (size_t)n;
	heard[length] = '\0';
	close(log[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static unsigned count(const char *heard, const char *what)
{
	unsigned n = 0;

	for (const char *at = heard; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* So many lines, of which one has all of this; none in release builds. */
static void expect(const char *heard, unsigned lines, const char *what)
{
	if (!SHM__TELLS_HELD)
		lines = 0;
	if (count(heard, "\n") != lines || (lines && count(heard, what) != 1))
		fail_msg("expected %u lines, one with '%s', and heard '%s'", lines, what, heard);
}

struct program {
	struct fake_source *source;
	struct fake_importer *camera;
	struct metal_generic_shm *shm, *view;
};

static struct program begin(void)
{
	struct program p = { .source = fake_source_new("memory", true) };

	metal_shm_set_log(note_line, NULL, METAL_SHM_LOG_ERROR);
	p.camera = fake_importer_new("camera", METAL_SHM_ACCESS_CPU_KERNEL);
	p.shm = fake_buffer(p.source, 4096);
	p.view = metal_shm_attach(p.shm, p.camera->dev);
	return p;
}

static void end(struct program *p)
{
	metal_shm_detach(p->view, p->camera->dev);
	metal_shm_free(p->shm, NULL);
	fake_importer_end(p->camera);
	fake_source_end(p->source);
}

static void leave_at_work(void)
{
	struct program p = begin();

	if (metal_shm_hold(p.shm, p.camera->dev, W, 0))
		exit(1);
}

static void a_device_at_work_is_named(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_at_work, heard, sizeof(heard));
	expect(heard, 1,
	       "1 held at the program's end: a buffer of memory (4096 bytes): "
	       "camera has bytes 0 to 4096, at work, for ");
}

static void leave_several(void)
{
	struct program p = begin();
	struct metal_generic_shm *other = fake_buffer(p.source, 100);
	struct metal_generic_shm *part = metal_shm_sub(p.shm, 1000, 24, 0);

	if (!metal_shm_attach(part, p.camera->dev) || !metal_shm_attach(other, p.camera->dev) ||
	    metal_shm_sync_for_device(part, p.camera->dev, W) ||
	    metal_shm_sync_for_device(other, p.camera->dev, R))
		exit(1);
	metal_shm_free(other, NULL);
	/* with the program */
	fake_buffer(p.source, 50);
}

static void each_memory_that_is_held_has_a_line(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_several, heard, sizeof(heard));
	expect(heard, 2, "(4096 bytes): camera has bytes 1000 to 1024, idle, for ");
	expect(heard, 2, "(100 bytes): camera has bytes 0 to 100, idle, for ");
	expect(heard, 2, ", freed\n");
}

static void leave_one_attached(void)
{
	struct program p = begin();

	metal_shm_free(p.shm, NULL);
}

static void what_was_freed_and_is_in_use_is_told(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_one_attached, heard, sizeof(heard));
	expect(heard, 1, "(4096 bytes): parts or views of it, freed for ");
}

static void leave_nothing(void)
{
	struct program p = begin();

	if (metal_shm_hold(p.shm, p.camera->dev, W, 0) || metal_shm_unhold(p.shm, p.camera->dev, 0))
		exit(1);
	end(&p);
}

static void leave_it_without_a_hook(void)
{
	leave_at_work();
	metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_ERROR);
}

static void nothing_is_said_without_need_or_hook(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_nothing, heard, sizeof(heard));
	assert_string_equal(heard, "");
	hear(leave_it_without_a_hook, heard, sizeof(heard));
	assert_string_equal(heard, "");
}

static void leave_it_in_a_fork_too(void)
{
	pid_t child;
	int status;

	leave_at_work();
	child = fork();
	if (!child)
		exit(0);
	if (waitpid(child, &status, 0) != child || status)
		exit(1);
}

static void a_forked_child_says_nothing(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_it_in_a_fork_too, heard, sizeof(heard));
	expect(heard, 1, "camera has bytes 0 to 4096, at work");
}

static void end_in_hook(void *user, enum metal_shm_log_level level, const char *line)
{
	note_line(user, level, line);
	exit(0);
}

/* Which is called with locks held: what the CPU wrote can't be written back at a detach. */
static void leave_in_hook(void)
{
	struct program p = begin();
	struct metal_generic_shm *other = fake_buffer(p.source, 100);

	if (!metal_shm_attach(other, p.camera->dev) || metal_shm_hold(other, p.camera->dev, W, 0))
		exit(1);
	p.camera->access = METAL_SHM_ACCESS_DMA;
	if (!metal_shm_map(p.shm, METAL_SHM_READ | METAL_SHM_WRITE))
		exit(1);
	metal_shm_set_log(end_in_hook, NULL, METAL_SHM_LOG_ERROR);
	p.source->fail_end = -EIO;
	metal_shm_detach(p.view, p.camera->dev);
	exit(1);
}

static void a_program_may_end_inside_its_hook(void **state)
{
	char heard[4096];

	(void)state;
	hear(leave_in_hook, heard, sizeof(heard));
	assert_int_equal(count(heard, "\n"), 1);
	assert_int_equal(count(heard, "detach from camera"), 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_at_work_is_named),
		cmocka_unit_test(each_memory_that_is_held_has_a_line),
		cmocka_unit_test(what_was_freed_and_is_in_use_is_told),
		cmocka_unit_test(nothing_is_said_without_need_or_hook),
		cmocka_unit_test(a_forked_child_says_nothing),
		cmocka_unit_test(a_program_may_end_inside_its_hook),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
