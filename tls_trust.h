/*
 * tls_trust.h - which certificates are good: any (the kubelet's way), or those that a CA file
 * vouches for. For tls.c only.
 */
#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include <bearssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { TLS_LEAF_MAX = 16384 };

/* The certificates of a CA file. */
struct tls_anchors {
	br_x509_trust_anchor *list;
	size_t count;
	unsigned char *bytes; /* what the list points into */
};

/*
 * A BearSSL certificate engine: its first member is the vtable pointer, as BearSSL wants it. With
 * anchors the chain is validated; without, the server's key is taken from its certificate and that
 * is all.
 */
struct tls_trust {
	const br_x509_class *vtable;
	br_x509_minimal_context minimal;
	br_x509_decoder_context decoder;
	struct tls_anchors anchors;
	bool has_anchors;
	const char *name; /* a DNS name, or NULL: */
	unsigned char address[16];
	size_t address_length; /* 0, 4 or 16: the certificate is for this address */
	size_t certificates;   /* how many have begun */
	size_t leaf_length;
	bool is_leaf_too_long;
	unsigned char leaf[TLS_LEAF_MAX]; /* the server's own certificate, as it came */
};

/* name: a DNS name or an address, kept. anchors: become the engine's; NULL: any certificate will
 * do. */
void tls_trust_init(struct tls_trust *trust, const char *name, const struct tls_anchors *anchors);
void tls_trust_free(struct tls_trust *trust);

/* Reads a PEM file. 0, or -1 with words for a person. */
int tls_anchors_load(const char *path, struct tls_anchors *anchors, char *reason, size_t size);
void tls_anchors_free(struct tls_anchors *anchors);

/* P-256, P-384, P-521 and X25519. */
const br_ec_impl *tls_curves(void);

/* Does a certificate (DER) name this address among its subjectAltNames? Takes hostile bytes. */
bool tls_certificate_names_address(const unsigned char *der, size_t length,
	const unsigned char *address, size_t address_length);

#endif
