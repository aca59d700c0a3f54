/* SPDX-License-Identifier: BSD-3-Clause */
#include "coprocessor_board.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "module.h"

#define MODULE  "board_coprocessor"
#define REMOTES "/sys/class/remoteproc"

static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", path, strerror(errno));
	close(file);
}

static void pause_ms(int milliseconds)
{
	struct timespec time = { .tv_nsec = milliseconds * 1000000L };

	nanosleep(&time, NULL);
}

void coprocessor_load(const char *parameters)
{
	const char *folder = getenv("LIBSHM_BOARD_FIRMWARE");

	if (!folder)
		fail_msg("LIBSHM_BOARD_FIRMWARE names no folder");
	put("/sys/module/firmware_class/parameters/path", folder ? folder : "");
	module_load(MODULE, parameters);
}

int coprocessor_unload(void)
{
	return module_remove(MODULE);
}

/* A file of the remoteproc whose name is "board"; its number may be another each time. */
static bool path_of(const char *file, char *ret_path, size_t size)
{
	DIR *folder = opendir(REMOTES);
	const struct dirent *entry;
	char path[300], name[32];
	bool found = false;
	FILE *from;

	if (!folder)
		return false;
	while (!found && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), REMOTES "/%s/name", entry->d_name);
		from = fopen(path, "re");
		if (!from)
			continue;
		found = fscanf(from, "%31s", name) == 1 && !strcmp(name, "board");
		fclose(from);
		if (found)
			snprintf(ret_path, size, REMOTES "/%s/%s", entry->d_name, file);
	}
	closedir(folder);
	return found;
}

static int open_file(const char *file, int how)
{
	char path[400] = "no remoteproc";
	int opened = -1;

	if (path_of(file, path, sizeof(path)))
		opened = open(path, how | O_CLOEXEC);
	if (opened < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return opened;
}

bool coprocessor_is_there(void)
{
	char path[400];

	return path_of("name", path, sizeof(path));
}

int coprocessor_write(const char *file, const char *text)
{
	int to = open_file(file, O_WRONLY), error;
	ssize_t done;

	done = write(to, text, strlen(text));
	error = done < 0 ? -errno : 0;
	close(to);
	return error;
}

void coprocessor_read(const char *file, char *ret_text, size_t size)
{
	int from = open_file(file, O_RDONLY);
	ssize_t done;

	done = read(from, ret_text, size - 1);
	close(from);
	assert_true(done >= 0);
	ret_text[done] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

static bool is(const char *wanted)
{
	char state[32];

	coprocessor_read("state", state, sizeof(state));
	return !strcmp(state, wanted);
}

void coprocessor_start(void)
{
	int error;

	coprocessor_load("");
	if (is("running"))
		return;
	error = coprocessor_write("state", "start");
	if (error)
		fail_msg("start: %s", strerror(-error));
	assert_true(is("running"));
}

void coprocessor_stop(void)
{
	if (is("offline"))
		return;
	assert_int_equal(coprocessor_write("state", "stop"), 0);
	assert_true(is("offline"));
}

/* The device node of an endpoint, by the address that its driver shows. */
static bool find(unsigned endpoint, char *ret_node, size_t size)
{
	DIR *folder = opendir("/sys/class/rpmsg");
	const struct dirent *entry;
	bool found = false;
	char path[300];
	unsigned to;
	FILE *file;

	if (!folder)
		return false;
	while (!found && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/sys/class/rpmsg/%s/dst", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		found = fscanf(file, "%u", &to) == 1 && to == endpoint;
		fclose(file);
		if (found)
			snprintf(ret_node, size, "/dev/%s", entry->d_name);
	}
	closedir(folder);
	return found;
}

bool coprocessor_has_channel(unsigned endpoint)
{
	char node[300];

	return find(endpoint, node, sizeof(node));
}

int coprocessor_channel(unsigned endpoint)
{
	char node[300];
	int channel;

	for (int waited = 0; waited < COPROCESSOR_PATIENCE; waited += 10) {
		if (find(endpoint, node, sizeof(node))) {
			channel = open(node, O_RDWR | O_CLOEXEC);
			if (channel >= 0)
				return channel;
			/* the node comes after the entry, and one of a former run may be going */
			if (errno != ENOENT && errno != ENXIO)
				fail_msg("%s: %s", node, strerror(errno));
		}
		pause_ms(10);
	}
	fail_msg("the firmware announces no endpoint %#x", endpoint);
	return -1;
}

size_t coprocessor_talk(int channel, const void *message, size_t size, void *ret_answer,
			size_t room, int milliseconds)
{
	struct pollfd ready = { .fd = channel, .events = POLLIN };
	ssize_t got;

	assert_int_equal(write(channel, message, size), size);
	if (poll(&ready, 1, milliseconds) != 1)
		return 0;
	got = read(channel, ret_answer, room);
	return got > 0 ? (size_t)got : 0;
}

unsigned long long coprocessor_work(int channel, unsigned what, unsigned long long address,
				    unsigned long long length, unsigned value)
{
	const struct coprocessor_job job = {
		.what = what, .value = value, .address = address, .length = length
	};
	struct coprocessor_job done = { 0 };

	if (coprocessor_talk(channel, &job, sizeof(job), &done, sizeof(done),
			     COPROCESSOR_PATIENCE) != sizeof(done))
		fail_msg("no answer to job %u", what);
	assert_memory_equal(&done, &job, offsetof(struct coprocessor_job, result));
	return done.result;
}
