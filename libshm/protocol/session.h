/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of the protocol: what was shared, in which generation, who has which bytes, how many records
 * either side may still send. It does nothing by itself: a record that came in, or a wish of the program,
 * goes in; records to send and one event come out. All storage is the caller's, and so is locking. Both
 * ends are the same; docs/coprocessor-protocol.md has their state charts.
 *
 * Channels keep the order of records and lose none, or tell that they did (then begin anew).
 */
#ifndef SHM_SESSION_H
#define SHM_SESSION_H

#include "record.h"

#define SHM__SESSION_REQUESTS 8u /* that wait for an answer at a time, each way */

/* Bytes that were given and not returned. */
struct shm__give {
	uint64_t offset, length;
	uint32_t number; /* of the GIVE */
	uint32_t next;   /* index + 1, of the same share or the free ones */
	uint8_t dir;
};

enum shm__share_state {
	SHM__SHARE_FREE = 0,
	SHM__SHARE_ACTIVE,
	SHM__SHARE_ENDING, /* UNSHARE is on its way, UNSHARED hasn't come */
};

/* Something shared; the id is its place in the table + 1. */
struct shm__share {
	uint64_t size;
	void *user;          /* the caller's own */
	uint32_t generation; /* of this, or of the last */
	uint32_t number;     /* of the SHARE */
	uint32_t ending;     /* of the UNSHARE */
	uint32_t gives;      /* index + 1 of the first */
	uint32_t gives_count;
	uint8_t state; /* enum shm__share_state */
	uint8_t dir;
};

/* A REQUEST without an answer yet. */
struct shm__session_request {
	uint32_t tag; /* 0: none */
	uint32_t number;
};

/* Storage for what one side shares. Zeroed by shm__session_init(). */
struct shm__session_side {
	struct shm__share *shares;
	struct shm__give *gives;
	uint32_t share_count, give_count;
	uint32_t given; /* session's own, as what follows */
	uint32_t free_give;
	uint32_t next_share; /* session's own: where the next search begins */
};

struct shm__session_setup {
	struct shm__session_side mine;   /* for what this end shares */
	struct shm__session_side theirs; /* for what the other end shares */
	uint32_t session; /* not 0; another one at each start, as far as the platform can */
	uint32_t
		window; /* records that the other end may send ahead, at least 1: the channel's room */
};

struct shm__session {
	struct shm__session_side mine, theirs;
	bool up;
	uint16_t version;
	uint32_t me, other; /* sessions; other 0: not heard yet */
	uint32_t window;
	uint32_t unread; /* the caller's: records that it keeps, for which no others may come yet */
	uint32_t sent, may_send;            /* numbers: the last one sent; the last one granted */
	uint32_t received, granted;         /* the same of the other end */
	uint32_t their_shares, their_gives; /* room that the other end has */
	struct shm__session_request my_requests[SHM__SESSION_REQUESTS];
	struct shm__session_request their_requests[SHM__SESSION_REQUESTS];
	uint32_t last_tag;

	/* counted since shm__session_init() */
	uint32_t faults;   /* records from the other end that failed a check */
	uint32_t stale;    /* of those before its restart, or without a session: no answer */
	uint32_t skipped;  /* optional ones that aren't known */
	uint32_t refusals; /* ERRORs from the other end */
};

/* A record to send; size 0: none. */
struct shm__out {
	size_t size;
	uint8_t data[SHM__RECORD_MAX];
};

enum shm__event_kind {
	SHM__EVENT_NONE = 0,
	SHM__EVENT_UP, /* a session begins; whatever was before it is void, also what was held */
	SHM__EVENT_SHARED, /* theirs, for us: record.share. shm__session_reject() if it can't be used */
	SHM__EVENT_GIVEN,     /* record.range of theirs is ours until shm__session_return() */
	SHM__EVENT_RETURNED,  /* record.range of ours is back; code says how it went */
	SHM__EVENT_RECALLED,  /* they want record.range back soon */
	SHM__EVENT_REQUESTED, /* record.request: shm__session_share() with its tag, or _refuse() */
	SHM__EVENT_REFUSED,   /* our request record.refuse.tag, with code */
	SHM__EVENT_UNSHARE,   /* theirs: stop using it, then shm__session_unshared() */
	SHM__EVENT_UNSHARED, /* ours is no more used, with `returned` gives; code if it was refused */
	SHM__EVENT_USER,     /* record.user */
	SHM__EVENT_ERROR,    /* a record of ours was refused that changed nothing here */
	SHM__EVENT_NO_VERSION, /* no session: there is no version that both speak */
};

struct shm__event {
	enum shm__event_kind kind;
	enum shm__code code;
	struct shm__share *share; /* that it is about, or NULL; its user is the caller's own */
	uint32_t returned;        /* gives that ended with it */
	struct shm__record record;
};

/* An end without a session. It answers a HELLO by itself; shm__session_begin() doesn't wait for one. */
void shm__session_init(struct shm__session *s, const struct shm__session_setup *setup);

/*
 * Say HELLO: forget all that was, under a new session number. The event UP follows when the other end
 * answers. Nothing can be sent until then.
 */
void shm__session_begin(struct shm__session *s, uint32_t session, struct shm__out *out);

/*
 * One record came. ret_event says what it means to the program; out may have an answer, to be sent in order
 * with all else (HELLO, ERROR, CREDIT). A record that fails its check changes nothing but counters.
 */
enum shm__code shm__session_receive(struct shm__session *s, const void *data, size_t size,
				    struct shm__event *ret_event, struct shm__out *out);

/*
 * Refuse what the event SHARED or GIVEN told, before another record is received: as if it had never come,
 * with an ERROR to its sender. The out of that event must have been sent.
 */
void shm__session_reject(struct shm__session *s, const struct shm__event *event,
			 enum shm__code code, struct shm__out *out);

/* Once unread went down: a CREDIT if the other end waits for it. */
void shm__session_credit(struct shm__session *s, struct shm__out *out);

/*
 * Wishes. Each answers OK with one record in out; else out is empty and nothing changed: AGAIN (no credit:
 * try again after the next record came in), DOWN, FULL, or what the other end would have refused.
 */

/* Share: what's id and generation are chosen here. ret_id names it from then on. */
enum shm__code shm__session_share(struct shm__session *s, const struct shm__wire_share *what,
				  void *user, uint32_t *ret_id, struct shm__out *out);
enum shm__code shm__session_give(struct shm__session *s, uint32_t id, uint64_t offset,
				 uint64_t length, unsigned dir, struct shm__out *out);
enum shm__code shm__session_recall(struct shm__session *s, uint32_t id, uint64_t offset,
				   uint64_t length, struct shm__out *out);
/* No gives from here on; the event UNSHARED ends it. */
enum shm__code shm__session_unshare(struct shm__session *s, uint32_t id, struct shm__out *out);

/* What was given, exactly as it was given. */
enum shm__code shm__session_return(struct shm__session *s, uint32_t id, uint64_t offset,
				   uint64_t length, enum shm__code code, struct shm__out *out);
/* This end uses it no more, and has none of its bytes; whether it was asked to or not. */
enum shm__code shm__session_unshared(struct shm__session *s, uint32_t id, struct shm__out *out);

enum shm__code shm__session_request(struct shm__session *s, uint64_t size, uint32_t type,
				    uint32_t *ret_tag, struct shm__out *out);
enum shm__code shm__session_refuse(struct shm__session *s, uint32_t tag, enum shm__code code,
				   struct shm__out *out);
enum shm__code shm__session_send(struct shm__session *s, const void *data, size_t size,
				 struct shm__out *out);

#endif
