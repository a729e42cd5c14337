/*
 * What drives a fuzz entry where libFuzzer is missing: random inputs for a number of seconds.
 *
 * driver SECONDS [SEED [ITERATION]]: an iteration's input depends on seed and iteration alone, both
 * are printed when it fails, and giving both runs that one input.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST 2048

static volatile uint64_t now_seed, now_iteration;

static uint64_t
next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
once(uint64_t seed, uint64_t iteration)
{
	static uint8_t data[LONGEST];
	uint64_t state = seed * UINT64_C(0x100000001b3) + iteration, word = 0;
	size_t size = next(&state) % (LONGEST + 1), i;

	for (i = 0; i < size; i++, word >>= 8) {
		if (i % 8 == 0)
			word = next(&state);
		data[i] = (uint8_t)word;
	}
	now_iteration = iteration;
	(void)LLVMFuzzerTestOneInput(data, size);
}

static void
failed(int sig)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "fuzz: failed with signal %d at seed %llu iteration %llu\n", sig,
			 (unsigned long long)now_seed, (unsigned long long)now_iteration);

	if (n > 0 && write(2, line, (size_t)n) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
	raise(sig);
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL), i;
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 20);

	signal(SIGABRT, failed);
	signal(SIGSEGV, failed);
	now_seed = seed;
	if (argc > 3) {
		once(seed, strtoull(argv[3], NULL, 0));
		return 0;
	}
	for (i = 0; time(NULL) < until; i++)
		once(seed, i);
	printf("fuzz: seed %llu, %llu inputs, nothing found\n", (unsigned long long)seed, (unsigned long long)i);
	return 0;
}
