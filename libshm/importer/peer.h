/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another process as a device. peer.c is the device, peer_say.c what goes out, peer_hear.c what comes in,
 * peer_next.c what the program asks for.
 *
 * Two locks. `hearing` is held by the one thread that reads the socket, and while it tells the core of what
 * came; others that want to read leave it to that thread. `lock` guards all else and is never held while the
 * core is called.
 */
#ifndef SHM_IMPORTER_PEER_H
#define SHM_IMPORTER_PEER_H

#include <shm/linux.h>

#include "channel.h"
#include "core.h"
#include "session.h"

#define SHM__PEER_SHARES 64u
#define SHM__PEER_GIVES  128u
#define SHM__PEER_WINDOW 32u
#define SHM__PEER_UNSENT 8u

/* What a view of the device is: something of ours that it was told of, or of its that we were told of. */
enum shm__peer_kind { SHM__PEER_OUT, SHM__PEER_IN };

struct shm__peer_out {
	enum shm__peer_kind kind;
	struct metal_generic_shm *view; /* NULL: detached, and UNSHARED hasn't come */
	struct shm__root *root;         /* the memory, which stays until then */
	struct shm__peer_out *next;     /* of all */
	uint64_t size;
	uint32_t id;    /* 0: not told yet */
	unsigned given; /* works that the core was promised an end of */
	unsigned dir;   /* METAL_SHM_DIR_*: of all of these */
	int fd;         /* borrowed from the memory */
	uint64_t offset;
	bool gone; /* refused, or the other process ended it */
};

struct shm__peer_in {
	enum shm__peer_kind kind;
	struct metal_generic_shm *shm; /* a reference, while it is among all */
	struct metal_generic_shm *view;
	struct shm__peer_in *next; /* of all */
	uint64_t size;
	uint32_t id;
	enum metal_shm_dir dir; /* of the last GIVE */
	enum shm__code result;  /* of the next RETURN */
	bool ours;              /* given, and not returned yet */
	bool ending;            /* UNSHARE came */
	bool gone;              /* not among all any more */
};

/* For the program, in the order in which it came. */
struct shm__peer_item {
	struct metal_generic_shm *shm; /* given, with a reference; NULL: a message */
	const struct shm__peer_in *in;
	enum metal_shm_dir dir;
	uint32_t size;
	uint8_t data[SHM__USER_MAX];
};

/* Given at most once each, and one message more than the window. */
#define SHM__PEER_ITEMS (SHM__PEER_SHARES + SHM__PEER_WINDOW + 1)

/* A record that waits for credit, or for the other process to be there. */
struct shm__peer_wish {
	struct shm__peer_wish *next;
	uint16_t type;
	struct shm__peer_out *out; /* SHARE, GIVE */
	uint32_t id;               /* UNSHARE, RETURN, UNSHARED */
	uint64_t size;
	enum metal_shm_dir dir;
	enum shm__code code;
	uint32_t length; /* USER */
	uint8_t data[];
};

struct shm__peer {
	struct metal_device *dev;
	struct metal_device *source; /* of what it shares */
	int fd;
	shm__mutex hearing;
	struct shm__peer_in
		*arriving; /* what the thread that hears attaches as the other's, or NULL */
	shm__thread hearer;
	bool met; /* a session began */

	shm__mutex lock;
	struct shm__session session;
	struct shm__share mine[SHM__PEER_SHARES], theirs[SHM__PEER_SHARES];
	struct shm__give given[SHM__PEER_GIVES], taken[SHM__PEER_GIVES];
	struct shm__out unsent[SHM__PEER_UNSENT]; /* what the socket had no room for */
	unsigned unsent_count;
	int unsent_fd; /* a copy, beside the first of these, or -1 */
	struct shm__peer_wish *wishes, **wishes_end;
	struct shm__peer_wish *failed; /* that nobody has told the core of */
	struct shm__peer_out *outs;
	struct shm__peer_in *ins;
	struct shm__peer_item items[SHM__PEER_ITEMS];
	unsigned items_first, items_count;
	struct shm__waiter *waiters;
	atomic_bool over;  /* the program closed it */
	atomic_uint needs; /* METAL_SHM_* of its memory, as the program says */
	int dead;         /* -errno, why nothing goes any more; 0 */
};

extern const struct metal_shm_device_ops shm__peer_ops;

/* An error of the protocol's in the program's words; 0 for OK. */
int shm__peer_errno(enum shm__code code);

/* peer_say.c, all under lock */
/* Say it now, or as soon as it can be said. wish is a pattern, copied if need be. 0 or -errno. */
int shm__peer_say(struct shm__peer *peer, const struct shm__peer_wish *wish, const void *data);
/* Send an answer of the session's. */
void shm__peer_answer(struct shm__peer *peer, const struct shm__out *out);
/* Say what can be said now. */
void shm__peer_flush(struct shm__peer *peer);
/* Forget what was to be said of a view that goes, or all of it (NULL). */
void shm__peer_forget(struct shm__peer *peer, const struct shm__peer_out *out);

/* What was detached is used by nobody any more. Under lock, which it lets go of meanwhile. */
void shm__peer_out_end(struct shm__peer *peer, struct shm__peer_out *out);

/* peer_hear.c */
/* Read until something came that the program may wait for; what nobody else does. */
int shm__peer_hear(struct shm__peer *peer);
/* The program closed it: end all, now or as soon as the thread that hears can. */
void shm__peer_end(struct shm__peer *peer);
/* The program is through with what the other process ends. Under lock, which it lets go of meanwhile. */
void shm__peer_leave(struct shm__peer *peer, struct shm__peer_in *in);
/* What was given and is returned needs no telling any more. The reference to end; under lock. */
struct metal_generic_shm *shm__peer_unready(struct shm__peer *peer, const struct shm__peer_in *in);

#endif
