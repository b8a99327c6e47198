/*
 * tls.c - the TLS of tls.h with BearSSL: version 1.2 (BearSSL has no 1.3), ECDHE with RSA or ECDSA,
 * AES-GCM and ChaCha20.
 *
 * The profile is picked by hand: the library's own brings in three versions, CBC, CCM, 3DES and a
 * second set of implementations for each CPU. Used by probe.c, in children of PID 1.
 */
#include "tls.h"

#include "format.h"
#include "names.h"
#include "net.h"
#include "tls_trust.h"

#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { NAME_SIZE = 256, PROBLEM_SIZE = 96, SEED_SIZE = 32 };

struct tls {
	br_ssl_client_context client;
	struct tls_trust trust;
	int fd;
	bool is_ready;
	bool has_heard; /* a byte has come */
	const char *problem;
	char name[NAME_SIZE];
	char text[PROBLEM_SIZE]; /* for a problem with a number in it */
	unsigned char records[BR_SSL_BUFSIZE_MONO];
};

bool tls_available(void)
{
	return true;
}

/* In place of BearSSL's own seeder: no /dev in a bare chroot, and no trust in one CPU instruction.
 * Kernels before 3.17 have no getrandom(). */
static int seed(const br_prng_class **ctx)
{
	unsigned char bytes[SEED_SIZE];
	ssize_t n;

	do
		n = getrandom(bytes, sizeof bytes, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof bytes) {
		int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

		n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;
		if (fd >= 0)
			(void)close(fd); /* was only read */
	}
	if (n != (ssize_t)sizeof bytes)
		return 0;
	(*ctx)->update(ctx, bytes, sizeof bytes);
	return 1;
}

br_prng_seeder br_prng_seeder_system(const char **name)
{
	if (name != NULL)
		*name = "getrandom";
	return seed;
}

static void set_profile(br_ssl_client_context *client)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	};
	br_ssl_engine_context *e = &client->eng;

	br_ssl_client_zero(client);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites, sizeof suites / sizeof suites[0]);
	br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_rsavrfy(e, br_rsa_i31_pkcs1_vrfy);
	br_ssl_engine_set_ec(e, tls_curves());
	br_ssl_engine_set_ecdsa(e, br_ecdsa_i31_vrfy_asn1);
	br_ssl_engine_set_gcm(e, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
	br_ssl_engine_set_aes_ctr(e, &br_aes_ct64_ctr_vtable);
	br_ssl_engine_set_ghash(e, br_ghash_ctmul64);
	br_ssl_engine_set_chapol(e, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(e, br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(e, br_poly1305_ctmul_run);
}

struct tls *tls_open(int fd, const char *name, const char *ca_file, char *reason, size_t size)
{
	struct tls_anchors anchors = {.list = NULL};
	struct tls *t;

	if (ca_file != NULL && tls_anchors_load(ca_file, &anchors, reason, size) != 0)
		return NULL;
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		tls_anchors_free(&anchors);
		format_text(reason, size, "%s", error_text(ENOMEM));
		return NULL;
	}
	t->fd = fd;
	format_text(t->name, sizeof t->name, "%s", name);
	set_profile(&t->client);
	tls_trust_init(&t->trust, t->name, ca_file != NULL ? &anchors : NULL);
	br_ssl_engine_set_x509(&t->client.eng, &t->trust.vtable);
	br_ssl_engine_set_buffer(&t->client.eng, t->records, sizeof t->records, 0);
	/* An address is no name: it does not go into the server name extension (RFC 6066). */
	if (br_ssl_client_reset(&t->client, t->trust.name, 0))
		return t;
	format_text(reason, size, "TLS could not begin (error %d)",
		br_ssl_engine_last_error(&t->client.eng));
	tls_close(t);
	return NULL;
}

static const char *alert_words(unsigned alert)
{
	switch (alert) {
	case 40:
		return "the server wants a cipher, or a client certificate, that shim has not";
	case 70:
		return "the server does not speak TLS 1.2";
	case 112:
		return "the server does not know this host name";
	case 42:
	case 116:
		return "the server wants a client certificate";
	default:
		return NULL;
	}
}

static const char *error_words(int error)
{
	switch (error) {
	case BR_ERR_X509_NOT_TRUSTED:
		return "certificate: signed by an unknown CA";
	case BR_ERR_X509_BAD_SERVER_NAME:
		return "certificate: not for this host name";
	case BR_ERR_X509_EXPIRED:
		return "certificate: expired, or not valid yet";
	case BR_ERR_X509_BAD_SIGNATURE:
		return "certificate: the signature is wrong";
	case BR_ERR_X509_UNSUPPORTED:
	case BR_ERR_X509_WRONG_KEY_TYPE:
		return "certificate: a kind of key or signature that shim does not know";
	case BR_ERR_X509_NOT_CA:
		return "certificate: signed by one that is no CA";
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return "certificate: the key is too short";
	case BR_ERR_UNSUPPORTED_VERSION:
		return "the server does not speak TLS 1.2";
	case BR_ERR_NO_RANDOM:
		return "TLS: no randomness from the system";
	default:
		return NULL;
	}
}

/* Turns the engine's error into words. */
static void note_problem(struct tls *t)
{
	int error = br_ssl_engine_last_error(&t->client.eng);

	if (t->problem != NULL)
		return;
	if (error >= BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT) {
		t->problem = alert_words((unsigned)error - BR_ERR_RECV_FATAL_ALERT);
		format_text(t->text, sizeof t->text, "TLS alert %d from the server",
			error - BR_ERR_RECV_FATAL_ALERT);
	} else if (error > BR_ERR_X509_OK && error <= BR_ERR_X509_NOT_TRUSTED) {
		t->problem = error_words(error);
		format_text(
			t->text, sizeof t->text, "certificate: not understood (error %d)", error);
	} else {
		t->problem = error_words(error);
		format_text(t->text, sizeof t->text, "TLS failed (error %d)", error);
	}
	if (t->problem == NULL)
		t->problem = t->text;
}

static int fail(struct tls *t, const char *problem)
{
	if (t->problem == NULL)
		t->problem = problem;
	errno = EPROTO;
	return -1;
}

static int send_records(struct tls *t, int64_t deadline_ns)
{
	size_t length;
	unsigned char *data = br_ssl_engine_sendrec_buf(&t->client.eng, &length);

	if (net_write(t->fd, data, length, deadline_ns) < 0)
		return -1;
	br_ssl_engine_sendrec_ack(&t->client.eng, length);
	return 0;
}

/* The first record of a server is a handshake or an alert, of some TLS version. */
static bool begins_as_tls(const unsigned char *data, size_t length)
{
	return (data[0] == 0x15 || data[0] == 0x16) && (length < 2 || data[1] == 3);
}

/* 0: records were taken in; 1: the server has closed; -1: errno. */
static int receive_records(struct tls *t, int64_t deadline_ns)
{
	size_t room;
	unsigned char *data = br_ssl_engine_recvrec_buf(&t->client.eng, &room);
	ssize_t n = net_read(t->fd, data, room, deadline_ns);

	if (n < 0)
		return -1;
	if (n == 0)
		return t->is_ready ? 1 : fail(t, "connection closed during the TLS handshake");
	if (!t->has_heard && !begins_as_tls(data, (size_t)n))
		return fail(t, "the port does not speak TLS");
	t->has_heard = true;
	br_ssl_engine_recvrec_ack(&t->client.eng, (size_t)n);
	return 0;
}

/* Moves records until the engine is ready for one of what is wanted. 0: it is; 1: closed in good
 * order; -1: errno. */
static int run_until(struct tls *t, unsigned wanted, int64_t deadline_ns)
{
	for (;;) {
		unsigned state = br_ssl_engine_current_state(&t->client.eng);
		int result = 0;

		if (state & BR_SSL_CLOSED) {
			if (br_ssl_engine_last_error(&t->client.eng) == BR_ERR_OK)
				return 1;
			note_problem(t);
			errno = EPROTO;
			return -1;
		}
		if (state & BR_SSL_SENDAPP)
			t->is_ready = true;
		if (state & BR_SSL_SENDREC)
			result = send_records(t, deadline_ns);
		else if (state & wanted)
			return 0;
		else if (state & BR_SSL_RECVREC)
			result = receive_records(t, deadline_ns);
		else
			return fail(t, "TLS: unexpected data");
		if (result != 0)
			return result;
	}
}

ssize_t tls_write(struct tls *tls, const void *data, size_t length, int64_t deadline_ns)
{
	const unsigned char *rest = data;
	size_t left = length;

	while (left > 0) {
		int result = run_until(tls, BR_SSL_SENDAPP, deadline_ns);
		unsigned char *room;
		size_t n;

		if (result != 0)
			return result < 0 ? -1
					  : fail(tls, "connection closed during the TLS handshake");
		room = br_ssl_engine_sendapp_buf(&tls->client.eng, &n);
		n = left < n ? left : n;
		memcpy(room, rest, n);
		br_ssl_engine_sendapp_ack(&tls->client.eng, n);
		rest += n;
		left -= n;
	}
	br_ssl_engine_flush(&tls->client.eng, 0);
	return (ssize_t)length;
}

ssize_t tls_read(struct tls *tls, void *data, size_t size, int64_t deadline_ns)
{
	int result = run_until(tls, BR_SSL_RECVAPP, deadline_ns);
	unsigned char *have;
	size_t n;

	if (result != 0)
		return result < 0 ? -1 : 0;
	have = br_ssl_engine_recvapp_buf(&tls->client.eng, &n);
	n = size < n ? size : n;
	memcpy(data, have, n);
	br_ssl_engine_recvapp_ack(&tls->client.eng, n);
	return (ssize_t)n;
}

const char *tls_problem(struct tls *tls)
{
	return tls->problem;
}

bool tls_is_ready(const struct tls *tls)
{
	return tls->is_ready;
}

void tls_close(struct tls *tls)
{
	unsigned char *data;
	size_t length;

	if (tls->is_ready) {
		br_ssl_engine_close(&tls->client.eng);
		data = br_ssl_engine_sendrec_buf(&tls->client.eng, &length);
		/* A courtesy: the server may be gone. */
		if (data != NULL)
			(void)send(tls->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	tls_trust_free(&tls->trust);
	free(tls);
}
