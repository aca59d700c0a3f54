/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file observe.h
 * Seeing what the library does: log lines, counters, why memory came from where it came.
 *
 * The conventions of shm.h hold.
 */
#ifndef METAL_SHM_OBSERVE_H
#define METAL_SHM_OBSERVE_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a log line matters. */
enum metal_shm_log_level {
	METAL_SHM_LOG_ERROR = 1, /**< misuse, lost memory */
	METAL_SHM_LOG_INFO,      /**< a choice, a refusal, a device gone */
	METAL_SHM_LOG_DEBUG,     /**< each hand-over */
};

/** Receives one line without a newline. May be called from any thread; must not call libshm. */
typedef void (*metal_shm_log_fn)(void *user, enum metal_shm_log_level level, const char *line);

/**
 * Receive the library's log lines. Without a hook there are none.
 *
 * In debug builds (every build type but release) a program that ends by itself gets a line, an error, for
 * each memory that a device has then, or that it freed while parts or views of it are in use: with the
 * holder and since when. These come when what was registered by atexit() after the first hook has run, so
 * a hook must last as long, or be removed. A forked child gets none, nor does one learn of memory that
 * another thread is just working on.
 *
 * @param fn     the hook, or NULL to remove it
 * @param user   passed to it
 * @param level  lines above this level are not made
 */
void metal_shm_set_log(metal_shm_log_fn fn, void *user, enum metal_shm_log_level level);

/** Counters since the start of the process, the buffer or the device. Set struct_size first. */
struct metal_shm_stats {
	uint32_t struct_size;
	uint32_t reserved;
	uint64_t buffers_live; /**< memories held now */
	uint64_t bytes_live;   /**< bytes of these */
	uint64_t deferred;     /**< of these, freed by their owner but still in use elsewhere */
	uint64_t allocations;  /**< memories taken from a source */
	uint64_t imports;      /**< descriptors imported, the same memory again included */
	uint64_t mappings;     /**< mappings made (not those found in the cache) */
	uint64_t attaches;     /**< views made */
	uint64_t attach_hits;  /**< attaches that found their view */
	uint64_t handovers;    /**< times that bytes changed hands */
	uint64_t starts;       /**< sync operations issued before CPU access */
	uint64_t ends;         /**< sync operations issued after CPU access */
	uint64_t elided;       /**< hand-overs that needed neither */
	uint64_t waits;        /**< calls that had to wait for a holder */
	uint64_t bytes_copied; /**< bytes that libshm or an adapter moved with the CPU */
	uint64_t trials;       /**< sources tried with a device */
	uint64_t refusals;     /**< of these, refused */
	uint64_t misuse;       /**< misuses of void calls, unreported writes: metal_shm_guard() */
	uint64_t ranged;       /**< of starts and ends, those of some bytes only */
	uint64_t bytes_out;    /**< of bytes_copied, from parts to the shadows of their devices */
	uint64_t bytes_back;   /**< of bytes_copied, from shadows to parts */
	uint64_t windows;      /**< times that pages were exported once more */
	uint64_t spares;       /**< of buffers_live, copies of parts that wait for another part */
	uint64_t spares_used;  /**< attaches that found one */
};

/**
 * The process's counters.
 *
 * @param ret  struct_size set by the caller, the rest filled; fields beyond its size are left out
 * @return 0; -EINVAL
 */
int metal_shm_stats(struct metal_shm_stats *ret);

/**
 * A buffer's counters.
 *
 * @param shm  any handle; the counters are its whole buffer's
 * @param ret  as for metal_shm_stats()
 * @return 0; -EINVAL
 */
int metal_shm_buffer_stats(const struct metal_generic_shm *shm, struct metal_shm_stats *ret);

/**
 * A device's counters.
 *
 * @param dev  an open device
 * @param ret  as for metal_shm_stats()
 * @return 0; -EINVAL
 */
int metal_shm_device_stats(const struct metal_device *dev, struct metal_shm_stats *ret);

/**
 * Leave no cache operation out that destroys nothing, needed or not.
 *
 * To find out whether an elided one is to blame, and what eliding saves. For the whole process, from the
 * next hand-over on; any thread may call it.
 *
 * @param paranoid  whether; false at first
 */
void metal_shm_set_paranoid(bool paranoid);

/**
 * Close a buffer to the program while devices have it.
 *
 * For finding the access that comes before metal_shm_sync_for_cpu(), or after the hand-over. While a device
 * holds bytes, working on them or idle, the pages of metal_shm_map()'s address that lie wholly in such
 * bytes can't be touched; where all holders only read, and what devices wrote was taken back, they can be
 * read. A page of which any byte is the program's stays open. Mappings of metal_shm_importer_map(), foreign
 * mappings of an exported descriptor and lock words under metal_shm_lock() go on as ever.
 *
 * A thread that touches a closed page gets SIGSEGV, and here the library prints: a
 * line to standard error says which buffer, at which offset, who holds it, since when and by which call of
 * the program it was handed over, as MODULE+OFFSET for addr2line. Then the process dies of the signal. The
 * handler is installed at the first guarded hand-over; all other faults go to the one that was there
 * before. A handler that the program installs later replaces it, and nothing is printed. A system call
 * on a closed page fails with EFAULT, without a signal.
 *
 * Once the program has begun to say what it writes (metal_shm_wrote()), the hand-over looks for what it
 * changed and didn't report. An ERROR line to the log, or to standard error where there is no hook, names
 * buffer, offset, length and the call, and stats.misuse counts it. The hand-over succeeds and the bytes
 * stay unreported, so that what the device sees is what it sees without a guard. Writes by other
 * mappings of the memory count; locks' words, and writes that leave a byte as it was, don't.
 *
 * LIBSHM_GUARD=1 in the environment does this for each buffer whose memory allows it, from its first
 * mapping on. Costs a mapping and a copy of the bytes for each buffer, and system calls and the reading
 * of the bytes for each hand-over. A forked child inherits what is closed.
 *
 * @param shm  any handle; its whole buffer is guarded
 * @param on   whether; when it ends all pages are open, and from then on LIBSHM_GUARD means nothing for it
 * @return 0; -EINVAL not a handle; -ENOTSUP the memory has no pages of its own that could be closed
 *         (metal_shm_wrap()), or can't be mapped; -EACCES; -ENOMEM
 */
int metal_shm_guard(struct metal_generic_shm *shm, bool on);

/**
 * Say where a buffer's memory came from and why, which sources were refused and who holds it.
 *
 * @param shm   any handle
 * @param text  receives lines ended by newlines, cut to fit; may be NULL when @p size is 0
 * @param size  bytes at @p text
 * @return the length of the whole text without its NUL, as snprintf(); -EINVAL
 */
int metal_shm_explain(const struct metal_generic_shm *shm, char *text, size_t size);

/**
 * Begin to record each change of hands.
 *
 * The records go to a ring that is never given back: when it is full each new one takes the place of the
 * oldest. Threads neither lock nor wait for it. LIBSHM_TRACE=FILE in the environment does the same at the
 * first use of the library, with 65536 records, and writes FILE when the program ends by itself: not when
 * a signal kills it, nor by _exit(). "%p" in FILE becomes the process's number. Programs that run with
 * others' rights don't look at it, and a forked child records and writes nothing.
 *
 * @param records  how many of the last to keep, at most 4194304; rounded up to a power of two. One takes
 *                 48 bytes
 * @return 0; -EINVAL none or too many; -EALREADY it was begun before, by LIBSHM_TRACE too; -ENOMEM; -EPERM
 *         in a forked child
 */
int metal_shm_trace_start(size_t records);

/**
 * Write what was recorded as a timeline for ui.perfetto.dev and chrome://tracing.
 *
 * A track for each holder, and more of one name where it has several buffers at once: in these each buffer
 * is seen from when it was given to when the work was done, with the error if it failed. Arrows lead from
 * one holder of a buffer to the next; cache operations, copies and attachments are instants, waits have a
 * length. Chrome's trace event format, whose file also says how many records were lost. Recording goes on,
 * in other threads even meanwhile, so that it can be written again.
 *
 * @param borrow_fd  a file, pipe or socket that blocks; stays the caller's
 * @return 0; -ENODATA metal_shm_trace_start() was not called; -EBADF closed, or for reading only; -ENOSPC
 *         the disk is full, or another error of write(); -ENOMEM; -EPERM in a forked child
 */
int metal_shm_trace_write(int borrow_fd);

#ifdef __cplusplus
}
#endif
#endif
