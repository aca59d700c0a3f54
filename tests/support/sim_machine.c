/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm_test.h"

/* The bytes of a memory and of its windows. */
struct sim_ram {
	struct sim_ram *next;
	unsigned users;
	size_t size;
	unsigned char *cache;
	unsigned char *filled; /* what each line of the cache held when it was last clean */
	unsigned char *dram;
	bool *written; /* lines, by sim_cpu_write() */
	struct sim_port *ports;
};

const char *const sim_kind_names[SIM_KINDS] = {
	[SIM_WHOLE] = "whole",
	[SIM_RANGED] = "ranged",
	[SIM_BOUNCING] = "bouncing",
	[SIM_WINDOWED] = "windowed",
};

unsigned sim_random(struct sim_rng *rng, unsigned n)
{
	uint64_t x = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (unsigned)((x >> 32) * n >> 32);
}

struct sim_machine *sim_machine_new(void)
{
	struct sim_machine *machine = calloc(1, sizeof(*machine));

	assert_non_null(machine);
	return machine;
}

void sim_machine_end(struct sim_machine *machine)
{
	assert_int_equal(machine->memories, 0);
	free(machine);
}

static bool is_dirty(const struct sim_ram *ram, size_t line)
{
	return ram->written[line] ||
	       memcmp(ram->cache + line * SIM_LINE, ram->filled + line * SIM_LINE, SIM_LINE) != 0;
}

static void read_in(struct sim_ram *ram, size_t line)
{
	memcpy(ram->cache + line * SIM_LINE, ram->dram + line * SIM_LINE, SIM_LINE);
	memcpy(ram->filled + line * SIM_LINE, ram->dram + line * SIM_LINE, SIM_LINE);
	ram->written[line] = false;
}

static void write_back(struct sim_ram *ram, size_t line)
{
	memcpy(ram->dram + line * SIM_LINE, ram->cache + line * SIM_LINE, SIM_LINE);
	memcpy(ram->filled + line * SIM_LINE, ram->cache + line * SIM_LINE, SIM_LINE);
	ram->written[line] = false;
}

static void *bytes_new(size_t size)
{
	void *bytes = aligned_alloc(SIM_PAGE, (size + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE);

	assert_non_null(bytes);
	return bytes;
}

static struct sim_memory *memory_new(struct sim_machine *machine, struct sim_ram *ram,
				     enum sim_kind kind, size_t offset, size_t size)
{
	struct sim_memory *memory = calloc(1, sizeof(*memory));

	assert_non_null(memory);
	memory->machine = machine;
	memory->ram = ram;
	memory->kind = kind;
	memory->offset = offset;
	memory->size = size;
	ram->users++;
	machine->memories++;
	return memory;
}

struct sim_memory *sim_memory_new(struct sim_machine *machine, enum sim_kind kind, size_t size)
{
	struct sim_ram *ram = calloc(1, sizeof(*ram));

	assert_non_null(ram);
	ram->size = (size + SIM_LINE - 1) / SIM_LINE * SIM_LINE;
	ram->cache = bytes_new(ram->size);
	ram->filled = bytes_new(ram->size);
	ram->dram = bytes_new(ram->size);
	ram->written = calloc(ram->size / SIM_LINE, sizeof(*ram->written));
	assert_non_null(ram->written);
	for (size_t i = 0; i < ram->size; i++)
		ram->dram[i] = (unsigned char)(0xa5 ^ (i * 7) ^ (machine->memories * 29));
	for (size_t line = 0; line < ram->size / SIM_LINE; line++)
		read_in(ram, line);
	ram->next = machine->rams;
	machine->rams = ram;
	return memory_new(machine, ram, kind, 0, ram->size);
}

struct sim_memory *sim_memory_window(struct sim_memory *memory, size_t offset, size_t size)
{
	if (memory->kind != SIM_WINDOWED || !size || offset % SIM_PAGE || size % SIM_PAGE ||
	    offset > memory->size || size > memory->size - offset)
		return NULL;
	return memory_new(memory->machine, memory->ram, SIM_WINDOWED, memory->offset + offset,
			  size);
}

void sim_memory_end(struct sim_memory *memory)
{
	struct sim_ram *ram = memory->ram, **at = &memory->machine->rams;

	for (const struct sim_port *port = ram->ports; port; port = port->next)
		assert_true(port->memory != memory || memory->machine->forked);
	memory->machine->memories--;
	free(memory);
	if (--ram->users)
		return;
	while (*at != ram)
		at = &(*at)->next;
	*at = ram->next;
	free(ram->cache);
	free(ram->filled);
	free(ram->dram);
	free(ram->written);
	free(ram);
}

unsigned char *sim_memory_address(const struct sim_memory *memory)
{
	return memory->ram->cache + memory->offset;
}

static void cache_write(struct sim_ram *ram, size_t offset, const void *bytes, size_t n)
{
	memcpy(ram->cache + offset, bytes, n);
	for (size_t line = offset / SIM_LINE; n && line <= (offset + n - 1) / SIM_LINE; line++)
		ram->written[line] = true;
}

static struct sim_ram *ram_at(const struct sim_machine *machine, const void *address, size_t n)
{
	for (struct sim_ram *ram = machine->rams; ram; ram = ram->next) {
		size_t offset = (uintptr_t)address - (uintptr_t)ram->cache;

		if (offset <= ram->size && n <= ram->size - offset)
			return ram;
	}
	fail_msg("no memory has %zu bytes at %p", n, address);
	abort();
}

void sim_cpu_write(struct sim_machine *machine, void *address, const void *bytes, size_t n)
{
	struct sim_ram *ram = ram_at(machine, address, n);

	cache_write(ram, (size_t)((unsigned char *)address - ram->cache), bytes, n);
}

void sim_cpu_read(const struct sim_machine *machine, const void *address, void *bytes, size_t n)
{
	ram_at(machine, address, n);
	memcpy(bytes, address, n);
}

/* The lines of the ram that an operation on a range acts on; the one after the last. */
static size_t lines_of(const struct sim_memory *memory, const struct metal_shm_range *range,
		       size_t *ret_first)
{
	size_t begin = memory->offset, end = memory->offset + memory->size;

	if (memory->kind == SIM_RANGED && range) {
		begin = memory->offset + range->offset;
		end = begin + range->length;
	}
	*ret_first = begin / SIM_LINE;
	return (end + SIM_LINE - 1) / SIM_LINE;
}

static bool is_outside(const struct sim_memory *memory, const struct metal_shm_range *range)
{
	return range && (range->offset > memory->size || !range->length ||
			 range->length > memory->size - range->offset);
}

/* Exporters of these kinds sync what is attached, and without any DMA attachment nothing. */
static bool has_nobody_to_sync_for(const struct sim_memory *memory)
{
	if (memory->kind != SIM_WHOLE && memory->kind != SIM_BOUNCING)
		return false;
	for (const struct sim_port *port = memory->ram->ports; port; port = port->next)
		if (!port->by_cpu)
			return false;
	return true;
}

/* Copies go back one attachment after the other: the one that was made first has the last word. */
int sim_start(struct sim_memory *memory, const struct metal_shm_range *range,
	      enum metal_shm_dir dir)
{
	struct sim_machine *machine = memory->machine;
	size_t line, end;

	if (is_outside(memory, range))
		return -EINVAL;
	memory->started = true;
	machine->counts.starts++;
	if (!(dir & METAL_SHM_DIR_DEV_W) || (machine->mistakes & SIM_FORGETS_STARTS) ||
	    has_nobody_to_sync_for(memory))
		return 0;
	for (const struct sim_port *port = memory->ram->ports; port; port = port->next)
		if (port->bounce)
			memcpy(memory->ram->dram + memory->offset, port->bounce, memory->size);
	end = lines_of(memory, range, &line);
	machine->counts.lines_in += end - line;
	for (; line < end; line++)
		read_in(memory->ram, line);
	return 0;
}

/* Clean lines go too: some exporters know no others. */
int sim_end(struct sim_memory *memory, const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct sim_machine *machine = memory->machine;
	size_t line, end;

	if (is_outside(memory, range) || !memory->started)
		return -EINVAL;
	machine->counts.ends++;
	if (!(dir & METAL_SHM_DIR_DEV_R) || (machine->mistakes & SIM_FORGETS_ENDS) ||
	    has_nobody_to_sync_for(memory))
		return 0;
	end = lines_of(memory, range, &line);
	machine->counts.lines_out += end - line;
	for (; line < end; line++)
		write_back(memory->ram, line);
	for (struct sim_port *port = memory->ram->ports; port; port = port->next)
		if (port->bounce)
			memcpy(port->bounce, memory->ram->dram + memory->offset, memory->size);
	return 0;
}

/* Only a bounced attachment gets the clean lines too, and nobody else sees them. */
struct sim_port *sim_port_new(struct sim_memory *memory, bool by_cpu)
{
	struct sim_port *port = calloc(1, sizeof(*port));
	struct sim_ram *ram = memory->ram;
	size_t line, end;

	assert_non_null(port);
	port->memory = memory;
	port->by_cpu = by_cpu;
	port->next = ram->ports;
	ram->ports = port;
	if (by_cpu)
		return port;
	end = lines_of(memory, NULL, &line);
	memory->machine->counts.lines_hidden += end - line;
	if (memory->kind == SIM_BOUNCING) {
		port->bounce = bytes_new(memory->size);
		memcpy(port->bounce, sim_memory_address(memory), memory->size);
	} else {
		for (; line < end; line++)
			if (is_dirty(ram, line))
				write_back(ram, line);
	}
	return port;
}

void sim_port_end(struct sim_port *port)
{
	struct sim_memory *memory = port->memory;
	struct sim_port **at = &memory->ram->ports;
	size_t line, end;

	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	if (!port->by_cpu) {
		if (port->bounce)
			memcpy(memory->ram->dram + memory->offset, port->bounce, memory->size);
		end = lines_of(memory, NULL, &line);
		memory->machine->counts.lines_hidden += end - line;
		for (; line < end; line++)
			read_in(memory->ram, line);
	}
	free(port->bounce);
	free(port);
}

void sim_port_read(const struct sim_port *port, size_t offset, void *bytes, size_t n)
{
	const struct sim_memory *memory = port->memory;
	const unsigned char *from = memory->ram->dram + memory->offset;

	assert_true(offset <= memory->size && n <= memory->size - offset);
	if (port->by_cpu)
		from = sim_memory_address(memory);
	else if (port->bounce)
		from = port->bounce;
	memcpy(bytes, from + offset, n);
}

void sim_port_write(struct sim_port *port, size_t offset, const void *bytes, size_t n)
{
	struct sim_memory *memory = port->memory;

	assert_true(offset <= memory->size && n <= memory->size - offset);
	if (port->by_cpu)
		cache_write(memory->ram, memory->offset + offset, bytes, n);
	else if (port->bounce)
		memcpy(port->bounce + offset, bytes, n);
	else
		memcpy(memory->ram->dram + memory->offset + offset, bytes, n);
}

void sim_evict(struct sim_memory *memory, size_t offset)
{
	size_t line = (memory->offset + offset) / SIM_LINE;

	if (is_dirty(memory->ram, line)) {
		write_back(memory->ram, line);
		memory->machine->counts.evictions++;
	}
}

void sim_fill(struct sim_memory *memory, size_t offset)
{
	size_t line = (memory->offset + offset) / SIM_LINE;

	if (!is_dirty(memory->ram, line)) {
		read_in(memory->ram, line);
		memory->machine->counts.fills++;
	}
}

/* Mostly a few lines at random; now and then all, as when a cache is flushed. */
static void step_in(struct sim_machine *machine, struct sim_ram *ram, struct sim_rng *rng)
{
	struct sim_memory all = { .machine = machine, .ram = ram, .size = ram->size };
	const unsigned lines = (unsigned)(ram->size / SIM_LINE);
	const bool every = !sim_random(rng, 8);

	for (unsigned i = 0; i < (every ? lines : 4); i++) {
		unsigned line = every ? i : sim_random(rng, lines);

		if (sim_random(rng, 2))
			sim_fill(&all, line * SIM_LINE);
		else
			sim_evict(&all, line * SIM_LINE);
	}
}

void sim_step(struct sim_machine *machine, struct sim_rng *rng)
{
	unsigned n = 0;

	for (struct sim_ram *ram = machine->rams; ram; ram = ram->next)
		n++;
	n = sim_random(rng, n);
	for (struct sim_ram *ram = machine->rams; ram; ram = ram->next)
		if (!n--)
			step_in(machine, ram, rng);
}
