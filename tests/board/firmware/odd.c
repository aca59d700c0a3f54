/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware that speaks libshm's protocol over its own records, so that it can also say what isn't true. */
#include <string.h>

#include "coprocessor.h"
#include "odd_firmware.h"
#include "rpmsg.h"
#include "session.h"

#define SHARES 8
#define GIVES  8
#define PARTS  300 /* segments of one share */
#define WINDOW 8

struct memory {
	uint32_t count;
	bool dead; /* unshared */
	struct shm__wire_segment segment[PARTS];
};

static struct shm__session session;
static struct shm__share shares[SHARES];
static struct shm__give gives[GIVES];
static struct memory memories[SHARES];
static struct shm__wire_range held[GIVES];
static bool has[GIVES];
static struct shm__wire_range owed[GIVES]; /* RETURNs that wait for credit */
static unsigned owes;
static uint32_t peer; /* the host's address */
static unsigned added = 1;
static bool keeps, deaf, late;
static uint32_t asked_tag, flood;

void *memcpy(void *to, const void *from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	while (size--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, size_t size)
{
	unsigned char *t = to;

	while (size--)
		*t++ = (unsigned char)value;
	return to;
}

static void barrier(void)
{
	__asm__ volatile("fence iorw, iorw" ::: "memory");
}

static void post_bytes(const void *data, size_t size)
{
	barrier();
	/* the host takes what is there before it asks for more */
	while (size && !rpmsg_send(ODD_ENDPOINT, peer, data, size))
		__asm__ volatile("wfi" ::: "memory");
}

static void post(const struct shm__out *out)
{
	post_bytes(out->data, out->size);
}

/* Each byte of a range, in order. */
static void each_byte(const struct shm__wire_range *range,
		      void (*work)(volatile uint8_t *byte, unsigned value), unsigned value)
{
	const struct memory *memory = &memories[range->id - 1];
	uint64_t start = range->offset, left = range->length;

	for (uint32_t i = 0; i < memory->count && left; i++) {
		const struct shm__wire_segment *segment = &memory->segment[i];
		uint64_t length = segment->length;

		if (start >= length) {
			start -= length;
			continue;
		}
		length -= start;
		if (length > left)
			length = left;
		for (uint64_t at = 0; at < length; at++)
			work((volatile uint8_t *)(uintptr_t)(segment->address + start + at), value);
		left -= length;
		start = 0;
	}
	barrier();
}

static void add(volatile uint8_t *byte, unsigned value)
{
	*byte = (uint8_t)(*byte + value);
}

static void set(volatile uint8_t *byte, unsigned value)
{
	*byte = (uint8_t)value;
}

static bool say_return(const struct shm__wire_range *range)
{
	struct shm__out out;
	enum shm__code code = shm__session_return(&session, range->id, range->offset, range->length,
						  (enum shm__code)range->code, &out);

	if (!code)
		post(&out);
	return code != SHM__CODE_AGAIN;
}

static void give_back(const struct shm__wire_range *range, enum shm__code code)
{
	struct shm__wire_range back = *range;

	back.code = code;
	if ((owes || !say_return(&back)) && owes < GIVES)
		owed[owes++] = back;
}

static void give_back_owed(void)
{
	while (owes && say_return(&owed[0])) {
		owes--;
		for (unsigned i = 0; i < owes; i++)
			owed[i] = owed[i + 1];
	}
}

static void take_share(const struct shm__event *event)
{
	const struct shm__wire_share *share = &event->record.share;
	struct memory *memory = &memories[share->id - 1];
	const uint8_t *entry = (const uint8_t *)(uintptr_t)share->segment[0].address;
	enum shm__code code = SHM__CODE_OK;
	struct shm__out out;

	memory->count = share->segments;
	memory->dead = false;
	barrier();
	if (share->segments > PARTS)
		code = SHM__CODE_FULL;
	for (uint32_t i = 0; i < share->segments && !code; i++) {
		if (share->flags & SHM__SHARE_TABLE)
			code = shm__segment_decode(entry + i * SHM__SEGMENT_SIZE,
						   &memory->segment[i]);
		else
			memory->segment[i] = share->segment[i];
	}
	if (!code)
		return;
	memory->count = 0;
	shm__session_reject(&session, event, code, &out);
	post(&out);
}

static void take_give(const struct shm__wire_range *range)
{
	if (asked_tag) { /* what it asked for */
		each_byte(range, set, asked_tag & 0xff);
		asked_tag = 0;
		give_back(range, SHM__CODE_OK);
		return;
	}
	if (!keeps && !deaf) {
		if ((range->dir & SHM__WIRE_WRITES) && added)
			each_byte(range, add, added);
		give_back(range, SHM__CODE_OK);
		return;
	}
	for (unsigned i = 0; i < GIVES; i++) {
		if (has[i])
			continue;
		has[i] = true;
		held[i] = *range;
		return;
	}
}

static void return_all(enum shm__code code)
{
	for (unsigned i = 0; i < GIVES; i++) {
		if (has[i])
			give_back(&held[i], code);
		has[i] = false;
	}
}

static void unshare(uint32_t id)
{
	struct shm__out out;

	memories[id - 1].dead = true;
	if (!deaf && !shm__session_unshared(&session, id, &out))
		post(&out);
}

static void say_record(enum shm__record_type type, uint32_t id, uint32_t generation,
		       uint64_t offset, uint64_t length)
{
	struct shm__record record = {
		.type = type,
		.session = session.other,
		.number = ++session.sent,
		.limit = session.granted,
	};
	struct shm__out out;

	if (type == SHM__RECORD_UNSHARED)
		record.unshare = (struct shm__wire_unshare){ id, generation };
	else
		record.range = (struct shm__wire_range){ id, generation, offset, length, 0, 0 };
	out.size = shm__record_encode(&record, out.data);
	post(&out);
}

static void say_hello(uint16_t version)
{
	struct shm__record record = {
		.type = SHM__RECORD_HELLO,
		.session = session.other,
		.hello = { .session = session.me, .version = 1, .oldest = 1 },
	};
	struct shm__out out;

	out.size = shm__record_encode(&record, out.data);
	/* no encoder says it, so the bytes are put there: those of the two versions follow the session */
	for (size_t i = SHM__RECORD_HEADER + 4; i < SHM__RECORD_HEADER + 8; i += 2) {
		out.data[i] = (uint8_t)version;
		out.data[i + 1] = (uint8_t)(version >> 8);
	}
	post(&out);
}

static void say_half_list(void)
{
	struct shm__record record = {
		.type = SHM__RECORD_SHARE,
		.session = session.other,
		.number = ++session.sent,
		.limit = session.granted,
		.share = { .id = 1, .generation = 1, .size = 3 * 4096, .dir = 1, .segments = 3 },
	};
	struct shm__out out;

	for (uint32_t i = 0; i < 3; i++)
		record.share.segment[i] =
			(struct shm__wire_segment){ 0x80000000u + i * 0x10000u, 4096 };
	out.size = shm__record_encode(&record, out.data) - SHM__SEGMENT_SIZE * 3 / 2;
	post(&out);
}

static void lie(unsigned what)
{
	static const uint8_t noise[] = "This is not a record, whatever it looks like.";
	uint32_t generation = shares[0].generation;
	uint64_t size = shares[0].size;

	switch (what) {
	case ODD_UNKNOWN_ID:
		say_record(SHM__RECORD_RETURN, 77, 1, 0, 4096);
		break;
	case ODD_STALE:
		say_record(SHM__RECORD_RETURN, 1, generation + 1, 0, size);
		break;
	case ODD_OUTSIDE:
		say_record(SHM__RECORD_RETURN, 1, generation, size, 4096);
		break;
	case ODD_NOT_HELD:
		say_record(SHM__RECORD_RETURN, 1, generation, 1, 1);
		break;
	case ODD_NEVER_SHARED:
		say_record(SHM__RECORD_UNSHARED, 5, 1, 0, 0);
		break;
	case ODD_SHORT:
		post_bytes(noise, 7);
		break;
	case ODD_NOISE:
		post_bytes(noise, sizeof(noise));
		break;
	case ODD_VERSION_0:
		say_hello(0);
		break;
	case ODD_VERSION_MAX:
		say_hello(0xffff);
		break;
	case ODD_OUT_OF_ORDER:
		session.sent += 5;
		say_record(SHM__RECORD_RETURN, 1, generation, 0, size);
		session.sent -= 6;
		break;
	case ODD_HALF_LIST:
		say_half_list();
		break;
	default:
		break;
	}
}

static void ask(uint64_t size)
{
	struct shm__out out;

	if (!shm__session_request(&session, size, 0, &asked_tag, &out))
		post(&out);
}

static void begin_again(void)
{
	struct shm__out out;

	shm__session_begin(&session, session.me + 1, &out);
	post(&out);
}

static void leave(void)
{
	struct shm__out out;

	for (uint32_t id = 1; id <= SHARES; id++)
		if (shares[id - 1].state != SHM__SHARE_FREE &&
		    !shm__session_unshared(&session, id, &out))
			post(&out);
}

static void obey(const struct odd_command *command)
{
	struct shm__out out;

	/* first the answer: some commands leave no time for one */
	if (command->what != ODD_AGAIN &&
	    !shm__session_send(&session, command, sizeof(*command), &out))
		post(&out);
	switch (command->what) {
	case ODD_ADD:
		added = command->value;
		keeps = deaf = false;
		break;
	case ODD_KEEP:
		keeps = true;
		break;
	case ODD_DEAF:
		deaf = true;
		break;
	case ODD_RETURN:
		return_all((enum shm__code)command->value);
		break;
	case ODD_LIE:
		lie(command->value);
		break;
	case ODD_REQUEST:
		ask(command->size);
		break;
	case ODD_FLOOD:
		flood = command->value;
		break;
	case ODD_LATE:
		late = command->value;
		break;
	case ODD_TRAP:
		__asm__ volatile("unimp");
		break;
	case ODD_HANG:
		for (;;)
			__asm__ volatile("");
	case ODD_AGAIN:
		begin_again();
		break;
	case ODD_LEAVE:
		leave();
		break;
	default:
		break;
	}
}

static void received(uint32_t from, uint32_t to, const void *message, size_t size)
{
	struct odd_command command;
	struct shm__event event;
	struct shm__out out;

	(void)to;
	peer = from;
	shm__session_receive(&session, message, size, &event, &out);
	post(&out);
	switch (event.kind) {
	case SHM__EVENT_SHARED:
		take_share(&event);
		break;
	case SHM__EVENT_GIVEN:
		take_give(&event.record.range);
		break;
	case SHM__EVENT_RECALLED:
		if (!deaf)
			return_all(SHM__CODE_OK);
		break;
	case SHM__EVENT_UNSHARE:
		unshare(event.record.unshare.id);
		break;
	case SHM__EVENT_USER:
		if (event.record.user.length != sizeof(command))
			break;
		memcpy(&command, event.record.user.data, sizeof(command));
		obey(&command);
		break;
	default:
		break;
	}
}

/* Bare messages, to compare with. */
static void echo(uint32_t from, uint32_t to, const void *message, size_t size)
{
	rpmsg_send(to, from, message, size);
}

/* Takes a stream of messages; the last one, which is empty but for a byte, is answered. */
static void sink(uint32_t from, uint32_t to, const void *message, size_t size)
{
	if (size == 1)
		rpmsg_send(to, from, message, size);
}

static void write_late(void)
{
	for (uint32_t id = 1; late && id <= SHARES; id++) {
		struct shm__wire_range all = { .id = id, .length = UINT64_MAX };

		if (memories[id - 1].count)
			each_byte(&all, set, 0x66);
	}
}

static void keep_flooding(void)
{
	struct shm__out out;

	while (flood && !shm__session_send(&session, &flood, sizeof(flood), &out)) {
		post(&out);
		flood--;
	}
}

void firmware_main(void);
void firmware_main(void)
{
	static const struct rpmsg_endpoint endpoints[] = {
		{ ODD_ENDPOINT, "libshm", received },
		{ ODD_ECHO, "rpmsg-raw", echo },
		{ ODD_SINK, "rpmsg-raw", sink },
		{ 0 },
	};
	uint64_t cycles;
	const struct shm__session_setup setup = {
		.theirs = { .shares = shares,
			    .gives = gives,
			    .share_count = SHARES,
			    .give_count = GIVES },
		.session = 1,
		.window = WINDOW,
	};

	shm__session_init(&session, &setup);
	__asm__ volatile("rdtime %0" : "=r"(cycles));
	session.me = (uint32_t)cycles | 1;
	for (;;) {
		rpmsg_poll(endpoints);
		give_back_owed();
		write_late();
		keep_flooding();
		__asm__ volatile("wfi" ::: "memory"); /* the ROM's timer ends it */
	}
}
