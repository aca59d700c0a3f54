/* SPDX-License-Identifier: BSD-3-Clause */
/* Why what a device of an unknown kind writes counts as written by DMA: docs/ownership.md. */
#include "shm_test.h"
#include "sim_device.h"

#define RW   METAL_SHM_DIR_DEV_RW
#define SIZE 512u

/* Whether the CPU reads what a device wrote after these operations: bits, the lowest first; 1 is an END. */
static bool is_kept(enum sim_kind kind, bool by_cpu, unsigned ends, unsigned n)
{
	struct sim_machine *machine = sim_machine_new();
	struct sim_memory *memory = sim_memory_new(machine, kind, SIZE);
	struct sim_port *dma = sim_port_new(memory, false), *cpu = sim_port_new(memory, true);
	unsigned char before, after, byte;

	/* as each hand-over to it begins: the CPU and the memory agree, and an END is allowed */
	assert_int_equal(sim_start(memory, NULL, RW), 0);
	sim_cpu_read(machine, sim_memory_address(memory) + 8, &before, 1);
	byte = before ^ 0xff;
	sim_port_write(by_cpu ? cpu : dma, 8, &byte, 1);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			ends >> i & 1 ? sim_end(memory, NULL, RW) : sim_start(memory, NULL, RW), 0);
	sim_cpu_read(machine, sim_memory_address(memory) + 8, &after, 1);
	sim_port_end(cpu);
	sim_port_end(dma);
	sim_memory_end(memory);
	sim_machine_end(machine);
	return after == byte;
}

static void no_order_of_syncs_is_right_for_every_kind_of_writer(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 6; n++) {
		for (unsigned ends = 0; ends < 1u << n; ends++) {
			bool cpu = is_kept(SIM_WHOLE, true, ends, n);
			bool dma = is_kept(SIM_WHOLE, false, ends, n);
			bool bounced = is_kept(SIM_BOUNCING, false, ends, n);

			assert_false(cpu && (dma || bounced));
			/* the first decides, where anything is done at all */
			assert_int_equal(cpu, !n || (ends & 1));
			assert_int_equal(bounced, n && !(ends & 1));
			/* an END here writes clean lines back too, as some exporters do */
			assert_int_equal(dma, n && !(ends & 1));
		}
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_order_of_syncs_is_right_for_every_kind_of_writer),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
