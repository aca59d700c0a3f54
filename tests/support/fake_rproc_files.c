/* SPDX-License-Identifier: BSD-3-Clause */
/* The files. */
#include "fake_rproc_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm_test.h"

char fake_rproc_root[64];
unsigned fake_rproc_buses;

void fake_rproc_real(const char *path, char *ret, size_t size)
{
	if (snprintf(ret, size, "%s%s", fake_rproc_root, path) >= (int)size)
		fail_msg("%s is too long", path);
}

int fake_rproc_plain_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644);
}

static void make_folders(char *path)
{
	for (char *at = path + strlen(fake_rproc_root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
}

void fake_rproc_file(const char *path, const char *text)
{
	fake_rproc_bytes(path, text, strlen(text));
}

void fake_rproc_bytes(const char *path, const void *data, size_t size)
{
	char full[512];
	int fd;

	fake_rproc_real(path, full, sizeof(full));
	make_folders(full);
	fd = fake_rproc_plain_open(full, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0 || syscall(SYS_write, fd, data, size) < 0)
		fail_msg("%s: %s", full, strerror(errno));
	close(fd);
}

void fake_rproc_link(const char *path, const char *target)
{
	char full[512];

	fake_rproc_real(path, full, sizeof(full));
	make_folders(full);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void fake_rproc_remove(const char *path)
{
	char full[512];

	fake_rproc_real(path, full, sizeof(full));
	nftw(full, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void fake_rproc_read(const char *path, char *ret_text, size_t size)
{
	char full[512];
	ssize_t got;
	int fd;

	fake_rproc_real(path, full, sizeof(full));
	fd = fake_rproc_plain_open(full, O_RDONLY);
	assert_true(fd >= 0);
	got = read(fd, ret_text, size - 1);
	close(fd);
	assert_true(got >= 0);
	ret_text[got] = '\0';
}

void fake_rproc_state(const char *id, const char *state)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/remoteproc/%s/state", id);
	fake_rproc_file(path, state);
}

void fake_rproc_device(const char *folder, const char *name, const char *device, const char *file,
		       const char *text)
{
	char path[512], target[512];

	if (file) {
		snprintf(path, sizeof(path), "/sys/devices/%s/%s", device, file);
		fake_rproc_file(path, text);
	} else {
		snprintf(path, sizeof(path), "/sys/devices/%s/uevent", device);
		fake_rproc_file(path, "");
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(target, sizeof(target), "%sdevices/%s",
		 strncmp(folder, "/sys/class/", 11) != 0 ? "../../../" : "../../", device);
	fake_rproc_link(path, target);
}

#define DEVICE "platform/soc/remoteproc/%s/rproc-virtio.0.auto/virtio%u"

void fake_rproc_bus(const char *id, unsigned virtio)
{
	char device[256], name[64];

	fake_rproc_buses++;
	snprintf(device, sizeof(device), DEVICE, id, virtio);
	snprintf(name, sizeof(name), "virtio%u", virtio);
	fake_rproc_device("/sys/bus/virtio/devices", name, device, NULL, NULL);
	snprintf(name, sizeof(name), "virtio%u.rpmsg_ctrl.0.0", virtio);
	snprintf(device, sizeof(device), DEVICE "/%s", id, virtio, name);
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "name", "rpmsg_ctrl\n");
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "src", "0x0\n");
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "dst", "0x0\n");
	snprintf(name, sizeof(name), "rpmsg_ctrl%u", virtio);
	snprintf(device, sizeof(device), DEVICE "/virtio%u.rpmsg_ctrl.0.0/rpmsg/%s", id, virtio,
		 virtio, name);
	fake_rproc_device("/sys/class/rpmsg", name, device, NULL, NULL);
	snprintf(device, sizeof(device), "/dev/rpmsg_ctrl%u", virtio);
	fake_rproc_file(device, id);
}

static void remove_links(const char *folder, const char *id)
{
	static const char *const names[] = {
		"virtio0", "virtio1", "virtio2",     "rpmsg0",      "rpmsg1",
		"rpmsg2",  "rpmsg3",  "rpmsg_ctrl0", "rpmsg_ctrl1", "rpmsg_ctrl2",
	};
	char path[512], full[600], target[512], owner[64];

	snprintf(owner, sizeof(owner), "/remoteproc/%s/", id);
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		ssize_t size;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		fake_rproc_real(path, full, sizeof(full));
		size = readlink(full, target, sizeof(target) - 1);
		if (size < 0)
			continue;
		target[size] = '\0';
		if (strstr(target, owner))
			unlink(full);
	}
}

void fake_rproc_no_bus(const char *id, unsigned virtio)
{
	char path[256];

	remove_links("/sys/bus/virtio/devices", id);
	remove_links("/sys/class/rpmsg", id);
	fake_rproc_remove("/sys/bus/rpmsg/devices");
	snprintf(path, sizeof(path), "/sys/devices/" DEVICE, id, virtio);
	fake_rproc_remove(path);
	fake_rproc_file("/sys/bus/rpmsg/devices/.empty", "");
}

void fake_rproc_announce(const char *id, unsigned virtio, const char *service, uint32_t destination)
{
	char device[256], name[64], text[32];

	snprintf(name, sizeof(name), "virtio%u.%s.-1.%u", virtio, service, destination);
	snprintf(device, sizeof(device), DEVICE "/%s", id, virtio, name);
	snprintf(text, sizeof(text), "%s\n", service);
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "name", text);
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "src", "0xffffffff\n");
	snprintf(text, sizeof(text), "0x%x\n", destination);
	fake_rproc_device("/sys/bus/rpmsg/devices", name, device, "dst", text);
}

void fake_rproc_remove_all(void)
{
	nftw(fake_rproc_root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	fake_rproc_root[0] = '\0';
}
