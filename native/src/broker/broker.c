/*
 * The device's state and the data path's view of this process. The loop that serves clients is in
 * main.c; what is here and in the other files can be driven by something else (a fuzzer).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"

#define PATIENCE_MS 200u /* for a lock of a client that was stopped in a sync */

struct nmd_ctx nmb_ctx;
struct nmb_handle *nmb_handles;
int nmb_control_fd = -1;
enum nmp_mode nmb_mode;

static struct nmv_pool numbers; /* of handles */
static uint32_t number_words[(NMD_HANDLES + 31) / 32];

/* --- the data path's view of this process ---------------------------------------------------- */

static const struct nmd_mem *
region_view(void *arg, uint32_t id)
{
	struct nmb_region *m = nmb_region_find(id);

	(void)arg;
	return m != NULL && m->view.base != NULL ? &m->view : NULL;
}

static void
wake(void *arg, uint32_t kring)
{
	uint64_t one = 1;
	int fd = nmb_kring_fd(kring);

	(void)arg;
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable already */
}

static void
drain(void *arg, uint32_t kring)
{
	uint64_t count;
	int fd = nmb_kring_fd(kring);

	(void)arg;
	if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
		return; /* empty already */
}

/* Make the control region and hold the lock that says we live; 0 or -1. */
int
nmb_start(void)
{
	void *base;

	nmb_control_fd = memfd_create("netmap-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (nmb_control_fd < 0 || ftruncate(nmb_control_fd, sizeof(struct nmd_control)) != 0 ||
	    fcntl(nmb_control_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -1;
	base = mmap(NULL, sizeof(struct nmd_control), PROT_READ | PROT_WRITE, MAP_SHARED, nmb_control_fd, 0);
	if (base == MAP_FAILED)
		return -1;
	nmb_ctx.ctl = base;
	nmd_lock_init(&nmb_ctx.ctl->broker);
	if (pthread_mutex_lock(&nmb_ctx.ctl->broker) != 0) /* until the end: others see that we live */
		return -1;
	nmv_pool_init(&numbers, number_words, NMD_HANDLES, 0);
	nmb_ctx.mem = region_view;
	nmb_ctx.wake = wake;
	nmb_ctx.drain = drain;
	nmb_ctx.frame_out = nmb_frame_out;
	nmb_ctx.partial = nmb_partial;
	nmb_ctx.patience_ms = PATIENCE_MS;
	return 0;
}

/* A client has come on `sock`; NULL when there are too many. */
struct nmb_handle *
nmb_handle_new(int sock)
{
	struct nmb_handle *h = numbers.free > 0 ? calloc(1, sizeof(*h)) : NULL;

	if (h == NULL)
		return NULL;
	h->number = nmv_pool_take(&numbers);
	atomic_store(&nmb_ctx.ctl->sleeping[h->number], 0);
	h->sock = sock;
	h->next = nmb_handles;
	nmb_handles = h;
	return h;
}

/* Free those that have gone; not while anybody walks the list. */
void
nmb_handles_bury(void)
{
	struct nmb_handle **at = &nmb_handles, *h;

	while ((h = *at) != NULL) {
		if (!h->gone) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		nmb_unregister(h);
		close(h->sock);
		(void)nmv_pool_give(&numbers, h->number);
		free(h);
	}
}
