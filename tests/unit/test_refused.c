/* SPDX-License-Identifier: BSD-3-Clause */
/* Hand-overs that the device itself refuses, such as a coprocessor: nothing has changed then. */
#include "guard_fixture.h"
#include "parts_bench.h"

static struct fake_importer *dsp;

static int set_up_giver(void **state)
{
	dsp = fake_importer_new_giver("dsp");
	return set_up(state);
}

static int tear_down_giver(void **state)
{
	tear_down(state);
	fake_importer_end(dsp);
	return 0;
}

static void refuse(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	dsp->fail_give = -EIO;
	assert_int_equal(metal_shm_sync_for_device(shm, dsp->dev, dir), -EIO);
	dsp->fail_give = 0;
}

static void what_the_device_refuses_stays_the_programs(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *view = metal_shm_attach(b->shm, dsp->dev);

	refuse(b->shm, RW);
	assert_int_equal(metal_shm_wrote(b->shm, 0, 10), 0);
	b->source->log[0] = '\0';
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->shm, R, 0), 0);
	assert_string_equal(b->source->log, "");
	/* and what it writes counts */
	assert_int_equal(metal_shm_sync_for_device(b->shm, b->dma->dev, R), -ENOTCONN);
	assert_int_equal(metal_shm_sync_for_device(b->shm, dsp->dev, R), 0);
	assert_string_equal(b->source->log, "E1");
	assert_string_equal(dsp->log, "AG1");
	assert_int_equal(metal_shm_unhold(b->shm, dsp->dev, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, R), 0);
	metal_shm_detach(view, dsp->dev);
}

static void what_a_device_reads_it_doesnt_write_for_having_refused_to(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *view = metal_shm_attach(b->shm, dsp->dev);

	assert_int_equal(metal_shm_sync_for_device(b->shm, dsp->dev, R), 0);
	refuse(b->shm, W);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->shm, R, 0), -ETIMEDOUT);
	/* another reader may come beside it, as before */
	assert_non_null(metal_shm_attach(b->shm, b->cpu->dev));
	assert_int_equal(metal_shm_sync_for_device_timeout(b->shm, b->cpu->dev, R, 0), 0);
	assert_int_equal(metal_shm_unhold(b->shm, dsp->dev, 0), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(b->shm, R, 0), 0);
	assert_int_equal(metal_shm_wrote(b->shm, 0, 1), 0);
	metal_shm_detach(metal_shm_view(b->shm, b->cpu->dev), b->cpu->dev);
	metal_shm_detach(view, dsp->dev);
}

/* And the other device what it reads. */
static void of_what_the_device_refuses_the_program_keeps_its_part(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *view = metal_shm_attach(b->shm, dsp->dev);
	struct metal_generic_shm *part = part_of(b, 4096, 4096, b->cpu);

	assert_int_equal(metal_shm_sync_for_device(part, b->cpu->dev, R), 0);
	refuse(b->shm, R);
	assert_int_equal(metal_shm_wrote(b->shm, 0, 4096), 0);
	assert_int_equal(metal_shm_wrote(b->shm, 8192, SIZE - 8192), 0);
	assert_int_equal(metal_shm_wrote(part, 0, 1), -EBUSY);
	assert_non_null(strstr(metal_shm_last_error(), "cpu has bytes 4096 to 8192"));
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	assert_int_equal(metal_shm_wrote(part, 0, 1), 0);
	end_part(part, b->cpu);
	metal_shm_detach(view, dsp->dev);
}

static void a_copy_that_the_device_refuses_brings_nothing_back(void **state)
{
	struct bench *b = *state;
	struct metal_generic_shm *part = part_of(b, 1001, 99, dsp);
	uint64_t back = stats_of(b).bytes_back;

	assert_int_equal(metal_shm_view_mode(metal_shm_view(part, dsp->dev)),
			 METAL_SHM_VIEW_SHADOW);
	memset(b->bytes, 1, SIZE);
	refuse(part, RW);
	memset(b->bytes + 1001, 2, 99);
	assert_int_equal(metal_shm_sync_for_cpu(b->shm, RW), 0);
	assert_int_equal(b->bytes[1001], 2);
	assert_int_equal(stats_of(b).bytes_back, back);
	assert_int_equal(metal_shm_sync_for_device(part, dsp->dev, R), 0);
	assert_int_equal(fake_view_bytes(dsp, part)[98], 2);
	assert_int_equal(metal_shm_unhold(part, dsp->dev, 0), 0);
	end_part(part, dsp);
}

static void what_the_device_refuses_is_open_to_the_program(void **state)
{
	(void)state;
	start(true);
	dsp = fake_importer_new_giver("dsp");
	assert_non_null(metal_shm_attach(g.shm, dsp->dev));
	refuse(g.shm, DEV_RW);
	assert_true(may_write(0));
	assert_true(may_write(g.size - 1));
	metal_shm_detach(metal_shm_view(g.shm, dsp->dev), dsp->dev);
	fake_importer_end(dsp);
	end_all();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up_giver, tear_down_giver)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_the_device_refuses_stays_the_programs),
		CASE(what_a_device_reads_it_doesnt_write_for_having_refused_to),
		CASE(of_what_the_device_refuses_the_program_keeps_its_part),
		CASE(a_copy_that_the_device_refuses_brings_nothing_back),
		cmocka_unit_test(what_the_device_refuses_is_open_to_the_program),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
