/* SPDX-License-Identifier: BSD-3-Clause */
/* Zero-copy shown: each stage says where the bytes are, and a number goes in at one end and out at the
 * other. A pipeline that copies in secret is caught by the same checker. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evidence.h"

#define WIDTH  640u
#define HEIGHT 480u
#define FRAMES 8
/* Frames that the camera may have finished before it sees a control's new value. */
#define STALE 6

/* What the checker says of some frames: NULL, or the first copy that it found. */
static const char *look_for_a_copy(enum pipeline_copy copy)
{
	const char *found = NULL;
	struct pipeline p;

	pipeline_open(&p, WIDTH, HEIGHT);
	p.copy = copy;
	for (unsigned i = 0; i < FRAMES && !found; i++) {
		struct pipeline_frame frame;
		struct evidence evidence;

		pipeline_next(&p, &frame);
		evidence = evidence_of(&p, &frame);
		found = evidence_of_a_copy(&evidence);
		pipeline_drop(&frame);
	}
	pipeline_close(&p);
	return found;
}

static void each_stage_has_the_bytes_in_the_same_dma_buf(void **state)
{
	const char *found = look_for_a_copy(COPY_NOWHERE);

	(void)state;
	if (found)
		fail_msg("%s", found);
}

static void no_counter_sees_a_secret_copy(void **state)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	(void)state;
	assert_non_null(look_for_a_copy(COPY_BEFORE_GPU));
	assert_ok(metal_shm_stats(&stats));
	assert_int_equal(stats.bytes_copied, 0);
}

static void a_secret_copy_before_the_gpu_is_caught(void **state)
{
	const char *found = look_for_a_copy(COPY_BEFORE_GPU);

	(void)state;
	assert_non_null(found);
	assert_string_equal(found, "the GPU reads another memory than the camera wrote");
}

static void a_secret_copy_before_the_display_is_caught(void **state)
{
	const char *found = look_for_a_copy(COPY_BEFORE_DISPLAY);

	(void)state;
	assert_non_null(found);
	assert_string_equal(found, "the display shows another memory than the GPU wrote");
}

/* Drivers that map by dma_buf_attach() are seen by debugfs; vivid is one with allocators=1. */
static void debugfs_names_the_devices_at_each_dma_buf(void **state)
{
	char allocators[8] = "";
	FILE *file = fopen("/sys/module/vivid/parameters/allocators", "re");
	struct pipeline p;
	struct pipeline_frame frame;
	struct evidence e;

	(void)state;
	assert_non_null(file);
	assert_non_null(fgets(allocators, sizeof(allocators), file));
	fclose(file);
	pipeline_open(&p, WIDTH, HEIGHT);
	pipeline_next(&p, &frame);
	e = evidence_of(&p, &frame);
	assert_true(evidence_attached(e.crtc, "vkms"));
	assert_false(evidence_attached(e.camera, "vkms"));
	if (allocators[0] == '1')
		assert_true(evidence_attached(e.camera, "vivid"));
	pipeline_drop(&frame);
	pipeline_close(&p);
}

/* The lightness of the displayed picture's lower right, which has no text in it. */
static bool is_light(const struct pipeline_frame *frame)
{
	const unsigned char *bytes = metal_shm_map(frame->written, METAL_SHM_READ);
	size_t at = ((size_t)(HEIGHT - 20) * WIDTH + 20) * 4;
	bool light;

	assert_non_null(bytes);
	light = bytes[at] > 128 && bytes[at + 1] > 128 && bytes[at + 2] > 128;
	metal_shm_unmap(frame->written, METAL_SHM_READ);
	return light;
}

/* A random number, bit by bit: the camera sees white or black. */
static void a_number_at_the_camera_comes_out_at_the_display(void **state)
{
	enum { BLACK = 5, WHITE = 6 };
	uint16_t nonce = 0, displayed = 0;
	struct pipeline p;

	(void)state;
	assert_int_equal(getrandom(&nonce, sizeof(nonce), 0), sizeof(nonce));
	pipeline_open(&p, WIDTH, HEIGHT);
	for (unsigned bit = 0; bit < 16; bit++) {
		struct pipeline_frame frame;

		camera_control(p.camera, "Test Pattern", nonce >> bit & 1 ? WHITE : BLACK);
		pipeline_skip(&p, STALE);
		pipeline_next(&p, &frame);
		displayed |= (uint16_t)(is_light(&frame) << bit);
		pipeline_drop(&frame);
	}
	camera_control(p.camera, "Test Pattern", 0);
	pipeline_close(&p);
	assert_int_equal(displayed, nonce);
}

/* The page frame at an address, as root sees it; 0 where the kernel doesn't tell. */
static uint64_t page_at(const void *address)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;
	off_t at = (off_t)((uintptr_t)address / 4096 * sizeof(entry));

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &entry, sizeof(entry), at), sizeof(entry));
	close(fd);
	return entry >> 63 ? entry & ((UINT64_C(1) << 55) - 1) : 0;
}

/* One of the library's own pages through two mappings, of which the kernel used one. */
static void the_gpu_has_the_very_pages_of_the_dma_buf(void **state)
{
	struct metal_device *heap = NULL, *gpu = NULL;
	struct metal_generic_shm *shm, *view;
	const volatile unsigned char *ours;
	cl_mem mem;
	void *theirs = NULL;

	(void)state;
	assert_ok(metal_shm_device_open("heap:contiguous", &heap));
	assert_ok(metal_shm_opencl_open(NULL, NULL, &gpu));
	shm = metal_shm_allocate(65536, heap, METAL_SHM_CONTIGUOUS);
	view = metal_shm_attach(shm, gpu);
	assert_true(shm && view);
	assert_ok(metal_shm_opencl_mem(gpu, shm, &mem));
	clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(theirs), &theirs, NULL);
	ours = metal_shm_map(shm, METAL_SHM_READ);
	assert_true(ours && theirs && ours != theirs);
	for (size_t at = 0; at < 65536; at += 4096) {
		/* touched, so that both are mapped */
		assert_int_equal(ours[at], ((volatile unsigned char *)theirs)[at]);
		assert_int_not_equal(page_at((const char *)theirs + at), 0);
		assert_int_equal(page_at((const void *)(uintptr_t)&ours[at]),
				 page_at((const char *)theirs + at));
	}
	metal_shm_unmap(shm, METAL_SHM_READ);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(gpu);
	metal_shm_device_close(heap);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stage_has_the_bytes_in_the_same_dma_buf),
		cmocka_unit_test(a_secret_copy_before_the_gpu_is_caught),
		cmocka_unit_test(a_secret_copy_before_the_display_is_caught),
		cmocka_unit_test(no_counter_sees_a_secret_copy),
		cmocka_unit_test(debugfs_names_the_devices_at_each_dma_buf),
		cmocka_unit_test(a_number_at_the_camera_comes_out_at_the_display),
		cmocka_unit_test(the_gpu_has_the_very_pages_of_the_dma_buf),
	};

	if (getenv("SHM_TEST_BOARD"))
		pipeline_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
