/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows: parts whose pages are exported once more, on a machine whose devices don't see the cache. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"
#include "sim_device.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

#define PAGE    SIM_PAGE
#define PAGES   8u
#define SIZE    (PAGES * PAGE - 100u) /* the last page isn't the buffer's whole */
#define LINES   (PAGE / SIM_LINE)
#define WINDOW  METAL_SHM_VIEW_WINDOW
#define SHADOW  METAL_SHM_VIEW_SHADOW
#define NO_COPY METAL_SHM_SUB_NO_COPY

struct bench {
	struct sim_machine *machine;
	struct sim_source *source;
	struct sim_device *dma, *dma2, *camera, *vivid;
	struct metal_generic_shm *shm;
	unsigned char *bytes;
};

static int set_up(void **state)
{
	struct bench *b = test_calloc(1, sizeof(*b));

	b->machine = sim_machine_new();
	b->source = sim_source_new(b->machine, SIM_WINDOWED, "pages");
	b->dma = sim_device_new(METAL_SHM_ACCESS_DMA, "dma");
	b->dma2 = sim_device_new(METAL_SHM_ACCESS_DMA, "dma2");
	b->camera = sim_device_new(METAL_SHM_ACCESS_DMA, "camera");
	b->camera->needs_whole = true;
	b->vivid = sim_device_new(METAL_SHM_ACCESS_CPU_KERNEL, "vivid");
	b->vivid->needs_whole = true;
	b->shm = metal_shm_allocate(SIZE, b->source->dev, 0);
	assert_non_null(b->shm);
	b->bytes = metal_shm_map(b->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(b->bytes);
	memset(b->bytes, 1, SIZE);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	metal_shm_free(b->shm, NULL);
	sim_device_end(b->dma);
	sim_device_end(b->dma2);
	sim_device_end(b->camera);
	sim_device_end(b->vivid);
	sim_source_end(b->source);
	sim_machine_end(b->machine);
	test_free(b);
	return 0;
}

static struct metal_generic_shm *part_of(struct bench *b, size_t offset, size_t size,
					 struct sim_device *device, enum metal_shm_view_mode mode)
{
	struct metal_generic_shm *part = metal_shm_sub(b->shm, offset, size, 0), *view;

	assert_non_null(part);
	view = metal_shm_attach(part, device->dev);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(view), mode);
	return part;
}

static void end_part(struct metal_generic_shm *part, struct sim_device *device)
{
	metal_shm_detach(metal_shm_view(part, device->dev), device->dev);
	metal_shm_free(part, NULL);
}

static struct metal_shm_stats stats_of(const struct bench *b)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_buffer_stats(b->shm, &stats), 0);
	return stats;
}

static unsigned char device_reads(struct sim_device *device, struct metal_generic_shm *shm,
				  size_t offset)
{
	unsigned char byte;

	sim_device_read(sim_device_view(device, shm), offset, &byte, 1);
	return byte;
}

static void device_writes(struct sim_device *device, struct metal_generic_shm *shm, size_t offset,
			  unsigned char byte)
{
	sim_device_write(sim_device_view(device, shm), offset, &byte, 1);
}

static void give(struct metal_generic_shm *shm, struct sim_device *device, enum metal_shm_dir dir)
{
	if (metal_shm_sync_for_device(shm, device->dev, dir))
		fail_msg("%s", metal_shm_last_error());
}

static void take(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	if (metal_shm_sync_for_cpu(shm, dir))
		fail_msg("%s", metal_shm_last_error());
}

static void a_part_of_whole_pages_is_synced_by_itself_and_not_copied(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 2 * PAGE, 3 * PAGE, b->dma, WINDOW);
	struct metal_shm_properties is = { .struct_size = sizeof(is) };

	assert_int_equal(metal_shm_properties(metal_shm_view(part, b->dma->dev), &is), 0);
	assert_int_equal(is.size, 3 * PAGE);
	b->machine->counts = (struct sim_counts){ 0 };
	b->bytes[2 * PAGE] = 2;
	b->bytes[0] = 3;
	give(part, b->dma, RW);
	assert_int_equal(device_reads(b->dma, part, 0), 2);
	device_writes(b->dma, part, 3 * PAGE - 1, 4);
	take(part, RW);
	assert_int_equal(b->bytes[5 * PAGE - 1], 4);
	assert_int_equal(b->machine->counts.lines_out, 3 * LINES);
	assert_int_equal(b->machine->counts.lines_in, 3 * LINES);
	assert_int_equal(stats_of(b).windows, 1);
	assert_int_equal(stats_of(b).bytes_copied, 0);
	assert_int_equal(stats_of(b).ranged, 3); /* to attach it was one */
	end_part(part, b->dma);
}

static void to_come_and_go_costs_its_own_lines(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part;

	b->machine->counts = (struct sim_counts){ 0 };
	part = part_of(b, PAGE, PAGE, b->dma, WINDOW);
	give(part, b->dma, W);
	device_writes(b->dma, part, 0, 2);
	end_part(part, b->dma);
	/* for the attachment, and what may have been written since */
	assert_int_equal(b->machine->counts.lines_out, 2 * LINES);
	assert_int_equal(b->machine->counts.lines_in, LINES);
	assert_int_equal(b->bytes[PAGE], 2);
	take(b->shm, RW);
	assert_int_equal(b->machine->counts.lines_in, LINES);
}

static void the_last_part_ends_with_the_buffer(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 6 * PAGE, SIZE - 6 * PAGE, b->dma, WINDOW);

	give(part, b->dma, RW);
	device_writes(b->dma, part, SIZE - 6 * PAGE - 1, 2);
	take(part, RW);
	assert_int_equal(b->bytes[SIZE - 1], 2);
	end_part(part, b->dma);
}

static void a_part_with_others_in_its_pages_is_copied(void **state)
{
	static const struct metal_shm_range ranges[] = {
		{ PAGE + 64, PAGE - 64 }, { PAGE, PAGE - 64 }, { 100, 3 }, { SIZE - 64, 64 }
	};
	struct bench *b = *state;

	for (size_t i = 0; i < SHM_TEST_COUNT(ranges); i++) {
		struct metal_generic_shm *part =
			metal_shm_sub(b->shm, ranges[i].offset, ranges[i].length, NO_COPY);

		assert_null(metal_shm_attach(part, b->dma->dev));
		assert_int_equal(errno, ENOTSUP);
		assert_non_null(
			strstr(metal_shm_last_error(),
			       "METAL_SHM_SUB_NO_COPY forbids a copy, and dma works past "
			       "the CPU's cache, and others have bytes in the part's pages"));
		metal_shm_free(part, NULL);
		end_part(part_of(b, ranges[i].offset, ranges[i].length, b->dma, SHADOW), b->dma);
	}
	assert_int_equal(stats_of(b).windows, 0);
}

static void what_may_not_be_copied_has_a_window(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, PAGE, PAGE, NO_COPY);

	assert_non_null(metal_shm_attach(part, b->dma->dev));
	end_part(part, b->dma);
}

/* One that uses the CPU cares for no line, but its memory begins where the part does. */
static void a_device_that_takes_no_offset_gets_a_part_that_begins_on_a_page(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 3 * PAGE, 100, b->vivid, WINDOW);

	b->machine->counts = (struct sim_counts){ 0 };
	give(part, b->vivid, W);
	device_writes(b->vivid, part, 99, 2);
	take(part, RW);
	assert_int_equal(b->bytes[3 * PAGE + 99], 2);
	assert_int_equal(b->bytes[3 * PAGE + 100], 1);
	assert_int_equal(b->machine->counts.lines_in + b->machine->counts.lines_out, 0);
	end_part(part, b->vivid);
	end_part(part_of(b, 3 * PAGE + 64, 100, b->vivid, SHADOW), b->vivid);
	end_part(part_of(b, 3 * PAGE, PAGE, b->camera, WINDOW), b->camera);
	end_part(part_of(b, 3 * PAGE, 100, b->camera, SHADOW), b->camera);
}

static void two_devices_share_the_window_of_a_part(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, PAGE, PAGE, b->dma, WINDOW);
	struct metal_generic_shm *view = metal_shm_attach(part, b->dma2->dev);

	assert_int_equal(metal_shm_view_mode(view), WINDOW);
	assert_int_equal(stats_of(b).windows, 1);
	give(part, b->dma, W);
	device_writes(b->dma, part, 5, 2);
	give(part, b->dma2, R);
	assert_int_equal(device_reads(b->dma2, part, 5), 2);
	end_part(metal_shm_ref(part), b->dma);
	assert_int_equal(device_reads(b->dma2, part, 5), 2);
	end_part(part, b->dma2);
	assert_int_equal(b->source->live, 1);
	end_part(part_of(b, PAGE, PAGE, b->dma, WINDOW), b->dma);
	assert_int_equal(stats_of(b).windows, 2);
}

static void the_program_writes_beside_a_device_that_goes_on(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 2 * PAGE, PAGE, b->dma, WINDOW);
	struct metal_generic_shm *beside = part_of(b, 3 * PAGE, PAGE, b->dma2, WINDOW);

	give(part, b->dma, RW);
	device_writes(b->dma, part, 0, 2);
	b->bytes[3 * PAGE] = 3;
	give(beside, b->dma2, RW);
	assert_int_equal(device_reads(b->dma2, beside, 0), 3);
	device_writes(b->dma2, beside, 1, 4);
	device_writes(b->dma, part, 1, 5);
	b->bytes[2 * PAGE - 1] = 6;
	take(beside, RW);
	assert_int_equal(b->bytes[3 * PAGE + 1], 4);
	assert_int_equal(device_reads(b->dma, part, 0), 2);
	assert_int_equal(device_reads(b->dma, part, 1), 5);
	assert_int_equal(b->bytes[2 * PAGE - 1], 6);
	take(b->shm, RW);
	assert_int_equal(b->bytes[2 * PAGE + 1], 5);
	assert_int_equal(b->bytes[2 * PAGE - 1], 6);
	end_part(part, b->dma);
	end_part(beside, b->dma2);
}

/* The device has the buffer itself and goes on writing; no window of a view is there to help. */
static void a_page_of_a_device_that_goes_on_is_taken_by_a_window_for_the_moment(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *view = metal_shm_attach(b->shm, b->dma->dev);
	struct metal_generic_shm *page = metal_shm_sub(b->shm, PAGE, PAGE, 0);
	struct metal_generic_shm *bytes = metal_shm_sub(b->shm, 3 * PAGE, 2 * SIM_LINE, 0);

	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
	give(b->shm, b->dma, RW);
	device_writes(b->dma, b->shm, PAGE, 2);
	assert_int_equal(metal_shm_sync_for_cpu(bytes, RW), -EBUSY);
	assert_non_null(strstr(metal_shm_last_error(), "in one page dma has bytes"));
	take(page, RW);
	assert_int_equal(b->bytes[PAGE], 2);
	b->bytes[PAGE] = 3;
	device_writes(b->dma, b->shm, 0, 4);
	assert_int_equal(metal_shm_settle(b->shm), 0);
	assert_int_equal(stats_of(b).windows, 1);
	assert_int_equal(b->source->live, 1);
	assert_int_equal(device_reads(b->dma, b->shm, 0), 4);
	assert_int_equal(device_reads(b->dma, b->shm, PAGE), 3);
	take(b->shm, RW);
	assert_int_equal(b->bytes[0], 4);
	assert_int_equal(b->bytes[PAGE], 3);
	metal_shm_free(page, NULL);
	metal_shm_free(bytes, NULL);
	metal_shm_detach(view, b->dma->dev);
}

static void without_a_window_for_the_moment_nothing_changes_hands(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *view = metal_shm_attach(b->shm, b->dma->dev);
	struct metal_generic_shm *page = metal_shm_sub(b->shm, PAGE, PAGE, 0);

	give(b->shm, b->dma, RW);
	take(page, RW);
	b->bytes[PAGE] = 3;
	b->source->fails_in = 1;
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma->dev, RW), -ENOMEM);
	assert_non_null(strstr(metal_shm_last_error(), "told to fail"));
	assert_int_equal(metal_shm_wrote(page, 0, 1), 0);
	give(b->shm, b->dma, RW);
	assert_int_equal(device_reads(b->dma, b->shm, PAGE), 3);
	take(b->shm, RW);
	metal_shm_free(page, NULL);
	metal_shm_detach(view, b->dma->dev);
}

static void a_window_that_can_not_be_made_is_a_copy_or_a_refusal(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, PAGE, PAGE, NO_COPY);

	b->source->fails_in = 1;
	assert_null(metal_shm_attach(part, b->dma->dev));
	assert_int_equal(errno, ENOMEM);
	assert_non_null(strstr(metal_shm_last_error(), "told to fail"));
	assert_int_equal(b->source->live, 1);
	assert_non_null(metal_shm_attach(part, b->dma->dev));
	end_part(part, b->dma);
	b->source->fails_in = 1;
	part = part_of(b, PAGE, PAGE, b->dma, SHADOW);
	give(part, b->dma, RW);
	assert_int_equal(device_reads(b->dma, part, 0), 1);
	end_part(part, b->dma);
}

/* Windows that overlap, of devices in turn: each sync is of bytes that nobody else's are among. */
static void windows_that_overlap_follow_one_another(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *first = part_of(b, 0, 2 * PAGE, b->dma, WINDOW);
	struct metal_generic_shm *second = part_of(b, PAGE, 2 * PAGE, b->dma2, WINDOW);

	give(first, b->dma, RW);
	device_writes(b->dma, first, PAGE, 2);
	b->bytes[2 * PAGE] = 3;
	give(second, b->dma2, RW);
	assert_int_equal(device_reads(b->dma2, second, 0), 2);
	assert_int_equal(device_reads(b->dma2, second, PAGE), 3);
	device_writes(b->dma2, second, 0, 4);
	device_writes(b->dma, first, 0, 5);
	take(first, RW);
	assert_int_equal(b->bytes[PAGE], 4);
	assert_int_equal(b->bytes[0], 5);
	b->bytes[PAGE] = 6;
	device_writes(b->dma2, second, PAGE, 7);
	end_part(first, b->dma);
	assert_int_equal(b->bytes[PAGE], 6);
	take(b->shm, RW);
	assert_int_equal(b->bytes[PAGE], 6);
	assert_int_equal(b->bytes[2 * PAGE], 7);
	end_part(second, b->dma2);
}

static void what_was_reported_goes_out_without_the_rest(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 0, 4 * PAGE, b->dma, WINDOW);

	give(part, b->dma, R);
	take(part, R);
	for (size_t i = 0; i < 4; i++) {
		b->bytes[i * PAGE] = 2;
		assert_int_equal(metal_shm_wrote(part, i * PAGE, 1), 0);
	}
	b->machine->counts = (struct sim_counts){ 0 };
	give(part, b->dma, R);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(device_reads(b->dma, part, i * PAGE), 2);
	assert_int_equal(b->machine->counts.ends, 1);
	end_part(part, b->dma);
}

static void a_window_that_ends_before_the_bytes_do_is_no_help(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 0, 4 * PAGE, b->dma, WINDOW);
	struct metal_generic_shm *less = part_of(b, PAGE, PAGE, b->dma2, WINDOW);

	give(part, b->dma, R);
	take(part, R);
	b->bytes[PAGE] = b->bytes[3 * PAGE - 1] = 2;
	assert_int_equal(metal_shm_wrote(part, PAGE, 2 * PAGE), 0);
	give(part, b->dma, R);
	assert_int_equal(device_reads(b->dma, part, PAGE), 2);
	assert_int_equal(device_reads(b->dma, part, 3 * PAGE - 1), 2);
	end_part(part, b->dma);
	end_part(less, b->dma2);
}

static void look(struct fake_importer *importer, const struct metal_shm_attachment *at)
{
	void *address = NULL;

	if (!at->memory)
		return;
	assert_int_equal(metal_shm_importer_map(at, METAL_SHM_READ, &address), 0);
	importer->user = address;
	metal_shm_importer_unmap(at, address);
}

static void an_importer_that_maps_a_window_sees_the_part(void **state)
{
	struct fake_importer *user = fake_importer_new("user", METAL_SHM_ACCESS_CPU_USER);
	struct bench *b = *state;
	struct metal_generic_shm *part = metal_shm_sub(b->shm, 3 * PAGE, 50, 0), *view;

	user->constraints.flags = METAL_SHM_NEEDS_WHOLE;
	user->constraints.access = METAL_SHM_ACCESS_CPU_USER;
	user->inside = look;
	view = metal_shm_attach(part, user->dev);
	assert_int_equal(metal_shm_view_mode(view), WINDOW);
	assert_ptr_equal(user->user, b->bytes + 3 * PAGE);
	metal_shm_detach(view, user->dev);
	metal_shm_free(part, NULL);
	fake_importer_end(user);
}

static void a_window_is_told_of(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part, *odd;
	char text[65536];
	ssize_t length;
	int fd;

	assert_int_equal(metal_shm_trace_start(1000), 0);
	part = part_of(b, PAGE, PAGE, b->dma, WINDOW);
	odd = part_of(b, 3, PAGE, b->dma, SHADOW);
	assert_true(metal_shm_explain(b->shm, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "attached: dma, not its turn, by a window: it works past the "
				     "CPU's cache, and the memory's source can't sync just this "
				     "part\n"));
	assert_non_null(strstr(text, "attached: dma, not its turn, by a copy: it works past the "
				     "CPU's cache, and others have bytes in the part's pages\n"));
	give(part, b->dma, R);
	fd = memfd_create("trace", MFD_CLOEXEC);
	assert_int_equal(metal_shm_trace_write(fd), 0);
	length = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(length > 0);
	text[length] = '\0';
	close(fd);
	assert_non_null(strstr(text, "\"window of buffer "));
	assert_non_null(strstr(text, "\"offset\":4096,\"bytes\":4096"));
	end_part(part, b->dma);
	end_part(odd, b->dma);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_part_of_whole_pages_is_synced_by_itself_and_not_copied),
		CASE(to_come_and_go_costs_its_own_lines),
		CASE(the_last_part_ends_with_the_buffer),
		CASE(a_part_with_others_in_its_pages_is_copied),
		CASE(what_may_not_be_copied_has_a_window),
		CASE(a_device_that_takes_no_offset_gets_a_part_that_begins_on_a_page),
		CASE(two_devices_share_the_window_of_a_part),
		CASE(the_program_writes_beside_a_device_that_goes_on),
		CASE(a_page_of_a_device_that_goes_on_is_taken_by_a_window_for_the_moment),
		CASE(without_a_window_for_the_moment_nothing_changes_hands),
		CASE(a_window_that_can_not_be_made_is_a_copy_or_a_refusal),
		CASE(windows_that_overlap_follow_one_another),
		CASE(what_was_reported_goes_out_without_the_rest),
		CASE(a_window_that_ends_before_the_bytes_do_is_no_help),
		CASE(an_importer_that_maps_a_window_sees_the_part),
		CASE(a_window_is_told_of),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
