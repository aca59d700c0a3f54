/* SPDX-License-Identifier: BSD-3-Clause */
/* The test firmware: sends messages back, and does to memory what a test asks, in place. */
#include "coprocessor.h"
#include "rpmsg.h"

static struct coprocessor_job late; /* length 0: none */

static void echo(uint32_t from, uint32_t to, const void *message, size_t size)
{
	const uint8_t *bytes = message;
	uint8_t answer[RPMSG_MAX];

	if (size > sizeof(answer))
		return;
	for (size_t i = 0; i < size; i++)
		answer[i] = bytes[i] ^ 0x20;
	rpmsg_send(to, from, answer, size);
}

static void fill(const struct coprocessor_job *job)
{
	volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)job->address;

	for (uint64_t i = 0; i < job->length; i++)
		bytes[i] = (uint8_t)job->value;
}

static void do_job(struct coprocessor_job *job)
{
	volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)job->address;

	job->result = 0;
	switch (job->what) {
	case COPROCESSOR_ADD:
		for (uint64_t i = 0; i < job->length; i++)
			bytes[i] = (uint8_t)(bytes[i] + job->value);
		break;
	case COPROCESSOR_FILL:
		fill(job);
		break;
	case COPROCESSOR_SUM:
		for (uint64_t i = 0; i < job->length; i++)
			job->result += bytes[i];
		break;
	case COPROCESSOR_LATE:
		late = *job;
		break;
	case COPROCESSOR_TRAP:
		__asm__ volatile("unimp");
		break;
	case COPROCESSOR_HANG:
		for (;;)
			__asm__ volatile("");
	}
}

static void work(uint32_t from, uint32_t to, const void *message, size_t size)
{
	const uint8_t *bytes = message;
	struct coprocessor_job job;

	if (size != sizeof(job))
		return;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)&job)[i] = bytes[i];
	do_job(&job);
	__asm__ volatile("fence iorw, iorw" ::: "memory");
	rpmsg_send(to, from, &job, sizeof(job));
}

void firmware_main(void);
void firmware_main(void)
{
	static const struct rpmsg_endpoint endpoints[] = {
		{ COPROCESSOR_ECHO, "rpmsg-raw", echo },
		{ COPROCESSOR_WORK, "rpmsg-raw", work },
		{ 0 },
	};

	for (;;) {
		rpmsg_poll(endpoints);
		fill(&late);
		__asm__ volatile("wfi" ::: "memory"); /* the ROM's timer ends it */
	}
}
