/* SPDX-License-Identifier: BSD-3-Clause */
/* The system calls. */
#include "fake_rproc_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/remoteproc_cdev.h>
#include <linux/rpmsg.h>

#include "kmod/uapi/shm_importer.h"

#include "shm_test.h"

#define ENDPOINTS 8

enum what { NOTHING, STATE, FIRMWARE, NODE, CONTROL, ENDPOINT, IMPORTER, BUS };

struct opened {
	atomic_int what; /* enum what: looked at by whoever opens and closes whatever */
	char id[32];     /* of the core, or the number of the endpoint */
};

struct endpoint {
	bool there;
	int fd, firmware;
	char control[32];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_rproc fake;
static char refused[256];
static int refused_error;
static struct opened opened[1024];
static struct endpoint endpoint[ENDPOINTS];
static int last_endpoint;
static uint64_t last_import, import_size;

static bool is_ours(const char *path)
{
	return fake_rproc_root[0] &&
	       (!strncmp(path, "/sys/", 5) || !strncmp(path, "/dev/r", 6) ||
		!strcmp(path, SHM_IMPORTER_NODE) || !strncmp(path, "/dev/shm_carveout/", 18) ||
		!strncmp(path, "/lib/firmware", 13));
}

void fake_rproc_refuse(const char *path, int error)
{
	snprintf(refused, sizeof(refused), "%s", error ? path : "");
	refused_error = error;
}

struct fake_rproc *fake_rproc_begin(void)
{
	fake = (struct fake_rproc){ .start_error = 0 };
	for (size_t i = 0; i < SHM_TEST_COUNT(opened); i++)
		opened[i].what = NOTHING;
	memset(endpoint, 0, sizeof(endpoint));
	last_endpoint = -1;
	refused[0] = '\0';
	snprintf(fake_rproc_root, sizeof(fake_rproc_root), "/tmp/fake-rproc.XXXXXX");
	if (!mkdtemp(fake_rproc_root))
		fail_msg("%s: %s", fake_rproc_root, strerror(errno));
	fake_rproc_device("/sys/class/remoteproc", "remoteproc0",
			  "platform/soc/remoteproc/remoteproc0", "name", "dsp\n");
	fake_rproc_file("/sys/devices/platform/soc/remoteproc/remoteproc0/state", "offline\n");
	fake_rproc_file("/sys/devices/platform/soc/remoteproc/remoteproc0/firmware", "dsp.elf\n");
	fake_rproc_file("/sys/devices/platform/soc/remoteproc/remoteproc0/recovery", "enabled\n");
	fake_rproc_file("/sys/bus/rpmsg/devices/.empty", "");
	fake_rproc_file("/sys/class/rpmsg/.empty", "");
	fake_rproc_file("/sys/bus/virtio/devices/.empty", "");
	fake_rproc_file("/dev/remoteproc0", "");
	return &fake;
}

void fake_rproc_end(void)
{
	for (unsigned i = 0; i < ENDPOINTS; i++)
		if (endpoint[i].firmware > 0)
			close(endpoint[i].firmware);
	fake_rproc_remove_all();
}

int fake_rproc_firmware_fd(void)
{
	return last_endpoint < 0 ? -1 : endpoint[last_endpoint].firmware;
}

void fake_rproc_hang_up(void)
{
	assert_true(last_endpoint >= 0);
	shutdown(endpoint[last_endpoint].firmware, SHUT_RDWR);
}

/* The last part of a path, or the one before it. */
static void part_of(const char *path, unsigned before, char ret[static 32])
{
	size_t end = strlen(path), at, length;

	for (;;) {
		at = end;
		while (at > 0 && path[at - 1] != '/')
			at--;
		if (!before--)
			break;
		end = at - 1;
	}
	length = end - at < 31 ? end - at : 31;
	memcpy(ret, path + at, length);
	ret[length] = '\0';
}

static enum what kind_of(const char *path, char id[static 32])
{
	char last[32];

	part_of(path, 0, last);
	part_of(path, !strncmp(path, "/sys/", 5) ? 1 : 0, id);
	if (!strncmp(path, "/sys/bus/virtio/devices/", 24))
		return BUS;
	if (!strcmp(last, "state") || !strcmp(last, "recovery"))
		return STATE;
	if (!strcmp(last, "firmware"))
		return FIRMWARE;
	if (strncmp(path, "/dev/", 5) != 0 || !strncmp(path, "/dev/shm_carveout/", 18))
		return NOTHING;
	if (!strncmp(last, "remoteproc", 10))
		return NODE;
	if (!strcmp(path, SHM_IMPORTER_NODE))
		return IMPORTER;
	return !strncmp(last, "rpmsg_ctrl", 10) ? CONTROL : ENDPOINT;
}

static int open_endpoint(const char *path)
{
	unsigned number = (unsigned)strtoul(path + strlen("/dev/rpmsg"), NULL, 10);
	int pair[2];

	if (fake.endpoint_error || number >= ENDPOINTS || !endpoint[number].there) {
		errno = fake.endpoint_error ? fake.endpoint_error : ENOENT;
		return -1;
	}
	if (endpoint[number].firmware > 0)
		close(endpoint[number].firmware);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	endpoint[number].fd = pair[0];
	endpoint[number].firmware = pair[1];
	last_endpoint = (int)number;
	return pair[0];
}

static int fake_open(const char *path, int flags)
{
	char full[512], id[32];
	enum what what = kind_of(path, id);
	bool look = (flags & O_PATH) ||
		    (!strncmp(path, "/sys/class/", 11) && (flags & O_ACCMODE) == O_RDONLY);
	int fd;

	if (refused_error && !look && !strcmp(path, refused)) {
		errno = refused_error;
		return -1;
	}
	if (what == ENDPOINT) {
		fd = open_endpoint(path);
	} else {
		fake_rproc_real(path, full, sizeof(full));
		fd = fake_rproc_plain_open(full, flags);
	}
	if (fd >= 0 && fd < (int)SHM_TEST_COUNT(opened)) {
		opened[fd].what = what;
		snprintf(opened[fd].id, sizeof(opened[fd].id), "%s", id);
	}
	return fd;
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;
	int fd;

	va_start(arguments, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	if (!is_ours(path)) {
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
		if (fd >= 0 && fd < (int)SHM_TEST_COUNT(opened))
			opened[fd].what = NOTHING;
		return fd;
	}
	pthread_mutex_lock(&lock);
	fd = fake_open(path, flags);
	pthread_mutex_unlock(&lock);
	return fd;
}

static int do_command(const char *id, const char *word, size_t size)
{
	char state[32], path[128];
	int error;

	snprintf(path, sizeof(path), "/sys/class/remoteproc/%s/state", id);
	if (size == 5 && !memcmp(word, "start", 5)) {
		fake.starts++;
		error = fake.start_error;
		if (!error) {
			fake_rproc_state(id, "running\n");
			fake_rproc_bus(id, 0);
			if (!fake.silent)
				fake_rproc_announce(id, 0, "libshm", 1024);
		}
		return error;
	}
	fake_rproc_read(path, state, sizeof(state));
	if (size == 7 && !memcmp(word, "recover", 7)) {
		if (!strcmp(state, "crashed\n"))
			fake_rproc_state(id, fake.start_error ? "offline\n" : "running\n");
		return 0;
	}
	if (size != 4 || memcmp(word, "stop", 4) != 0)
		return EINVAL;
	fake.stops++;
	error = fake.stop_error;
	if (!error && (!strcmp(state, "offline\n") || (fake.older && !strcmp(state, "crashed\n"))))
		error = EINVAL;
	if (!error && !fake.kept) {
		fake_rproc_state(id, "offline\n");
		fake_rproc_no_bus(id, 0);
	}
	return error;
}

static int set_firmware(const char *id, const char *name, size_t size)
{
	char state[32], path[128], text[300];

	snprintf(path, sizeof(path), "/sys/class/remoteproc/%s/state", id);
	fake_rproc_read(path, state, sizeof(state));
	if (strcmp(state, "offline\n") != 0)
		return EBUSY;
	snprintf(path, sizeof(path), "/sys/class/remoteproc/%s/firmware", id);
	snprintf(text, sizeof(text), "%.*s\n", (int)size, name);
	fake_rproc_file(path, text);
	return 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
	const struct opened *file = &opened[fd];
	int error = 0;

	if (fd < 0 || fd >= (int)SHM_TEST_COUNT(opened) || !fake_rproc_root[0] ||
	    file->what == NOTHING)
		return syscall(SYS_write, fd, data, size);
	if (file->what == ENDPOINT) {
		if (!fake.write_error)
			return send(fd, data, size, MSG_NOSIGNAL);
		errno = fake.write_error;
		return -1;
	}
	pthread_mutex_lock(&lock);
	error = file->what == FIRMWARE ? set_firmware(file->id, data, size)
				       : do_command(file->id, data, size);
	pthread_mutex_unlock(&lock);
	errno = error;
	return error ? -1 : (ssize_t)size;
}

/* Numbers of sysfs grow; those of the file system that the fake lies in come again. */
int fstat64(int fd, struct stat64 *ret)
{
	int answer = (int)syscall(SYS_fstat, fd, ret);

	if (!answer && fd >= 0 && fd < (int)SHM_TEST_COUNT(opened) && opened[fd].what == BUS)
		ret->st_ino = fake_rproc_buses;
	return answer;
}

/* A file of sysfs reads no more when its device is gone. */
ssize_t pread64(int fd, void *ret, size_t size, off64_t at)
{
	struct stat64 st;

	if (fd >= 0 && fd < (int)SHM_TEST_COUNT(opened) && opened[fd].what == STATE &&
	    !fstat64(fd, &st) && !st.st_nlink) {
		errno = ENODEV;
		return -1;
	}
	return syscall(SYS_pread64, fd, ret, size, at);
}

int close(int fd)
{
	if (fd >= 0 && fd < (int)SHM_TEST_COUNT(opened)) {
		if (opened[fd].what == NODE && fake.stops_at_close)
			do_command(opened[fd].id, "stop", 4);
		opened[fd].what = NOTHING;
	}
	return (int)syscall(SYS_close, fd);
}

/* Reading a lost endpoint is EPIPE, where a socket says that it ended. */
ssize_t read(int fd, void *ret, size_t size)
{
	ssize_t got = syscall(SYS_read, fd, ret, size);

	if (got || fd < 0 || fd >= (int)SHM_TEST_COUNT(opened) || opened[fd].what != ENDPOINT)
		return got;
	errno = EPIPE;
	return -1;
}

static int make_endpoint(const char *control, const struct rpmsg_endpoint_info *info)
{
	char full[512], path[512], target[400], name[32], text[64];
	unsigned number = 1;
	ssize_t size;

	if (fake.create_error)
		return fake.create_error;
	while (number < ENDPOINTS && endpoint[number].there)
		number++;
	snprintf(path, sizeof(path), "/sys/class/rpmsg/%s", control);
	fake_rproc_real(path, full, sizeof(full));
	size = readlink(full, target, sizeof(target) - 1);
	if (size < 0 || number == ENDPOINTS)
		return ENODEV;
	target[size] = '\0';
	snprintf(name, sizeof(name), "rpmsg%u", number);
	snprintf(path, sizeof(path), "%s/%s", strstr(target, "platform/"), name);
	snprintf(text, sizeof(text), "%.32s\n", info->name);
	fake_rproc_device("/sys/class/rpmsg", name, path, "name", text);
	snprintf(text, sizeof(text), "%d\n", (int)info->src);
	fake_rproc_device("/sys/class/rpmsg", name, path, "src", text);
	snprintf(text, sizeof(text), "%d\n", (int)info->dst);
	fake_rproc_device("/sys/class/rpmsg", name, path, "dst", text);
	endpoint[number] = (struct endpoint){ .there = true };
	fake.made++;
	fake.destination = info->dst;
	return 0;
}

#define FIRST_ADDRESS 0x80000000u

static int import_attach(struct shm_import_attach *attach)
{
	struct stat st;

	if (fake.attach_error)
		return fake.attach_error;
	if (fstat(attach->fd, &st))
		return errno;
	if (fake.reads_only && (attach->access & SHM_IMPORT_WRITE))
		return EACCES;
	attach->id = ++last_import;
	attach->size = (uint64_t)st.st_size;
	attach->segments = fake.pieces ? fake.pieces : 1;
	attach->flags = fake.flags;
	import_size = attach->size;
	fake.attached++;
	return 0;
}

/* Each piece twice as far from the first as it is in the memory; a few of them in one call. */
static int import_segments(struct shm_import_segments *want)
{
	struct shm_import_segment *segment = (void *)(uintptr_t)want->segments;
	uint32_t pieces = fake.pieces ? fake.pieces : 1, n = 0;
	uint64_t length = import_size / pieces, step = fake.spread ? fake.spread : 2 * length;

	while (n < want->count && n < 7 && want->first + n < pieces) {
		segment[n] = (struct shm_import_segment){
			.address = FIRST_ADDRESS + (want->first + n) * step,
			.length = length,
		};
		n++;
	}
	want->count = n;
	return 0;
}

static int import_ioctl(unsigned long request, void *argument)
{
	if (request == SHM_IMPORT_BIND) {
		struct shm_import_bind *bind = argument;

		bind->version = SHM_IMPORTER_VERSION;
		bind->flags = fake.flags;
		bind->highest = 0xffffffff;
		return 0;
	}
	if (request == SHM_IMPORT_ATTACH)
		return import_attach(argument);
	if (request == SHM_IMPORT_SEGMENTS)
		return import_segments(argument);
	if (request == SHM_IMPORT_RELEASE) {
		const struct shm_import_release *release = argument;

		fake.attached--;
		fake.unshared += (release->flags & SHM_IMPORT_UNSHARED) != 0;
		fake.held += !(release->flags & SHM_IMPORT_UNSHARED);
		return 0;
	}
	if (request == SHM_IMPORT_STATUS) {
		((struct shm_import_status *)argument)->running = fake.runs;
		return 0;
	}
	return ENOTTY;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;
	int error = EINVAL;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd < 0 || fd >= (int)SHM_TEST_COUNT(opened) || !fake_rproc_root[0] ||
	    opened[fd].what == NOTHING)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	pthread_mutex_lock(&lock);
	if (opened[fd].what == NODE && request == RPROC_SET_SHUTDOWN_ON_RELEASE) {
		fake.shutdown_on_release = *(int32_t *)argument;
		error = 0;
	} else if (opened[fd].what == CONTROL && request == RPMSG_CREATE_EPT_IOCTL) {
		error = make_endpoint(opened[fd].id, argument);
	} else if (opened[fd].what == IMPORTER) {
		error = import_ioctl(request, argument);
	}
	pthread_mutex_unlock(&lock);
	errno = error;
	return error ? -1 : 0;
}
