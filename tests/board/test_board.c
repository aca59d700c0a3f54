/* SPDX-License-Identifier: BSD-3-Clause */
/* What the board has: each fact that the other board tests take for granted. */
#include "shm_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <linux/vfio.h>
#include <linux/videodev2.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define BUFFER_SIZE 65536

/* QEMU's edu device, where the script "board" puts it */
#define EDU "/sys/bus/pci/devices/0000:00:03.0"

static int open_heap(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int heap_allocate(int heap, size_t size)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno : (int)data.fd;
}

static int allocate(const char *name, size_t size)
{
	int heap = open_heap(name), fd;

	assert_true(heap >= 0);
	fd = heap_allocate(heap, size);
	close(heap);
	assert_true(fd >= 0);
	return fd;
}

static uint8_t *map(int fd, size_t size)
{
	uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(bytes != MAP_FAILED);
	return bytes;
}

/* The first line of a file, without its end; false when there is none. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool found = file && fgets(line, size, file);

	if (file)
		fclose(file);
	if (found)
		line[strcspn(line, "\n")] = '\0';
	return found;
}

static void memory_keeps_bytes(int fd, size_t size)
{
	uint8_t *bytes = map(fd, size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7);
	munmap(bytes, size);
	bytes = map(fd, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], (uint8_t)(i * 7));
	munmap(bytes, size);
}

static void both_dma_heaps_allocate(void **state)
{
	static const char *const names[] = { "system", "reserved" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		int fd = allocate(names[i], BUFFER_SIZE);

		memory_keeps_bytes(fd, BUFFER_SIZE);
		close(fd);
	}
}

static void reserved_heap_gives_64_mib_in_one_piece(void **state)
{
	(void)state;
	close(allocate("reserved", 64 << 20));
}

static void udmabuf_shares_the_pages_of_a_memfd(void **state)
{
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = BUFFER_SIZE };
	uint8_t *ours, *theirs;
	int fd;

	(void)state;
	assert_true(device >= 0);
	assert_int_equal(ftruncate(memfd, BUFFER_SIZE), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	create.memfd = (uint32_t)memfd;
	fd = ioctl(device, UDMABUF_CREATE, &create);
	assert_true(fd >= 0);
	ours = map(memfd, BUFFER_SIZE);
	theirs = map(fd, BUFFER_SIZE);
	memset(ours, 0xa5, BUFFER_SIZE);
	assert_memory_equal(ours, theirs, BUFFER_SIZE);
	munmap(theirs, BUFFER_SIZE);
	munmap(ours, BUFFER_SIZE);
	close(fd);
	close(memfd);
	close(device);
}

static long bufinfo_total(void)
{
	FILE *info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[512];
	long total = -1;

	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Total %ld objects", &total);
	fclose(info);
	return total;
}

static void bufinfo_counts_dma_bufs(void **state)
{
	long before = bufinfo_total();
	int fd;

	(void)state;
	assert_true(before >= 0);
	fd = allocate("system", BUFFER_SIZE);
	assert_int_equal(bufinfo_total(), before + 1);
	close(fd);
}

static void sysfs_names_the_exporter_of_a_dma_buf(void **state)
{
	int fd = allocate("system", BUFFER_SIZE);
	char path[96], name[32];
	struct stat info;

	(void)state;
	assert_int_equal(fstat(fd, &info), 0);
	snprintf(path, sizeof(path), "/sys/kernel/dmabuf/buffers/%ju/exporter_name",
		 (uintmax_t)info.st_ino);
	assert_true(read_line(path, name, sizeof(name)));
	assert_string_equal(name, "system");
	close(fd);
}

/* Some driver has a node with all these capabilities. */
static bool has_video_node(const char *driver, uint32_t capabilities)
{
	struct v4l2_capability answer;
	bool found = false;

	for (int i = 0; i < 32 && !found; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		memset(&answer, 0, sizeof(answer));
		found = !ioctl(fd, VIDIOC_QUERYCAP, &answer) &&
			!strcmp((const char *)answer.driver, driver) &&
			(answer.device_caps & capabilities) == capabilities;
		close(fd);
	}
	return found;
}

static void vivid_captures(void **state)
{
	(void)state;
	assert_true(has_video_node("vivid", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING));
}

static void vivid_takes_output(void **state)
{
	(void)state;
	assert_true(has_video_node("vivid", V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_STREAMING));
}

static void vim2m_is_memory_to_memory(void **state)
{
	(void)state;
	assert_true(has_video_node("vim2m", V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING));
}

static void vicodec_and_vimc_have_nodes(void **state)
{
	(void)state;
	assert_true(has_video_node("vicodec", V4L2_CAP_STREAMING));
	assert_true(has_video_node("vimc", V4L2_CAP_STREAMING));
}

/* The card of a driver and its number; -1 when there is none. */
static int open_card(const char *driver, int *ret_number)
{
	for (int i = 0; i < 8; i++) {
		drmVersionPtr version;
		char path[32];
		bool found;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		version = drmGetVersion(fd);
		found = version && !strcmp(version->name, driver);
		drmFreeVersion(version);
		if (found) {
			*ret_number = i;
			return fd;
		}
		close(fd);
	}
	return -1;
}

static void vgem_has_a_card(void **state)
{
	int number, fd = open_card("vgem", &number);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
}

static void vkms_has_a_display_and_a_writeback_connector(void **state)
{
	int number, fd = open_card("vkms", &number), displays = 0, writebacks = 0;
	drmModeRes *resources;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(drmSetClientCap(fd, DRM_CLIENT_CAP_ATOMIC, 1), 0);
	assert_int_equal(drmSetClientCap(fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1), 0);
	resources = drmModeGetResources(fd);
	assert_non_null(resources);
	for (int i = 0; i < resources->count_connectors; i++) {
		drmModeConnector *connector = drmModeGetConnector(fd, resources->connectors[i]);

		assert_non_null(connector);
		if (connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK)
			writebacks++;
		else if (connector->connection == DRM_MODE_CONNECTED)
			displays++;
		drmModeFreeConnector(connector);
	}
	drmModeFreeResources(resources);
	close(fd);
	assert_int_equal(displays, 1);
	assert_int_equal(writebacks, 1);
}

static void vkms_gives_checksums_of_what_it_shows(void **state)
{
	char path[64], line[64];
	int number, fd = open_card("vkms", &number);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%d/crtc-0/crc/control", number);
	assert_true(read_line(path, line, sizeof(line)));
	assert_string_equal(line, "auto*");
}

static void sw_sync_fence_signals_when_its_timeline_gets_there(void **state)
{
	struct {
		uint32_t value;
		char name[32];
		int32_t fence;
	} create = { .value = 1, .name = "board" };
	uint32_t step = 1;
	int timeline = open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC);
	struct pollfd fence = { .events = POLLIN };

	(void)state;
	assert_true(timeline >= 0);
	assert_int_equal(ioctl(timeline, _IOWR('W', 0, create), &create), 0);
	fence.fd = create.fence;
	assert_int_equal(poll(&fence, 1, 0), 0);
	assert_int_equal(ioctl(timeline, _IOW('W', 1, uint32_t), &step), 0);
	assert_int_equal(poll(&fence, 1, 1000), 1);
	close(fence.fd);
	close(timeline);
}

/* Some failures are met with a second try, as that of a large page. */
static void each_kernel_allocation_can_be_made_to_fail(void **state)
{
	int heap = open_heap("system");
	int fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int refused = 0, nth = 1;
	bool reached = true;

	(void)state;
	assert_true(heap >= 0 && fail >= 0);
	for (; reached && nth < 100; nth++) {
		char text[16] = "";
		int length = snprintf(text, sizeof(text), "%d", nth), fd;

		assert_int_equal(pwrite(fail, text, (size_t)length, 0), length);
		fd = heap_allocate(heap, BUFFER_SIZE);
		memset(text, 0, sizeof(text));
		assert_true(pread(fail, text, sizeof(text) - 1, 0) > 0);
		reached = atoi(text) == 0;
		assert_int_equal(pwrite(fail, "0", 1, 0), 1);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		assert_int_equal(fd, -ENOMEM);
		refused++;
	}
	assert_false(reached);
	assert_true(refused > 3);
	close(fail);
	close(heap);
}

static void edu_stands_behind_the_iommu(void **state)
{
	char id[16];
	struct stat info;

	(void)state;
	assert_true(read_line(EDU "/vendor", id, sizeof(id)));
	assert_string_equal(id, "0x1234");
	assert_true(read_line(EDU "/device", id, sizeof(id)));
	assert_string_equal(id, "0x11e8");
	assert_int_equal(stat(EDU "/iommu_group", &info), 0);
}

static void vfio_offers_its_type_1_iommu(void **state)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(container >= 0);
	assert_int_equal(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU), 1);
	close(container);
}

static void remoteproc_and_rpmsg_are_there(void **state)
{
	static const char *const paths[] = {
		"/sys/class/remoteproc",
		"/sys/bus/rpmsg/drivers/rpmsg_chrdev",
		"/sys/bus/rpmsg/drivers/rpmsg_ctrl",
	};

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(paths); i++)
		assert_int_equal(access(paths[i], F_OK), 0);
}

static void the_hosts_tree_is_read_only(void **state)
{
	(void)state;
	assert_int_equal(open("/board-was-here", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
	assert_int_equal(errno, EROFS);
}

static void temporary_folders_are_the_guests_own(void **state)
{
	static const char *const paths[] = { "/tmp/board", "/run/board-test", "/dev/shm/board" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(paths); i++) {
		int fd = open(paths[i], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		close(fd);
		unlink(paths[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_dma_heaps_allocate),
		cmocka_unit_test(reserved_heap_gives_64_mib_in_one_piece),
		cmocka_unit_test(udmabuf_shares_the_pages_of_a_memfd),
		cmocka_unit_test(bufinfo_counts_dma_bufs),
		cmocka_unit_test(sysfs_names_the_exporter_of_a_dma_buf),
		cmocka_unit_test(vivid_captures),
		cmocka_unit_test(vivid_takes_output),
		cmocka_unit_test(vim2m_is_memory_to_memory),
		cmocka_unit_test(vicodec_and_vimc_have_nodes),
		cmocka_unit_test(vgem_has_a_card),
		cmocka_unit_test(vkms_has_a_display_and_a_writeback_connector),
		cmocka_unit_test(vkms_gives_checksums_of_what_it_shows),
		cmocka_unit_test(sw_sync_fence_signals_when_its_timeline_gets_there),
		cmocka_unit_test(each_kernel_allocation_can_be_made_to_fail),
		cmocka_unit_test(edu_stands_behind_the_iommu),
		cmocka_unit_test(vfio_offers_its_type_1_iommu),
		cmocka_unit_test(remoteproc_and_rpmsg_are_there),
		cmocka_unit_test(the_hosts_tree_is_read_only),
		cmocka_unit_test(temporary_folders_are_the_guests_own),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
