/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the firmware board-odd.elf is told by messages of the program's: it speaks libshm's protocol, and is as
 * odd as it is told. It answers each command with the same command.
 */
#ifndef ODD_FIRMWARE_H
#define ODD_FIRMWARE_H

enum { ODD_ENDPOINT = 0x420, ODD_ECHO = 0x421, ODD_SINK = 0x422 };

enum odd_what {
	ODD_ADD = 1, /* from now on: add value to each byte that it is given, and give it back */
	ODD_KEEP,    /* keep what it is given, until it is asked back */
	ODD_DEAF,    /* keep it, and do nothing that it is asked for */
	ODD_RETURN,  /* give back what it has, with code value */
	ODD_LIE,     /* a record that isn't true: enum odd_lie */
	ODD_REQUEST, /* ask for so many bytes; what it gets it fills with the tag's low byte and returns */
	ODD_FLOOD, /* so many messages, as fast as the host's room allows */
	ODD_LATE, /* write 0x66 again and again to all that was shared and is, also when it isn't any more */
	ODD_TRAP,  /* an illegal instruction */
	ODD_HANG,  /* do nothing any more, not even wait */
	ODD_AGAIN, /* begin another session */
	ODD_LEAVE, /* say that it uses nothing any more */
};

enum odd_lie {
	ODD_UNKNOWN_ID = 1,
	ODD_STALE,
	ODD_OUTSIDE,
	ODD_NOT_HELD,
	ODD_NEVER_SHARED,
	ODD_SHORT, /* half a record */
	ODD_NOISE,
	ODD_VERSION_0,   /* a HELLO */
	ODD_VERSION_MAX, /* likewise, of 65535 alone */
	ODD_OUT_OF_ORDER,
	ODD_HALF_LIST, /* a SHARE of three segments, with the half of the second one's bytes */
	ODD_LIES,
};

struct odd_command {
	unsigned int what, value;
	unsigned long long size;
};

#endif
