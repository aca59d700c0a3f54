/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: three programs with a camera, some work and a display, on one memory that suits all. No program has both
 * devices open, so they agree by messages: the display's says what a picture is to it, the worker's passes that
 * on, and the camera's allocates for all of them. (06-processes is the same without devices.)
 *
 *	08-three-programs [CAMERA [CARD [FRAMES [check]]]]
 *		starts the three, each of them this program again; "check" has the display write each picture
 *		back, and compares it with what the camera's program says of it
 */
#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/v4l2.h>

#include "three.h"

#define BUFFERS 6u

/* A message: once what a picture shall be, up the row and down again; then one before each frame. */
struct note {
	struct metal_shm_frame layout;
	metal_shm_type needs;
	uint32_t sum; /* of the pixels that the camera wrote */
};

static int frames = 100;
static bool check;

static void say(struct metal_device *peer, const struct note *note)
{
	must(!metal_shm_peer_say(peer, note, sizeof(*note)), "say");
}

/* The next message, and the frame that follows it if there is one. */
static struct note hear(struct metal_device *peer, struct metal_generic_shm **ret_frame)
{
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	struct note note;

	must(!metal_shm_peer_next(peer, LIMIT, &event), "hear");
	must(!event.shm && event.size == sizeof(note), "a note");
	memcpy(&note, event.data, sizeof(note));
	if (ret_frame) {
		must(!metal_shm_peer_next(peer, LIMIT, &event), "next frame");
		must((*ret_frame = event.shm) != NULL, "a frame");
	}
	return note;
}

static void give_back(struct metal_generic_shm *frame, struct metal_device *to)
{
	/* waits until whoever has it, the next program or the screen, lets go of it */
	must(!frame || !metal_shm_sync_for_device_timeout(frame, to, METAL_SHM_DIR_DEV_RW, LIMIT),
	     "return");
	metal_shm_free(frame, NULL);
}

/* Take the bytes and turn the mask's in each pixel; a checksum of what they are then. */
static uint32_t touch(struct metal_generic_shm *shm, const struct metal_shm_frame *layout,
		      uint32_t mask)
{
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	uint32_t sum = 2166136261u;

	must(bytes && !metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, LIMIT), "take");
	for (uint32_t y = 0; y < layout->height; y++) {
		uint32_t *line = (uint32_t *)(void *)(bytes + (size_t)y * layout->plane[0].stride);

		for (uint32_t x = 0; x < layout->width; x++) {
			line[x] ^= mask;
			sum = (sum ^ (line[x] & 0xffffff)) * 16777619u;
		}
	}
	metal_shm_unmap(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	return sum;
}

static void film(const char *path, struct metal_device *worker)
{
	struct metal_device *devices[] = { NULL, worker };
	struct note note = hear(worker, NULL);
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;

	must(!metal_shm_v4l2_open(path, &devices[0]), "camera");
	must(!metal_shm_peer_needs(worker, note.needs), "needs");
	must(!metal_shm_frame_negotiate(&note.layout, devices, 2), "negotiate");
	must(!metal_shm_pool_create_frames(&note.layout, devices, 2, BUFFERS, &pool), "pool");
	say(worker, &note);
	must(!metal_shm_v4l2_start(devices[0], pool), "start");
	for (int n = 0; n < frames; n++) {
		must(!metal_shm_v4l2_wait(devices[0], LIMIT, NULL, &shm), "frame");
		note.sum = check ? touch(shm, &note.layout, 0) : 0;
		say(worker, &note);
		must(!metal_shm_sync_for_device(shm, worker, METAL_SHM_DIR_DEV_RW), "give");
		metal_shm_free(shm, NULL); /* the camera has it again when the worker returns it */
	}
	metal_shm_v4l2_stop(devices[0]);
	for (unsigned i = 0; i < BUFFERS; i++)
		must(metal_shm_pool_get(pool, LIMIT) != NULL, "all come back");
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(devices[0]);
}

static void work(struct metal_device *from, struct metal_device *to)
{
	struct metal_generic_shm *frame, *last = NULL, *view[BUFFERS];
	struct note note = hear(to, NULL);
	unsigned views = 0;

	say(from, &note);
	note = hear(from, NULL);
	say(to, &note);
	for (int n = 0; n < frames; n++, last = frame) {
		note = hear(from, &frame);
		if (!metal_shm_view(frame, to))
			must((view[views++] = metal_shm_attach(frame, to)) != NULL, "attach");
		touch(frame, &note.layout, 0xffffffff);
		say(to, &note);
		must(!metal_shm_sync_for_device(frame, to, METAL_SHM_DIR_DEV_RW), "give");
		give_back(last, from); /* which the screen let go of for this one */
	}
	give_back(last, from);
	while (views)
		metal_shm_detach(view[--views], to);
}

static void show(const char *path, struct metal_device *from)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = check ? METAL_SHM_DRM_WRITEBACK : 0,
	};
	struct metal_generic_shm *frame, *last = NULL, *view[BUFFERS], *written = NULL;
	struct note note = { .layout = { .fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
					 .width = 640,
					 .height = 480 },
			     .needs = METAL_SHM_DMABUF };
	struct metal_shm_pool *pool = NULL;
	struct metal_device *screen;
	unsigned views = 0, wrong = 0;
	uint32_t before = 0;

	must(!metal_shm_drm_open_options(path, &options, &screen), "display");
	must(!metal_shm_frame_negotiate(&note.layout, &screen, 1), "negotiate");
	say(from, &note);
	note = hear(from, NULL);
	if (check) {
		must(!metal_shm_pool_create_frames(&note.layout, &screen, 1, 1, &pool), "pool");
		must((written = metal_shm_pool_get(pool, 0)) != NULL, "get");
	}
	for (int n = 0; n < frames; n++, last = frame, before = note.sum) {
		note = hear(from, &frame);
		if (!metal_shm_view(frame, screen)) {
			must(!metal_shm_frame_set(frame, &note.layout), "frame");
			must((view[views++] = metal_shm_attach(frame, screen)) != NULL, "attach");
		}
		must(!(check ? metal_shm_drm_present_writeback(screen, frame, written)
			     : metal_shm_drm_present(screen, frame)),
		     "present");
		give_back(last, from);
		if (check) /* turned once more it is what the camera wrote */
			wrong += touch(written, &note.layout, 0xffffffff) != note.sum ||
				 note.sum == before;
	}
	must(!metal_shm_drm_off(screen), "off");
	give_back(last, from);
	printf("%d frames of %ux%u on %s, %u wrong\n", frames, note.layout.width,
	       note.layout.height, path, wrong);
	while (views)
		metal_shm_detach(view[--views], screen);
	metal_shm_free(written, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(screen);
	must(!wrong, "pictures");
}

int main(int argc, char **argv)
{
	const char *role = getenv("ROLE");
	struct metal_device *first, *second = NULL;

	if (!role)
		return start_three(argv);
	frames = argc > 3 ? atoi(argv[3]) : 100;
	check = argc > 4;
	first = open_peer(10);
	if (!strcmp(role, "worker")) {
		second = open_peer(11);
		work(first, second);
	} else if (!strcmp(role, "camera")) {
		film(argc > 1 ? argv[1] : "/dev/video0", first);
	} else {
		show(argc > 2 ? argv[2] : "/dev/dri/card0", first);
	}
	metal_shm_device_close(second);
	metal_shm_device_close(first);
	return 0;
}
