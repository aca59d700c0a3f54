/* SPDX-License-Identifier: BSD-3-Clause */
/* The program exports what looks at files, and ioctl(), so they come before the C library's. */
#include "fake_vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "shm_test.h"

#define CONFIG  65536 /* offset of the configuration in a device's file, behind its one region */
#define HANDLES 1024

enum role { NONE, CONTAINER, GROUP, DEVICE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_vfio fake;
static char root[64];
static struct {
	enum role role;
	int container; /* a group's */
	unsigned groups;
} handle[HANDLES];

/* Where a path leads; what isn't the kernel's stays. */
static const char *led(const char *path, char text[static 512])
{
	if (!root[0] || (strncmp(path, "/sys/", 5) != 0 && strncmp(path, "/dev/vfio", 9) != 0))
		return path;
	snprintf(text, 512, "%s%s", root, path);
	return text;
}

static void make(const char *path, mode_t mode)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *c = full + strlen(root) + 1; *c; c++)
		if (*c == '/') {
			*c = '\0';
			mkdir(full, 0700);
			*c = '/';
		}
	if (mode == S_IFDIR)
		mkdir(full, 0700);
	else
		assert_int_equal(symlink("/dev/null", full), 0);
}

static void link_to(const char *target, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

void fake_vfio_bind(const char *pci, const char *driver)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", pci);
	snprintf(target, sizeof(target), "../../drivers/%s", driver ? driver : "");
	if (driver)
		link_to(target, path);
	else
		fake_vfio_remove(path);
}

static void add_device(const char *pci, const char *group)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", pci);
	make(path, S_IFDIR);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", pci);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
	link_to(target, path);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices", group);
	make(path, S_IFDIR);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices/%s", group, pci);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", pci);
	link_to(target, path);
	fake_vfio_bind(pci, "vfio-pci");
}

struct fake_vfio *fake_vfio_new(void)
{
	snprintf(root, sizeof(root), "/tmp/fake-vfio.XXXXXX");
	assert_non_null(mkdtemp(root));
	add_device(FAKE_ONE, "1");
	add_device(FAKE_TWO, "2");
	add_device(FAKE_PAIR, "2");
	make("/dev/vfio/vfio", 0);
	make("/dev/vfio/1", 0);
	make("/dev/vfio/2", 0);
	memset(handle, 0, sizeof(handle));
	fake = (struct fake_vfio){
		.version = VFIO_API_VERSION,
		.type1 = true,
		.viable = true,
		.page_sizes = ~(uint64_t)4095,
		.window = { { 0, 0xfedfffff }, { 0xfef00000, (UINT64_C(1) << 39) - 1 } },
		.vectors = 4,
		.region_flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				VFIO_REGION_INFO_FLAG_MMAP,
	};
	return &fake;
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void fake_vfio_end(void)
{
	assert_int_equal(nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
	root[0] = '\0';
}

void fake_vfio_remove(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(remove(full), 0);
}

void fake_vfio_name_group(const char *group, const char *name)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/sys/kernel/iommu_groups/%s/name", root, group);
	file = fopen(full, "we");
	assert_non_null(file);
	fprintf(file, "%s\n", name);
	fclose(file);
}

void fake_vfio_raise(unsigned vector)
{
	assert_int_equal(eventfd_write(fake.event[vector], 1), 0);
}

unsigned fake_vfio_mapped(void)
{
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < FAKE_MAPS; i++)
		n += fake.map[i].size != 0;
	pthread_mutex_unlock(&lock);
	return n;
}

static void became(int fd, enum role role)
{
	if (fd < 0 || fd >= HANDLES)
		return;
	pthread_mutex_lock(&lock);
	handle[fd].role = role;
	handle[fd].container = -1;
	handle[fd].groups = 0;
	fake.containers += role == CONTAINER;
	/* another one's number, which took its mappings along */
	for (int i = 0; i < FAKE_MAPS; i++)
		if (fake.map[i].container == fd)
			fake.map[i].size = 0;
	pthread_mutex_unlock(&lock);
}

/* Declared by the headers under several names, as there are files of 32 and of 64 bits. */
int open64(const char *path, int flags, ...)
{
	char text[512];
	const char *to = led(path, text);
	mode_t mode = 0;
	va_list list;
	int fd;

	va_start(list, flags);
	if (flags & O_CREAT)
		mode = va_arg(list, mode_t);
	va_end(list);
	fd = (int)syscall(SYS_openat, AT_FDCWD, to, flags, mode);
	if (to != path)
		became(fd, strstr(to, "/dev/vfio/vfio") ? CONTAINER
			   : strstr(to, "/dev/vfio/")   ? GROUP
							: NONE);
	return fd;
}

ssize_t readlink(const char *path, char *target, size_t size)
{
	char text[512];

	return syscall(SYS_readlinkat, AT_FDCWD, led(path, text), target, size);
}

int access(const char *path, int how)
{
	char text[512];

	return (int)syscall(SYS_faccessat, AT_FDCWD, led(path, text), how);
}

DIR *opendir(const char *path)
{
	char text[512];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, led(path, text),
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

FILE *fopen64(const char *path, const char *mode)
{
	char text[512];
	int fd;

	if (mode[0] == 'w')
		fd = (int)syscall(SYS_openat, AT_FDCWD, led(path, text),
				  O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	else
		fd = (int)syscall(SYS_openat, AT_FDCWD, led(path, text), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, mode);
}

static int set_container(int group, int container)
{
	if (fake.lonely && handle[container].groups)
		return -EINVAL;
	handle[group].container = container;
	handle[container].groups++;
	return 0;
}

static int get_info(struct vfio_iommu_type1_info *info)
{
	const uint32_t size = sizeof(*info) + sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
			      2 * sizeof(struct vfio_iova_range);
	struct vfio_iommu_type1_info_cap_iova_range *ranges = (void *)(info + 1);

	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = fake.page_sizes;
	if (info->argsz < size) {
		info->argsz = size;
		return 0;
	}
	info->cap_offset = sizeof(*info);
	ranges->header.id = fake.no_ranges ? 99 : VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	ranges->nr_iovas = 2;
	for (int i = 0; i < 2; i++)
		ranges->iova_ranges[i] =
			(struct vfio_iova_range){ fake.window[i][0], fake.window[i][1] };
	return 0;
}

static int map(int container, const struct vfio_iommu_type1_dma_map *want)
{
	struct fake_map *free = NULL;

	for (int i = 0; i < FAKE_MAPS; i++) {
		const struct fake_map *is = &fake.map[i];

		if (!is->size)
			free = &fake.map[i];
		else if (is->container == container && want->iova < is->iova + is->size &&
			 is->iova < want->iova + want->size)
			return -EEXIST;
	}
	if (!free)
		return -ENOSPC;
	if ((want->iova | want->vaddr | want->size) & 4095)
		return -EINVAL;
	*free = (struct fake_map){ want->iova, want->size, want->vaddr, want->flags, container };
	return 0;
}

static int unmap(int container, struct vfio_iommu_type1_dma_unmap *what)
{
	if (fake.unmapped_less) {
		what->size -= fake.unmapped_less;
		return 0;
	}
	for (int i = 0; i < FAKE_MAPS; i++)
		if (fake.map[i].container == container && fake.map[i].iova == what->iova &&
		    fake.map[i].size == what->size) {
			fake.map[i].size = 0;
			return 0;
		}
	what->size = 0;
	return 0;
}

static int region(struct vfio_region_info *info)
{
	info->flags = fake.region_flags;
	info->size = 4096;
	info->offset = 0;
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info->offset = CONFIG;
		info->size = 256;
	} else if (info->index) {
		info->size = 0;
	}
	return 0;
}

static int set_irqs(const struct vfio_irq_set *set)
{
	if (set->flags & VFIO_IRQ_SET_ACTION_UNMASK)
		fake.masks++;
	if (!(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		return 0;
	fake.events = set->count;
	for (uint32_t i = 0; i < set->count; i++)
		memcpy(&fake.event[i], set->data + i * sizeof(int), sizeof(int));
	return 0;
}

static int new_device(void)
{
	int fd = memfd_create("fake-vfio", MFD_CLOEXEC);

	if (fd >= HANDLES || ftruncate(fd, CONFIG + 256))
		return -EMFILE;
	handle[fd].role = DEVICE;
	return fd;
}

static int answer(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return fake.version;
	case VFIO_CHECK_EXTENSION:
		return fake.type1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags =
			fake.viable ? VFIO_GROUP_FLAGS_VIABLE : 0;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(fd, *(int *)arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		fake.unsets++;
		handle[handle[fd].container].groups--;
		return 0;
	case VFIO_SET_IOMMU:
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return get_info(arg);
	case VFIO_IOMMU_MAP_DMA:
		return map(fd, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap(fd, arg);
	case VFIO_GROUP_GET_DEVICE_FD:
		return new_device();
	case VFIO_DEVICE_GET_REGION_INFO:
		return region(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		((struct vfio_irq_info *)arg)->count = fake.vectors;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	default:
		return -ENOTTY;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;
	int ret;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (_IOC_TYPE(request) != VFIO_TYPE || fd < 0 || fd >= HANDLES)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	pthread_mutex_lock(&lock);
	if (fake.fail == request && !fake.passes)
		ret = -fake.error;
	else
		ret = answer(fd, request, arg);
	if (fake.fail == request && fake.passes)
		fake.passes--;
	pthread_mutex_unlock(&lock);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}
