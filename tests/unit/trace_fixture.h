/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the trace from the outside. It begins once in a process, so each case has a child that
 * uses the library first, in a folder for its files; tests/support/timeline.py looks at these too.
 */
#ifndef TRACE_FIXTURE_H
#define TRACE_FIXTURE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

#define FILE_NAME "trace.json"

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void run(const char *program, const char *one, const char *other)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		execlp(program, program, one, other, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static pid_t owner;

/* A folder for the files, which the case's process is in. */
static inline int set_up(void **state)
{
	char *folder = strdup("/tmp/libshm-trace.XXXXXX");

	assert_non_null(folder);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	owner = getpid();
	*state = folder;
	return 0;
}

static inline int tear_down(void **state)
{
	assert_int_equal(chdir("/"), 0);
	if (getpid() == owner)
		run("rm", "-r", *state);
	free(*state);
	return 0;
}

/* Run it in a child, whose failed assertions end it with another status. */
static inline void in_child(void (*body)(void), bool by_exit)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		body();
		if (by_exit)
			exit(0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static inline char *read_file(const char *name)
{
	FILE *file = fopen(name, "re");
	struct stat stat;
	char *text;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &stat), 0);
	text = calloc(1, (size_t)stat.st_size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)stat.st_size, file), stat.st_size);
	fclose(file);
	return text;
}

static inline void write_trace(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(metal_shm_trace_write(fd), 0);
	close(fd);
}

static inline void check_file(const char *name)
{
	run("python3", TIMELINE_CHECK, name);
}

/* How many lines have both. */
static inline unsigned lines_with(const char *text, const char *one, const char *other)
{
	unsigned n = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		n += memmem(text, length, one, strlen(one)) &&
		     memmem(text, length, other, strlen(other));
		text += length + (text[length] == '\n');
	}
	return n;
}

static inline char *finished_trace(void)
{
	write_trace(FILE_NAME);
	check_file(FILE_NAME);
	return read_file(FILE_NAME);
}

#define assert_lines(text, n, one, other)                                                 \
	do {                                                                              \
		if (lines_with(text, one, other) != (n))                                  \
			print_error("%u lines, not %u, have %s and %s in\n%s",            \
				    lines_with(text, one, other), n, one, other, (text)); \
		assert_int_equal(lines_with(text, one, other), n);                        \
	} while (0)

struct bench {
	struct fake_source *source;
	struct fake_importer *camera, *display;
	struct metal_generic_shm *shm, *of_camera, *of_display;
};

static inline void open_bench(struct bench *bench)
{
	bench->source = fake_source_new("src", true);
	bench->camera = fake_importer_new("camera", METAL_SHM_ACCESS_DMA);
	bench->display = fake_importer_new("display", METAL_SHM_ACCESS_DMA);
	bench->shm = fake_buffer(bench->source, 4096);
	bench->of_camera = metal_shm_attach(bench->shm, bench->camera->dev);
	bench->of_display = metal_shm_attach(bench->shm, bench->display->dev);
	assert_non_null(bench->of_camera);
	assert_non_null(bench->of_display);
}

static inline void close_bench(struct bench *bench)
{
	metal_shm_detach(bench->of_camera, bench->camera->dev);
	metal_shm_detach(bench->of_display, bench->display->dev);
	metal_shm_free(bench->shm, NULL);
	fake_importer_end(bench->camera);
	fake_importer_end(bench->display);
	fake_source_end(bench->source);
}

static inline void work(struct bench *bench, struct fake_importer *device, enum metal_shm_dir dir,
			int error)
{
	assert_int_equal(metal_shm_hold(bench->shm, device->dev, dir, METAL_SHM_FOREVER), 0);
	assert_int_equal(metal_shm_unhold(bench->shm, device->dev, error), 0);
}

static inline void use_a_little(void)
{
	struct bench bench;

	open_bench(&bench);
	work(&bench, bench.camera, W, 0);
	close_bench(&bench);
}

#endif
