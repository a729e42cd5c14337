/*
 * The broker as a process: connections, the loop, the end of it all.
 *
 * nm-broker LISTENING-FD DIRECTORY MODE is started by the first client's library, which holds the
 * lock on DIRECTORY and hands over the socket it has bound there. The broker leaves when its last
 * client has: under the same lock, so that nobody can be connecting meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"

#define CLIENTS NMD_HANDLES

/* --- connections ------------------------------------------------------------------------------- */

static void
accept_all(int listener)
{
	int sock;

	while ((sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		if (nmb_handle_new(sock) == NULL)
			close(sock);
}

/* Who has closed, or died? Its ports are free before anybody's next request is looked at. */
static void
look_for_dead(void)
{
	static struct pollfd p[CLIENTS];
	static struct nmb_handle *who[CLIENTS];
	struct nmb_handle *h;
	nfds_t n = 0, i;

	for (h = nmb_handles; h != NULL && n < CLIENTS; h = h->next, n++) {
		who[n] = h;
		p[n].fd = h->sock;
		p[n].events = 0; /* hang-ups only */
	}
	if (poll(p, n, 0) <= 0)
		return;
	for (i = 0; i < n; i++) {
		if ((p[i].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0)
			continue;
		who[i]->gone = true; /* freed at the end of the round */
		nmb_unregister(who[i]);
	}
}

/* A message and the descriptors that came with it; only the first one is wanted. */
static ssize_t
receive(int sock, struct nmp_request *q, int *reply)
{
	union {
		char room[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { .iov_base = q, .iov_len = sizeof(*q) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	size_t i, count;
	ssize_t got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	*reply = -1;
	if (got < 0)
		return got;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*reply < 0)
				*reply = fd;
			else
				close(fd);
		}
	}
	return got;
}

/* Serve one request; false when there is none. */
static bool
serve(struct nmb_handle *h)
{
	static struct nmp_request q;
	int reply;
	ssize_t got = receive(h->sock, &q, &reply);

	if (got < 0)
		return false;
	if (got == 0 && reply < 0) { /* the end of the stream, or an empty message: both useless */
		h->gone = true;
		return false;
	}
	if (reply >= 0) {
		/* data-path requests are not about who is still there; all others are */
		if ((size_t)got < offsetof(struct nmp_request, data) || (q.op != NMP_SYNC && q.op != NMP_SCAN))
			look_for_dead();
		nmb_request(h, &q, (size_t)got, reply);
		close(reply);
	}
	return true;
}

/* --- the end ----------------------------------------------------------------------------------- */

/* Nobody is left. True when we are alone for sure and the socket is gone. */
static bool
leave(int listener, const char *directory)
{
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return true; /* the directory itself is gone: nobody can find us */
	if (flock(dir, LOCK_EX | LOCK_NB) != 0) {
		close(dir); /* somebody is just connecting */
		return false;
	}
	accept_all(listener);
	if (nmb_handles != NULL) {
		close(dir);
		return false;
	}
	(void)unlinkat(dir, NMP_SOCKET, 0);
	close(dir); /* and with it the lock */
	return true;
}

static void
loop(int listener, const char *directory)
{
	static struct pollfd p[CLIENTS + 1];
	static struct nmb_handle *who[CLIENTS + 1];
	struct nmb_handle *h;
	nfds_t n, i;

	for (;;) {
		if (nmb_handles == NULL && leave(listener, directory))
			return;
		p[0].fd = listener;
		p[0].events = POLLIN;
		n = 1;
		for (h = nmb_handles; h != NULL && n <= CLIENTS; h = h->next, n++) {
			who[n] = h;
			p[n].fd = h->sock;
			p[n].events = POLLIN;
		}
		if (poll(p, n, nmb_handles == NULL ? 20 : -1) < 0 && errno != EINTR)
			return;
		if ((p[0].revents & POLLIN) != 0)
			accept_all(listener);
		for (i = 1; i < n; i++) {
			if ((p[i].revents & POLLIN) != 0 && !who[i]->gone)
				(void)serve(who[i]);
			if ((p[i].revents & (POLLHUP | POLLERR)) != 0 && (p[i].revents & POLLIN) == 0)
				who[i]->gone = true;
		}
		nmb_handles_bury();
	}
}

int
main(int argc, char **argv)
{
	int listener, null;

	if (argc != 4 || (listener = atoi(argv[1])) < 3) {
		fprintf(stderr, "nm-broker is started by libnetmap_user.so, not by hand\n");
		return 2;
	}
	nmb_mode = strcmp(argv[3], "brokered") == 0 ? NMP_BROKERED : NMP_IN_PROCESS;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	/* keep nothing of the client's but the socket; leave its session; be nobody's child */
	if (listener > 3)
		(void)close_range(3, (unsigned int)listener - 1, 0);
	(void)close_range((unsigned int)listener + 1, ~0u, 0);
	if (fork() != 0)
		_exit(0);
	(void)setsid();
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		if (getenv("NETMAP_VERIFY_BROKER_STDERR") == NULL)
			dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (nmb_start() != 0)
		return 1;
	(void)fcntl(listener, F_SETFL, O_NONBLOCK);
	loop(listener, argv[2]);
	return 0;
}
