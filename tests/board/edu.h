/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's edu devices, driven through VFIO: each has 4 KiB of its own, to and from which it moves up to 2048
 * bytes at a time, in 100 ms, by addresses of 28 bits. Source: QEMU's docs/specs/edu.rst.
 */
#ifndef EDU_H
#define EDU_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <shm/shm.h>
#include <shm/vfio.h>

#include "shm_test.h"

#define EDU        "0000:00:03.0" /* the board's */
#define EDU_OTHER  "0000:00:1d.0" /* that of the group vfio, with an IOMMU group of its own */
#define EDU_PAIR_1 "0000:01:01.0" /* two of that group which share one */
#define EDU_PAIR_2 "0000:01:02.0"
#define EDU_MOST   2048u    /* bytes */
#define EDU_OWN    0x40000u /* address of its own memory */
#define EDU_IDLE   5000     /* looks, a millisecond apart */

enum edu_register {
	EDU_INTERRUPTS = 0x24,
	EDU_ACKNOWLEDGE = 0x64,
	EDU_FROM = 0x80,
	EDU_TO = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
};

#define EDU_START     1u
#define EDU_TO_MEMORY 2u
#define EDU_INTERRUPT 4u

struct edu {
	struct metal_device *dev;
	volatile char *registers;
};

static inline void edu_say(const char *path, const char *word)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(word, file) < 0)
		fail_msg("%s: can't say '%s'", path, word);
	fclose(file);
}

/* Give a PCI device to a driver, if it isn't; "" for none. */
static inline void edu_bind(const char *pci, const char *driver)
{
	char path[128], is[128] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", pci);
	if (readlink(path, is, sizeof(is) - 1) > 0 && !strcmp(strrchr(is, '/') + 1, driver))
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", pci);
	if (!access(path, F_OK))
		edu_say(path, pci);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", pci);
	edu_say(path, driver[0] ? driver : "\n");
	if (driver[0])
		edu_say("/sys/bus/pci/drivers_probe", pci);
}

static inline struct metal_device *edu_device(const char *pci)
{
	struct metal_device *dev = NULL;
	char name[64];

	snprintf(name, sizeof(name), "vfio:%s,address_bits=28", pci);
	if (metal_shm_device_open(name, &dev))
		fail_msg("%s: %s", name, metal_shm_last_error());
	return dev;
}

static inline struct edu edu_open(const char *pci)
{
	struct edu edu = { .dev = edu_device(pci) };
	volatile void *address;
	size_t size;

	if (metal_shm_vfio_region(edu.dev, 0, &address, &size))
		fail_msg("%s: %s", pci, metal_shm_last_error());
	assert_true(size >= 0x100);
	edu.registers = address;
	assert_int_equal(*(volatile uint32_t *)edu.registers & 0xffff, 0x00ed);
	return edu;
}

static inline void edu_set(const struct edu *edu, enum edu_register at, uint64_t value)
{
	*(volatile uint64_t *)(edu->registers + at) = value;
}

static inline uint64_t edu_get(const struct edu *edu, enum edu_register at)
{
	return *(volatile uint64_t *)(edu->registers + at);
}

/* The device ignores accesses of another width to the registers below 0x80. */
static inline void edu_acknowledge(const struct edu *edu)
{
	volatile uint32_t *reasons = (volatile uint32_t *)(edu->registers + EDU_INTERRUPTS);

	*(volatile uint32_t *)(edu->registers + EDU_ACKNOWLEDGE) = *reasons;
}

static inline void edu_start(const struct edu *edu, uint64_t from, uint64_t to, size_t size,
			     unsigned how)
{
	assert_true(size <= EDU_MOST);
	edu_set(edu, EDU_FROM, from);
	edu_set(edu, EDU_TO, to);
	edu_set(edu, EDU_COUNT, size);
	edu_set(edu, EDU_COMMAND, EDU_START | how);
}

static inline void edu_wait(const struct edu *edu)
{
	for (int i = 0; i < EDU_IDLE && edu_get(edu, EDU_COMMAND) & EDU_START; i++)
		usleep(1000);
	assert_false(edu_get(edu, EDU_COMMAND) & EDU_START);
}

/* From memory to the device's own, and back. */
static inline void edu_load(const struct edu *edu, uint64_t address, size_t size)
{
	edu_start(edu, address, EDU_OWN, size, 0);
	edu_wait(edu);
}

static inline void edu_store(const struct edu *edu, uint64_t address, size_t size)
{
	edu_start(edu, EDU_OWN, address, size, EDU_TO_MEMORY);
	edu_wait(edu);
}

#endif
