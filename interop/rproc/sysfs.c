/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a remoteproc, and whose each RPMsg device is. Formats: the kernel's
 * Documentation/ABI/testing/sysfs-class-remoteproc and sysfs-bus-rpmsg.
 */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/device.h>

#define CLASS "/sys/class/remoteproc"

int shm__rproc_read(const char *path, char ret_text[static SHM__RPROC_TEXT])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;
	int error = 0;

	if (fd < 0)
		return -errno;
	size = read(fd, ret_text, SHM__RPROC_TEXT - 1);
	if (size < 0)
		error = -errno;
	close(fd);
	if (error)
		return error;
	ret_text[size] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
	return 0;
}

int shm__rproc_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* In ".../remoteproc/remoteproc0/rproc-virtio.0.auto/...": what follows the class's folder. */
bool shm__rproc_of_path(const char *path, char ret_id[static SHM__RPROC_TEXT])
{
	static const char folder[] = "/remoteproc/";
	const char *at = strstr(path, folder);
	size_t length;

	if (!at)
		return false;
	at += strlen(folder);
	length = strcspn(at, "/");
	if (!length || length >= SHM__RPROC_TEXT)
		return false;
	snprintf(ret_id, SHM__RPROC_TEXT, "%.*s", (int)length, at);
	return true;
}

static bool is_of(const char *path, const char *id)
{
	char owner[SHM__RPROC_TEXT];

	return !id || (shm__rproc_of_path(path, owner) && !strcmp(owner, id));
}

int shm__rproc_each(const char *folder, const char *id,
		    int (*each)(void *user, const struct shm__rproc_node *node), void *user)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), answer = 0;
	struct shm__rproc_node node;
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		answer = -errno;
		close(fd);
		return answer;
	}
	while (!answer && (entry = readdir(dir)) != NULL) {
		ssize_t length;

		if (entry->d_name[0] == '.')
			continue;
		length = readlinkat(fd, entry->d_name, node.path, sizeof(node.path) - 1);
		if (length < 0)
			continue; /* it went meanwhile */
		node.path[length] = '\0';
		snprintf(node.name, sizeof(node.name), "%s", entry->d_name);
		if (is_of(node.path, id))
			answer = each(user, &node);
	}
	closedir(dir);
	return answer;
}

struct search {
	const char *name;
	char *ret_id;
	unsigned found;
	char known[SHM__RPROC_TEXT]; /* what there is, for the reason */
};

static int compare(void *user, const struct shm__rproc_node *node)
{
	struct search *search = user;
	char path[sizeof(CLASS) + SHM__RPROC_TEXT + 8], name[SHM__RPROC_TEXT] = "";
	size_t length = strlen(search->known);

	snprintf(path, sizeof(path), CLASS "/%s/name", node->name);
	shm__rproc_read(path, name);
	snprintf(search->known + length, sizeof(search->known) - length, "%s%s (%s)",
		 length ? ", " : "", node->name, name);
	if (!strcmp(node->name, search->name)) {
		snprintf(search->ret_id, SHM__RPROC_TEXT, "%s", node->name);
		search->found = 1;
		return 1; /* the kernel's names are unique */
	}
	if (!strcmp(name, search->name)) {
		snprintf(search->ret_id, SHM__RPROC_TEXT, "%s", node->name);
		search->found++;
	}
	return 0;
}

int shm__rproc_find(const char *name, char ret_id[static SHM__RPROC_TEXT])
{
	char id[SHM__RPROC_TEXT] = "";
	struct search search = { .name = name, .ret_id = id };
	int error = shm__rproc_each(CLASS, NULL, compare, &search);

	if (error < 0)
		return metal_shm_set_error(ENODEV, CLASS ": %s: has the kernel CONFIG_REMOTEPROC?",
					   strerror(-error));
	if (!search.found)
		return metal_shm_set_error(ENODEV, "there is no remoteproc '%s'; there is %s", name,
					   search.known[0] ? search.known : "none");
	if (search.found > 1)
		return metal_shm_set_error(ENOTUNIQ, "%u remoteprocs are called '%s'; there is %s",
					   search.found, name, search.known);
	snprintf(ret_id, SHM__RPROC_TEXT, "%s", id);
	return 0;
}

/*
 * Virtio devices, which remoteproc makes when it has started a core and removes when it stops it. A name may
 * be the last one's again, its number in sysfs is not. RPMsg devices won't do: firmware can make them go and
 * come.
 */
static int look_at_virtio(void *user, const struct shm__rproc_node *node)
{
	char path[sizeof("/sys/bus/virtio/devices/") + SHM__RPROC_TEXT];
	struct shm__rproc_epoch *epoch = user;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s", node->name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!fstat(fd, &st)) {
		if (!epoch->first || st.st_ino < epoch->first)
			epoch->first = st.st_ino;
		if (st.st_ino > epoch->last)
			epoch->last = st.st_ino;
	}
	close(fd);
	return 0;
}

struct shm__rproc_epoch shm__rproc_epoch(const char *id)
{
	struct shm__rproc_epoch epoch = { 0, 0 };

	shm__rproc_each("/sys/bus/virtio/devices", id, look_at_virtio, &epoch);
	return epoch;
}
