/*
 * What one call of the ring functions costs, next to a call that does nothing. JSON on standard
 * output:
 *
 *   {"empty_ns": 0.31, "repeats": 9, "functions": [{"name": "tx_prologue", "ns": 5.1, "ratio": 16.4}, …]}
 *
 * `ns` is the median over the repeats of nanoseconds per call; `ratio` that over the empty call's.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nmv_pipe.h"
#include "nmv_pool.h"
#include "nmv_ring.h"

#define REPEATS 9
#define CALLS 2000000u

/* Arguments the compiler cannot know, and a place it must store results in. */
static volatile uint32_t n_in = 1024, step_in = 7;
static volatile uint32_t sink;
static uint32_t words[32];

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t
empty(uint32_t i)
{
	return i;
}

static uint32_t
next(uint32_t i)
{
	return nmv_next(i & 1023, n_in - 1);
}

static uint32_t
distance(uint32_t i)
{
	return nmv_distance(i & 1023, step_in, n_in);
}

static uint32_t
tx_prologue(uint32_t i)
{
	struct nmv_kring k = { n_in, i & 511, (i & 511) + 500, i & 511, i & 511, (i & 511) + 500 };
	struct nmv_user u = { (i & 511) + step_in, (i & 511) + step_in, (i & 511) + 500 };

	return nmv_tx_prologue(k, u).kring.rhead;
}

static uint32_t
rx_prologue(uint32_t i)
{
	struct nmv_kring k = { n_in, i & 511, (i & 511) + 500, i & 511, i & 511, (i & 511) + 500 };
	struct nmv_user u = { (i & 511) + step_in, (i & 511) + step_in, (i & 511) + 500 };

	return nmv_rx_prologue(k, u).kring.rhead;
}

static uint32_t
finalize(uint32_t i)
{
	struct nmv_kring k = { n_in, i, i, i, i, step_in };

	return nmv_sync_finalize(k).rtail;
}

static uint32_t
reinit(uint32_t i)
{
	struct nmv_kring k = { n_in, i, i, i, i, step_in };
	struct nmv_user u = { i, i, i };

	return nmv_ring_reinit(k, u).user.head;
}

static uint32_t
slot_reinit(uint32_t i)
{
	struct nmv_slot s = { i, (uint16_t)i, 0, 0 };
	uint32_t fired = 0;

	return nmv_slot_reinit(s, n_in, 2048, &fired).buf_idx;
}

static uint32_t
pipe_txsync(uint32_t i)
{
	struct nmv_kring k = { n_in, i & 511, 0, (i & 511) + step_in, 0, 0 };

	return nmv_pipe_txsync_positions(k, 1000, step_in).publish;
}

static uint32_t
pool_take_give(uint32_t i)
{
	static struct nmv_pool p;
	uint32_t index;

	if (p.words == NULL)
		nmv_pool_init(&p, words, 1024, 2);
	index = nmv_pool_take(&p);
	(void)i;
	return index + nmv_pool_give(&p, index);
}

static const struct {
	const char *name;
	uint32_t (*call)(uint32_t);
} functions[] = {
	{ "nm_next", next },	       { "distance", distance },       { "tx_prologue", tx_prologue },
	{ "rx_prologue", rx_prologue }, { "sync_finalize", finalize }, { "ring_reinit", reinit },
	{ "slot_reinit", slot_reinit }, { "pipe_txsync_positions", pipe_txsync },
	{ "pool_take_give", pool_take_give },
};

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median_ns(uint32_t (*call)(uint32_t))
{
	double times[REPEATS];
	uint32_t i, sum;
	int r;

	for (r = 0; r < REPEATS; r++) {
		double start = now_ns();

		for (sum = 0, i = 0; i < CALLS; i++)
			sum += call(i);
		sink = sum;
		times[r] = (now_ns() - start) / CALLS;
	}
	qsort(times, REPEATS, sizeof(times[0]), ascending);
	return times[REPEATS / 2];
}

int
main(void)
{
	double base = median_ns(empty), ns;
	size_t i, n = sizeof(functions) / sizeof(functions[0]);

	printf("{\"empty_ns\": %.3f, \"repeats\": %d, \"calls\": %u, \"functions\": [", base, REPEATS, CALLS);
	for (i = 0; i < n; i++) {
		ns = median_ns(functions[i].call);
		printf("%s\n  {\"name\": \"%s\", \"ns\": %.3f, \"ratio\": %.2f}", i > 0 ? "," : "", functions[i].name,
		       ns, ns / base);
	}
	printf("\n]}\n");
	return 0;
}
