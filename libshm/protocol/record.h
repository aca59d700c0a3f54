/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records that cross to a coprocessor or another process: docs/coprocessor-protocol.md byte for byte.
 * Nothing here knows what was said before; session.h does. Freestanding: it allocates nothing and calls
 * memcpy() and memset() alone, so firmware has it too.
 */
#ifndef SHM_RECORD_H
#define SHM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHM__PROTOCOL_VERSION 1u   /* what this code speaks */
#define SHM__RECORD_MAX       496u /* bytes of a record, and of an RPMsg */
#define SHM__RECORD_HEADER    16u
#define SHM__SEGMENTS_MAX     16u /* that a SHARE has in itself; above that it names a table of them */
#define SHM__USER_MAX         472u /* bytes of the program's own in one USER */
#define SHM__SEGMENT_SIZE     16u  /* bytes of a segment, in a SHARE and in a table */

/* Who doesn't know a type or a field with this bit skips it; one without it is refused. */
#define SHM__OPTIONAL 0x8000u

enum shm__record_type {
	SHM__RECORD_HELLO = 1,
	SHM__RECORD_SHARE,
	SHM__RECORD_GIVE,
	SHM__RECORD_RETURN,
	SHM__RECORD_REQUEST,
	SHM__RECORD_REFUSE, /* of a REQUEST */
	SHM__RECORD_UNSHARE,
	SHM__RECORD_UNSHARED,
	SHM__RECORD_ERROR,
	SHM__RECORD_CREDIT,
	SHM__RECORD_USER,
	SHM__RECORD_RECALL = SHM__OPTIONAL | 1,
};

/* Why: in ERROR, RETURN and REFUSE, and what the functions here and in session.h answer. */
enum shm__code {
	SHM__CODE_OK = 0,
	SHM__CODE_MALFORMED, /* lengths, reserved bits, values that no record has */
	SHM__CODE_VERSION,   /* no version in common */
	SHM__CODE_TYPE,      /* a type of record that isn't known */
	SHM__CODE_FIELD,     /* a field or flag that isn't known and may not be skipped */
	SHM__CODE_ORDER,     /* not the next number, or more records than were granted */
	SHM__CODE_UNKNOWN,   /* an id that nothing is shared by */
	SHM__CODE_STALE,     /* a generation that is over */
	SHM__CODE_RANGE,     /* bytes outside, or an address that overflows */
	SHM__CODE_DIRECTION, /* more than the SHARE allows */
	SHM__CODE_HELD,      /* given, and not returned yet; or shared already */
	SHM__CODE_NOT_HELD,  /* returned without having been given */
	SHM__CODE_FULL,      /* no room to remember it */
	SHM__CODE_MEMORY,    /* the memory can't be reached, or isn't what it was said to be */
	SHM__CODE_REFUSED,   /* the program doesn't want to */
	SHM__CODE_FAILED,    /* the work failed: the bytes are undefined */
	SHM__CODE_CANCELLED, /* returned unused */
	SHM__CODE_NO_MEMORY, /* a REQUEST that can't be met */

	/* never on the wire */
	SHM__CODE_AGAIN = 0x10000, /* the other side grants no more records just now */
	SHM__CODE_DOWN,            /* no session */
	SHM__CODE_INVALID,         /* the caller's own mistake */
};

enum { SHM__WIRE_READS = 1, SHM__WIRE_WRITES = 2 }; /* as in enum metal_shm_dir */

struct shm__wire_segment {
	uint64_t address; /* as the receiver sees it */
	uint64_t length;
};

struct shm__wire_hello {
	uint32_t session;         /* not 0, and another one at each start */
	uint16_t version, oldest; /* that its sender speaks */
	uint32_t shares;          /* ids 1 to shares are there for what the other side shares */
	uint32_t gives;           /* that it remembers at a time */
};

#define SHM__SHARE_DESCRIPTOR 1u /* a descriptor came beside the record; offset is in its memory */
#define SHM__SHARE_TABLE      2u /* segment[0] is where the table of segments lies */

struct shm__wire_share {
	uint32_t id, generation;
	uint64_t size;     /* bytes that are shared */
	uint64_t offset;   /* of the first one, where there is a descriptor; else 0 */
	uint32_t tag;      /* of the REQUEST that it answers; 0: of none */
	uint16_t dir;      /* SHM__WIRE_*: the most that its receiver will do */
	uint16_t flags;    /* SHM__SHARE_* */
	uint32_t segments; /* how many; 0 only where there is a descriptor */
	struct shm__wire_segment segment[SHM__SEGMENTS_MAX];
};

struct shm__wire_range { /* GIVE, RETURN, RECALL */
	uint32_t id, generation;
	uint64_t offset, length; /* bytes from the start of what is shared */
	uint32_t dir;            /* GIVE alone: SHM__WIRE_* */
	uint32_t code;           /* RETURN alone: enum shm__code */
};

struct shm__wire_request {
	uint64_t size;
	uint32_t type; /* METAL_SHM_* flags of <shm/shm.h> */
	uint32_t tag;  /* not 0 */
};

struct shm__wire_refuse {
	uint32_t tag, code;
};

struct shm__wire_unshare { /* UNSHARE, UNSHARED */
	uint32_t id, generation;
};

struct shm__wire_error {
	uint32_t number;         /* of the record, or 0 */
	uint16_t type, code;     /* the record's type; enum shm__code */
	uint32_t id, generation; /* that it named, or 0 */
};

struct shm__wire_user {
	uint32_t length;
	const void *data; /* in the record that was decoded */
};

struct shm__record {
	uint16_t type;    /* enum shm__record_type, or an optional one that isn't known */
	uint32_t session; /* the receiver's, as it said in HELLO; 0: not heard yet */
	uint32_t number;  /* 1, 2 ... of those that count; 0: HELLO, ERROR and CREDIT */
	uint32_t limit;   /* the highest number that its receiver may send */
	union {
		struct shm__wire_hello hello;
		struct shm__wire_share share;
		struct shm__wire_range range;
		struct shm__wire_request request;
		struct shm__wire_refuse refuse;
		struct shm__wire_unshare unshare;
		struct shm__wire_error error;
		struct shm__wire_user user;
	};
};

/*
 * Read one record. Every length, flag and range is checked that can be without knowing what was said
 * before. An optional type that isn't known is OK, with nothing but the header. On failure the header is
 * filled as far as it was there, for an ERROR; the rest of ret is undefined. data needs no alignment.
 */
enum shm__code shm__record_decode(const void *data, size_t size, struct shm__record *ret);

/* Write one record; the bytes written, 0 for what shm__record_decode() would refuse. */
size_t shm__record_encode(const struct shm__record *record, uint8_t buffer[static SHM__RECORD_MAX]);

/* Whether a type of record counts against what the other side grants. */
bool shm__record_counts(uint16_t type);

/*
 * One entry of a table of segments, read once: its owner may change the bytes meanwhile. Whoever reads the
 * table adds the lengths up and compares with what was shared.
 */
enum shm__code shm__segment_decode(const uint8_t entry[static SHM__SEGMENT_SIZE],
				   struct shm__wire_segment *ret);
size_t shm__segment_encode(const struct shm__wire_segment *from,
			   uint8_t entry[static SHM__SEGMENT_SIZE]);

#endif
