/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware that takes the locks of <shm/lock.h> in turns with the host's threads. */
#include <errno.h>
#include <string.h>

#include <shm/lock.h>

#include "board.h"
#include "lock_firmware.h"

#define MS INT64_C(1000000)

static struct metal_device *host;
static struct metal_generic_shm *memory; /* mapped */
static struct lock_firmware_shared *shared;
static struct lock_firmware_command command; /* what 0: none */

static int on_shared(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	(void)user;
	(void)dir;
	shared = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	memory = shm;
	return shared ? 0 : -EINVAL;
}

static void on_message(void *user, const void *message, size_t size)
{
	(void)user;
	if (size == sizeof(command))
		memcpy(&command, message, sizeof(command));
}

static int count(void)
{
	int times = 0;

	for (; !shared->stop; times++) {
		int error = metal_shm_trylock(memory, 0);

		if (error == -EBUSY) {
			error = metal_shm_lock(memory, 0);
			shared->met++;
		}
		if (error)
			return -1;
		shared->counter++;
		if (metal_shm_unlock(memory, 0))
			return -1;
	}
	return times;
}

static enum lock_firmware_answer name(int error)
{
	switch (error) {
	case 0:
		return LOCK_OK;
	case -EOWNERDEAD:
		return LOCK_ENDED;
	case -ETIMEDOUT:
		return LOCK_LATE;
	case -EPERM:
		return LOCK_NOT_MINE;
	default:
		return LOCK_ODD;
	}
}

static int obey(const struct lock_firmware_command *said)
{
	switch (said->what) {
	case LOCK_COUNT:
		return count();
	case LOCK_HOLD:
		return (int)name(metal_shm_lock(memory, 0));
	case LOCK_TRY:
		return (int)name(metal_shm_lock_timeout(memory, 0, said->value * MS));
	case LOCK_GIVE:
		return (int)name(metal_shm_unlock(memory, 0));
	case LOCK_TRAP:
		metal_shm_lock(memory, 0);
		shared->half = 1;
		__asm__ volatile("unimp");
	}
	return -1;
}

static void answer(void)
{
	struct lock_firmware_command said = command;

	command.what = 0;
	said.value = memory ? obey(&said) : -1;
	metal_shm_host_send(host, &said, sizeof(said));
}

int main(void)
{
	static struct metal_shm_channel channel;
	static const struct metal_shm_host_events events = { .shared = on_shared,
							     .message = on_message };
	const struct metal_shm_host_setup setup = {
		.struct_size = sizeof(setup),
		.reach_count = board_reach_count,
		.channel = &channel,
		.events = &events,
		.reach = board_reach,
	};

	if (metal_shm_platform_set(&board_platform))
		return 1;
	board_channel(&channel);
	if (metal_shm_host_open(&setup, &host))
		return 1;
	for (;;) {
		metal_shm_device_dispatch(host);
		if (command.what)
			answer();
		else
			board_wait();
	}
}
