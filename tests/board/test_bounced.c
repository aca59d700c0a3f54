/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts, and buffers, handed to and fro between the CPU and devices that work on copies: every byte is what
 * its owner wrote last, also at ends that are nowhere near a page or a line of the cache.
 */
#include <stdlib.h>

#include "bounced.h"
#include "sim_machine.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

/* ---- parts ---- */

static const struct metal_shm_range ranges[] = {
	{ 1, 1 }, { 777, 3001 }, { 4095, 2 }, { 4096, 4096 }, { 8200, 40003 }, { 65000, 536 },
};

static void fill(unsigned char *bytes, size_t from, size_t to, unsigned round)
{
	for (size_t i = from; i < to; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251 + round * 101);
}

/* The device has a part, from which it reads and to which it writes; the CPU writes all around it. */
static void go_round(struct side *side, size_t offset, size_t size, unsigned round)
{
	static unsigned char seen[BYTES], must_be[BYTES];
	struct metal_generic_shm *part = side_part(side, offset, size);

	fill(side->bytes, 0, BYTES, round);
	must(metal_shm_sync_for_device(part, side->device.dev, RW));
	importer_device_read(&side->device, part, 0, seen, size);
	assert_memory_equal(seen, side->bytes + offset, size);

	fill(side->bytes, 0, offset, round + 1);
	fill(side->bytes, offset + size, BYTES, round + 1);
	fill(must_be, 0, BYTES, round + 1);
	fill(must_be, offset, offset + size, round + 2);
	importer_device_write(&side->device, part, 0, must_be + offset, size);
	must(metal_shm_sync_for_cpu(part, RW));
	assert_memory_equal(side->bytes, must_be, BYTES);
	side_end_part(side, part);
	assert_memory_equal(side->bytes, must_be, BYTES);
}

static void a_part_is_copied_byte_by_byte_beside_the_cpu(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		struct side side;

		side_open(&side, heaps[i], BYTES);
		for (size_t r = 0; r < SHM_TEST_COUNT(ranges); r++)
			go_round(&side, ranges[r].offset, ranges[r].length, (unsigned)r);
		side_close(&side);
	}
}

/* While the whole is another's, which is bounced too: each has a memory of its own. */
static void two_devices_have_parts_that_touch(void **state)
{
	(void)state;
	for (size_t i = 0; i < HEAPS; i++) {
		struct metal_generic_shm *first, *second, *view;
		struct importer_device other;
		struct side side;

		side_open(&side, heaps[i], BYTES);
		importer_device_open(&other, "other");
		first = side_part(&side, 100, 33);
		second = metal_shm_sub(side.shm, 133, 67, 0);
		view = metal_shm_attach(second, other.dev);
		assert_non_null(view);
		must(metal_shm_sync_for_device(first, side.device.dev, W));
		must(metal_shm_sync_for_device(second, other.dev, W));
		side_device_writes(&side, first, 32, 0x11);
		importer_device_write(&other, second, 0, "\x22", 1);
		side.bytes[99] = 0x33;
		side.bytes[200] = 0x44;
		must(metal_shm_sync_for_cpu(side.shm, W));
		assert_int_equal(side.bytes[99], 0x33);
		assert_int_equal(side.bytes[131], 0x01);
		assert_int_equal(side.bytes[132], 0x11);
		assert_int_equal(side.bytes[133], 0x22);
		assert_int_equal(side.bytes[134], 0x01);
		assert_int_equal(side.bytes[200], 0x44);
		metal_shm_detach(view, other.dev);
		metal_shm_free(second, NULL);
		side_end_part(&side, first);
		importer_device_close(&other);
		side_close(&side);
	}
}

static void a_part_that_may_not_be_copied_is_refused(void **state)
{
	struct metal_generic_shm *part;
	struct side side;

	(void)state;
	side_open(&side, "system", BYTES);
	part = metal_shm_sub(side.shm, 4096, 4096, METAL_SHM_SUB_NO_COPY);
	assert_null(metal_shm_attach(part, side.device.dev));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(part, NULL);
	side_close(&side);
}

/* What this machine can't bounce is said, and nothing is left of it. */
static void a_buffer_too_large_to_bounce_is_refused(void **state)
{
	struct metal_generic_shm *large;
	struct side side;

	(void)state;
	side_open(&side, "reserved", BYTES);
	large = metal_shm_allocate((size_t)1 << 20, side.src, METAL_SHM_DMABUF);
	assert_non_null(large);
	assert_null(metal_shm_attach(large, side.device.dev));
	assert_int_equal(errno, ENOMEM);
	metal_shm_free(large, NULL);
	side_close(&side);
}

/* ---- at random ---- */

#define OPERATIONS 300u
#define SIZE       10007u
#define HANDLES    6u /* the first is the buffer, the others are parts */
#define DEVICES    2u

struct handle {
	struct metal_generic_shm *shm;
	size_t offset, size;
	struct metal_generic_shm *views[DEVICES];
};

#define CPU (HANDLES * DEVICES) /* in place of a view */

/* What each byte is, and which views may read and write it, and whether the CPU may: each a bit. */
struct model {
	unsigned char value[SIZE];
	uint32_t reads[SIZE], writes[SIZE];
};

struct world {
	struct side side;
	struct importer_device other;
	struct importer_device *devices[DEVICES];
	struct handle handles[HANDLES];
	struct model model;
	struct sim_rng rng;
	bool reports; /* the library is told what the CPU wrote */
	unsigned writes, refused;
};

static unsigned view_of(unsigned handle, unsigned device)
{
	return handle * DEVICES + device;
}

static void model_give(struct model *model, const struct handle *handle, unsigned view,
		       enum metal_shm_dir dir)
{
	const uint32_t self = UINT32_C(1) << view;

	for (size_t i = handle->offset; i < handle->offset + handle->size; i++) {
		/* readers stay beside a reader, the CPU too */
		model->reads[i] &= dir == R ? ~model->writes[i] | UINT32_C(1) << CPU : 0;
		model->reads[i] |= dir & R ? self : 0;
		model->writes[i] = dir & W ? self : 0;
	}
}

/* 0; -EINVAL a device keeps a write that isn't named. */
static int model_take(struct model *model, const struct handle *handle, enum metal_shm_dir dir,
		      bool really)
{
	const uint32_t cpu = UINT32_C(1) << CPU;

	for (size_t i = handle->offset; i < handle->offset + handle->size; i++)
		if (model->writes[i] & ~cpu && !(dir & W))
			return -EINVAL;
	for (size_t i = handle->offset; really && i < handle->offset + handle->size; i++) {
		model->reads[i] = (dir & R ? 0 : model->reads[i]) | cpu;
		model->writes[i] = model->reads[i] == cpu ? cpu : 0;
	}
	return 0;
}

static void model_drop(struct model *model, unsigned view)
{
	for (size_t i = 0; i < SIZE; i++) {
		model->reads[i] &= ~(UINT32_C(1) << view);
		model->writes[i] &= ~(UINT32_C(1) << view);
	}
}

static bool writes_any(const struct model *model, unsigned view)
{
	for (size_t i = 0; i < SIZE; i++)
		if (model->writes[i] & UINT32_C(1) << view)
			return true;
	return false;
}

/* The next run of bytes from there on that may be written; 0: there is none. */
static size_t model_run(const struct model *model, unsigned view, size_t *at, size_t end)
{
	size_t last;

	while (*at < end && !(model->writes[*at] & UINT32_C(1) << view))
		++*at;
	for (last = *at; last < end && model->writes[last] & UINT32_C(1) << view;)
		last++;
	return last - *at;
}

/* Of an object of so many bytes. */
static struct metal_shm_range choose_range(struct world *w, size_t size)
{
	size_t offset = sim_random(&w->rng, (unsigned)size);
	size_t most = sim_random(&w->rng, 2) ? size - offset : (size - offset + 99) / 100;

	return (struct metal_shm_range){ offset, 1 + sim_random(&w->rng, (unsigned)most) };
}

static void make_part(struct world *w, unsigned i)
{
	struct handle *handle = &w->handles[i];
	struct metal_shm_range range;
	bool again;

	do {
		range = choose_range(w, SIZE);
		again = false;
		for (unsigned other = 0; other < HANDLES; other++)
			again |= w->handles[other].shm &&
				 w->handles[other].offset == range.offset &&
				 w->handles[other].size == range.length;
	} while (again);
	*handle = (struct handle){ .offset = range.offset, .size = range.length };
	handle->shm = metal_shm_sub(w->side.shm, range.offset, range.length, 0);
	assert_non_null(handle->shm);
	print_message("handle %u: %zu + %zu\n", i, handle->offset, handle->size);
}

/* What may stand in a part's way in memory that is only synced as a whole; then nothing changed. */
static bool done(struct world *w, const struct handle *handle, int error)
{
	if (error == -EBUSY && handle != w->handles) {
		print_message("refused: %s\n", metal_shm_last_error());
		w->refused++;
		return false;
	}
	if (error)
		fail_msg("%d: %s", error, metal_shm_last_error());
	return true;
}

/* One bounced device for the buffer. */
static void attach(struct world *w, unsigned h, unsigned d)
{
	struct handle *handle = &w->handles[h];
	bool second = !h && handle->views[!d];

	if (handle->views[d])
		return;
	print_message("attach %u to %u\n", h, d);
	handle->views[d] = metal_shm_attach(handle->shm, w->devices[d]->dev);
	if (second) {
		assert_null(handle->views[d]);
		assert_int_equal(errno, ENOTSUP);
		return;
	}
	if (!handle->views[d])
		fail_msg("attach: %s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(handle->views[d]),
			 h ? METAL_SHM_VIEW_SHADOW : METAL_SHM_VIEW_IN_PLACE);
	must_bounce(importer_device_look(w->devices[d], handle->shm));
}

static bool take(struct world *w, unsigned h, enum metal_shm_dir dir)
{
	struct handle *handle = &w->handles[h];
	int error, must_be = model_take(&w->model, handle, dir, false);

	print_message("take %u, %d\n", h, (int)dir);
	error = metal_shm_sync_for_cpu(handle->shm, dir);
	if (must_be) {
		assert_int_equal(error, must_be);
		return false;
	}
	return done(w, handle, error) && !model_take(&w->model, handle, dir, true);
}

/*
 * What only a part's shadow has comes home with its end. It is lost, and its next owner told, if a device
 * may be writing the memory itself: then only after it was taken back.
 */
static bool detach(struct world *w, unsigned h, unsigned d)
{
	struct handle *handle = &w->handles[h];

	if (!handle->views[d])
		return true;
	if (h && (writes_any(&w->model, view_of(0, 0)) || writes_any(&w->model, view_of(0, 1))) &&
	    !take(w, h, RW))
		return false;
	print_message("detach %u from %u\n", h, d);
	metal_shm_detach(handle->views[d], w->devices[d]->dev);
	handle->views[d] = NULL;
	model_drop(&w->model, view_of(h, d));
	return true;
}

static void renew(struct world *w, unsigned h)
{
	if (!h || !detach(w, h, 0) || !detach(w, h, 1))
		return;
	metal_shm_free(w->handles[h].shm, NULL);
	w->handles[h].shm = NULL;
	make_part(w, h);
}

static void give(struct world *w, unsigned h, unsigned d, enum metal_shm_dir dir)
{
	struct handle *handle = &w->handles[h];

	if (!handle->views[d])
		attach(w, h, d);
	if (!handle->views[d])
		return;
	print_message("give %u to %u, %d\n", h, d, (int)dir);
	if (done(w, handle, metal_shm_sync_for_device(handle->shm, w->devices[d]->dev, dir)))
		model_give(&w->model, handle, view_of(h, d), dir);
}

static void write_run(struct world *w, unsigned view, size_t at, size_t n)
{
	const struct handle *handle = &w->handles[view == CPU ? 0 : view / DEVICES];
	unsigned char *value = w->model.value;

	w->writes++;
	for (size_t i = at; i < at + n; i++)
		value[i] = (unsigned char)(w->writes * 59 + i * 41);
	print_message("view %u writes %zu + %zu\n", view, at, n);
	if (view != CPU) {
		importer_device_write(w->devices[view % DEVICES], handle->shm, at - handle->offset,
				      value + at, n);
		return;
	}
	memcpy(w->side.bytes + at, value + at, n);
	if (w->reports)
		must(metal_shm_wrote(handle->shm, at, n));
}

/* Whoever may write the first byte of some range, as much of the range as it may. */
static void write_bytes(struct world *w)
{
	struct metal_shm_range range = choose_range(w, SIZE);
	size_t at = range.offset, end = at + range.length, n;
	unsigned view = 0;

	while (view <= CPU && !(w->model.writes[at] & UINT32_C(1) << view))
		view++;
	if (view > CPU)
		return;
	for (; (n = model_run(&w->model, view, &at, end)) != 0; at += n)
		write_run(w, view, at, n);
}

/* What it may of the bytes of a handle. */
static void compare(const struct world *w, unsigned view, const struct handle *handle,
		    const unsigned char *bytes, const char *who)
{
	for (size_t i = 0; i < handle->size; i++) {
		size_t at = handle->offset + i;

		if (w->model.reads[at] & UINT32_C(1) << view && bytes[i] != w->model.value[at])
			fail_msg("byte %zu: %s reads %02x, not %02x", at, who, bytes[i],
				 w->model.value[at]);
	}
}

/* Everyone reads. */
static void read_all(const struct world *w)
{
	static unsigned char seen[SIZE];

	compare(w, CPU, &w->handles[0], w->side.bytes, "the program");
	for (unsigned h = 0; h < HANDLES; h++) {
		const struct handle *handle = &w->handles[h];

		for (unsigned d = 0; d < DEVICES; d++) {
			if (!handle->views[d])
				continue;
			importer_device_read(w->devices[d], handle->shm, 0, seen, handle->size);
			compare(w, view_of(h, d), handle, seen,
				metal_shm_device_name(w->devices[d]->dev));
		}
	}
}

static void operate(struct world *w)
{
	unsigned h = sim_random(&w->rng, HANDLES), d = sim_random(&w->rng, DEVICES);
	unsigned kind = sim_random(&w->rng, 32);
	enum metal_shm_dir dir = (enum metal_shm_dir)(1 + sim_random(&w->rng, 3));

	if (kind < 16)
		write_bytes(w);
	else if (kind < 22)
		give(w, h, d, dir);
	else if (kind < 27)
		take(w, h, sim_random(&w->rng, 2) ? RW : dir);
	else if (kind < 29)
		attach(w, h, d);
	else if (kind < 31)
		detach(w, h, d);
	else
		renew(w, h);
	read_all(w);
}

static void begin(struct world *w, const char *heap)
{
	side_open(&w->side, heap, SIZE);
	importer_device_open(&w->other, "other");
	w->devices[0] = &w->side.device;
	w->devices[1] = &w->other;
	memset(w->model.value, 0x01, SIZE);
	w->handles[0] = (struct handle){ .shm = w->side.shm, .size = SIZE };
	assert_int_equal(model_take(&w->model, &w->handles[0], RW, true), 0);
	if (w->reports)
		must(metal_shm_wrote(w->side.shm, 0, SIZE));
	for (unsigned h = 1; h < HANDLES; h++)
		make_part(w, h);
}

static void end(struct world *w)
{
	assert_true(take(w, 0, RW));
	read_all(w);
	for (unsigned h = 0; h < HANDLES; h++) {
		assert_true(detach(w, h, 0) && detach(w, h, 1));
		if (h)
			metal_shm_free(w->handles[h].shm, NULL);
	}
	compare(w, CPU, &w->handles[0], w->side.bytes, "the program");
	importer_device_close(&w->other);
	side_close(&w->side);
}

static void run(const char *heap, uint64_t seed, bool reports)
{
	static struct world w;

	w = (struct world){ .rng = { seed }, .reports = reports };
	begin(&w, heap);
	for (unsigned i = 0; i < OPERATIONS; i++)
		operate(&w);
	end(&w);
	shm_test_note("%s: %u writes, %u of %u operations refused", heap, w.writes, w.refused,
		      OPERATIONS);
}

/* The same each time, so that what held holds again. */
static void every_byte_is_what_its_owner_wrote(void **state)
{
	const char *given = getenv("SHM_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : OPERATIONS;

	(void)state;
	shm_test_note("SHM_TEST_SEED=%u", seed);
	for (unsigned i = 0; i < 2 * HEAPS; i++)
		run(heaps[i / 2], seed + i, i % 2);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_is_copied_byte_by_byte_beside_the_cpu),
		cmocka_unit_test(two_devices_have_parts_that_touch),
		cmocka_unit_test(a_part_that_may_not_be_copied_is_refused),
		cmocka_unit_test(a_buffer_too_large_to_bounce_is_refused),
		cmocka_unit_test(every_byte_is_what_its_owner_wrote),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
