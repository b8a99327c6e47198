/*
 * tls_ca.c - a PEM file of CA certificates, as the trust anchors BearSSL wants. Uses the heap: a
 * system's whole bundle may be named.
 */
#include "tls_trust.h"

#include "format.h"
#include "names.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 4 * 1024 * 1024, CHUNK = 4096 };

/* Bytes that grow. */
struct bytes {
	unsigned char *at;
	size_t length;
	size_t room;
	bool is_broken; /* no memory, or too long */
};

/* A file on its way to anchors. */
struct loader {
	br_pem_decoder_context pem;
	struct bytes der; /* the certificate that is being read */
	struct bytes
		pool; /* of each anchor one after another: its name, and the parts of its key */
	struct tls_anchors anchors;
	bool is_certificate;
	bool is_broken; /* no memory, or no PEM */
};

static void bytes_add(void *ctx, const void *data, size_t length)
{
	struct bytes *b = ctx;

	if (length > FILE_MAX - b->length)
		b->is_broken = true;
	if (b->is_broken || length == 0)
		return;
	if (b->length + length > b->room) {
		size_t room = 2 * (b->length + length);
		unsigned char *grown = realloc(b->at, room);

		if (grown == NULL) {
			b->is_broken = true;
			return;
		}
		b->at = grown;
		b->room = room;
	}
	memcpy(b->at + b->length, data, length);
	b->length += length;
}

static void add_key(struct bytes *pool, const br_x509_pkey *key)
{
	if (key->key_type == BR_KEYTYPE_RSA) {
		bytes_add(pool, key->key.rsa.n, key->key.rsa.nlen);
		bytes_add(pool, key->key.rsa.e, key->key.rsa.elen);
	} else {
		bytes_add(pool, key->key.ec.q, key->key.ec.qlen);
	}
}

static br_x509_trust_anchor *grow(struct tls_anchors *anchors)
{
	br_x509_trust_anchor *list = realloc(anchors->list, (anchors->count + 1) * sizeof *list);

	if (list == NULL)
		return NULL;
	anchors->list = list;
	memset(&list[anchors->count], 0, sizeof *list);
	return &list[anchors->count++];
}

/* false: out of memory */
static bool add_certificate(struct loader *l)
{
	br_x509_decoder_context decoder;
	br_x509_trust_anchor *anchor;
	const br_x509_pkey *key;
	size_t before = l->pool.length;

	br_x509_decoder_init(&decoder, bytes_add, &l->pool);
	br_x509_decoder_push(&decoder, l->der.at, l->der.length);
	key = br_x509_decoder_get_pkey(&decoder);
	if (key == NULL) {
		/* One with a key of a kind that BearSSL does not know makes the rest of a bundle no
		 * worse. */
		l->pool.length = before;
		return true;
	}
	anchor = grow(&l->anchors);
	if (anchor == NULL)
		return false;
	anchor->dn.len = l->pool.length - before;
	anchor->pkey = *key;
	/* A server's own certificate may be in the file: then just that one is trusted. */
	anchor->flags = br_x509_decoder_isCA(&decoder) ? BR_X509_TA_CA : 0;
	add_key(&l->pool, key);
	return !l->pool.is_broken;
}

/* The pool moves no more: now the anchors can point into it. */
static void place(struct tls_anchors *anchors, unsigned char *at)
{
	anchors->bytes = at;
	for (size_t i = 0; i < anchors->count; i++) {
		br_x509_trust_anchor *anchor = &anchors->list[i];

		anchor->dn.data = at;
		at += anchor->dn.len;
		if (anchor->pkey.key_type == BR_KEYTYPE_RSA) {
			anchor->pkey.key.rsa.n = at;
			at += anchor->pkey.key.rsa.nlen;
			anchor->pkey.key.rsa.e = at;
			at += anchor->pkey.key.rsa.elen;
		} else {
			anchor->pkey.key.ec.q = at;
			at += anchor->pkey.key.ec.qlen;
		}
	}
}

static bool is_certificate_name(const char *name)
{
	return strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
}

static void begin_object(struct loader *l)
{
	l->is_certificate = is_certificate_name(br_pem_decoder_name(&l->pem));
	l->der.length = 0;
	br_pem_decoder_setdest(&l->pem, l->is_certificate ? bytes_add : NULL, &l->der);
}

static void end_object(struct loader *l)
{
	if (l->is_certificate && (l->der.is_broken || !add_certificate(l)))
		l->is_broken = true;
	l->is_certificate = false;
}

static void feed(struct loader *l, const char *data, size_t length)
{
	while (length > 0 && !l->is_broken) {
		size_t n = br_pem_decoder_push(&l->pem, data, length);

		data += n;
		length -= n;
		switch (br_pem_decoder_event(&l->pem)) {
		case BR_PEM_BEGIN_OBJ:
			begin_object(l);
			break;
		case BR_PEM_END_OBJ:
			end_object(l);
			break;
		case BR_PEM_ERROR:
			l->is_broken = true;
			break;
		default:
			break;
		}
	}
}

static int read_file(const char *path, struct loader *l)
{
	char chunk[CHUNK];
	size_t total = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;
	int error;

	if (fd < 0)
		return -1;
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || total > FILE_MAX)
			break;
		total += (size_t)n;
		feed(l, chunk, (size_t)n);
	}
	error = n < 0 ? errno : EFBIG;
	(void)close(fd); /* was only read */
	errno = error;
	return n == 0 ? 0 : -1;
}

/* The end of the file: what is in it, or what is wrong with it. The loader's memory is gone. */
static const char *finish(struct loader *l, struct tls_anchors *anchors)
{
	feed(l, "\n", 1); /* the last line may have no end */
	free(l->der.at);
	*anchors = l->anchors;
	place(anchors, l->pool.at);
	if (l->is_broken || l->is_certificate)
		return "broken PEM";
	return anchors->count > 0 ? NULL
				  : "no certificate in it that can be used (PEM is expected)";
}

int tls_anchors_load(const char *path, struct tls_anchors *anchors, char *reason, size_t size)
{
	struct loader l = {.der = {.at = NULL}};
	const char *problem;
	int error;

	br_pem_decoder_init(&l.pem);
	error = read_file(path, &l) == 0 ? 0 : errno;
	problem = finish(&l, anchors);
	if (error != 0)
		problem = error_text(error);
	if (problem == NULL)
		return 0;
	tls_anchors_free(anchors);
	format_text(reason, size, "CA file %s: %s", path, problem);
	return -1;
}

void tls_anchors_free(struct tls_anchors *anchors)
{
	free(anchors->list);
	free(anchors->bytes);
	*anchors = (struct tls_anchors){.list = NULL};
}

int tls_check_ca(const char *path, char *reason, size_t size)
{
	struct tls_anchors anchors;

	if (tls_anchors_load(path, &anchors, reason, size) != 0)
		return -1;
	tls_anchors_free(&anchors);
	return 0;
}
