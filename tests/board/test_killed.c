/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that are killed at any instant leave nothing behind: no DMA-BUF, no camera that is busy, no
 * display that can't be used. Each is this program executed again; it tells the stage that it has reached,
 * and is killed somewhere in one of them.
 */
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>

#include <shm/opencl.h>

#include "again.h"
#include "drm_card.h"
#include "v4l2_board.h"

#define SHOWN      4
#define CONVERTED  6
#define COMPUTED   100
#define SIZE       (1u << 20)
#define RUN_EVERY  6       /* kills */
#define PATIENCE   60000   /* milliseconds for a stage; OpenCL may compile its first kernel in it */
#define SETTLE_NS  5000000 /* between two looks at what is left */
#define SETTLE_MAX 1000

/* What a client does, in this order. The first begins with its process. */
enum stage { LOADS, OPENS, ALLOCATES, STARTS, STREAMS, ENDS, STAGES };

/* In a client: no case is there to fail. */
#define must(call)                                                                             \
	do {                                                                                   \
		int must_ = (call);                                                            \
		if (must_) {                                                                   \
			fprintf(stderr, "%s: %d, %s\n", #call, must_, metal_shm_last_error()); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

static void reach(enum stage stage)
{
	char byte = (char)('0' + stage);

	must(write(STDOUT_FILENO, &byte, 1) != 1);
}

static struct metal_shm_pool *pool_for(uint32_t fourcc, struct metal_device *const devs[], size_t n)
{
	struct metal_shm_frame frame = { .fourcc = fourcc, .width = WIDTH, .height = HEIGHT };
	struct metal_shm_pool *pool = NULL;

	must(metal_shm_frame_negotiate(&frame, devs, n));
	must(metal_shm_pool_create_frames(&frame, devs, n, FRAMES, &pool));
	return pool;
}

/* Camera to display; each frame is seen on the screen and differs from the one before. */
static int show_camera(void)
{
	struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
	struct metal_shm_drm_crc crc = { .struct_size = sizeof(crc) };
	struct metal_shm_drm_flip flip = { .struct_size = sizeof(flip) };
	uint32_t before = 0, sequence = 0;
	struct metal_device *devs[2] = { NULL, NULL };
	struct metal_shm_pool *pool;
	uint64_t flips;

	reach(OPENS);
	must(metal_shm_v4l2_open(video_path("vivid-000-vid-cap"), &devs[0]));
	must(metal_shm_v4l2_set_interval(devs[0], 1, 50));
	must(metal_shm_drm_open(card_path("vkms"), &devs[1]));
	reach(ALLOCATES);
	pool = pool_for(XR24, devs, 2);
	must(metal_shm_drm_last_flip(devs[1], &flip));
	flips = flip.count;
	reach(STARTS);
	must(metal_shm_v4l2_start(devs[0], pool));
	for (unsigned i = 0; i < SHOWN; i++) {
		struct metal_generic_shm *shm = NULL;

		must(metal_shm_v4l2_wait(devs[0], 5 * SECOND, &info, &shm));
		if (!i)
			reach(STREAMS);
		must(metal_shm_drm_present(devs[1], shm));
		must(metal_shm_drm_crc(devs[1], 5 * SECOND, &crc));
		must(i && info.sequence <= sequence);
		must(i && crc.value[0] == before);
		sequence = info.sequence;
		before = crc.value[0];
		metal_shm_free(shm, NULL);
	}
	must(metal_shm_drm_last_flip(devs[1], &flip));
	must(flip.count != flips + SHOWN);
	reach(ENDS);
	must(metal_shm_v4l2_stop(devs[0]));
	must(metal_shm_drm_off(devs[1]));
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(devs[1]);
	metal_shm_device_close(devs[0]);
	return 0;
}

static void fill_with(struct metal_generic_shm *shm, unsigned seed)
{
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_WRITE);

	must(!bytes);
	must(metal_shm_sync_for_cpu(shm, RW));
	for (size_t i = 0; i < metal_shm_size(shm); i++)
		bytes[i] = (unsigned char)(i * 31 + i / 251 + seed);
	must(metal_shm_unmap(shm, METAL_SHM_WRITE));
}

static void must_hold(struct metal_generic_shm *shm, size_t size, unsigned seed)
{
	const unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ);

	must(!bytes);
	must(metal_shm_sync_for_cpu(shm, W));
	for (size_t i = 0; i < size; i++)
		must(bytes[i] != (unsigned char)(i * 31 + i / 251 + seed));
	must(metal_shm_unmap(shm, METAL_SHM_READ));
}

/* Through vim2m, which copies every byte. */
static int convert(void)
{
	struct metal_device *in = NULL, *out = NULL;
	struct metal_shm_pool *from, *to;

	reach(OPENS);
	must(metal_shm_v4l2_open_m2m(video_path("vim2m"), &in, &out));
	reach(ALLOCATES);
	from = pool_for(RG24, &in, 1);
	to = pool_for(RG24, &out, 1);
	reach(STARTS);
	must(metal_shm_v4l2_start(in, from));
	must(metal_shm_v4l2_start(out, to));
	reach(STREAMS);
	for (unsigned i = 0; i < CONVERTED; i++) {
		struct metal_generic_shm *shm = metal_shm_pool_get(from, 5 * SECOND);

		must(!shm);
		fill_with(shm, i);
		must(metal_shm_v4l2_queue(in, shm));
		metal_shm_free(shm, NULL);
		must(metal_shm_v4l2_wait(out, 5 * SECOND, NULL, &shm));
		must_hold(shm, (size_t)WIDTH * HEIGHT * 3, i);
		metal_shm_free(shm, NULL);
	}
	reach(ENDS);
	must(metal_shm_v4l2_stop(in));
	must(metal_shm_v4l2_stop(out));
	metal_shm_pool_destroy(from);
	metal_shm_pool_destroy(to);
	metal_shm_device_close(in);
	metal_shm_device_close(out);
	return 0;
}

/* With an OpenCL device, which writes a heap's memory. */
static int compute(void)
{
	struct metal_generic_shm *shm, *view;
	struct metal_device *gpu = NULL, *heap = NULL;
	cl_command_queue queue;
	cl_mem mem = NULL;

	reach(OPENS);
	must(metal_shm_opencl_open(NULL, NULL, &gpu));
	must(metal_shm_device_open("heap:system", &heap));
	reach(ALLOCATES);
	shm = metal_shm_allocate(SIZE, heap, METAL_SHM_DMABUF);
	must(!shm);
	reach(STARTS);
	view = metal_shm_attach(shm, gpu);
	must(!view);
	must(metal_shm_opencl_mem(gpu, shm, &mem));
	queue = metal_shm_opencl_queue(gpu);
	reach(STREAMS);
	for (unsigned char i = 0; i < COMPUTED; i++) {
		const unsigned char *bytes;

		must(metal_shm_opencl_acquire(gpu, shm, W));
		must(clEnqueueFillBuffer(queue, mem, &i, 1, 0, SIZE, 0, NULL, NULL));
		must(metal_shm_opencl_release(gpu, shm));
		must(metal_shm_sync_for_cpu(shm, W));
		bytes = metal_shm_map(shm, METAL_SHM_READ);
		must(!bytes || bytes[0] != i || memcmp(bytes, bytes + 1, SIZE - 1) != 0);
		must(metal_shm_unmap(shm, METAL_SHM_READ));
	}
	reach(ENDS);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, heap);
	metal_shm_device_close(heap);
	metal_shm_device_close(gpu);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static long dmabufs(void)
{
	FILE *info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[512];
	long n = -1;

	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Total %ld objects", &n);
	fclose(info);
	assert_true(n >= 0);
	return n;
}

/* The kernel drops the last references a little after the process has ended. */
static void nothing_is_left(long before)
{
	const struct timespec pause = { .tv_nsec = SETTLE_NS };
	long left = dmabufs();

	for (unsigned i = 0; i < SETTLE_MAX && left != before; i++) {
		nanosleep(&pause, NULL);
		left = dmabufs();
	}
	if (left != before)
		fail_msg("%ld DMA-BUFs were there before, %ld are left", before, left);
}

/* The next stage that the client tells; STAGES when it has ended. */
static enum stage next_stage(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&ready, 1, PATIENCE) != 1)
		fail_msg("the client hangs");
	return read(fd, &byte, 1) == 1 ? (enum stage)(byte - '0') : STAGES;
}

/* The stages' lengths are the shortest seen: chance shall not pass the end of a stage. */
static void runs_to_its_end(const char *verb, int64_t lasts[STAGES])
{
	enum stage stage = LOADS, next;
	int64_t began = now_ns();
	int fd, status;
	pid_t client = start_again(verb, NULL, NULL, &fd);

	while (stage != STAGES) {
		int64_t took;

		next = next_stage(fd);
		took = now_ns() - began;
		began += took;
		if (lasts && (!lasts[stage] || took < lasts[stage]))
			lasts[stage] = took;
		if (next != STAGES && next != stage + 1)
			fail_msg("stage %d follows %d", next, stage);
		stage = next;
	}
	close(fd);
	assert_int_equal(waitpid(client, &status, 0), client);
	if (status)
		fail_msg("%s ends with status 0x%x", verb, status);
}

/* Answers the stage in which it died, STAGES where it had ended before. */
static enum stage is_killed(const char *verb, enum stage in, int64_t after_ns)
{
	const struct timespec pause = { .tv_sec = after_ns / SECOND, .tv_nsec = after_ns % SECOND };
	enum stage died = LOADS, next;
	int fd, status;
	pid_t client = start_again(verb, NULL, NULL, &fd);

	while (died != in && died != STAGES)
		died = next_stage(fd);
	nanosleep(&pause, NULL);
	kill(client, SIGKILL);
	assert_int_equal(waitpid(client, &status, 0), client);
	while ((next = next_stage(fd)) != STAGES)
		died = next;
	close(fd);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return died;
	if (status)
		fail_msg("%s ends with status 0x%x in stage %d", verb, status, died);
	return STAGES;
}

static unsigned seed(void)
{
	const char *given = getenv("SHM_TEST_SEED");
	unsigned value = 1;

	if (given)
		value = (unsigned)strtoul(given, NULL, 0);
	else
		assert_int_equal(getrandom(&value, sizeof(value), 0), sizeof(value));
	print_message("SHM_TEST_SEED=%u\n", value);
	srandom(value);
	return value;
}

/* In each stage in turn, at an instant that chance says; every few times a client must do all its work. */
static void kill_clients(const char *verb, unsigned kills)
{
	unsigned died[STAGES + 1] = { 0 };
	int64_t lasts[STAGES] = { 0 };
	long before = dmabufs();

	seed();
	runs_to_its_end(verb, lasts);
	nothing_is_left(before);
	for (unsigned i = 0; i < kills; i++) {
		enum stage in = (enum stage)(i % STAGES);
		int64_t after = lasts[in] / 1000 * (random() % 1000);

		died[is_killed(verb, in, after)]++;
		nothing_is_left(before);
		if (i % RUN_EVERY == RUN_EVERY - 1)
			runs_to_its_end(verb, lasts);
	}
	nothing_is_left(before);
	for (unsigned i = 0; i <= STAGES; i++)
		print_message("stage %u: %lld us, %u died in it\n", i,
			      i < STAGES ? (long long)lasts[i] / 1000 : 0, died[i]);
	/* those that were too late tested nothing */
	assert_true(died[STAGES] <= kills * 2 / 3);
}

static void camera_on_a_display_leaves_nothing_when_it_is_killed(void **state)
{
	(void)state;
	kill_clients("show-camera", 30);
}

static void converter_leaves_nothing_when_it_is_killed(void **state)
{
	(void)state;
	kill_clients("convert", 18);
}

static void computer_leaves_nothing_when_it_is_killed(void **state)
{
	(void)state;
	kill_clients("compute", 6);
}

/* After all of them: by this process, which also looks at what the display says of itself. */
static void display_of_killed_clients_can_be_used(void **state)
{
	int fd = open(card_path("vkms"), O_RDWR | O_CLOEXEC);
	struct objects found = find_objects(fd);
	struct metal_device *dev = NULL;
	struct metal_shm_pool *pool;
	struct metal_generic_shm *a, *b;
	uint32_t crc, id;

	(void)state;
	assert_true(drmIsMaster(fd));
	ok(metal_shm_drm_open_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 0, 0, &dev));
	pool = make_pool("heap:system", dev, XR24, WIDTH, HEIGHT, 2);
	a = get_filled(pool, 1);
	b = get_filled(pool, 2);
	show(dev, a);
	crc = read_crc(dev);
	show(dev, b);
	assert_int_not_equal(read_crc(dev), crc);
	ok(metal_shm_drm_framebuffer(dev, b, &id));
	assert_int_equal(property(fd, found.plane, DRM_MODE_OBJECT_PLANE, "FB_ID"), id);
	show(dev, a);
	assert_int_equal(read_crc(dev), crc);
	metal_shm_free(a, NULL);
	metal_shm_free(b, NULL);
	end(pool, dev);
	close(fd);
	runs_to_its_end("show-camera", NULL);
	runs_to_its_end("convert", NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(camera_on_a_display_leaves_nothing_when_it_is_killed),
		cmocka_unit_test(converter_leaves_nothing_when_it_is_killed),
		cmocka_unit_test(computer_leaves_nothing_when_it_is_killed),
		cmocka_unit_test(display_of_killed_clients_can_be_used),
	};

	if (!strcmp(argv[0], "show-camera"))
		return show_camera();
	if (!strcmp(argv[0], "convert"))
		return convert();
	if (!strcmp(argv[0], "compute"))
		return compute();
	warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
