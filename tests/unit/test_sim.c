/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated machine itself: that it does to bytes what real ones were measured to do. */
#include <errno.h>
#include <string.h>

#include "shm_test.h"
#include "sim_device.h"

#define R  METAL_SHM_DIR_DEV_R
#define W  METAL_SHM_DIR_DEV_W
#define RW METAL_SHM_DIR_DEV_RW

#define SIZE 512u

static int set_up(void **state)
{
	*state = sim_machine_new();
	return 0;
}

static int tear_down(void **state)
{
	sim_machine_end(*state);
	return 0;
}

static void cpu_writes(struct sim_memory *memory, size_t offset, unsigned char byte)
{
	sim_cpu_write(memory->machine, sim_memory_address(memory) + offset, &byte, 1);
}

static unsigned char cpu_reads(const struct sim_memory *memory, size_t offset)
{
	unsigned char byte;

	sim_cpu_read(memory->machine, sim_memory_address(memory) + offset, &byte, 1);
	return byte;
}

static void device_writes(struct sim_port *port, size_t offset, unsigned char byte)
{
	sim_port_write(port, offset, &byte, 1);
}

static unsigned char device_reads(const struct sim_port *port, size_t offset)
{
	unsigned char byte;

	sim_port_read(port, offset, &byte, 1);
	return byte;
}

/* A memory of 01 in every byte, which the CPU and the device agree on. */
static struct sim_memory *memory_of_ones(struct sim_machine *machine, enum sim_kind kind,
					 size_t size, struct sim_port **ret_port)
{
	struct sim_memory *memory = sim_memory_new(machine, kind, size);

	for (size_t i = 0; i < size; i++)
		cpu_writes(memory, i, 1);
	*ret_port = sim_port_new(memory, false);
	assert_int_equal(sim_start(memory, NULL, R), 0);
	assert_int_equal(sim_end(memory, NULL, R), 0);
	assert_int_equal(device_reads(*ret_port, size - 1), 1);
	return memory;
}

static void end(struct sim_memory *memory, struct sim_port *port)
{
	sim_port_end(port);
	sim_memory_end(memory);
}

static void what_the_cpu_writes_reaches_devices_by_end_and_back_by_start(void **state)
{
	for (int kind = 0; kind < SIM_KINDS; kind++) {
		struct sim_port *port;
		struct sim_memory *memory =
			memory_of_ones(*state, (enum sim_kind)kind, SIZE, &port);

		cpu_writes(memory, 100, 0xab);
		assert_int_equal(device_reads(port, 100), 1);
		assert_int_equal(sim_end(memory, NULL, R), 0);
		assert_int_equal(device_reads(port, 100), 0xab);
		device_writes(port, 100, 0xcd);
		assert_int_equal(cpu_reads(memory, 100), 0xab);
		assert_int_equal(sim_start(memory, NULL, W), 0);
		assert_int_equal(cpu_reads(memory, 100), 0xcd);
		end(memory, port);
	}
}

static void two_directions_move_nothing(void **state)
{
	for (int kind = 0; kind < SIM_KINDS; kind++) {
		struct sim_port *port;
		struct sim_memory *memory =
			memory_of_ones(*state, (enum sim_kind)kind, SIZE, &port);

		cpu_writes(memory, 0, 0xab);
		device_writes(port, 256, 0xcd);
		assert_int_equal(sim_start(memory, NULL, R), 0);
		assert_int_equal(sim_end(memory, NULL, W), 0);
		assert_int_equal(device_reads(port, 0), 1);
		assert_int_equal(cpu_reads(memory, 256), 1);
		end(memory, port);
	}
}

static void an_end_before_any_start_is_refused(void **state)
{
	struct sim_memory *memory = sim_memory_new(*state, SIM_WINDOWED, SIM_PAGE);

	assert_int_equal(sim_end(memory, NULL, R), -EINVAL);
	assert_int_equal(sim_start(memory, NULL, R), 0);
	assert_int_equal(sim_end(memory, NULL, R), 0);
	sim_memory_end(memory);
}

static void a_range_outside_the_memory_is_refused(void **state)
{
	struct sim_memory *memory = sim_memory_new(*state, SIM_RANGED, SIZE);
	const struct metal_shm_range outside[] = {
		{ SIZE, 1 }, { 0, SIZE + 1 }, { 64, 0 }, { SIZE - 1, 2 }, { UINT64_MAX, 2 }
	};

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		assert_int_equal(sim_start(memory, &outside[i], W), -EINVAL);
		assert_int_equal(sim_end(memory, &outside[i], R), -EINVAL);
	}
	sim_memory_end(memory);
}

static void an_end_overwrites_what_a_device_wrote(void **state)
{
	const enum sim_kind kinds[] = { SIM_WHOLE, SIM_BOUNCING, SIM_WINDOWED };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct metal_shm_range first = { 0, SIM_LINE };
		struct sim_port *port;
		struct sim_memory *memory = memory_of_ones(*state, kinds[i], SIZE, &port);

		device_writes(port, 256, 0x77);
		cpu_writes(memory, 0, 2);
		assert_int_equal(sim_end(memory, &first, R), 0);
		assert_int_equal(device_reads(port, 256), 1);
		end(memory, port);
	}
}

static void a_start_overwrites_what_the_cpu_wrote(void **state)
{
	const enum sim_kind kinds[] = { SIM_WHOLE, SIM_BOUNCING, SIM_WINDOWED };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct metal_shm_range middle = { 256, SIM_LINE };
		struct sim_port *port;
		struct sim_memory *memory = memory_of_ones(*state, kinds[i], SIZE, &port);

		cpu_writes(memory, 0, 2);
		device_writes(port, 256, 0x77);
		assert_int_equal(sim_start(memory, &middle, W), 0);
		assert_int_equal(cpu_reads(memory, 256), 0x77);
		assert_int_equal(cpu_reads(memory, 0), 1);
		end(memory, port);
	}
}

static void a_start_for_writing_alone_loses_what_a_device_wrote(void **state)
{
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_WHOLE, SIZE, &port);

	device_writes(port, 256, 0x77);
	assert_int_equal(sim_start(memory, NULL, R), 0);
	cpu_writes(memory, 0, 2);
	assert_int_equal(sim_end(memory, NULL, R), 0);
	assert_int_equal(device_reads(port, 0), 2);
	assert_int_equal(device_reads(port, 256), 1);
	end(memory, port);
}

static void a_start_after_a_cpu_kind_wrote_destroys_it(void **state)
{
	struct sim_port *port, *kernel;
	struct sim_memory *memory = memory_of_ones(*state, SIM_WHOLE, SIZE, &port);

	kernel = sim_port_new(memory, true);
	device_writes(kernel, 8, 0x42);
	assert_int_equal(cpu_reads(memory, 8), 0x42);
	assert_int_equal(sim_start(memory, NULL, W), 0);
	assert_int_equal(cpu_reads(memory, 8), 1);
	device_writes(kernel, 8, 0x43);
	assert_int_equal(sim_end(memory, NULL, R), 0);
	assert_int_equal(device_reads(port, 8), 0x43);
	sim_port_end(kernel);
	end(memory, port);
}

static void a_detach_overwrites_what_the_cpu_wrote(void **state)
{
	const enum sim_kind kinds[] = { SIM_WHOLE, SIM_RANGED, SIM_BOUNCING };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct sim_port *port;
		struct sim_memory *memory = memory_of_ones(*state, kinds[i], SIZE, &port);

		cpu_writes(memory, 0, 2);
		device_writes(port, 256, 0x77);
		sim_port_end(port);
		assert_int_equal(cpu_reads(memory, 0), 1);
		assert_int_equal(cpu_reads(memory, 256), 0x77);
		sim_memory_end(memory);
	}
}

static void an_attach_writes_back_what_the_cpu_wrote(void **state)
{
	for (int kind = 0; kind < SIM_KINDS; kind++) {
		struct sim_port *port;
		struct sim_memory *memory = sim_memory_new(*state, (enum sim_kind)kind, SIZE);

		cpu_writes(memory, 0, 2);
		port = sim_port_new(memory, false);
		assert_int_equal(device_reads(port, 0), 2);
		end(memory, port);
	}
}

static void two_bounced_attachments_lose_the_laters_bytes(void **state)
{
	struct sim_port *first, *second;
	struct sim_memory *memory = memory_of_ones(*state, SIM_BOUNCING, SIZE, &first);

	second = sim_port_new(memory, false);
	device_writes(first, 0, 0xaa);
	assert_int_equal(device_reads(second, 0), 1);
	assert_int_equal(sim_start(memory, NULL, W), 0);
	assert_int_equal(cpu_reads(memory, 0), 0xaa);
	device_writes(second, 0, 0xbb);
	assert_int_equal(sim_start(memory, NULL, W), 0);
	assert_int_equal(cpu_reads(memory, 0), 0xaa);
	sim_port_end(second);
	end(memory, first);
}

static void an_eviction_overwrites_its_whole_line(void **state)
{
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_RANGED, SIZE, &port);

	cpu_writes(memory, 64, 2);
	device_writes(port, 63, 0x77);
	device_writes(port, 65, 0x77);
	device_writes(port, 128, 0x77);
	for (size_t line = 0; line < SIZE; line += SIM_LINE)
		sim_evict(memory, line);
	assert_int_equal(device_reads(port, 64), 2);
	assert_int_equal(device_reads(port, 63), 0x77);
	assert_int_equal(device_reads(port, 65), 1);
	assert_int_equal(device_reads(port, 128), 0x77);
	end(memory, port);
}

static void a_write_of_the_same_byte_makes_its_line_dirty(void **state)
{
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_RANGED, SIZE, &port);

	cpu_writes(memory, 64, 1);
	device_writes(port, 65, 0x77);
	sim_evict(memory, 64);
	assert_int_equal(device_reads(port, 65), 1);
	end(memory, port);
}

static void a_clean_line_may_be_read_in_by_itself(void **state)
{
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_RANGED, SIZE, &port);

	cpu_writes(memory, 64, 2);
	device_writes(port, 0, 0x77);
	device_writes(port, 65, 0x77);
	sim_fill(memory, 0);
	sim_fill(memory, 64);
	assert_int_equal(cpu_reads(memory, 0), 0x77);
	assert_int_equal(cpu_reads(memory, 65), 1);
	end(memory, port);
}

static void a_write_straight_through_the_mapping_is_noticed(void **state)
{
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_RANGED, SIZE, &port);

	memset(sim_memory_address(memory) + 100, 9, 100);
	sim_fill(memory, 100);
	assert_int_equal(cpu_reads(memory, 100), 9);
	sim_evict(memory, 100);
	assert_int_equal(device_reads(port, 100), 9);
	assert_int_equal(device_reads(port, 199), 1);
	end(memory, port);
}

static void steps_move_lines_until_nothing_is_left_to_move(void **state)
{
	struct sim_rng rng = { 1 };
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(*state, SIM_WHOLE, SIZE, &port);

	cpu_writes(memory, 0, 2);
	device_writes(port, 256, 0x77);
	for (int i = 0; i < 1000; i++)
		sim_step(*state, &rng);
	assert_int_equal(device_reads(port, 0), 2);
	assert_int_equal(cpu_reads(memory, 256), 0x77);
	end(memory, port);
}

static void a_ranged_sync_moves_the_lines_that_overlap(void **state)
{
	const struct metal_shm_range range = { 130, 63 };
	struct sim_machine *machine = *state;
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(machine, SIM_RANGED, SIZE, &port);

	for (size_t i = 0; i < SIZE; i++)
		cpu_writes(memory, i, 2);
	machine->counts = (struct sim_counts){ 0 };
	assert_int_equal(sim_end(memory, &range, R), 0);
	assert_int_equal(machine->counts.lines_out, 2);
	assert_int_equal(device_reads(port, 127), 1);
	assert_int_equal(device_reads(port, 128), 2);
	assert_int_equal(device_reads(port, 255), 2);
	assert_int_equal(device_reads(port, 256), 1);
	assert_int_equal(sim_end(memory, NULL, R), 0);
	device_writes(port, 127, 3);
	device_writes(port, 128, 3);
	device_writes(port, 255, 3);
	assert_int_equal(sim_start(memory, &range, W), 0);
	assert_int_equal(machine->counts.lines_in, 2);
	assert_int_equal(cpu_reads(memory, 127), 2);
	assert_int_equal(cpu_reads(memory, 128), 3);
	assert_int_equal(cpu_reads(memory, 255), 3);
	end(memory, port);
}

static void a_whole_sync_moves_every_line_whatever_the_range(void **state)
{
	const struct metal_shm_range range = { 130, 63 };
	struct sim_machine *machine = *state;
	struct sim_port *port;
	struct sim_memory *memory = memory_of_ones(machine, SIM_WHOLE, SIZE, &port);

	machine->counts = (struct sim_counts){ 0 };
	assert_int_equal(sim_end(memory, &range, R), 0);
	assert_int_equal(sim_start(memory, &range, W), 0);
	assert_int_equal(machine->counts.lines_out, SIZE / SIM_LINE);
	assert_int_equal(machine->counts.lines_in, SIZE / SIM_LINE);
	end(memory, port);
}

static void a_heaps_syncs_do_nothing_without_an_attachment(void **state)
{
	struct sim_machine *machine = *state;
	struct sim_memory *memory = sim_memory_new(machine, SIM_WHOLE, SIZE);
	struct sim_port *kernel = sim_port_new(memory, true);

	cpu_writes(memory, 0, 2);
	assert_int_equal(sim_start(memory, NULL, RW), 0);
	assert_int_equal(cpu_reads(memory, 0), 2);
	assert_int_equal(sim_end(memory, NULL, RW), 0);
	assert_int_equal(machine->counts.lines_in + machine->counts.lines_out, 0);
	end(memory, kernel);
}

static void a_window_is_synced_by_itself(void **state)
{
	struct sim_port *port, *through_window;
	struct sim_memory *memory = memory_of_ones(*state, SIM_WINDOWED, 3 * SIM_PAGE, &port);
	struct sim_memory *window = sim_memory_window(memory, SIM_PAGE, SIM_PAGE);

	assert_non_null(window);
	through_window = sim_port_new(window, false);
	cpu_writes(memory, SIM_PAGE, 2);
	assert_int_equal(cpu_reads(window, 0), 2);
	assert_int_equal(sim_start(window, NULL, R), 0);
	device_writes(port, 0, 0x77);
	assert_int_equal(sim_end(window, NULL, R), 0);
	assert_int_equal(device_reads(port, 0), 0x77);
	assert_int_equal(device_reads(through_window, 0), 2);
	cpu_writes(memory, 2 * SIM_PAGE, 3);
	device_writes(through_window, 1, 0x78);
	assert_int_equal(sim_start(window, NULL, W), 0);
	assert_int_equal(cpu_reads(memory, SIM_PAGE + 1), 0x78);
	assert_int_equal(cpu_reads(memory, 2 * SIM_PAGE), 3);
	sim_port_end(through_window);
	sim_memory_end(window);
	end(memory, port);
}

static void a_window_has_whole_pages(void **state)
{
	struct sim_memory *memory = sim_memory_new(*state, SIM_WINDOWED, 2 * SIM_PAGE);
	struct sim_memory *other = sim_memory_new(*state, SIM_WHOLE, 2 * SIM_PAGE);

	assert_null(sim_memory_window(memory, 64, SIM_PAGE));
	assert_null(sim_memory_window(memory, 0, 64));
	assert_null(sim_memory_window(memory, SIM_PAGE, 2 * SIM_PAGE));
	assert_null(sim_memory_window(other, SIM_PAGE, SIM_PAGE));
	sim_memory_end(memory);
	sim_memory_end(other);
}

/* Each kind of device writes in turn, and everyone else reads it. */
static void libshm_hands_whole_buffers_over_on_every_kind_of_memory(void **state)
{
	const enum metal_shm_access access[] = { METAL_SHM_ACCESS_DMA, METAL_SHM_ACCESS_CPU_KERNEL,
						 METAL_SHM_ACCESS_CPU_USER };

	for (int kind = 0; kind < SIM_KINDS; kind++) {
		struct sim_source *source = sim_source_new(*state, (enum sim_kind)kind, "source");
		struct metal_generic_shm *shm = metal_shm_allocate(SIZE, source->dev, 0), *views[3];
		struct sim_device *devices[3];
		unsigned char byte, value = 10;
		unsigned char *cpu = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

		for (int i = 0; i < 3; i++) {
			devices[i] = sim_device_new(access[i], "device");
			views[i] = metal_shm_attach(shm, devices[i]->dev);
			assert_non_null(views[i]);
		}
		for (int writer = 0; writer < 3; writer++) {
			value++;
			assert_int_equal(metal_shm_sync_for_device(shm, devices[writer]->dev, W),
					 0);
			sim_device_write(sim_device_view(devices[writer], shm), 300, &value, 1);
			for (int reader = 0; reader < 3; reader++) {
				assert_int_equal(
					metal_shm_sync_for_device(shm, devices[reader]->dev, R), 0);
				sim_device_read(sim_device_view(devices[reader], shm), 300, &byte,
						1);
				assert_int_equal(byte, value);
			}
			assert_int_equal(metal_shm_sync_for_cpu(shm, RW), 0);
			assert_int_equal(cpu[300], value);
		}
		for (int i = 0; i < 3; i++) {
			metal_shm_detach(views[i], devices[i]->dev);
			sim_device_end(devices[i]);
		}
		metal_shm_free(shm, NULL);
		sim_source_end(source);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_the_cpu_writes_reaches_devices_by_end_and_back_by_start),
		CASE(two_directions_move_nothing),
		CASE(an_end_before_any_start_is_refused),
		CASE(a_range_outside_the_memory_is_refused),
		CASE(an_end_overwrites_what_a_device_wrote),
		CASE(a_start_overwrites_what_the_cpu_wrote),
		CASE(a_start_for_writing_alone_loses_what_a_device_wrote),
		CASE(a_start_after_a_cpu_kind_wrote_destroys_it),
		CASE(a_detach_overwrites_what_the_cpu_wrote),
		CASE(an_attach_writes_back_what_the_cpu_wrote),
		CASE(two_bounced_attachments_lose_the_laters_bytes),
		CASE(an_eviction_overwrites_its_whole_line),
		CASE(a_write_of_the_same_byte_makes_its_line_dirty),
		CASE(a_clean_line_may_be_read_in_by_itself),
		CASE(a_write_straight_through_the_mapping_is_noticed),
		CASE(steps_move_lines_until_nothing_is_left_to_move),
		CASE(a_ranged_sync_moves_the_lines_that_overlap),
		CASE(a_whole_sync_moves_every_line_whatever_the_range),
		CASE(a_heaps_syncs_do_nothing_without_an_attachment),
		CASE(a_window_is_synced_by_itself),
		CASE(a_window_has_whole_pages),
		CASE(libshm_hands_whole_buffers_over_on_every_kind_of_memory),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
