/* SPDX-License-Identifier: BSD-3-Clause */
/* A camera whose driver writes by the CPU, and a device that uses DMA. */
#include "camera_by_hand.h"
#include "disaster.h"
#include "v4l2_board.h"

#define R METAL_SHM_DIR_DEV_R

#define CAMERA "vivid-000-vid-cap"

static unsigned char by_device[BYTES], by_cpu[BYTES];

/* A picture has hardly a byte that is 0. */
static void say_picture(char ret[16], const unsigned char *bytes)
{
	size_t zeros = 0;

	for (size_t i = 0; i < BYTES; i++)
		zeros += !bytes[i];
	snprintf(ret, 16, "%s", zeros == BYTES ? "00" : zeros < BYTES / 2 ? "the frame" : "ruins");
}

static void hand_device_reads(const struct hand *frame)
{
	assert_int_equal(pread(frame->device, by_device, BYTES, 0), BYTES);
}

/* What the CPU and the device see of a frame: nothing was synced, or END and then START were. */
static void camera_by_hand(const char *heap, bool end, bool start, char ret_device[16],
			   char ret_cpu[16])
{
	const struct hand *frame;
	struct hand_camera c;

	hand_camera_start(&c, CAMERA, heap);
	frame = hand_camera_next(&c);
	if (end)
		hand_sync(frame, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	if (start)
		hand_sync(frame, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	hand_device_reads(frame);
	say_picture(ret_device, by_device);
	say_picture(ret_cpu, frame->bytes);
	hand_camera_stop(&c);
}

void camera_for_device_by_hand(const char *heap, char ret[16])
{
	char cpu[16];

	camera_by_hand(heap, false, false, ret, cpu);
	assert_string_equal(cpu, "the frame");
}

/* Written back first, the same START is harmless: what libshm does. */
void camera_for_cpu_by_hand(const char *heap, char ret[16])
{
	char device[16];

	camera_by_hand(heap, true, true, device, ret);
	assert_string_equal(device, "the frame");
	assert_string_equal(ret, "the frame");
	camera_by_hand(heap, false, true, device, ret);
}

static void camera_by_libshm(const char *heap, enum metal_shm_dir first, char ret_device[16],
			     char ret_cpu[16])
{
	struct metal_generic_shm *frames[FRAMES], *frame;
	struct importer_device device;
	struct metal_shm_v4l2_info info;
	struct camera c;
	char name[64];

	snprintf(name, sizeof(name), "heap:%s", heap);
	camera_open(&c, CAMERA);
	camera_pool(&c, YUYV, name);
	importer_device_open(&device, "importer");
	for (unsigned i = 0; i < FRAMES; i++) {
		frames[i] = metal_shm_pool_get(c.pool, 0);
		assert_non_null(metal_shm_attach(frames[i], device.dev));
		must_bounce(importer_device_look(&device, frames[i]));
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		struct metal_generic_shm *view = metal_shm_view(frames[i], device.dev);

		metal_shm_free(frames[i], NULL);
		frames[i] = view;
	}
	must(metal_shm_v4l2_start(c.dev, c.pool));
	frame = camera_next(&c, &info);
	if (first == R) {
		must(metal_shm_sync_for_device(frame, device.dev, R));
		importer_device_read(&device, frame, 0, by_device, BYTES);
	}
	memcpy(by_cpu, read_frame(frame), BYTES);
	if (first != R) {
		must(metal_shm_sync_for_device(frame, device.dev, R));
		importer_device_read(&device, frame, 0, by_device, BYTES);
	}
	say_picture(ret_device, by_device);
	say_picture(ret_cpu, by_cpu);
	assert_memory_equal(by_device, by_cpu, BYTES);
	metal_shm_free(frame, NULL);
	must(metal_shm_v4l2_stop(c.dev));
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_detach(frames[i], device.dev);
	importer_device_close(&device);
	camera_close(&c);
}

void camera_for_device_by_libshm(const char *heap, char ret[16])
{
	char cpu[16];

	camera_by_libshm(heap, R, ret, cpu);
}

void camera_for_cpu_by_libshm(const char *heap, char ret[16])
{
	char device[16];

	camera_by_libshm(heap, W, device, ret);
}
