/*
 * tls.h - TLS 1.2 as a client, behind read and write with a deadline. tls.c does it with BearSSL;
 * tls_none.c, for `make TLS=0`, says that there is none. For children of PID 1: uses the heap.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

bool tls_available(void);

struct tls;

/*
 * Makes ready for a handshake on a connected, non-blocking socket, which stays the caller's. name
 * is the host as the user wrote it, a name or an address: the certificate must be for it when
 * ca_file (PEM) is given; without one any certificate is good. NULL: failed, and reason says why.
 */
struct tls *tls_open(int fd, const char *name, const char *ca_file, char *reason, size_t size);

/*
 * Writes all of it, or reads some; the first of them shakes hands. What net_write() and net_read()
 * give: a length (reading: 0 at the end), or -1 with errno ETIMEDOUT when the deadline has passed,
 * or another one; with errno EPROTO tls_problem() has the words.
 */
ssize_t tls_write(struct tls *tls, const void *data, size_t length, int64_t deadline_ns);
ssize_t tls_read(struct tls *tls, void *data, size_t size, int64_t deadline_ns);

/* Why TLS failed ("certificate: signed by an unknown CA"), or NULL when it did not. */
const char *tls_problem(struct tls *tls);

/* Has the handshake come to its end? */
bool tls_is_ready(const struct tls *tls);

/* Says good-bye if that needs no waiting, and frees. The socket stays open. */
void tls_close(struct tls *tls);

/* Is this a file with CA certificates in it? For the start: 0, or -1 and what is wrong with it. */
int tls_check_ca(const char *path, char *reason, size_t size);

#endif
