/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads texts that say what the protocol's bytes are, and compares. It runs as it is on machines of either
 * byte order, without a test library: `vectors DIRECTORY [--list]`, and prints TAP.
 *
 * records*.txt: a line in words, and the bytes it stands for in those that follow:
 *
 *	= GIVE ...	the bytes are this record, and the record these bytes
 *	~ GIVE ...	the bytes are read as this record, but hold more than it is written with
 *	! CODE		the bytes are refused
 *
 * dialogue*.txt: two ends, a and b:
 *
 *	a share ...	a wishes (see wish() below); "a window 4" sets it up anew
 *	a> HEX		what a says then, or answered to what came; it reaches b
 *	a! HEX		what a didn't say reaches b as if it had
 *	b NAME ...	the event that b had of it; NONE where nothing is written
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>

#include "names.h"

#define LINE   4096
#define SHARES 4
#define GIVES  8

struct end {
	struct shm__session s;
	struct shm__share mine[SHARES], theirs[SHARES];
	struct shm__give given[GIVES], taken[GIVES];
	struct shm__out out; /* not looked at yet */
	struct shm__event event;
	bool has_event;
};

static struct end ends[2];
static const char *file_name;
static unsigned line_number;
static unsigned complaints;

static void complain(const char *what, const char *detail)
{
	printf("# %s:%u: %s%s\n", file_name, line_number, what, detail);
	complaints++;
}

/* Bytes in hexadecimal; how many. */
static size_t parse_hex(const char *text, uint8_t *bytes, size_t most)
{
	size_t count = 0;
	unsigned value;
	int used;

	while (count < most && sscanf(text, " %2x%n", &value, &used) == 1) {
		bytes[count++] = (uint8_t)value;
		text += used;
	}
	if (text[strspn(text, " \t\n")])
		complain("not bytes: ", text);
	return count;
}

static void show_bytes(const char *what, const uint8_t *bytes, size_t size)
{
	printf("# %s:", what);
	for (size_t i = 0; i < size; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

static void same_bytes(const uint8_t *expected, size_t expected_size, const uint8_t *bytes,
		       size_t size)
{
	if (size == expected_size && !memcmp(bytes, expected, size))
		return;
	complain("other bytes", "");
	show_bytes("written here", expected, expected_size);
	show_bytes("what it is  ", bytes, size);
}

static void check_record(char kind, const char *words, const uint8_t *bytes, size_t size)
{
	char text[LINE];
	uint8_t again[SHM__RECORD_MAX];
	struct shm__record record;
	enum shm__code code = shm__record_decode(bytes, size, &record);
	FILE *to = fmemopen(text, sizeof(text), "w");

	if (!to) {
		complain("no memory", "");
		return;
	}
	if (kind == '!')
		fprintf(to, "%s", NAME(code_names, code));
	else if (code)
		fprintf(to, "refused: %s", NAME(code_names, code));
	else
		describe(&record, to);
	fclose(to);
	if (strcmp(text, words) != 0)
		complain("read as ", text);
	if (kind == '=' && !code)
		same_bytes(bytes, size, again, shm__record_encode(&record, again));
}

static void check_records(FILE *from)
{
	char line[LINE], words[LINE] = "";
	uint8_t bytes[2 * SHM__RECORD_MAX];
	size_t size = 0;
	char kind = 0;
	bool more = true;

	while (more) {
		more = fgets(line, sizeof(line), from) != NULL;
		line_number++;
		if (!more || strchr("=~!", line[0])) {
			if (kind)
				check_record(kind, words, bytes, size);
			kind = line[0];
			size = 0;
			line[strcspn(line, "\n")] = 0;
			memmove(words, line + 2, strlen(line + 1));
		} else if (line[0] != '#') {
			size += parse_hex(line, bytes + size, sizeof(bytes) - size);
		}
	}
}

static void set_up(struct end *end, uint32_t window)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = end->mine,
			  .gives = end->given,
			  .share_count = SHARES,
			  .give_count = GIVES },
		.theirs = { .shares = end->theirs,
			    .gives = end->taken,
			    .share_count = SHARES,
			    .give_count = GIVES },
		.session = 1,
		.window = window,
	};

	memset(end, 0, sizeof(*end));
	shm__session_init(&end->s, &setup);
}

static enum shm__code wish_share(struct end *end, const unsigned long long n[5])
{
	const struct shm__wire_share what = {
		.size = n[0],
		.dir = (uint16_t)n[1],
		.segments = 1,
		.segment[0] = { n[2], n[0] },
		.tag = (uint32_t)n[3],
	};
	uint32_t id;

	return shm__session_share(&end->s, &what, NULL, &id, &end->out);
}

/* A wish in words, with its numbers. */
static enum shm__code wish(struct end *end, const char *verb, const unsigned long long n[5],
			   const char *rest)
{
	uint32_t id = (uint32_t)n[0], tag;

	if (!strcmp(verb, "share")) /* SIZE DIR ADDRESS TAG */
		return wish_share(end, n);
	if (!strcmp(verb, "give")) /* ID OFFSET LENGTH DIR */
		return shm__session_give(&end->s, id, n[1], n[2], (unsigned)n[3], &end->out);
	if (!strcmp(verb, "return")) /* ID OFFSET LENGTH CODE */
		return shm__session_return(&end->s, id, n[1], n[2], (enum shm__code)n[3],
					   &end->out);
	if (!strcmp(verb, "recall")) /* ID OFFSET LENGTH */
		return shm__session_recall(&end->s, id, n[1], n[2], &end->out);
	if (!strcmp(verb, "unshare"))
		return shm__session_unshare(&end->s, id, &end->out);
	if (!strcmp(verb, "unshared"))
		return shm__session_unshared(&end->s, id, &end->out);
	if (!strcmp(verb, "request")) /* SIZE TYPE */
		return shm__session_request(&end->s, n[0], (uint32_t)n[1], &tag, &end->out);
	if (!strcmp(verb, "refuse")) /* TAG CODE */
		return shm__session_refuse(&end->s, id, (enum shm__code)n[1], &end->out);
	if (!strcmp(verb, "send"))
		return shm__session_send(&end->s, rest, strlen(rest), &end->out);
	if (!strcmp(verb, "begin")) { /* SESSION */
		shm__session_begin(&end->s, (uint32_t)n[0], &end->out);
		return SHM__CODE_OK;
	}
	if (!strcmp(verb, "reject")) { /* CODE: the event it had last */
		shm__session_reject(&end->s, &end->event, (enum shm__code)n[0], &end->out);
		return SHM__CODE_OK;
	}
	if (!strcmp(verb, "window")) {
		set_up(end, (uint32_t)n[0]);
		return SHM__CODE_OK;
	}
	complain("no such wish: ", verb);
	return SHM__CODE_OK;
}

static void reach(struct end *to, const uint8_t *bytes, size_t size)
{
	if (to->has_event)
		complain("nobody looked at the event ", NAME(event_names, to->event.kind));
	if (to->out.size)
		complain("nobody looked at what was said", "");
	shm__session_receive(&to->s, bytes, size, &to->event, &to->out);
	to->has_event = to->event.kind != SHM__EVENT_NONE;
}

/* "NAME" or "NAME CODE". */
static void check_event(struct end *end, const char *words)
{
	char text[LINE];

	snprintf(text, sizeof(text), end->event.code ? "%s %s" : "%s",
		 NAME(event_names, end->event.kind), NAME(code_names, end->event.code));
	if (!end->has_event || strcmp(text, words) != 0)
		complain("the event is ", end->has_event ? text : "none");
	end->has_event = false;
}

static void check_dialogue_line(struct end *end, struct end *other, const char *line)
{
	uint8_t bytes[SHM__RECORD_MAX];
	unsigned long long n[5] = { 0 };
	char verb[32], rest[LINE] = "";
	enum shm__code code;
	size_t size;

	if (line[1] == '>' || line[1] == '!') {
		size = parse_hex(line + 2, bytes, sizeof(bytes));
		if (line[1] == '>') {
			same_bytes(bytes, size, end->out.data, end->out.size);
			end->out.size = 0;
		}
		reach(other, bytes, size);
		return;
	}
	if (line[2] >= 'A' && line[2] <= 'Z') {
		check_event(end, line + 2);
		return;
	}
	if (sscanf(line + 2, "%31s %4095[^\n]", verb, rest) < 1)
		return;
	sscanf(rest, "%lli %lli %lli %lli %lli", (long long *)&n[0], (long long *)&n[1],
	       (long long *)&n[2], (long long *)&n[3], (long long *)&n[4]);
	code = wish(end, verb, n, rest);
	if (code)
		complain("it can't: ", NAME(code_names, code));
}

static void check_dialogue(FILE *from)
{
	char line[LINE];

	set_up(&ends[0], 8);
	set_up(&ends[1], 8);
	while (fgets(line, sizeof(line), from)) {
		line_number++;
		line[strcspn(line, "\n")] = 0;
		if (line[0] == 'a' || line[0] == 'b')
			check_dialogue_line(&ends[line[0] == 'b'], &ends[line[0] != 'b'], line);
		else if (line[0] && line[0] != '#')
			complain("what is this: ", line);
	}
	for (unsigned i = 0; i < 2; i++)
		if (ends[i].has_event || ends[i].out.size)
			complain("nobody looked at what came of the last line", "");
}

static int is_text(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".txt");
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	bool failed = false;
	char path[LINE];
	int count;

	count = argc < 2 ? -1 : scandir(argv[1], &entries, is_text, alphasort);
	if (count <= 0) {
		fprintf(stderr, "usage: vectors DIRECTORY [--list]\n");
		return 2;
	}
	if (argc == 2)
		printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		FILE *from;

		file_name = entries[i]->d_name;
		if (argc > 2) {
			printf("%s\n", file_name);
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", argv[1], file_name);
		line_number = complaints = 0;
		from = fopen(path, "r");
		if (!from)
			complain("it can't be opened", "");
		else if (file_name[0] == 'r')
			check_records(from);
		else
			check_dialogue(from);
		if (from)
			fclose(from);
		printf("%s %d - %s\n", complaints ? "not ok" : "ok", i + 1, file_name);
		failed |= complaints;
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return failed;
}
