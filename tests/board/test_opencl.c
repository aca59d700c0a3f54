/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenCL on true DMA-BUFs: the heaps', udmabuf's, and one of an exporter that libshm doesn't know. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/sysmacros.h>

#include <drm.h>
#include <drm_mode.h>

#include "opencl_emulation.h"

#define SIZE   65536u
#define CARDS  16
#define FOURCC METAL_SHM_FOURCC

static const char *const sources[] = { "heap:system", "heap:contiguous", "udmabuf" };

#define SOURCES SHM_TEST_COUNT(sources)

struct shared {
	struct metal_device *src;
	struct metal_generic_shm *shm, *view;
	unsigned char *apart;
};

static struct shared shared_from(const char *source, struct metal_device *gpu)
{
	struct shared s = { 0 };

	if (metal_shm_device_open(source, &s.src))
		fail_msg("%s: %s", source, metal_shm_last_error());
	s.shm = metal_shm_allocate(SIZE, s.src, METAL_SHM_ZEROED | METAL_SHM_DMABUF);
	if (!s.shm)
		fail_msg("%s: %s", source, metal_shm_last_error());
	s.view = metal_shm_attach(s.shm, gpu);
	if (!s.view)
		fail_msg("%s: %s", source, metal_shm_last_error());
	s.apart = map_apart(s.shm, SIZE);
	return s;
}

static void shared_end(struct shared *s, struct metal_device *gpu)
{
	munmap(s->apart, SIZE);
	metal_shm_detach(s->view, gpu);
	metal_shm_free(s->shm, NULL);
	metal_shm_device_close(s->src);
}

static void bytes_go_both_ways_on_each_source(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		struct shared s = shared_from(sources[i], fx.gpu);
		unsigned char *bytes = metal_shm_map(s.shm, READ_WRITE);

		run_on(fx.gpu, s.shm, "fill", 0x31);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
		assert_true(all_are(s.apart, SIZE, 0x31));
		memset(bytes, 0x40, SIZE);
		run_on(fx.gpu, s.shm, "add", 2);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
		assert_true(all_are(s.apart, SIZE, 0x42));
		shared_end(&s, fx.gpu);
	}
}

/* The file that is mapped at an address, by the kernel's own list. */
static ino_t inode_at(uint64_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352];
	ino_t found = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uint64_t begin, end, inode;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &begin, &end,
			   &inode) == 3 &&
		    begin <= address && address < end)
			found = (ino_t)inode;
	}
	fclose(maps);
	return found;
}

static void the_address_that_a_kernel_stores_is_the_dma_bufs_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		struct shared s = shared_from(sources[i], fx.gpu);
		int fd = metal_shm_export(s.shm, METAL_SHM_EXPORT_DMABUF);
		cl_mem mem = mem_of(fx.gpu, s.shm);
		struct stat stat;
		uint64_t seen;
		void *host = NULL;

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &stat), 0);
		clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(host), &host, NULL);
		assert_int_equal(metal_shm_opencl_acquire(fx.gpu, s.shm, DEV_R), 0);
		seen = address_seen_by_a_kernel(mem);
		assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), 0);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_R), 0);
		assert_int_equal(seen, (uintptr_t)host);
		assert_true(stat.st_ino != 0);
		assert_int_equal(inode_at(seen), stat.st_ino);
		close(fd);
		shared_end(&s, fx.gpu);
	}
}

static void parts_of_dma_bufs_are_written_in_place(void **state)
{
	static const size_t offsets[] = { 4096, 128, 5003 };

	(void)state;
	for (size_t i = 0; i < SOURCES * SHM_TEST_COUNT(offsets); i++) {
		struct shared s = shared_from(sources[i / SHM_TEST_COUNT(offsets)], fx.gpu);
		size_t offset = offsets[i % SHM_TEST_COUNT(offsets)];
		struct metal_generic_shm *part =
			metal_shm_sub(s.shm, offset, 3000, METAL_SHM_SUB_NO_COPY);
		struct metal_generic_shm *view = metal_shm_attach(part, fx.gpu);

		assert_non_null(view);
		run_on(fx.gpu, part, "fill", 0xc3);
		assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
		assert_true(all_are(s.apart, offset, 0));
		assert_true(all_are(s.apart + offset, 3000, 0xc3));
		assert_true(all_are(s.apart + offset + 3000, SIZE - offset - 3000, 0));
		metal_shm_detach(view, fx.gpu);
		metal_shm_free(part, NULL);
		shared_end(&s, fx.gpu);
	}
}

static void images_of_dma_bufs_are_painted_in_place(void **state)
{
	const struct metal_shm_frame frame = {
		.fourcc = FOURCC('X', 'R', '2', '4'),
		.width = 64,
		.height = 32,
		.plane_count = 1,
		.size = 64 * 4 * 32,
		.plane = { { .stride = 64 * 4 } },
	};
	const cl_float4 white = { { 1.0f, 1.0f, 1.0f, 1.0f } };
	const size_t size[2] = { 64, 32 };

	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		struct shared s = shared_from(sources[i], fx.gpu);
		cl_kernel kernel = kernel_of("paint");
		cl_mem image = NULL;

		metal_shm_detach(s.view, fx.gpu);
		assert_int_equal(metal_shm_frame_set(s.shm, &frame), 0);
		s.view = metal_shm_attach(s.shm, fx.gpu);
		if (metal_shm_opencl_image(fx.gpu, s.shm, 0, &image))
			fail_msg("%s: %s", sources[i], metal_shm_last_error());
		assert_int_equal(metal_shm_opencl_acquire(fx.gpu, s.shm, DEV_W), 0);
		assert_int_equal(clSetKernelArg(kernel, 0, sizeof(image), &image), CL_SUCCESS);
		assert_int_equal(clSetKernelArg(kernel, 1, sizeof(white), &white), CL_SUCCESS);
		assert_int_equal(clEnqueueNDRangeKernel(fx.queue, kernel, 2, NULL, size, NULL, 0,
							NULL, NULL),
				 CL_SUCCESS);
		clReleaseKernel(kernel);
		assert_int_equal(metal_shm_opencl_release(fx.gpu, s.shm), 0);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
		assert_true(all_are(s.apart, (size_t)frame.size, 0xff));
		assert_true(all_are(s.apart + frame.size, SIZE - (size_t)frame.size, 0));
		shared_end(&s, fx.gpu);
	}
}

static void a_gpu_that_wants_dma_bufs_gets_udmabuf_before_the_heaps(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate_for(SIZE, &fx.gpu, 1, METAL_SHM_DMABUF);
	char text[2048];

	(void)state;
	if (!shm)
		fail_msg("%s", metal_shm_last_error());
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "udmabuf"));
	metal_shm_free(shm, NULL);
}

/* A dumb buffer of vgem: an exporter that no source of libshm allocates from. */
static int dumb_buffer(void)
{
	for (int i = 0; i < CARDS; i++) {
		char path[32], name[32] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		struct drm_mode_create_dumb create = { .width = SIZE / 4, .height = 1, .bpp = 32 };
		struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
		int card;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		card = open(path, O_RDWR | O_CLOEXEC);
		if (card < 0)
			continue;
		if (!ioctl(card, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem") &&
		    !ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create)) {
			prime.handle = create.handle;
			ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
		}
		close(card);
		if (prime.fd >= 0)
			return prime.fd;
	}
	fail_msg("no dumb buffer of vgem");
	return -1;
}

static void foreign_memory_is_proven_in_place_and_keeps_its_content(void **state)
{
	int fd = dumb_buffer();
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0);
	struct metal_generic_shm *view;
	unsigned char *bytes;

	(void)state;
	assert_non_null(shm);
	bytes = metal_shm_map(shm, READ_WRITE);
	assert_non_null(bytes);
	memset(bytes, 0x17, SIZE);
	view = metal_shm_attach(shm, fx.gpu);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_true(all_are(bytes, SIZE, 0x17));
	run_on(fx.gpu, shm, "add", 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	assert_true(all_are(bytes, SIZE, 0x18));
	metal_shm_detach(view, fx.gpu);
	metal_shm_free(shm, NULL);
	close(fd);
}

static void foreign_memory_imported_by_an_extension_keeps_its_content(void **state)
{
	int fd = dumb_buffer();
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0), *view;
	struct metal_device *gpu;
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	(void)state;
	memset(bytes, 0x17, SIZE);
	emu.khr = true;
	gpu = open_paths(0, 0);
	view = metal_shm_attach(shm, gpu);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_opencl_path(gpu, shm), METAL_SHM_OPENCL_KHR_EXTERNAL);
	assert_true(all_are(bytes, SIZE, 0x17));
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
	close(fd);
}

static void both_extensions_import_each_source(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * SOURCES; i++) {
		bool arm = i % 2;
		struct metal_device *gpu;
		struct shared s;

		emu.arm = arm;
		emu.khr = !arm;
		gpu = open_paths(0, 0);
		s = shared_from(sources[i / 2], gpu);
		assert_int_equal(metal_shm_opencl_path(gpu, s.shm),
				 arm ? METAL_SHM_OPENCL_ARM_IMPORT : METAL_SHM_OPENCL_KHR_EXTERNAL);
		run_on(gpu, s.shm, "fill", 0x31);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
		assert_true(all_are(s.apart, SIZE, 0x31));
		memset(metal_shm_map(s.shm, READ_WRITE), 0x40, SIZE);
		run_on(gpu, s.shm, "add", 2);
		assert_int_equal(metal_shm_sync_for_cpu(s.shm, DEV_RW), 0);
		assert_true(all_are(s.apart, SIZE, 0x42));
		shared_end(&s, gpu);
		metal_shm_device_close(gpu);
	}
	assert_int_equal(emu.releases, emu.acquires);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		emulation_case(bytes_go_both_ways_on_each_source),
		emulation_case(the_address_that_a_kernel_stores_is_the_dma_bufs_own),
		emulation_case(parts_of_dma_bufs_are_written_in_place),
		emulation_case(images_of_dma_bufs_are_painted_in_place),
		emulation_case(a_gpu_that_wants_dma_bufs_gets_udmabuf_before_the_heaps),
		emulation_case(foreign_memory_is_proven_in_place_and_keeps_its_content),
		emulation_case(foreign_memory_imported_by_an_extension_keeps_its_content),
		emulation_case(both_extensions_import_each_source),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
