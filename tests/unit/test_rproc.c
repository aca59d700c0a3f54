/* SPDX-License-Identifier: BSD-3-Clause */
/* Coprocessors by their files: found, started, stopped, their channels and carveouts, and what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <shm/rproc.h>

#include "fake_rproc.h"
#include "shm_test.h"

static struct fake_rproc *fake;

static int begin(void **state)
{
	(void)state;
	fake = fake_rproc_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_rproc_end();
	return 0;
}

static void fails(int result, int error, const char *word)
{
	if (result != -error)
		fail_msg("%d, %s", result, metal_shm_last_error());
	if (!strstr(metal_shm_last_error(), word))
		fail_msg("'%s' is not in: %s", word, metal_shm_last_error());
}

static struct metal_device *open_dsp(void)
{
	struct metal_device *dev = NULL;

	if (metal_shm_rproc_open("dsp", &dev))
		fail_msg("%s", metal_shm_last_error());
	return dev;
}

static void core_is_found_by_either_name(void **state)
{
	static const char *const names[] = { "rproc:remoteproc0", "rproc:dsp" };
	struct metal_device *dev;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		assert_int_equal(metal_shm_device_open(names[i], &dev), 0);
		assert_string_equal(metal_shm_rproc_id(dev), "remoteproc0");
		assert_string_equal(metal_shm_device_name(dev), "rproc:remoteproc0");
		metal_shm_device_close(dev);
	}
}

static void unknown_core_is_answered_with_those_there_are(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	fails(metal_shm_rproc_open("m4", &dev), ENODEV, "there is remoteproc0 (dsp)");
	fails(metal_shm_rproc_open("remoteproc1", &dev), ENODEV, "no remoteproc 'remoteproc1'");
	fails(metal_shm_rproc_open("", &dev), EINVAL, "not the name");
	fails(metal_shm_rproc_open("../class", &dev), EINVAL, "not the name");
	fails(metal_shm_rproc_open(NULL, &dev), EINVAL, "NULL");
	fails(metal_shm_device_open("rproc:", &dev), EINVAL, "rproc:remoteproc0");
	fake_rproc_remove("/sys/class/remoteproc");
	fails(metal_shm_rproc_open("dsp", &dev), ENODEV, "CONFIG_REMOTEPROC");
	assert_null(dev);
}

static void two_cores_of_one_name_are_told_apart_by_the_kernels(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	fake_rproc_file("/sys/class/remoteproc/remoteproc1/name", "dsp\n");
	fake_rproc_remove("/sys/class/remoteproc/remoteproc1");
	fake_rproc_file("/sys/devices/other/remoteproc/remoteproc1/name", "dsp\n");
	fake_rproc_file("/sys/devices/other/remoteproc/remoteproc1/state", "offline\n");
	fake_rproc_link("/sys/class/remoteproc/remoteproc1",
			"../../devices/other/remoteproc/remoteproc1");
	fails(metal_shm_rproc_open("dsp", &dev), ENOTUNIQ, "2 remoteprocs are called 'dsp'");
	assert_int_equal(metal_shm_rproc_open("remoteproc1", &dev), 0);
	assert_string_equal(metal_shm_rproc_id(dev), "remoteproc1");
	metal_shm_device_close(dev);
}

static void each_state_of_the_kernel_is_known(void **state)
{
	static const char *const names[] = { "offline\n", "suspended\n", "running\n",
					     "crashed\n", "attached\n",  "detached\n" };
	struct metal_device *dev = open_dsp();

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		fake_rproc_file("/sys/class/remoteproc/remoteproc0/state", names[i]);
		assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_OFFLINE + (int)i);
	}
	fake_rproc_file("/sys/class/remoteproc/remoteproc0/state", "invalid\n");
	assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_UNKNOWN);
	fake_rproc_remove("/sys/devices/platform/soc/remoteproc/remoteproc0");
	fails(metal_shm_rproc_state(dev), ENODEV, "remoteproc0 is gone");
	metal_shm_device_close(dev);
}

static void start_takes_the_firmware_and_stop_ends_it(void **state)
{
	struct metal_device *dev = open_dsp();
	char name[16];

	(void)state;
	assert_int_equal(metal_shm_rproc_start(dev, "filter.elf", 0), 0);
	assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_RUNNING);
	assert_int_equal(metal_shm_rproc_firmware(dev, name, sizeof(name)), 0);
	assert_string_equal(name, "filter.elf");
	fails(metal_shm_rproc_firmware(dev, name, 10), ENAMETOOLONG, "10 bytes");
	fails(metal_shm_rproc_start(dev, NULL, 0), EALREADY, "remoteproc0 is running");
	assert_int_equal(fake->starts, 1);
	fails(metal_shm_rproc_set_firmware(dev, "b.elf"), EBUSY, "remoteproc0 is running");
	assert_int_equal(metal_shm_rproc_stop(dev), 0);
	assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_OFFLINE);
	assert_int_equal(metal_shm_rproc_stop(dev), 0);
	assert_int_equal(fake->stops, 1);
	fails(metal_shm_rproc_set_firmware(dev, ""), EINVAL, "not the name of a firmware");
	fails(metal_shm_rproc_set_firmware(dev, "a\nb"), EINVAL, "not the name of a firmware");
	fails(metal_shm_rproc_start(dev, NULL, 4), EINVAL, "unknown flags 0x4");
	metal_shm_device_close(dev);
}

static void crashed_core_can_be_stopped(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	assert_int_equal(metal_shm_rproc_start(dev, NULL, 0), 0);
	fake_rproc_file("/sys/class/remoteproc/remoteproc0/state", "crashed\n");
	assert_int_equal(metal_shm_rproc_stop(dev), 0);
	assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_OFFLINE);
	metal_shm_device_close(dev);
}

static void crashed_core_is_stopped_where_the_kernel_has_it_run_before(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	fake->older = true;
	/* also one that doesn't start again */
	for (int error = 0; error <= ENOENT; error += ENOENT) {
		fake->start_error = 0;
		assert_int_equal(metal_shm_rproc_start(dev, NULL, 0), 0);
		fake_rproc_file("/sys/class/remoteproc/remoteproc0/state", "crashed\n");
		fake->start_error = error;
		assert_int_equal(metal_shm_rproc_stop(dev), 0);
		assert_int_equal(metal_shm_rproc_state(dev), METAL_SHM_RPROC_OFFLINE);
	}
	metal_shm_device_close(dev);
}

static void core_that_another_program_started_too_stays(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	assert_int_equal(metal_shm_rproc_start(dev, NULL, 0), 0);
	fake->kept = true;
	fails(metal_shm_rproc_stop(dev), EBUSY, "another program started it too");
	fake->kept = false;
	fake->stop_error = ETIMEDOUT;
	fails(metal_shm_rproc_stop(dev), ETIMEDOUT, "remoteproc0 doesn't stop");
	metal_shm_device_close(dev);
}

static void core_stops_with_us_where_that_is_asked(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	assert_int_equal(metal_shm_rproc_start(dev, NULL, METAL_SHM_RPROC_STOP_WITH_US), 0);
	assert_int_equal(fake->shutdown_on_release, 1);
	assert_int_equal(metal_shm_rproc_stop(dev), 0);
	fake->start_error = ENOENT;
	fails(metal_shm_rproc_start(dev, NULL, METAL_SHM_RPROC_STOP_WITH_US), ENOENT, "dsp.elf");
	assert_int_equal(fake->shutdown_on_release, 0);
	fake_rproc_remove("/dev/remoteproc0");
	fails(metal_shm_rproc_start(dev, NULL, METAL_SHM_RPROC_STOP_WITH_US), ENOTSUP,
	      "CONFIG_REMOTEPROC_CDEV");
	metal_shm_device_close(dev);
}

static void who_may_not_write_sysfs_starts_by_the_node(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	fake_rproc_refuse("/sys/class/remoteproc/remoteproc0/state", EACCES);
	assert_int_equal(metal_shm_rproc_start(dev, NULL, 0), 0);
	assert_int_equal(metal_shm_rproc_stop(dev), 0);
	assert_int_equal(fake->stops, 1);
	fake_rproc_remove("/dev/remoteproc0");
	fails(metal_shm_rproc_start(dev, NULL, 0), EACCES, "/state: not permitted: it is of user");
	assert_non_null(strstr(metal_shm_last_error(), "mode 0644"));
	fake_rproc_file("/dev/remoteproc0", "");
	fake_rproc_refuse("/dev/remoteproc0", EACCES);
	fails(metal_shm_rproc_start(dev, NULL, METAL_SHM_RPROC_STOP_WITH_US), EACCES,
	      "/dev/remoteproc0: not permitted");
	fake_rproc_refuse(NULL, 0);
	metal_shm_device_close(dev);
}

static void missing_firmware_is_told_with_the_folders(void **state)
{
	struct metal_device *dev = open_dsp();

	(void)state;
	fake->start_error = ENOENT;
	fake_rproc_file("/sys/module/firmware_class/parameters/path", "/lib/firmware/own");
	fails(metal_shm_rproc_start(dev, "no.elf", 0), ENOENT,
	      "there is no firmware 'no.elf' in /lib/firmware/own, /lib/firmware/updates/");
	metal_shm_device_close(dev);
}

static void firmware_for_another_processor_is_told_so(void **state)
{
	static const unsigned char x86[20] = { 0x7f, 'E', 'L', 'F', 2, 1, 1, [18] = 62 };
	static const unsigned char odd[20] = { 0x7f, 'E', 'L', 'F', 1, 2, 1, [18] = 1, 94 };
	struct metal_device *dev = open_dsp();

	(void)state;
	fake->start_error = EINVAL;
	fake_rproc_bytes("/lib/firmware/x.elf", x86, sizeof(x86));
	fails(metal_shm_rproc_start(dev, "x.elf", 0), ENOEXEC,
	      "firmware 'x.elf', which is for x86-64, 64 bits, little-endian");
	fake_rproc_bytes("/lib/firmware/x.elf", odd, sizeof(odd));
	fails(metal_shm_rproc_start(dev, "x.elf", 0), ENOEXEC, "machine 350 of ELF's numbers");
	fake_rproc_bytes("/lib/firmware/x.elf", x86, sizeof(x86) - 1);
	fails(metal_shm_rproc_start(dev, "x.elf", 0), ENOEXEC, "is not an ELF file");
	fake_rproc_file("/lib/firmware/x.elf", "#!/bin/sh and so on, long enough");
	fails(metal_shm_rproc_start(dev, "x.elf", 0), ENOEXEC, "is not an ELF file");
	fake->start_error = ETIMEDOUT;
	fails(metal_shm_rproc_start(dev, "x.elf", 0), ETIMEDOUT, "remoteproc0 doesn't start with");
	metal_shm_device_close(dev);
}

static void channels_are_those_of_the_core_and_no_other(void **state)
{
	struct metal_shm_rproc_channel channel[4] = { { .service = "" } };
	struct metal_device *dev = open_dsp();
	int n;

	(void)state;
	assert_int_equal(metal_shm_rproc_channels(dev, NULL, 0), 0);
	fake_rproc_bus("remoteproc0", 0);
	fake_rproc_announce("remoteproc0", 0, "rpmsg-raw", 1025);
	fake_rproc_bus("remoteproc1", 1);
	fake_rproc_announce("remoteproc1", 1, "rpmsg-tty", 7);
	n = metal_shm_rproc_channels(dev, channel, 4);
	assert_int_equal(n, 2);
	n = strcmp(channel[0].service, "rpmsg-raw") != 0;
	assert_string_equal(channel[n].service, "rpmsg-raw");
	assert_string_equal(channel[n].device, "virtio0.rpmsg-raw.-1.1025");
	assert_string_equal(channel[n].node, "");
	assert_int_equal(channel[n].source, UINT32_MAX);
	assert_int_equal(channel[n].destination, 1025);
	assert_string_equal(channel[!n].service, "rpmsg_ctrl");
	assert_string_equal(channel[!n].node, "rpmsg_ctrl0");
	channel[1].service[0] = '!';
	assert_int_equal(metal_shm_rproc_channels(dev, channel, 1), 2);
	assert_int_equal(channel[1].service[0], '!');
	fails(metal_shm_rproc_channels(dev, NULL, 1), EINVAL, "NULL");
	metal_shm_device_close(dev);
}

static void rpmsg_device_names_its_remoteproc(void **state)
{
	char name[16] = "";

	(void)state;
	fake_rproc_bus("remoteproc1", 1);
	fake_rproc_announce("remoteproc1", 1, "rpmsg-raw", 1024);
	assert_int_equal(metal_shm_rproc_of_channel("/dev/rpmsg_ctrl1", name, sizeof(name)), 0);
	assert_string_equal(name, "remoteproc1");
	assert_int_equal(metal_shm_rproc_of_channel("virtio1.rpmsg-raw.-1.1024", name, 16), 0);
	assert_string_equal(name, "remoteproc1");
	fails(metal_shm_rproc_of_channel("rpmsg_ctrl1", name, 11), ENAMETOOLONG, "11 bytes");
	fails(metal_shm_rproc_of_channel("/dev/rpmsg9", name, 16), ENODEV, "no RPMsg device");
	fails(metal_shm_rproc_of_channel("/dev/rpmsg9", NULL, 16), EINVAL, "NULL");
	fake_rproc_link("/sys/class/rpmsg/rpmsg5", "../../devices/pci/virtio9/rpmsg/rpmsg5");
	fails(metal_shm_rproc_of_channel("rpmsg5", name, 16), ENOTSUP, "no remoteproc's");
}

#define TABLE "/sys/kernel/debug/remoteproc/remoteproc0/carveout_memories"
#define ENTRY(name, va, dma, da, size)                                                             \
	"Carveout memory entry:\n\tName: " name "\n\tVirtual address: " va "\n\tDMA address: " dma \
	"\n\tDevice address: " da "\n\tLength: " size " Bytes\n\n"

static void carveouts_have_their_three_addresses(void **state)
{
	struct metal_shm_rproc_carveout carveout[3];
	struct metal_device *dev = open_dsp();

	(void)state;
	fake_rproc_file(
		TABLE,
		ENTRY("vring0", "00000000d8c1ffee", "0x0000000030100000", "0xb0100000", "0x10000")
			ENTRY("frames", "(null)", "0xffffffff", "0xffffffff", "0x800000"));
	assert_int_equal(metal_shm_rproc_carveouts(dev, carveout, 3), 2);
	assert_string_equal(carveout[0].name, "vring0");
	assert_int_equal(carveout[0].virtual_address, 0xd8c1ffee);
	assert_int_equal(carveout[0].dma_address, 0x30100000);
	assert_int_equal(carveout[0].device_address, 0xb0100000);
	assert_int_equal(carveout[0].length, 0x10000);
	assert_string_equal(carveout[1].name, "frames");
	assert_int_equal(carveout[1].virtual_address, 0);
	assert_true(carveout[1].dma_address == UINT64_MAX);
	assert_true(carveout[1].device_address == UINT64_MAX);
	assert_int_equal(metal_shm_rproc_carveouts(dev, carveout, 1), 2);
	fake_rproc_file(TABLE, "");
	assert_int_equal(metal_shm_rproc_carveouts(dev, carveout, 3), 0);
	metal_shm_device_close(dev);
}

static void table_of_carveouts_that_is_not_understood_is_refused(void **state)
{
	static const char *const wrong[] = {
		ENTRY("a", "0", "0x0", "0xb0100000", "0x10 KiB"),
		ENTRY("a", "0", "0x0", "everywhere", "0x10"),
		ENTRY("a", "0", "0x0", "0xfffffffffffff000", "0x2000"),
		ENTRY("a", "0", "0x0", "0x99999999999999999", "0x2000"),
		"Carveout memory entry:\n\tName: a\n",
		"Carveout memory entry:\n\tName: a\n" ENTRY("b", "0", "0x0", "0x0", "0x10"),
	};
	struct metal_device *dev = open_dsp();

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++) {
		fake_rproc_file(TABLE, wrong[i]);
		if (metal_shm_rproc_carveouts(dev, NULL, 0) != -EBADMSG)
			fail_msg("%s", wrong[i]);
	}
	fake_rproc_refuse(TABLE, EACCES);
	fails(metal_shm_rproc_carveouts(dev, NULL, 0), EACCES, "/sys/kernel/debug");
	fake_rproc_refuse(NULL, 0);
	fake_rproc_remove("/sys/kernel");
	fails(metal_shm_rproc_carveouts(dev, NULL, 0), ENOENT, "/sys/kernel/debug");
	metal_shm_device_close(dev);
}

static void carveout_that_is_not_exported_is_told_how(void **state)
{
	static const char region[] = "/sys/module/shm_carveout/parameters/region";
	struct metal_device *dev = NULL;
	char text[64];

	(void)state;
	fails(metal_shm_device_open("rproc:dsp/shared", &dev), ENODEV,
	      "shm_carveout is not loaded");
	fails(metal_shm_device_open("rproc:dsp/", &dev), EINVAL, "not REMOTEPROC/CARVEOUT");
	fails(metal_shm_device_open("rproc:/shared", &dev), EINVAL, "not REMOTEPROC/CARVEOUT");
	fails(metal_shm_device_open("rproc:dsp/a/b", &dev), EINVAL, "not REMOTEPROC/CARVEOUT");
	fails(metal_shm_device_open("rproc:m4/shared", &dev), ENODEV, "no remoteproc 'm4'");
	fake_rproc_file(region, "");
	fake_rproc_refuse(region, EACCES);
	fails(metal_shm_device_open("rproc:dsp/shared", &dev), EACCES,
	      "echo remoteproc0.shared,remoteproc=remoteproc0/shared > /sys/module/");
	fake_rproc_refuse(region, EEXIST);
	fails(metal_shm_device_open("rproc:dsp/shared", &dev), EEXIST, "by another name");
	fake_rproc_refuse(NULL, 0);
	/* the fake makes no node of it */
	fails(metal_shm_device_open("rproc:dsp/shared", &dev), ENOENT,
	      "/dev/shm_carveout/remoteproc0.shared");
	fake_rproc_read(region, text, sizeof(text));
	assert_string_equal(text, "remoteproc0.shared,remoteproc=remoteproc0/shared");
	assert_null(dev);
}

static void what_is_no_coprocessor_is_refused(void **state)
{
	struct metal_device *memory;

	(void)state;
	assert_int_equal(metal_shm_device_open("memfd", &memory), 0);
	assert_int_equal(metal_shm_rproc_state(memory), -EINVAL);
	assert_int_equal(metal_shm_rproc_start(memory, NULL, 0), -EINVAL);
	assert_int_equal(metal_shm_rproc_stop(memory), -EINVAL);
	assert_int_equal(metal_shm_rproc_set_firmware(memory, "a"), -EINVAL);
	assert_int_equal(metal_shm_rproc_channels(memory, NULL, 0), -EINVAL);
	assert_int_equal(metal_shm_rproc_carveouts(memory, NULL, 0), -EINVAL);
	assert_null(metal_shm_rproc_id(memory));
	metal_shm_device_close(memory);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	static const struct CMUnitTest tests[] = {
		CASE(core_is_found_by_either_name),
		CASE(unknown_core_is_answered_with_those_there_are),
		CASE(two_cores_of_one_name_are_told_apart_by_the_kernels),
		CASE(each_state_of_the_kernel_is_known),
		CASE(start_takes_the_firmware_and_stop_ends_it),
		CASE(crashed_core_can_be_stopped),
		CASE(crashed_core_is_stopped_where_the_kernel_has_it_run_before),
		CASE(core_that_another_program_started_too_stays),
		CASE(core_stops_with_us_where_that_is_asked),
		CASE(who_may_not_write_sysfs_starts_by_the_node),
		CASE(missing_firmware_is_told_with_the_folders),
		CASE(firmware_for_another_processor_is_told_so),
		CASE(channels_are_those_of_the_core_and_no_other),
		CASE(rpmsg_device_names_its_remoteproc),
		CASE(carveouts_have_their_three_addresses),
		CASE(table_of_carveouts_that_is_not_understood_is_refused),
		CASE(carveout_that_is_not_exported_is_told_how),
		CASE(what_is_no_coprocessor_is_refused),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
